"""Key sums that are kept (--save-sums) and used again for other queries (--sums).

What a run with given sums writes is compared bit for bit with the run that made them, and for other queries with the
definition. A run that was stopped keeps the same sums as an undisturbed one, byte for byte.
"""
import os
import signal
import unittest

import numpy as np

from program import Problem, attention, attention_rounding, random_problem, read_result, run, write_problem
from test_resume import ResumeTest, huge_rows

STOP_AT = os.environ.get("STOP_AT")


def uneven_columns(problem):
    """Columns of very different sizes: light monomials are dropped."""
    for part in (problem.queries, *problem.keys):
        part *= 1.0 / np.arange(1, part.shape[-1] + 1) ** 1.5
    return problem


def with_merged_columns(problem):
    for mode in (problem.queries, *problem.keys):
        mode[..., 1] = 2 * mode[..., 0]
    return problem


# Name: problem, options.
PROBLEMS = {
    "order 2": (lambda: random_problem(2, 3000, 2500, 8, 5), ("--epsilon", "1e-5", "--method", "polynomial")),
    "order 3, heads": (lambda: random_problem(3, 400, (200, 150), 4, 3, heads=3), ("--method", "polynomial")),
    "some rows exact": (lambda: huge_rows(random_problem(2, 20_000, 9_000, 4, 3)), ()),
    "some rows raised": (lambda: huge_rows(random_problem(2, 3000, 2500, 4, 3), factor=3),
                         ("--epsilon", "1e-4", "--method", "polynomial")),
    "a fixed degree": (lambda: random_problem(2, 1000, 1500, 6, 4), ("--degree", "3")),
    "second moments": (lambda: random_problem(3, 700, (600, 530), 3, 2), ("--second-moments", "--degree", "4")),
    "dropped monomials": (lambda: uneven_columns(random_problem(2, 4000, 4000, 12, 4, bound=2)),
                          ("--epsilon", "1e-5", "--method", "polynomial")),
    "merged columns": (lambda: with_merged_columns(random_problem(3, 400, (200, 230), 5, 2)), ("--method", "polynomial")),
}


class SumsTest(ResumeTest):
    def setUp(self):
        super().setUp()
        self.sums = self.folder / "keys.sums"

    def save(self, *options, ranks=2, **more):
        return self.solve(*options, "--save-sums", self.sums, ranks=ranks, **more)

    def assert_saved(self, *options, ranks=2):
        self.assert_succeeded(self.save(*options, ranks=ranks))
        result = read_result(self.result)
        self.result.unlink()
        return result


