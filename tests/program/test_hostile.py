"""Files that are made to break a reader, files that change while they are read, and outputs that can't be written.

Whatever a file holds, a run ends with one line and exit code 1, or with a right result; never with a crash, a hang, an
error stack of HDF5, or something under the name of the output.
"""
import os
import subprocess
import unittest

import h5py
import numpy as np

from program import (BINARY, ProgramTest, attention, attention_rounding, failure_lines, named_datasets, random_problem,
                     read_result, run, side_by_side, write_datasets, write_problem)
from test_errors import ORDER_3, changed

Q, K1, V1, K2, V2 = ORDER_3.values()


def edit(change, **datasets):
    """Makes a file: the problem of order 3 with these datasets replaced, then `change(file, path)`."""
    def make(path):
        write_datasets(path, changed(ORDER_3, **datasets))
        with h5py.File(path, "r+") as file:
            change(file, path)
    return make


def link(name, target):
    def change(file, path):
        file[name] = target
    return edit(change, **{name: None})


def of_type(datatype):
    """K1 in a floating type that HDF5 knows and kronattn does not promise to."""
    def change(file, path):
        space = h5py.h5s.create_simple(K1.shape)
        dataset = h5py.h5d.create(file.id, b"K1", datatype, space)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(K1))
    return edit(change, K1=None)


def bits_moved():
    datatype = h5py.h5t.IEEE_F32LE.copy()
    datatype.set_fields(31, 20, 11, 0, 20)
    datatype.set_ebias(1023)
    return datatype


def with_shape(shape):
    """K1 that says it has this shape, and has no entries."""
    def change(file, path):
        space = h5py.h5s.create_simple(shape)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk(tuple(min(length, 4) for length in shape))
        h5py.h5d.create(file.id, b"K1", h5py.h5t.IEEE_F64LE, space, create)
    return edit(change, K1=None)


def virtual(file, path):
    layout = h5py.VirtualLayout(shape=K1.shape, dtype=K1.dtype)
    layout[:] = h5py.VirtualSource("missing.h5", "K1", shape=K1.shape)
    file.create_virtual_dataset("K1", layout, fillvalue=0)


def null_space(file, path):
    file.create_dataset("K1", data=h5py.Empty("f8"))


def tree(file, path):
    """Q is a link to itself by way of two groups."""
    file.create_group("a"), file.create_group("b")
    file["a/x"], file["b/x"] = h5py.SoftLink("/b/x"), h5py.SoftLink("/a/x")
    file["Q"] = h5py.SoftLink("/a/x")


def without_names(path):
    """A file that leads HDF5 1.10 to a null pointer: its group has no heap of names."""
    data = write_datasets(path, ORDER_3).read_bytes()
    path.write_bytes(data.replace(data.index(b"HEAP").to_bytes(8, "little"), b"\xff" * 8))


HOSTILE_FILES = (
    ("a pipe", os.mkfifo, "regular file"),
    ("a device", lambda path: path.symlink_to("/dev/zero"), "regular file"),
    ("a link to itself", lambda path: path.symlink_to(path.name), ""),
    ("a link to nothing", lambda path: path.symlink_to("nothing"), ""),
    ("a soft link to itself", link("K1", h5py.SoftLink("/K1")), "K1.*link"),
    ("a loop of links", edit(tree, Q=None), "Q.*link"),
    ("a soft link to nothing", link("V2", h5py.SoftLink("/elsewhere")), "V2.*link"),
    ("a soft link to a group", link("K2", h5py.SoftLink("/")), "K2"),
    ("an external link to nothing", link("K1", h5py.ExternalLink("missing.h5", "/K1")), "K1.*link"),
    ("an external link to a pipe", link("K1", h5py.ExternalLink("/dev/null", "/K1")), "K1.*link"),
    ("a virtual dataset", edit(virtual, K1=None), "K1.*other files"),
    ("entries in another file", edit(lambda file, path: file.create_dataset(
        "K1", shape=K1.shape, dtype="f8", external=[("missing.raw", 0, h5py.h5f.UNLIMITED)]), K1=None), "K1.*other files"),
    ("a type of its own", edit(lambda file, path: file.__setitem__("K1", np.dtype("f8")), K1=None), "K1"),
    ("records", edit(lambda file, path: None, K1=np.zeros((24, 4), [("x", "f8")])), "K1.*float"),
    ("arrays for entries", edit(lambda file, path: file.create_dataset("K1", (24, 4), "(4,)f8"), K1=None), "K1.*float"),
    ("an enumeration", edit(lambda file, path: file.create_dataset(
        "K1", (24, 4), h5py.enum_dtype({"A": 0}, "i4")), K1=None), "K1.*float"),
    ("strings of any length", edit(lambda file, path: file.create_dataset(
        "K1", (24, 4), h5py.string_dtype()), K1=None), "K1.*float"),
    ("references", edit(lambda file, path: file.create_dataset("K1", (24, 4), h5py.ref_dtype), K1=None), "K1.*float"),
    ("long double", edit(lambda file, path: None, K1=K1.astype(np.longdouble)), "K1.*float"),
    ("a float of its own", of_type(bits_moved()), "K1.*float"),
    ("booleans", edit(lambda file, path: None, K1=np.ones((24, 4), bool)), "K1.*float"),
    ("no space", edit(null_space, K1=None), "K1"),
    ("nine axes", edit(lambda file, path: None, K1=np.ones((1,) * 9)), "K1"),
    ("a product that overflows", with_shape((2**40, 2**40)), "K1.*address"),
    ("a product that overflows to a small one", with_shape((2**32, 2**32)), "K1.*address"),
    ("heads that overflow", with_shape((2**22, 2**22, 2**22)), "K1.*address"),
    ("a filter that is not there", lambda path: write_datasets(path, ORDER_3, chunks=True, compression="lzf"), "filter"),
    ("what crashes HDF5", without_names, "damaged"),
    ("a name of two lines", edit(lambda file, path: file.create_dataset("K\nkronattn: all is well", data=K1)), "no mode"),
    ("a name of no letters", edit(lambda file, path: file.create_dataset(b"V\xff\xfe\x1b[2J", data=K1)), "no mode"),
)


