"""What the program tests share: running kronattn, writing problems, reading results, attention by its definition.

The tests see the program as a user does, through its command line, files, exit codes and report, and compare what it
computes with the definition written out in extended precision. The binary's path is taken from $KRONATTN:

    KRONATTN=build/release/kronattn /usr/bin/python3 -m unittest test_solve -v        (in tests/program)

    n queries   n_m rows of mode m   N = n_1 n_2 ... key tuples   d width   d_v value columns   k order
"""
import concurrent.futures
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from typing import NamedTuple

import h5py
import numpy as np


# ---- running the program

if "KRONATTN" not in os.environ:
    sys.exit("program tests: set the environment variable KRONATTN to the path of the binary")
BINARY = os.path.abspath(os.environ["KRONATTN"])

# A launch that ends takes the folder of Open MPI's sessions with it, from under one that begins: each has its own, in this one.
SESSIONS = tempfile.TemporaryDirectory(prefix="kronattn-")


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str


def run(*arguments, ranks=1, threads=None, env=None, cwd=None, timeout=120, before=()):
    """Runs kronattn with these arguments under mpirun, or as one process without it when `ranks` is None; `before` are words that
    come first, as of a program that limits what follows it."""
    command = [BINARY] + [str(argument) for argument in arguments]
    if ranks is not None:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] + command
    command = [*before, *command]
    environment = dict(os.environ, OMPI_MCA_mpi_yield_when_idle="1",
                       OMPI_MCA_orte_tmpdir_base=tempfile.mkdtemp(dir=SESSIONS.name))
    if os.geteuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    environment.update(env or {})
    process = subprocess.Popen(command, env=environment, cwd=cwd, text=True, errors="replace", stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # mpirun takes its ranks with it
        stdout, stderr = process.communicate()
        raise AssertionError(f"no end after {timeout} s: {' '.join(command)}\n{stdout}{stderr}") from None
    return Outcome(process.returncode, stdout, stderr)


def side_by_side(runs):
    """The outcomes of many runs, [(arguments, ranks)], several at a time: starting and failing is mostly waiting."""
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda one: run(*one[0], ranks=one[1], threads=1), runs))


def failure_lines(stderr):
    return [line for line in stderr.splitlines() if line.startswith("kronattn: ")]


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own (a space in its name) and words for how a run ended."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kronattn test ")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assert_succeeded(self, outcome):
        self.assertEqual(outcome.code, 0, outcome.stderr)
        self.assertEqual(failure_lines(outcome.stderr), [])

    def assert_failed(self, outcome, code, *patterns):
        """The run ended with `code` and said why on one line in which every pattern is found."""
        self.assertEqual(outcome.code, code, outcome.stderr)
        lines = failure_lines(outcome.stderr)
        self.assertEqual(len(lines), 1, outcome.stderr)
        for pattern in patterns:
            self.assertRegex(lines[0], re.compile(pattern, re.IGNORECASE))


# ---- files

class Problem(NamedTuple):
    """queries (n, d), keys [(n_m, d)], values [(n_m, d_v)], each with a leading axis of heads or none; scale or None."""
    queries: np.ndarray
    keys: list
    values: list
    scale: float = None

    @property
    def order(self):
        return 1 + len(self.keys)

    @property
    def largest_value(self):
        """max|V1| * ... * max|Vk-1|, the unit of the promise."""
        return math.prod(np.abs(np.asarray(v, np.longdouble)).max() for v in self.values)

    def astype(self, dtype):
        return Problem(self.queries.astype(dtype), [x.astype(dtype) for x in self.keys],
                       [x.astype(dtype) for x in self.values], self.scale)


def random_problem(order, rows, key_rows, width, value_width=None, bound=1.0, heads=None, seed=1):
    """Uniform queries and keys, and values that depend on the keys, so that attention differs from a mean of values."""
    random = np.random.default_rng(seed)
    lead = () if heads is None else (heads,)
    key_rows = (key_rows,) * (order - 1) if isinstance(key_rows, int) else key_rows
    assert len(key_rows) == order - 1
    columns = np.arange(value_width or width)
    queries = random.uniform(-bound, bound, lead + (rows, width))
    keys = [random.uniform(-bound, bound, lead + (m, width)) for m in key_rows]
    values = [0.3 + (1 + 0.5 * np.sin(3 * columns)) * np.tanh(key[..., columns % width] / bound) for key in keys]
    return Problem(queries, keys, values)