class Given(SumsTest):
    def test_the_same_queries_give_the_same_bits(self):
        for name, (make, options) in PROBLEMS.items():
            with self.subTest(name):
                write_problem(self.problem, *make())
                made = self.assert_saved(*options, "--overwrite")
                self.assertNotEqual(made.report["plan"]["method"], "exact")
                self.assertIsNone(made.report["plan"]["sums"])
                for ranks in (1, 3):
                    self.assert_succeeded(self.solve(*options, "--overwrite", "--sums", self.sums, ranks=ranks))
                    result = read_result(self.result)
                    self.assertEqual(result.bits(), made.bits())
                    self.assertEqual(result.report["certificate"], made.report["certificate"])
                    self.assertEqual(result.report["plan"]["sums"], str(self.sums))
                    if not made.report["certificate"]["rows_raised"]:
                        self.assertEqual(result.report["run"]["seconds"]["aggregate"], 0)
                self.result.unlink()

    def test_other_queries_keep_the_promise(self):
        """Many or few, smaller or larger than those that the sums were made for, against the definition."""
        for name, (make, options) in PROBLEMS.items():
            problem = make()
            write_problem(self.problem, *problem)
            self.assert_saved(*options, "--overwrite")
            for rows, factor in ((1, 1), (100, 0.1), (150, 1.7)):
                with self.subTest(name, rows=rows, factor=factor):
                    queries = factor * np.random.default_rng(rows).permutation(problem.queries[..., :rows, :], axis=-1)
                    if name == "dropped monomials" and factor > 1:
                        queries = factor * problem.queries[..., -rows:, :]  # else they have other coordinates
                    if name == "merged columns":
                        queries[..., 1] = 2 * queries[..., 0]
                    asked = Problem(queries, problem.keys, problem.values)
                    write_problem(self.problem, *asked)
                    self.assert_succeeded(self.solve(*options, "--overwrite", "--sums", self.sums, ranks=2))
                    result = read_result(self.result)
                    output, log_normalizer = attention(*asked[:3])
                    error = np.abs(result.output - output).max(axis=-1)
                    slack = attention_rounding(*asked[:3]) * asked.largest_value
                    self.assertTrue((error <= result.error_bound + slack).all())
                    epsilon = result.report["plan"]["epsilon"]
                    if epsilon is not None:
                        self.assertTrue((result.error_bound <= epsilon * float(asked.largest_value)).all())
                        self.assertTrue((np.abs(result.log_normalizer - log_normalizer) <= epsilon).all())
                    self.result.unlink()

    def test_auto_sums_exactly_where_the_sums_serve_few_rows(self):
        problem = random_problem(2, 20_000, 20_000, 6, 3)
        write_problem(self.problem, *problem)
        self.assert_saved()
        write_problem(self.problem, 4 * problem.queries[:50], *problem[1:])
        self.assert_succeeded(self.solve("--sums", self.sums))
        plan = read_result(self.result).report["plan"]
        self.assertEqual(plan["method"], "exact")
        self.assertIn("would miss the promise", plan["reason"])

    def test_sums_in_single_precision_say_so_and_are_not_double(self):
        write_problem(self.problem, *random_problem(2, 2500, 2000, 4, 3))
        options = ("--method", "polynomial", "--epsilon", "1e-4")
        self.assertEqual(self.assert_saved(*options, "--precision", "double").report["plan"]["precision"], "double")
        in_double = self.sums.rename(self.folder / "double.sums")
        self.assertEqual(self.assert_saved(*options).report["plan"]["precision"], "single")
        outcome = run("info", self.sums)
        self.assert_succeeded(outcome)
        self.assertRegex(outcome.stdout, "rank .*, in single precision from degree [0-9] on")
        self.assert_failed(self.solve(*options, "--precision", "double", "--sums", self.sums, ranks=3), 1,
                           "has sums in single precision; double was asked for")
        # A smaller promise, which no row keeps in single precision: they have the bits of sums in double.
        results = []
        for sums in (self.sums, in_double):
            self.assert_succeeded(self.solve("--method", "polynomial", "--epsilon", "1e-9", "--overwrite", "--sums", sums,
                                             ranks=3))
            results.append(read_result(self.result))
        raised, expected = results
        self.assertGreaterEqual(raised.report["certificate"]["rows_raised"], 2500)
        self.assertEqual(raised.report["plan"]["precision"], "double")
        self.assertLessEqual(raised.report["certificate"]["guaranteed_error"], 1e-9)
        self.assertEqual(raised.bits(), expected.bits())

    def test_no_queries(self):
        problem = random_problem(2, 2000, 1500, 3)
        write_problem(self.problem, *problem)
        self.assert_saved("--method", "polynomial")
        write_problem(self.problem, problem.queries[:0], *problem[1:])
        self.assert_succeeded(self.solve("--sums", self.sums))
        self.assertEqual(read_result(self.result).output.shape, (0, 3))

    def test_what_a_killed_run_left_of_them_is_named_and_left(self):
        write_problem(self.problem, *random_problem(2, 300, 250, 4, 3))
        left = self.folder / "keys.sums.partial.host.1.2"
        left.write_text("half")
        outcome = self.save("--method", "polynomial")
        self.assert_succeeded(outcome)
        self.assertIn(str(left), outcome.stderr)
        self.assertEqual(left.read_text(), "half")

    def test_info_says_what_they_are_of(self):
        write_problem(self.problem, *random_problem(3, 300, (700, 900), 4, 3, heads=2))
        self.assert_saved("--degree", 4)
        outcome = run("info", self.sums)
        self.assert_succeeded(outcome)
        for words in ("file of key sums", "over keys 700 900, width 4, 3 value columns", "head 1: degree 4, rank 70"):
            self.assertIn(words, outcome.stdout)


