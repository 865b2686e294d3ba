"""What the benchmark programs share: running kronattn, tables, and the facts a table needs to mean something later.

Programs and files are run and written as the program tests do it (tests/program/program.py); the solver is $KRONATTN,
else `kronattn` on the path, else the release build, as in the example on Fashion-MNIST.
"""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import platform
import resource
import sys

sys.dont_write_bytecode = True
TREE = pathlib.Path(__file__).resolve().parents[2]


def load_example(name):
    """An example of tools/examples as a module; its file name has no ending."""
    loader = importlib.machinery.SourceFileLoader(name, str(TREE / "tools/examples" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


fashion_mnist = load_example("fashion_mnist")
try:
    os.environ["KRONATTN"] = fashion_mnist.find_kronattn(None)
except fashion_mnist.Failure as failure:
    sys.exit(f"benchmark: {failure}")

sys.path.insert(0, str(TREE / "tests/program"))
import program  # noqa: E402  it needs $KRONATTN

longest_run = 3600  # seconds of one command
# One process without mpirun starts in a quarter of the time when it looks for no others. All such processes take one
# folder of the same name for what they keep while they run: each Runner gives it a place of its own.
alone = {"OMPI_MCA_ess_singleton_isolated": "1", "OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self"}


def processor_seconds():
    """Of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Failure(Exception):
    """kronattn's own line about what went wrong."""


class Runner:
    """kronattn with the same ranks and threads for every command of a benchmark, in one folder."""

    def __init__(self, folder, ranks, threads):
        self.folder, self.ranks, self.threads = pathlib.Path(folder), ranks, threads

    def run(self, *arguments):
        ranks, environment = self.ranks, {}
        if self.ranks == 1:
            ranks, environment = None, {**alone, "OMPI_MCA_orte_tmpdir_base": str(self.folder)}
        begin = processor_seconds()
        outcome = program.run(*arguments, ranks=ranks, threads=self.threads, env=environment, timeout=longest_run)
        self.processor_seconds = processor_seconds() - begin  # all of the last run, user and system
        lines = program.failure_lines(outcome.stderr)
        if lines:
            raise Failure(lines[0])
        if outcome.code != 0:
            raise RuntimeError(f"kronattn ended with {outcome.code}, without a word of its own:\n{outcome.stderr}")

    def report(self, *arguments):
        """Runs a command that can write a report, and returns it."""
        path = self.folder / "report.json"
        self.run(*arguments, "--report", path, "--quiet")
        return json.loads(path.read_text())

    def solve(self, problem, *options):
        return self.report("solve", problem, "-o", self.result, "--overwrite", *options)

    @property
    def result(self):
        return self.folder / "result.h5"


def add_run_options(parser, ranks):
    parser.add_argument("--ranks", type=int, default=ranks, metavar="P", help=f"MPI ranks ({ranks})")
    parser.add_argument("--threads", type=int, default=1, metavar="T", help="threads per rank (1)")
    parser.add_argument("--folder", metavar="DIR", help="where the problems are written for a while (that of temporary "
                                                        "files)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers there, too")


def facts(report, runner):
    """What was measured where, from any report of it."""
    return {"commit": report["kronattn"]["commit"], "build": report["kronattn"]["build"], "cpu": cpu(),
            "cores": os.cpu_count(), "ranks": runner.ranks, "threads": runner.threads}


def cpu():
    """The processor's name and the widest vectors it knows of."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []
    entry = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    widest = [flag for flag in ("avx512f", "avx2") if flag in entry.get("flags", "").split()][:1]
    return ", ".join([entry.get("model name", platform.machine())] + widest)


def facts_line(known):
    return (f"commit {known['commit']} ({known['build']}), CPU {known['cpu']}, {known['cores']} cores, "
            f"{known['ranks']} rank(s) of {known['threads']} thread(s)")


class Table:
    """A Markdown table that is printed row by row, each as soon as it is known."""

    def __init__(self, columns):
        self.columns = columns  # {heading: least width}

    def head(self):
        self.line(self.columns)
        rules = ["-" * width for width in self.columns.values()]
        self.line([rules[0]] + [rule[:-1] + ":" for rule in rules[1:]])  # the first column is words

    def line(self, cells):
        widths = list(self.columns.values())
        padded = [cell.rjust(width) for cell, width in zip(cells, widths)]
        padded[0] = padded[0].strip().ljust(widths[0])
        print("| " + " | ".join(padded) + " |", flush=True)


def number(value, style=",d"):
    return "-" if value is None else format(value, style)