def write_datasets(path, datasets, attributes=None, **options):
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file.create_dataset(name, data=data, **options)
        file.attrs.update(attributes or {})
    return path


def named_datasets(queries, keys, values, plain_names=False):
    """{"Q": .., "K1": .., "V1": .., ..}; with plain_names K and V, the other spelling of order 2."""
    datasets = {"Q": queries}
    for mode, (key, value) in enumerate(zip(keys, values), start=1):
        suffix = "" if plain_names else str(mode)
        datasets.update({"K" + suffix: key, "V" + suffix: value})
    return datasets


def write_problem(path, queries, keys, values, scale=None, dtype=None, plain_names=False, **options):
    """Writes the arrays in their own type, or in `dtype`; `options` go to h5py's create_dataset."""
    datasets = {name: np.asarray(data, dtype)
                for name, data in named_datasets(queries, keys, values, plain_names).items()}
    return write_datasets(path, datasets, {} if scale is None else {"scale": scale}, **options)


def read_datasets(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}


class Result(NamedTuple):
    output: np.ndarray
    log_normalizer: np.ndarray
    error_bound: np.ndarray
    attributes: dict
    report: dict

    def bits(self):
        return {name: (array.dtype.str, array.shape, array.tobytes())
                for name, array in zip(("O", "log_normalizer", "error_bound"), self[:3])}


def read_result(path):
    with h5py.File(path, "r") as file:
        attributes = dict(file.attrs)
        report = attributes["report"]
        report = json.loads(report.decode() if isinstance(report, bytes) else report)
        return Result(file["O"][()], file["log_normalizer"][()], file["error_bound"][()], attributes, report)


# ---- the truth

def tuple_products(modes):
    """(N, columns): for each key tuple the entrywise product of the modes' rows it names."""
    products = modes[0]
    for mode in modes[1:]:
        products = (products[:, None, :] * mode[None, :, :]).reshape(-1, mode.shape[1])
    return products


def attention(queries, keys, values, scale=None):
    """(output, log_normalizer) of any order, straight from the definition in long double, for one head or several."""
    queries = np.asarray(queries, np.longdouble)
    keys, values = ([np.asarray(x, np.longdouble) for x in modes] for modes in (keys, values))
    if queries.ndim == 3:
        heads = [attention(q, [x[h] for x in keys], [x[h] for x in values], scale) for h, q in enumerate(queries)]
        return tuple(np.stack(part) for part in zip(*heads))
    scale = np.longdouble(1) / queries.shape[1] if scale is None else np.longdouble(scale)
    key_tuples, value_tuples = tuple_products(keys).T.copy(), tuple_products(values).T.copy()
    output = np.empty((len(queries), len(value_tuples)), np.longdouble)
    log_normalizer = np.empty(len(queries), np.longdouble)
    block = max(1, 2**20 // key_tuples.shape[1])
    for begin in range(0, len(queries), block):
        rows = slice(begin, begin + block)
        scores = scale * (queries[rows] @ key_tuples)
        largest = scores.max(axis=1, keepdims=True)
        weights = np.exp(scores - largest)
        normalizer = weights.sum(axis=1)
        log_normalizer[rows] = largest[:, 0] + np.log(normalizer)
        for column, value in enumerate(value_tuples):
            output[rows, column] = (weights * value).sum(axis=1) / normalizer
    return output, log_normalizer


def attention_rounding(queries, keys, values, scale=None):
    """A bound on the rounding of `attention`, per query row, in units of the largest value.

    A score carries k + d + 2 roundings of terms that sum to at most `reach`, the subtraction of the largest and the
    exponential two more each, a sum of N terms (pairwise in blocks of 128 by 8) fewer than 24 + log2 N; the quotient has
    two such sums.
    """
    queries = np.asarray(queries, np.longdouble)
    order, width = 1 + len(keys), queries.shape[-1]
    scale = 1 / width if scale is None else abs(scale)
    largest = math.prod(np.abs(np.asarray(key, np.longdouble)).max(axis=-2, keepdims=True) for key in keys)
    reach = scale * (np.abs(queries) * largest).sum(axis=-1)
    tuples = math.prod(key.shape[-2] for key in keys)
    unit = np.finfo(np.longdouble).eps / 2
    return 2 * unit * ((order + width + 6) * (1 + reach) + 24 + math.log2(tuples) + order)
