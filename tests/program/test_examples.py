"""`tools/examples/make_problem` and `read_result`, and the scripts in the READMEs: they do what they say.

The results of the example problems are judged by the tests' own attention in extended precision.
"""
import pathlib
import re
import subprocess

import h5py
import numpy as np

from program import ProgramTest, attention, read_datasets, read_result, run

TREE = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = TREE / "tools/examples"


def run_example(name, *arguments):
    return subprocess.run([EXAMPLES / name, *map(str, arguments)], text=True, capture_output=True, timeout=120)


class Examples(ProgramTest):
    def make_problems(self):
        outcome = run_example("make_problem", self.folder)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)

    def solve(self, name):
        self.assert_succeeded(run("solve", self.folder / f"{name}.h5", "-o", self.folder / f"{name}_result.h5",
                                  ranks=3, threads=1))
        return self.folder / f"{name}.h5", self.folder / f"{name}_result.h5"

    def test_problems_made_with_h5py_are_solved_and_read_back(self):
        self.make_problems()
        shapes = {"order2": ((2000, 5), np.float64), "order3": ((1000, 3), np.float32),
                  "heads": ((4, 500, 2), np.float64)}
        for name, (shape, dtype) in shapes.items():
            with self.subTest(name):
                problem, result = self.solve(name)
                found = read_result(result)
                self.assertEqual((found.output.shape, found.output.dtype), (shape, dtype))
                data = read_datasets(problem)
                modes = ("1", "2") if name == "order3" else ("",)
                scale = 1 / np.sqrt(8) if name == "order2" else None
                rows = slice(0, 40)
                expected, _ = attention(data["Q"][..., rows, :], [data["K" + m] for m in modes],
                                        [data["V" + m] for m in modes], scale)
                error = np.abs(found.output[..., rows, :] - expected).max(axis=-1)
                self.assertTrue(np.all(error <= found.error_bound[..., rows] + 1e-15))
                outcome = run_example("read_result", problem, result)
                self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
                self.assertIn(f"output of shape {shape}, {np.dtype(dtype)}", outcome.stdout)
                self.assertRegex(outcome.stdout, rf"\n{20 if name == 'heads' else 5} rows differ from numpy by ")

    def test_a_wrong_result_is_found(self):
        self.make_problems()
        for name, row in (("order2", (4, 4)), ("order3", (0, 0)), ("heads", (3, 4, 1))):
            with self.subTest(name):
                problem, result = self.solve(name)
                with h5py.File(result, "r+") as file:
                    file["O"][row] += 2 * file["error_bound"][row[:-1]] + 1e-5
                outcome = run_example("read_result", problem, result)
                self.assertEqual(outcome.returncode, 1)
                self.assertEqual(outcome.stderr, "read_result: a row is off by more than its error bound\n")

    def test_nothing_is_overwritten_and_mistakes_are_told_in_a_line(self):
        self.make_problems()
        before = (self.folder / "order2.h5").read_bytes()
        self.assertNotEqual(run_example("make_problem", self.folder).returncode, 0)
        self.assertEqual((self.folder / "order2.h5").read_bytes(), before)
        for arguments in ((), (self.folder / "no folder",)):
            self.assertRegex(run_example("make_problem", *arguments).stderr, r"\Amake_problem: need the folder .*\n\Z")
        for arguments in ((), (self.folder / "order2.h5",) * 2, (self.folder / "order2.h5", self.folder / "none.h5")):
            outcome = run_example("read_result", *arguments)
            self.assertEqual(outcome.returncode, 1)
            self.assertRegex(outcome.stderr, r"\Aread_result: .*\n\Z")

    def test_the_python_in_the_readmes_runs(self):
        """The blocks of a page in their order, in one folder, with a solve in between."""
        for page in (TREE / "README.md", EXAMPLES / "README.md"):
            blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
            with self.subTest(page.relative_to(TREE)):
                self.assertEqual(len(blocks), 2)
                folder = self.folder / page.parent.name
                folder.mkdir()
                for block in blocks:
                    outcome = subprocess.run(["/usr/bin/python3", "-c", block], cwd=folder, text=True,
                                             capture_output=True, timeout=120)
                    self.assertEqual(outcome.returncode, 0, outcome.stderr)
                    if not (folder / "result.h5").exists():
                        self.assert_succeeded(run("solve", "problem.h5", "-o", "result.h5", ranks=3, cwd=folder))
                self.assertNotEqual(outcome.stdout, "")
