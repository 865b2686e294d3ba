"""What kronattn refuses: bad command lines with exit code 2, bad files with 1, each in one line that names the trouble.

Two tables, one entry per fault, each run alone and on three ranks. A fault ends the same way on both: one line beginning
with `kronattn: ` in which the entry's patterns are found, and nothing under the name of the output. mpirun waits a second
or two after a failure, so the runs of a table go side by side.
"""
import unittest

import h5py
import numpy as np

from program import ProgramTest, named_datasets, random_problem, run, side_by_side, write_datasets, write_problem

# A command line, with {problem} and {result} for paths, and what the message must name.
COMMAND_LINES = (
    ("", "command"),
    ("slove {problem} -o {result}", "slove"),
    ("--no-such-option", "no-such-option"),
    ("solve {problem} -o {result} --no-such-option 1", "no-such-option"),
    ("solve {problem} -o {result} --eps 1e-3", "--eps"),
    ("solve {problem} -o {result} --meth exact", "--meth"),
    ("solve {problem} --out {result}", "-o"),
    ("solve", "problem|file"),
    ("solve -o {result}", "problem|file"),
    ("solve {problem}", "-o|output"),
    ("solve {problem} -o", "-o|output"),
    ("solve {problem} {problem} -o {result}", "problem.h5|argument|positional"),
    ("solve {problem} -o {result} --epsilon", "--epsilon"),
    ("solve {problem} -o {result} --epsilon 0", "--epsilon"),
    ("solve {problem} -o {result} --epsilon 1", "--epsilon"),
    ("solve {problem} -o {result} --epsilon -1e-6", "--epsilon"),
    ("solve {problem} -o {result} --epsilon nan", "--epsilon"),
    ("solve {problem} -o {result} --epsilon small", "--epsilon"),
    ("solve {problem} -o {result} --epsilon 1e-6x", "--epsilon"),
    ("solve {problem} -o {result} --degree -1", "--degree"),
    ("solve {problem} -o {result} --degree 2.5", "--degree"),
    ("solve {problem} -o {result} --degree 99999999999999999999", "--degree"),
    ("solve {problem} -o {result} --degree 3 --method exact", "--degree"),
    ("solve {problem} -o {result} --second-moments --method exact", "--second-moments"),
    ("solve {problem} -o {result} --method fast", "--method"),
    ("solve {problem} -o {result} --scale nan", "--scale"),
    ("solve {problem} -o {result} --scale inf", "--scale"),
    ("solve {problem} -o {result} --threads 0", "--threads"),
    ("solve {problem} -o {result} --threads two", "--threads"),
    ("solve {problem} -o {result} --precision half", "--precision"),
    ("solve {problem} -o {result} --output-precision auto", "--output-precision"),
    ("solve {problem} -o {result} --quiet=yes", "--quiet"),
    ("verify {problem}", "result|file"),
    ("verify {problem} {result} {result}", "result.h5|argument|positional"),
    ("verify {problem} {result} --rows 0", "--rows"),
    ("verify {problem} {result} --rows -3", "--rows"),
    ("verify {problem} {result} --rows some", "--rows"),
    ("generate --order 2 --rows 10 --width 3", "-o|output"),
    ("generate --order 1 --rows 10 --width 3 -o {result}", "--order"),
    ("generate --order two --rows 10 --width 3 -o {result}", "--order"),
    ("generate --order 2 --rows -10 --width 3 -o {result}", "--rows"),
    ("generate --order 2 --rows 10 --width 0 -o {result}", "--width"),
    ("generate --order 2 --rows 10 --width 3 --value-width 0 -o {result}", "--value-width"),
    ("generate --order 2 --rows 10 --width 3 --heads 0 -o {result}", "--heads"),
    ("generate --order 3 --rows 10 --width 3 --key-rows 5,6,7 -o {result}", "--key-rows"),
    ("generate --order 3 --rows 10 --width 3 --key-rows 5,x -o {result}", "--key-rows"),
    ("generate --order 3 --rows 10 --width 3 --key-rows 5,0 -o {result}", "--key-rows"),
    ("generate --order 2 --rows 10 --width 3 --bound -1 -o {result}", "--bound"),
    ("generate --order 2 --rows 10 --width 3 --bound nan -o {result}", "--bound"),
    ("generate --order 2 --rows 10 --width 3 --distribution flat -o {result}", "--distribution"),
    ("generate --order 2 --rows 10 --width 3 --values noise -o {result}", "--values"),
    ("generate --order 2 --rows 10 --width 3 --precision half -o {result}", "--precision"),
    ("generate --order 2 --rows 10 --width 3 --seed x -o {result}", "--seed"),
    ("generate --order 2 --rows 10 --width 3 --seed -1 -o {result}", "--seed"),
    ("generate --instance gap --rows 10 --width 8 -o {result}", "--instance"),
    ("generate --instance gap-maxip --rows 1 --width 8 -o {result}", "--rows"),
    ("generate --instance gap-maxip --rows 10 --width 3 -o {result}", "--width"),
    ("generate --instance gap-maxip --rows 10 -o {result}", "--width"),
    ("generate --instance gap-maxip --rows 10 --width 8 --heads 2 -o {result}", "--heads"),
    ("generate --instance gap-maxip --rows 10 --width 8 --bound 2 -o {result}", "--bound"),
    ("generate --instance gap-maxip --rows 10 --width 8 --modulus 5 -o {result}", "--modulus"),
    ("generate --instance gap-maxip --rows 10 --width 8 --precision single -o {result}", "--precision"),
    ("generate --instance match3 --rows 10 -o {result}", "--modulus"),
    ("generate --instance match3 --rows 10 --modulus 1 -o {result}", "--modulus"),
    ("generate --instance match3 --rows 10 --modulus 200000 -o {result}", "--modulus"),
    ("generate --instance match3 --order 4 --rows 10 --modulus 5 -o {result}", "--order"),
    ("generate --instance match3 --rows 10 --modulus 5 --width 4 -o {result}", "--width"),
    ("generate --instance matchk --rows 10 --modulus 5 --relation 1 -o {result}", "--relation"),
    ("generate --rows 10 --width 3 --relation 3 -o {result}", "--relation"),
    ("plan {problem} --instance match3", "--instance"),
    ("solve {problem} -o {result} --log-level loud", "--log-level"),
    ("--completion", "bash"),
)

