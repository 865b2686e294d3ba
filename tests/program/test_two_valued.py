"""Columns of one value beside 0: sums over sets of columns stand for all key tuples, as exact as those are."""
import unittest

import numpy as np

from program import ProgramTest, Problem, attention, attention_rounding, read_result, run, write_problem


def two_valued_problem(order, rows, key_rows, width, seed, negative=0):
    """0/1 columns times a constant each, of which `negative` take from scores; the last column is the first one again."""
    random = np.random.default_rng(seed)
    def matrix(count):
        sets = random.random((count, width)) < 0.5
        sets[:, -1] = sets[:, 0]
        return sets * random.uniform(0.5, 2, width)
    keys = [matrix(key_rows) for _ in range(order - 1)]
    keys[0][:, 1:1 + negative] *= -1
    values = [random.uniform(-1, 1, (key_rows, 3)) for _ in keys]
    return Problem(matrix(rows), keys, values, 1.5)


class TwoValued(ProgramTest):
    def solve(self, problem, *options, ranks=None, scale=None):
        path, result = self.folder / "problem.h5", self.folder / "result.h5"
        write_problem(path, *problem)
        self.assert_succeeded(run("solve", path, "-o", result, "--overwrite", *options, ranks=ranks))
        return read_result(result)

    def assert_true(self, problem, result):
        output, log_normalizer = attention(*problem)
        rounding = attention_rounding(*problem)
        error = np.abs(output - result.output).max(axis=1)
        self.assertTrue((error <= result.error_bound + rounding * problem.largest_value).all())
        self.assertLess(np.abs(log_normalizer - result.log_normalizer).max(), 1e-12)

    def test_outputs_are_those_of_all_tuples_within_the_bound(self):
        for order, key_rows in ((2, 4000), (3, 300), (4, 60)):
            for negative in (0, 1, 3):
                with self.subTest(order=order, negative=negative):
                    problem = two_valued_problem(order, 100, key_rows, 6, order, negative)
                    result = self.solve(problem, "--method", "exact")
                    self.assertIn("2^5 sums", result.report["plan"]["reason"])
                    self.assertEqual((result.report["plan"]["method"], result.report["plan"]["rank"]), ("exact", 0))
                    self.assertLess(result.error_bound.max(), 1e-14 * problem.largest_value)
                    self.assert_true(problem, result)

    def test_large_scores_of_both_signs_cancel_nothing(self):
        problem = two_valued_problem(3, 60, 200, 8, 7, negative=2)._replace(scale=12.0)
        result = self.solve(problem, "--epsilon", 1e-12)
        self.assertIn("2^7 sums", result.report["plan"]["reason"])
        self.assertLess(result.error_bound.max(), 1e-14 * problem.largest_value)
        self.assert_true(problem, result)

    def test_bits_are_the_same_at_any_number_of_ranks(self):
        problem = two_valued_problem(3, 700, 1500, 5, 3, negative=1)
        bits = [self.solve(problem, "--epsilon", 1e-9, ranks=ranks).bits() for ranks in (None, 2, 3)]
        self.assertEqual(bits[0], bits[1])
        self.assertEqual(bits[0], bits[2])

    def test_columns_that_only_a_sample_showed_alike_are_summed_by_tuples(self):
        problem = two_valued_problem(2, 100, 20000, 4, 5)
        keys = problem.keys[0]
        keys[10001, -1] = keys[:, -1].max() if keys[10001, -1] == 0 else 0  # a row between the sample's blocks
        result = self.solve(problem, "--method", "exact")
        self.assert_true(problem, result)

    def test_queries_that_only_a_sample_showed_alike_are_summed_by_tuples(self):
        problem = two_valued_problem(2, 3000, 3000, 4, 6)
        queries = problem.queries
        changed = 1501
        queries[changed, -1] = queries[:, -1].max() if queries[changed, -1] == 0 else 0
        result = self.solve(problem, "--method", "exact", ranks=2)
        self.assertIn("2^3 sums", result.report["plan"]["reason"])
        self.assert_true(problem, result)

    def test_the_sums_over_sets_count_as_memory(self):
        problem = two_valued_problem(2, 20000, 20000, 19, 8)
        path, result = self.folder / "problem.h5", self.folder / "result.h5"
        write_problem(path, *problem)
        solve = ("solve", path, "-o", result, "--method", "exact", "--memory-per-rank")
        outcome = run(*solve, "100M", ranks=None)  # 2^18 sets of 4 columns, 7 times 16 bytes: 112 MiB
        self.assert_failed(outcome, 1, r"needs \d+ MiB.*--memory-per-rank is 100 MiB")
        self.assertFalse(result.exists())
        self.assert_succeeded(run(*solve, "300M", ranks=None))
        report = read_result(result).report
        self.assertIn("2^18 sums", report["plan"]["reason"])
        self.assertLess(report["run"]["peak_rss_bytes"], 300 * 2**20)

    def test_a_third_value_makes_an_ordinary_problem(self):
        problem = two_valued_problem(2, 100, 4000, 4, 5)
        problem.keys[0][17, 2] = 0.25
        result = self.solve(problem, "--method", "exact")
        self.assertNotIn("two values", result.report["plan"]["reason"])
        self.assert_true(problem, result)


if __name__ == "__main__":
    unittest.main()
