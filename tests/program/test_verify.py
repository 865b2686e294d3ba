"""`kronattn verify`: it passes what is right, measures as the definition does, and catches what was tampered with."""
import json
import pathlib
import shutil
import tempfile
import unittest

import h5py
import numpy as np

from program import ProgramTest, attention, random_problem, read_result, run, write_problem

FIELDS = {"rows_checked": int, "max_error": (int, float), "relative_error": (int, float),
          "max_error_over_bound": (int, float), "within_epsilon": bool, "reference": str}


class Verify(ProgramTest):
    """One problem and its result of degree 2: errors far above rounding, bounds far below the promise of 0.5."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.prepared = pathlib.Path(folder.name)
        write_problem(cls.prepared / "problem.h5", *random_problem(3, 40, (30, 20), 3, 2))
        outcome = run("solve", cls.prepared / "problem.h5", "-o", cls.prepared / "result.h5", "--degree", 2,
                      "--epsilon", 0.5, ranks=None)
        if outcome.code != 0:
            raise AssertionError(outcome.stderr)

    def setUp(self):
        super().setUp()
        self.data = random_problem(3, 40, (30, 20), 3, 2)
        self.problem, self.result = (pathlib.Path(shutil.copy(self.prepared / name, self.folder))
                                     for name in ("problem.h5", "result.h5"))

    def solve(self, *options):
        self.assert_succeeded(run("solve", self.problem, "-o", self.result, "--overwrite", *options, ranks=None))

    def verify(self, *options, ranks=None):
        """How verify ended and the report it wrote."""
        path = self.folder / "verify.json"
        path.unlink(missing_ok=True)
        outcome = run("verify", self.problem, self.result, "--report", path, *options, ranks=ranks)
        return outcome, json.loads(path.read_text()) if path.exists() else None

    def assert_passes(self, *options, ranks=None):
        outcome, report = self.verify(*options, ranks=ranks)
        self.assert_succeeded(outcome)
        for name, kind in FIELDS.items():
            self.assertIsInstance(report[name], kind, name)
        self.assertIs(report["within_epsilon"], True)
        return report

    def assert_catches(self, ranks=None):
        outcome, report = self.verify("--rows", "all", ranks=ranks)
        self.assert_failed(outcome, 3)
        return report

    def tamper(self, dataset, change):
        with h5py.File(self.result, "r+") as file:
            file[dataset][...] = change(file[dataset][()])

    def test_a_good_result_passes_with_the_errors_of_the_definition(self):
        result, (output, _) = read_result(self.result), attention(*self.data)
        error = np.abs(result.output - output)
        expected = {"max_error": error.max(), "relative_error": np.linalg.norm(error.astype(float))
                    / np.linalg.norm(output.astype(float)),
                    "max_error_over_bound": (error.max(axis=1) / result.error_bound).max()}
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                report = self.assert_passes("--rows", "all", ranks=ranks)
                self.assertEqual(report["rows_checked"], 40)
                for name, figure in expected.items():
                    self.assertAlmostEqual(report[name] / float(figure), 1, delta=1e-6, msg=name)

    def test_as_many_rows_are_checked_as_asked_for_and_all_of_a_small_problem_by_default(self):
        for options, rows in ((("--rows", 5), 5), (("--rows", "all"), 40), ((), 40)):
            with self.subTest(options=options):
                self.assertEqual(self.assert_passes(*options, ranks=2)["rows_checked"], rows)

    def test_results_of_other_methods_scales_and_types_pass(self):
        for options in ((), ("--method", "exact"), ("--scale", -0.8), ("--output-precision", "single"), ("--degree", 4)):
            with self.subTest(options=options):
                self.solve(*options)
                self.assert_passes("--rows", "all")

    def test_all_heads_are_checked(self):
        write_problem(self.problem, *random_problem(2, 21, 30, 3, heads=3))
        self.solve()
        self.assertEqual(self.assert_passes("--rows", "all", ranks=2)["rows_checked"], 63)

    def test_an_empty_result_passes(self):
        write_problem(self.problem, *random_problem(2, 0, 30, 3))
        self.solve()
        outcome, report = self.verify(ranks=2)
        self.assert_succeeded(outcome)
        self.assertEqual(report["rows_checked"], 0)

    def test_a_copy_of_the_problem_is_the_same_problem(self):
        self.problem = shutil.copy(self.problem, self.folder / "copy.h5")
        self.assert_passes()

    def test_an_entry_beyond_its_bound_is_caught(self):
        """Twice its bound away, still far within the promise."""
        def change(output):
            output[33, 1] += 2 * read_result(self.result).error_bound[33]
            return output
        changed = change(read_result(self.result).output)
        self.tamper("O", lambda _: changed)
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                report = self.assert_catches(ranks)
                self.assertGreater(report["max_error_over_bound"], 1)
                self.assertIs(report["within_epsilon"], True)

    def test_an_entry_beyond_the_promise_is_caught(self):
        """Hidden behind bounds that were raised as well."""
        self.tamper("O", lambda output: output + float(self.data.largest_value))
        self.tamper("error_bound", lambda bound: bound + 10 * float(self.data.largest_value))
        report = self.assert_catches()
        self.assertLess(report["max_error_over_bound"], 1)
        self.assertIs(report["within_epsilon"], False)

    def test_a_bound_below_the_true_error_is_caught(self):
        self.tamper("error_bound", np.zeros_like)
        self.assert_catches()

    def test_an_entry_that_is_not_a_number_is_caught(self):
        for dataset in ("O", "error_bound"):
            with self.subTest(dataset):
                self.solve("--degree", 2)
                self.tamper(dataset, lambda data: np.where(np.arange(data.size).reshape(data.shape) == 7, np.nan, data))
                outcome, _ = self.verify("--rows", "all")
                self.assertIn(outcome.code, (1, 3))
                self.assert_failed(outcome, outcome.code)

    def test_a_result_of_another_problem_is_refused(self):
        """The same shapes, one entry of V1 changed."""
        self.data.values[0][17, 1] += 1e-3
        write_problem(self.problem, *self.data)
        outcome, _ = self.verify(ranks=2)
        self.assert_failed(outcome, 1, "result.h5|problem.h5")

    def test_an_incomplete_result_is_refused(self):
        with h5py.File(self.result, "r+") as file:
            file.attrs["complete"] = 0
        outcome, _ = self.verify()
        self.assert_failed(outcome, 1, "result.h5")

    def test_what_is_not_a_result_is_refused(self):
        good = self.result.read_bytes()
        for name, make in {"a problem": lambda: shutil.copy(self.problem, self.result),
                           "a text": lambda: self.result.write_text("O"),
                           "a truncated result": lambda: self.result.write_bytes(good[:len(good) // 2]),
                           "nothing": self.result.unlink}.items():
            with self.subTest(name):
                make()
                outcome, _ = self.verify()
                self.assert_failed(outcome, 1, "result.h5")

    def test_a_result_without_one_of_its_datasets_is_refused(self):
        with h5py.File(self.result, "r+") as file:
            del file["error_bound"]
        outcome, _ = self.verify()
        self.assert_failed(outcome, 1, "error_bound")

    def test_a_report_in_place_of_an_input_is_refused(self):
        before = self.result.read_bytes()
        outcome = run("verify", self.problem, self.result, "--report", self.result, ranks=None)
        self.assertIn(outcome.code, (1, 2))
        self.assert_failed(outcome, outcome.code, "result.h5")
        self.assertEqual(self.result.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
