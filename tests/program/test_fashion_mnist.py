"""`tools/examples/fashion_mnist`: its preparation, its accuracy and its table against numpy, its refusals.

What it writes is judged by another road: the problem by a singular value decomposition of the images, the accuracy by
attention written out in numpy on the problem file that the tool kept.

    n queries   m keys   d width   R score range
"""
import gzip
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

import numpy as np

from program import read_datasets, read_result

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/examples/fashion_mnist"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
EPSILON = 1e-4
ROUNDING = 1e-12  # of attention in double precision, at outputs below 1


def run_tool(*arguments, kronattn=None):
    """Runs the example; the solver is `kronattn`, or the tests' own."""
    solver = kronattn or os.path.abspath(os.environ["KRONATTN"])
    return subprocess.run([TOOL, *map(str, arguments)], env=dict(os.environ, KRONATTN=str(solver)), text=True,
                          capture_output=True, timeout=120)


def first_images(name, count):
    content = gzip.decompress((DATA / f"{name}-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28 * 28)[:count].astype(float)


def first_labels(name, count):
    content = gzip.decompress((DATA / f"{name}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=8)[:count]


def attention(problem):
    """(n, classes), the definition in double precision."""
    weights = np.exp(problem["Q"] @ problem["K"].T / problem["Q"].shape[1])
    return weights @ problem["V"] / weights.sum(axis=1, keepdims=True)


def accuracy(output, problem, labels):
    return np.mean((output / problem["V"].mean(axis=0)).argmax(axis=1) == labels)


def table_row(stdout, name):
    """The cells of the table's row that begins with `name`."""
    row, = (line for line in stdout.splitlines() if line.startswith(name))
    return row[len(name):].split()


@unittest.skipUnless(DATA.is_dir(), "needs the package dataset-fashion-mnist")
class Classification(unittest.TestCase):
    """One run, 4000 keys and 500 queries of width 8, looked at from several sides."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="fashion mnist test ")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name) / "kept"
        cls.arguments = ("--width", 8, "--train", 4000, "--test", 500, "--epsilon", EPSILON, "--keep", cls.folder,
                         "--json", cls.folder / "summary.json")
        cls.outcome = run_tool(*cls.arguments)
        if cls.outcome.returncode != 0:
            raise AssertionError(f"ended with {cls.outcome.returncode}\n{cls.outcome.stdout}{cls.outcome.stderr}")
        cls.summary = json.loads((cls.folder / "summary.json").read_text())
        cls.problem = read_datasets(cls.folder / "problem.h5")
        cls.results = {method: read_result(cls.folder / f"{method}.h5") for method in ("polynomial", "exact")}
        cls.truth = attention(cls.problem)
        cls.labels = first_labels("t10k", 500)

    def test_scores_stay_in_the_score_range(self):
        scores = self.problem["Q"] @ self.problem["K"].T / 8
        self.assertEqual(scores.shape, (500, 4000))
        self.assertLessEqual(np.abs(scores).max(), 1 + 1e-12)
        self.assertGreater(np.abs(scores).max(), 0.9)

    def test_values_are_the_labels_of_the_keys(self):
        self.assertEqual(self.problem["V"].shape, (4000, 10))
        np.testing.assert_array_equal(self.problem["V"].argmax(axis=1), first_labels("train", 4000))
        np.testing.assert_array_equal(np.sort(self.problem["V"], axis=1), np.repeat([[0] * 9 + [1]], 4000, axis=0))

    def test_accuracy_is_well_above_chance_and_that_of_attention_in_numpy(self):
        expected = accuracy(self.truth, self.problem, self.labels)
        self.assertGreater(expected, 0.6)
        for method, numbers in self.summary["methods"].items():
            with self.subTest(method):
                own = accuracy(self.results[method].output, self.problem, self.labels)
                self.assertEqual(numbers["accuracy"], own)
                self.assertLessEqual(abs(own - expected), 1 - numbers["labels_proved"])
        self.assertEqual(self.summary["methods"]["exact"]["labels_proved"], 1)

    def test_labels_are_proved_where_no_class_can_catch_up_within_the_error_bound(self):
        share = self.problem["V"].mean(axis=0)
        for method, result in self.results.items():
            with self.subTest(method):
                proved = 0
                for output, bound in zip(result.output, result.error_bound):
                    gain = output / share
                    best = gain.argmax()
                    proved += all(gain[best] - gain[c] > bound / share[best] + bound / share[c]
                                  for c in range(10) if c != best)
                self.assertEqual(self.summary["methods"][method]["labels_proved"], proved / 500)
                self.assertGreater(proved, 0.95 * 500)
        self.assertGreaterEqual(self.summary["comparison"]["same_label"],
                                self.summary["methods"]["polynomial"]["labels_proved"])

    def test_both_methods_are_as_exact_as_they_say(self):
        for method, promise in (("polynomial", EPSILON), ("exact", 1e-6)):
            with self.subTest(method):
                numbers, result = self.summary["methods"][method], self.results[method]
                error = np.abs(result.output - self.truth).max(axis=1)
                self.assertTrue((error <= result.error_bound + ROUNDING).all(), error.max())
                self.assertLessEqual(result.error_bound.max(), numbers["guaranteed_error"] * (1 + 1e-12))
                self.assertLessEqual(numbers["guaranteed_error"], promise)

    def test_difference_of_the_methods_is_below_the_sum_of_the_promises(self):
        difference = np.abs(self.results["polynomial"].output - self.results["exact"].output).max()
        comparison = self.summary["comparison"]
        self.assertEqual(comparison["largest_difference"], difference)
        self.assertLessEqual(difference, comparison["allowed_difference"])
        self.assertLessEqual(comparison["allowed_difference"], EPSILON + 1e-6)

    def test_table_shows_the_reports_side_by_side(self):
        methods = ("polynomial", "exact")
        reports = [self.results[method].report for method in methods]
        self.assertEqual(table_row(self.outcome.stdout, "accuracy"),
                         [f"{self.summary['methods'][method]['accuracy']:.4f}" for method in methods])
        self.assertEqual(table_row(self.outcome.stdout, "seconds"),
                         [f"{report['run']['seconds']['total']:.2f}" for report in reports])
        self.assertEqual(table_row(self.outcome.stdout, "degree"), [str(reports[0]["plan"]["degree"]), "-"])
        self.assertEqual(table_row(self.outcome.stdout, "rank (monomials)"), [f"{reports[0]['plan']['rank']:,}", "-"])

    def test_kept_files_are_not_replaced_unasked(self):
        before = (self.folder / "problem.h5").stat().st_mtime_ns
        outcome = run_tool(*self.arguments)
        self.assertEqual(outcome.returncode, 1)
        self.assertRegex(outcome.stderr, r"\Afashion_mnist: .*problem\.h5 exists.*--overwrite\n\Z")
        self.assertEqual((self.folder / "problem.h5").stat().st_mtime_ns, before)


@unittest.skipUnless(DATA.is_dir(), "needs the package dataset-fashion-mnist")
class SmallRuns(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fashion mnist test ")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def refusing_kronattn(self, code, line):
        """A solver that ends every polynomial run with `code` and `line`, and is the real one otherwise."""
        path = self.folder / "refusing kronattn"
        solver = shutil.which(os.path.abspath(os.environ["KRONATTN"]))
        path.write_text(f"""#!/bin/sh
case " $* " in *" polynomial "*)
  [ "$OMPI_COMM_WORLD_RANK" != 0 ] || echo "{line}" >&2
  exit {code} ;;
esac
exec "{solver}" "$@"
""")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def test_refused_promise_is_told_and_the_exact_method_still_runs(self):
        line = "kronattn: solve: degree 9 needs rank 2042975"
        outcome = run_tool("--width", 4, "--score-range", 3, "--train", 500, "--test", 40,
                           "--keep", self.folder / "kept", "--json", self.folder / "summary.json",
                           kronattn=self.refusing_kronattn(1, line))
        self.assertEqual(outcome.returncode, 1, outcome.stderr)
        self.assertEqual(outcome.stderr, f"fashion_mnist: the polynomial method did not solve it: {line}\n")
        self.assertEqual(len(table_row(outcome.stdout, "accuracy")), 1)
        summary = json.loads((self.folder / "summary.json").read_text())
        self.assertEqual((summary["polynomial_failed"], list(summary["methods"])), (line, ["exact"]))

        problem = read_datasets(self.folder / "kept/problem.h5")
        expected = accuracy(attention(problem), problem, first_labels("t10k", 40))
        self.assertEqual(summary["methods"]["exact"]["accuracy"], expected)
        self.assert_problem_by_singular_values(problem, width=4, score_range=3)

    def assert_problem_by_singular_values(self, problem, width, score_range):
        """X - mean = U S W^T: whitened keys are rows of U, whitened queries rows of (Y - mean) W / S; then cosines."""
        images = first_images("train", 500)
        left, singular, right = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)
        keys = left[:, :width]
        queries = (first_images("t10k", 40) - images.mean(axis=0)) @ right[:width].T / singular[:width]
        cosines = queries @ keys.T / np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(keys, axis=1))
        np.testing.assert_allclose(problem["Q"] @ problem["K"].T / width, score_range * cosines, atol=1e-9)

    def test_any_other_end_of_the_solver_is_passed_on(self):
        outcome = run_tool("--width", 4, "--train", 500, "--test", 40,
                           kronattn=self.refusing_kronattn(75, "kronattn: solve: stopped early"))
        self.assertEqual(outcome.returncode, 75, outcome.stderr)
        self.assertEqual(outcome.stderr, "fashion_mnist: kronattn: solve: stopped early\n")

    def test_a_class_without_keys_is_never_predicted(self):
        def run_small(*options):
            outcome = run_tool("--width", 2, "--train", 12, "--ranks", 3, "--keep", self.folder / "kept", *options)
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            return outcome

        run_small("--test", 1)
        outcome = run_small("--test", 40, "--overwrite")
        problem = read_datasets(self.folder / "kept/problem.h5")
        self.assertEqual(read_result(self.folder / "kept/polynomial.h5").output.shape, (40, problem["V"].shape[1]))
        share = problem["V"].mean(axis=0)
        self.assertEqual(share.min(), 0)
        present = np.flatnonzero(share)
        labels = present[(attention(problem)[:, present] / share[present]).argmax(axis=1)]
        expected = np.mean(labels == first_labels("t10k", 40))
        self.assertGreater(expected, 0.2)
        self.assertEqual(table_row(outcome.stdout, "accuracy")[1], f"{expected:.4f}")


class Refusals(unittest.TestCase):
    def test_missing_images_name_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_tool("--data", folder)
        self.assertEqual(outcome.returncode, 1)
        self.assertRegex(outcome.stderr, r"\Afashion_mnist: .*dataset-fashion-mnist.*tools/install-dependencies.*\n\Z")

    def test_options_without_meaning(self):
        for options in (("--width", 0), ("--epsilon", 1), ("--epsilon", "nan"), ("--score-range", -1),
                        ("--ranks", "two"), ("--wid", 8)):
            with self.subTest(options):
                self.assertEqual(run_tool(*options).returncode, 2)


if __name__ == "__main__":
    unittest.main()