class Hostile(ProgramTest):
    def assert_all_fail_cleanly(self, faults):
        """`faults`: (name, arguments, patterns), each run alone and on three ranks."""
        for ranks in (None, 3):
            outcomes = side_by_side([(arguments, ranks) for _, arguments, _ in faults])
            for (name, _, patterns), outcome in zip(faults, outcomes):
                with self.subTest(name, ranks=ranks):
                    self.assert_failed(outcome, 1, *patterns)
                    self.assertNotRegex(outcome.stderr, "HDF5-DIAG|error stack|Segmentation|core dumped|terminate called|Process received signal")
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith("result")], [])

    def test_files_made_to_break_a_reader_are_refused(self):
        faults = []
        for number, (name, make, pattern) in enumerate(HOSTILE_FILES):
            path = self.folder / f"bad{number}.h5"
            make(path)
            faults.append((name, ("solve", path, "-o", self.folder / f"result-{path.stem}.h5"), (path.name, pattern)))
        self.assert_all_fail_cleanly(faults)

    def solve_and_expect_failure(self, files, *patterns):
        """`files`: {name: content}, each solved alone; every third on three ranks too."""
        runs = []
        for number, (name, content) in enumerate(files.items()):
            path = self.folder / f"{name}.h5"
            path.write_bytes(content)
            for ranks in (None, 3) if number % 3 == 0 else (None,):
                runs.append(((name, ranks), (("solve", path, "-o", self.folder / f"result{len(runs)}.h5"), ranks)))
        for (what, _), outcome in zip(runs, side_by_side([one for _, one in runs])):
            with self.subTest(what):
                self.assert_failed(outcome, 1, *patterns)
        self.assertEqual(list(self.folder.glob("result*")), [])

    def test_a_file_that_is_cut_short_anywhere_is_refused(self):
        for name, options in ("contiguous", {}), ("compressed", {"chunks": True, "compression": "gzip"}):
            content = write_datasets(self.folder / "whole.h5", ORDER_3, **options).read_bytes()
            lengths = sorted({1, 8, 95, 96, len(content) - 1, len(content) - 8}
                             | {len(content) * part // 12 for part in range(1, 12)})
            self.solve_and_expect_failure({f"{name} {length}": content[:length] for length in lengths}, "cut short")

    def test_zero_queries_are_an_empty_result_in_any_layout(self):
        for number, options in enumerate(({}, {"chunks": (1, 4), "maxshape": (None, 4)})):
            path, output = self.folder / f"empty{number}.h5", self.folder / f"result{number}.h5"
            with h5py.File(write_datasets(path, changed(ORDER_3, Q=None)), "r+") as file:
                file.create_dataset("Q", (0, 4), "f8", **options)
            for ranks in (None, 3):
                self.assert_succeeded(run("solve", path, "-o", output, "--overwrite", ranks=ranks))
                self.assertEqual(read_result(output).output.shape, (0, 3))

    def test_good_files_of_unusual_make_are_solved(self):
        """Links that lead to datasets, storage that is laid out late, old and new formats of HDF5."""
        def linked(file, path):
            file["hidden/k"] = K1
            file["K1"] = h5py.SoftLink("/hidden/k")

        def elsewhere(file, path):
            write_datasets(path.with_suffix(".keys"), {"k": K1})
            file["K1"] = h5py.ExternalLink(path.with_suffix(".keys").name, "/k")

        def many_names(file, path):
            for number in range(300):
                file.create_group(f"unrelated {number}")

        def latest(path):
            with h5py.File(path, "w", libver="latest") as file:
                for name, data in ORDER_3.items():
                    file.create_dataset(name, data=data, chunks=(5, 2), fletcher32=True, shuffle=True)

        def after_a_user_block(path):
            with h5py.File(path, "w", userblock_size=1024) as file:
                for name, data in ORDER_3.items():
                    file.create_dataset(name, data=data)

        makers = (edit(linked, K1=None), edit(elsewhere, K1=None), edit(many_names), latest, after_a_user_block)
        write_datasets(self.folder / "plain.h5", ORDER_3)
        runs = [(("solve", self.folder / "plain.h5", "-o", self.folder / "plain.result"), None)]
        for number, make in enumerate(makers):
            make(self.folder / f"good{number}.h5")
            runs += [(("solve", self.folder / f"good{number}.h5", "-o", self.folder / f"result{number} {ranks}"), ranks)
                     for ranks in (None, 3)]
        for (arguments, ranks), outcome in zip(runs, side_by_side(runs)):
            with self.subTest(arguments[1].name, ranks=ranks):
                self.assert_succeeded(outcome)
                self.assertEqual(read_result(arguments[3]).bits(), read_result(self.folder / "plain.result").bits())

    def test_an_output_that_can_not_be_written_whole_leaves_nothing(self):
        """The size of files is limited, to half of the result and to a byte less than it. (The files of MPI's shared
        memory are limited too, so the result must be larger than those, and one process be enough.)"""
        path, output = self.folder / "problem.h5", self.folder / "result.h5"
        self.assert_succeeded(run("generate", "--rows", "600000", "--key-rows", "50", "--width", "2", "-o", path, ranks=None))
        self.assert_succeeded(run("solve", path, "-o", output, ranks=None))
        size = output.stat().st_size
        output.unlink()
        for limit in (size // 2, size - 9000, size - 2000):
            with self.subTest(limit=limit):
                outcome = run("solve", path, "-o", self.folder / "result.h5", ranks=None,
                              before=("prlimit", f"--fsize={limit}", "--"))
                self.assert_failed(outcome, 1, "result.h5")
                self.assertEqual(sorted(file.name for file in self.folder.iterdir()), ["problem.h5"])

    def test_a_text_that_can_not_be_printed_is_a_failure(self):
        with open("/dev/full", "w") as full:
            for arguments in (["--help"], ["plan", "--rows", "100", "--width", "3"]):
                with self.subTest(arguments):
                    outcome = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
                    self.assertEqual(outcome.returncode, 1)
                    self.assertEqual(len(failure_lines(outcome.stderr)), 1, outcome.stderr)


class Scores(ProgramTest):
    def test_scores_beyond_the_range_of_exp_are_summed_under_a_running_maximum(self):
        """exp alone would be 0 or infinite for every key of a row."""
        random = np.random.default_rng(5)
        queries, keys, values = random_problem(2, 70, 600, 3)[:3]
        centre = np.concatenate([queries[:, :2], np.ones((70, 1))], axis=1)
        far = np.concatenate([keys[0][:, :2], np.ones((600, 1))], axis=1)
        cases = {"all above": (centre, far * [1, 1, 3e5]), "all below": (centre, far * [1, 1, -3e5]),
                 "growing": (centre, far * np.linspace(-9e4, 9e4, 600)[:, None]),
                 "falling": (centre, far * np.linspace(9e4, -9e4, 600)[:, None]),
                 "both": (centre * random.choice([-1, 1], (70, 1)), far * [1, 1, 3e5])}
        for name, (q, k) in cases.items():
            with self.subTest(name):
                path, output = self.folder / f"{name}.h5", self.folder / f"{name}.result"
                write_problem(path, q, [k], values)
                self.assert_succeeded(run("solve", path, "-o", output, "--method", "exact", "--epsilon", "1e-4",
                                          ranks=None))
                result, (truth, log_normalizer) = read_result(output), attention(q, [k], values)
                slack = attention_rounding(q, [k], values) * np.abs(values[0]).max()
                self.assertTrue((np.abs(result.output - truth).max(axis=1) <= result.error_bound + slack).all())
                np.testing.assert_allclose(result.log_normalizer, log_normalizer, rtol=0, atol=1e-4)

    def test_scores_beyond_double_are_refused(self):
        queries, keys, values = random_problem(2, 20, 30, 3)[:3]
        path = write_problem(self.folder / "problem.h5", queries * 1e200, [keys[0] * 1e200], values)
        for method in ("auto", "exact", "polynomial"):
            self.assert_failed(run("solve", path, "-o", self.folder / "result.h5", "--method", method, ranks=None), 1,
                               "problem.h5", "double")
        self.assertEqual(sorted(file.name for file in self.folder.iterdir()), ["problem.h5"])


if __name__ == "__main__":
    unittest.main()