class Refused(SumsTest):
    def setUp(self):
        super().setUp()
        self.whole = random_problem(2, 3000, 2500, 4, 3)
        write_problem(self.problem, *self.whole)
        self.assert_saved("--method", "polynomial")

    def assert_refused(self, code, *patterns, options=(), ranks=None):
        self.assert_failed(self.solve(*options, "--sums", self.sums, ranks=ranks), code, *patterns)
        self.assertFalse(self.result.exists())
        self.assertEqual(self.leftovers(), [])

    def test_other_keys_or_values(self):
        for part in ("keys", "values"):
            changed = [getattr(self.whole, part)[0].copy()]
            changed[0][2400, 1] *= 1 + 1e-15
            write_problem(self.problem, *self.whole._replace(**{part: changed})[:3])
            self.assert_refused(1, "keys.sums: its sums are of other keys or values than those in .*problem.h5", ranks=3)

    def test_sums_without_second_moments(self):
        self.assert_refused(1, "second moments is false there and true here", options=("--second-moments",))

    def test_other_shapes_and_scales(self):
        self.assert_refused(1, "keys.sums: .*scale is 0.25 there and 0.5 here", options=("--scale", "0.5"))
        write_problem(self.problem, *random_problem(2, 3000, 2501, 4, 3)[:3])
        self.assert_refused(1, r"keys is \[2500\] there and \[2501\] here")

    def test_queries_that_their_coordinates_do_not_serve(self):
        """Keys in a plane but for little: with a coordinate left out, a large query off the plane has other scores."""
        random = np.random.default_rng(5)
        keys = random.uniform(-1, 1, (2500, 4)) * [1, 1, 1e-9, 1e-9]
        queries = random.uniform(-1, 1, (3000, 4))
        write_problem(self.problem, queries, [keys], [keys])
        self.assert_saved("--method", "polynomial", "--overwrite")
        queries[7] = [0, 0, 1e4, 0]
        write_problem(self.problem, queries, [keys], [keys])
        self.assert_refused(1, "coordinates of its sums do not serve the queries of .*problem.h5.*--epsilon")

    def test_another_degree(self):
        self.assert_refused(1, "keys.sums has sums of degree .*; degree 2 was asked for", options=("--degree", "2"))

    def test_files_that_are_none(self):
        self.sums.rename(self.folder / "good")
        good = (self.folder / "good").read_bytes()
        for content, words in ((good[:-8], "torn"), (good[:100], "torn"), (b"", "is not a checkpoint"),
                               (good[:-100] + bytes([good[-100] ^ 1]) + good[-99:], "checksum"), (b"x" * 200, "not a checkpoint")):
            self.sums.write_bytes(content)
            self.assert_refused(1, "keys.sums: .*" + words)
        self.sums.unlink()
        self.assert_refused(1, "keys.sums: No such file")

    @unittest.skipUnless(STOP_AT, "STOP_AT does not name the library of stop_at.cpp")
    def test_a_checkpoint_is_no_such_file(self):
        write_problem(self.problem, *random_problem(2, 150_000, 120_000, 8, 8))
        self.stopped(early=True)
        checkpoint = next(self.folder.glob("*.checkpoint*"))
        checkpoint.rename(self.sums)
        for path in self.folder.glob("result.h5*"):
            path.unlink()
        self.assert_refused(1, "is a checkpoint; need a file that --save-sums has written")

    def test_options_that_do_not_go_together(self):
        self.assert_refused(2, "--sums goes with --method polynomial or auto", options=("--method", "exact"))
        self.assert_refused(2, "--coordinates", options=("--coordinates", "off"))
        self.assert_refused(2, "--save-sums", options=("--save-sums", self.folder / "more.sums"))

    def test_the_exact_method_has_none(self):
        self.sums.unlink()
        self.assert_failed(self.save("--method", "exact"), 1, "keys.sums: there are no key sums to save.*--method polynomial")
        self.assertFalse(self.sums.exists())
        self.assertEqual(self.leftovers(), [])

    def test_names_that_are_taken(self):
        self.assert_failed(self.save("--method", "polynomial"), 1, "keys.sums: exists; need --overwrite")
        for name in (self.problem, self.result):
            self.assert_failed(self.solve("--save-sums", name, "--method", "polynomial", "--overwrite"), 1, "another file")
        self.assert_failed(run("solve", self.problem, "-o", self.sums, "--sums", self.sums, "--overwrite"), 1, "another file")