ORDER_2 = named_datasets(*random_problem(2, 30, 20, 4, 3)[:3])
ORDER_3 = named_datasets(*random_problem(3, 30, (24, 20), 4, 3)[:3])
HEADS = named_datasets(*random_problem(3, 30, (24, 20), 4, 3, heads=2)[:3])


def changed(datasets, **changes):
    """A problem's datasets with some replaced or added, and those that are given as None left out."""
    return {name: data for name, data in {**datasets, **changes}.items() if data is not None}


def with_entry(data, index, value):
    data = data.copy()
    data[index] = value
    return data


def plain(datasets, **changes):
    """The same problem of order 2 in the spelling Q, K, V."""
    return changed({name.rstrip("1"): data for name, data in datasets.items()}, **changes)


Q, K1, V1, K2, V2 = ORDER_3.values()

# What is wrong with a problem's datasets, the datasets, and what the message must name.
BAD_DATASETS = (
    ("nothing in it", {}, "Q|K1|dataset"),
    ("no Q", changed(ORDER_3, Q=None), r"\bQ\b"),
    ("no keys", {"Q": Q}, r"\bK1?\b|key"),
    ("no K1 and no V1", changed(ORDER_3, K1=None, V1=None), "K1"),
    ("no V1", changed(ORDER_3, V1=None), "V1"),
    ("no V2", changed(ORDER_3, V2=None), "V2"),
    ("no K2", changed(ORDER_3, K2=None), "K2|V2"),
    ("a gap in the modes", changed(ORDER_3, K4=K2, V4=V2), "K3|K4"),
    ("a stray K7", changed(ORDER_3, K7=K2), "K7"),
    ("a stray V9", changed(ORDER_3, V9=V2), "V9"),
    ("a stray K0", changed(ORDER_3, K0=K1, V0=V1), "K0|V0"),
    ("a stray K01", changed(ORDER_3, K01=K1), "K01"),
    ("a stray V_old", changed(ORDER_3, V_old=V1), "V_old"),
    ("both K and K1", changed(ORDER_2, K=ORDER_2["K1"]), r"\b[KV]1?\b"),
    ("both V and V1", plain(ORDER_2, V1=ORDER_2["V1"]), "V1"),
    ("K and V with K2 and V2", plain(ORDER_2, K2=K2, V2=V2), r"\bK\b|K2"),
    ("K without V", plain(ORDER_2, V=None), r"\bV\b"),
    ("K1 wider than Q", changed(ORDER_3, K1=np.ones((24, 5))), r"K1\b.*5"),
    ("K2 narrower than Q", changed(ORDER_3, K2=np.ones((20, 3))), r"K2\b.*3"),
    ("V2 with more columns than V1", changed(ORDER_3, V2=np.ones((20, 4))), r"V2\b.*4"),
    ("V1 with fewer rows than K1", changed(ORDER_3, V1=np.ones((23, 3))), r"V1\b.*23|23.*V1\b"),
    ("V2 with more rows than K2", changed(ORDER_3, V2=np.ones((21, 3))), r"V2\b.*21|21.*V2\b"),
    ("V1 and V2 exchanged", changed(ORDER_3, V1=V2, V2=V1), "V1"),
    ("heads in K2 only", changed(ORDER_3, K2=np.ones((2, 20, 4))), "K2"),
    ("another number of heads in V1", changed(HEADS, V1=np.ones((3, 24, 3))), "V1"),
    ("zero keys", changed(ORDER_3, K2=np.ones((0, 4)), V2=np.ones((0, 3))), "K2"),
    ("width zero", changed(ORDER_3, Q=np.ones((30, 0)), K1=np.ones((24, 0)), K2=np.ones((20, 0))), "Q|width"),
    ("zero value columns", changed(ORDER_3, V1=np.ones((24, 0)), V2=np.ones((20, 0))), "V1|column"),
    ("zero heads", {name: data[:0] for name, data in HEADS.items()}, "head"),
    ("Q of one axis", changed(ORDER_3, Q=Q[0]), r"\bQ\b"),
    ("V2 of four axes", changed(ORDER_3, V2=np.ones((1, 1, 20, 3))), "V2"),
    ("a single number for K1", changed(ORDER_3, K1=np.float64(1)), "K1"),
    ("integers in K2", changed(ORDER_3, K2=np.ones((20, 4), int)), "K2"),
    ("float16 in V1", changed(ORDER_3, V1=V1.astype(np.float16)), "V1"),
    ("complex numbers in Q", changed(ORDER_3, Q=Q + 1j), r"\bQ\b"),
    ("strings in V2", changed(ORDER_3, V2=np.full((20, 3), b"1")), "V2"),
    ("nan in K1", changed(ORDER_3, K1=with_entry(K1, (5, 2), np.nan)), r"K1\[5,2\].*nan"),
    ("-inf in Q", changed(ORDER_3, Q=with_entry(Q, (29, 3), -np.inf)), r"\bQ\[29,3\].*inf"),
    ("inf in V2", changed(ORDER_3, V2=with_entry(V2, (0, 0), np.inf)), r"V2\[0,0\].*inf"),
    ("nan in the last row of V1", changed(ORDER_3, V1=with_entry(V1, (23, 0), np.nan)), r"V1\[23,0\].*nan"),
    ("nan in single precision", changed(ORDER_3, K2=with_entry(K2.astype(np.float32), (7, 1), np.nan)),
     r"K2\[7,1\].*nan"),
    ("nan in the second head", changed(HEADS, K1=with_entry(HEADS["K1"], (1, 5, 2), np.nan)), r"K1\[1,5,2\].*nan"),
    ("nan in K", plain(ORDER_2, K=with_entry(ORDER_2["K1"], (19, 0), np.nan)), r"\bK\[19,0\].*nan"),
    ("nan at both ends", changed(ORDER_3, Q=with_entry(Q, (0, 0), np.nan), V2=with_entry(V2, (19, 2), np.nan)),
     r"Q\[0,0\]|V2\[19,2\]"),
    ("nan in every row", changed(ORDER_3, K1=np.full((24, 4), np.nan)), r"K1\[\d+,\d\].*nan"),
)

BAD_SCALES = (("nan", np.nan), ("inf", -np.inf), ("text", "0.5"), ("two numbers", [0.5, 0.5]))


def damage_a_chunk(path):
    """A compressed file whose structure is whole and of which one chunk of K1 can't be decompressed."""
    write_datasets(path, ORDER_3, chunks=True, compression="gzip")
    with h5py.File(path, "r") as file:
        chunk = file["K1"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset:chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)


def truncate(path):
    write_datasets(path, ORDER_3)
    path.write_bytes(path.read_bytes()[:-1000])


def make_k1_a_group(path):
    write_datasets(path, changed(ORDER_3, K1=None))
    with h5py.File(path, "r+") as file:
        file.create_group("K1")


# What is wrong with a file, how to make it at a path, and what the message must name besides the file.
BAD_FILES = (
    ("is missing", lambda path: None, ""),
    ("is a folder", lambda path: path.mkdir(), ""),
    ("is empty", lambda path: path.touch(), ""),
    ("is a text", lambda path: path.write_text("Q\n" * 1000), ""),
    ("is truncated", truncate, ""),
    ("has a damaged chunk", damage_a_chunk, ""),
    ("has a group for K1", make_k1_a_group, "K1"),
)


class Errors(ProgramTest):
    def assert_each_refused(self, code, faults):
        """`faults`: (name, arguments, patterns), each run alone and on three ranks."""
        for ranks in (None, 3):
            outcomes = side_by_side([(arguments, ranks) for _, arguments, _ in faults])
            for (name, _, patterns), outcome in zip(faults, outcomes):
                with self.subTest(name, ranks=ranks):
                    self.assert_failed(outcome, code, *patterns)
        self.assertEqual(list(self.folder.glob("result*")), [])

    def write_problem(self):
        return write_problem(self.folder / "problem.h5", *random_problem(2, 20, 30, 3))

    def test_bad_command_lines_end_with_two(self):
        paths = {"problem": self.write_problem(), "result": self.folder / "result.h5"}
        self.assert_each_refused(2, [(line, [word.format(**paths) for word in line.split()], [pattern])
                                     for line, pattern in COMMAND_LINES])

    def assert_bad_files_refused(self, files):
        """`files`: (name, function that makes the file, pattern); every message names its file."""
        faults = []
        for number, (name, make, pattern) in enumerate(files):
            path = self.folder / f"bad{number}.h5"
            make(path)
            faults.append((name, ("solve", path, "-o", self.folder / f"result{number}.h5"), (path.name, pattern)))
        self.assert_each_refused(1, faults)

    def test_bad_datasets_end_with_one(self):
        self.assert_bad_files_refused([(name, lambda path, datasets=datasets: write_datasets(path, datasets), pattern)
                                       for name, datasets, pattern in BAD_DATASETS])

    def test_bad_scale_attributes_end_with_one(self):
        self.assert_bad_files_refused([(name, lambda path, scale=scale: write_datasets(path, ORDER_3, {"scale": scale}),
                                        "scale") for name, scale in BAD_SCALES])

    def test_bad_files_end_with_one(self):
        self.assert_bad_files_refused(BAD_FILES)

    def test_the_problem_these_faults_are_planted_in_is_good(self):
        for name, datasets in {"order 3": ORDER_3, "heads": HEADS, "order 2": ORDER_2, "K and V": plain(ORDER_2)}.items():
            with self.subTest(name):
                path = write_datasets(self.folder / "good.h5", datasets, {"scale": 0.5})
                self.assert_succeeded(run("solve", path, "-o", self.folder / "result.h5", "--overwrite", ranks=None))

    def test_help_and_version_are_printed_once_on_stdout_and_say_what_they_are_about(self):
        for arguments, content in ((["--help"], "(?s)generate.*solve.*verify"), (["--version"], r"\d+\.\d+"),
                                   (["generate", "--help"], "--distribution"), (["solve", "--help"], "--epsilon"),
                                   (["verify", "--help"], "--rows")):
            with self.subTest(arguments=arguments):
                alone, two = (run(*arguments, ranks=ranks) for ranks in (None, 2))
                self.assert_succeeded(alone)
                self.assert_succeeded(two)
                self.assertRegex(alone.stdout, content)
                self.assertEqual(two.stdout, alone.stdout)


if __name__ == "__main__":
    unittest.main()