@unittest.skipUnless(STOP_AT, "STOP_AT does not name the library of stop_at.cpp")
class Interrupted(SumsTest):
    def test_a_resumed_run_keeps_the_same_sums(self):
        """Stopped or killed before the sums are made, while rows are evaluated, and in later rounds and heads."""
        make = lambda: huge_rows(random_problem(2, 30_000, 20_000, 4, 3, heads=2), 500, 20)
        write_problem(self.problem, *make())
        whole, calls = self.reductions(ranks=3)
        self.assert_saved(ranks=1)
        sums = self.sums.read_bytes()
        self.sums.unlink()
        for point, number in enumerate((signal.SIGUSR1, signal.SIGKILL) * 4):
            call = calls // 3 + (calls - calls // 3) * point // 8
            with self.subTest(signal=number.name, call=call, of=calls):
                self.stop_at(call, point % 3, number, "--save-sums", self.sums, ranks=3)
                complete = self.result.exists()
                self.assertEqual(self.sums.exists(), complete)
                self.assert_succeeded(self.save("--resume"))
                self.assertEqual(self.sums.read_bytes(), sums)
                self.assertEqual(read_result(self.result).bits(), whole.bits())
                if not complete:
                    self.assertEqual([name for name in self.leftovers() if "keys.sums" in name and number != signal.SIGKILL], [])
                for path in [*self.folder.glob("result.h5*"), *self.folder.glob("keys.sums*")]:
                    path.unlink()

    def test_a_run_with_given_sums_can_be_resumed(self):
        write_problem(self.problem, *huge_rows(random_problem(2, 150_000, 20_000, 4, 3)))
        whole = self.assert_saved()
        _, calls = self.reductions("--sums", self.sums, ranks=2)
        resumed = 0
        for point in range(4):
            call = calls // 2 + (calls - calls // 2) * point // 4
            self.stop_at(call, point % 2, signal.SIGUSR1, "--sums", self.sums)
            self.assert_succeeded(self.solve("--sums", self.sums, "--resume", ranks=3))
            result = read_result(self.result)
            self.assertEqual(result.bits(), whole.bits())
            resumed += result.report["run"]["resumed"]
            for path in self.folder.glob("result.h5*"):
                path.unlink()
        self.assertGreater(resumed, 1)

    def test_without_the_sums_such_a_run_is_another_one(self):
        write_problem(self.problem, *random_problem(2, 150_000, 20_000, 4, 3))
        self.assert_saved()
        _, calls = self.reductions("--sums", self.sums, ranks=2)
        for call in range(calls // 2, calls, 2):
            if self.stop_at(call, 0, signal.SIGUSR1, "--sums", self.sums).code == 75 and self.leftovers():
                break
            self.result.unlink(missing_ok=True)
        self.assert_failed(self.solve("--resume"), 1, "belongs to another run: sums is")


if __name__ == "__main__":
    unittest.main()
