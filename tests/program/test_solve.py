"""`kronattn solve`: its answers against the definition, its bits at any number of ranks and threads, its files.

Almost every test rests on `assert_keeps_promise`: the answer is off by no more than its own error bound, and the bound
by no more than was asked for.
"""
import json
import math
import unittest

import h5py
import numpy as np

from program import (Problem, ProgramTest, attention, attention_rounding, random_problem, read_result, run, side_by_side,
                     write_problem)


class SolveTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.solved = 0

    def write(self, problem, name="problem.h5", **layout):
        return write_problem(self.folder / name, *problem, **layout)

    def solve(self, problem, *options, ranks=None, threads=None, **layout):
        """The result of a run that succeeds; `problem` is a Problem or the path of its file."""
        path = self.write(problem, **layout) if isinstance(problem, Problem) else problem
        self.solved += 1
        output = self.folder / f"result {self.solved}.h5"
        self.assert_succeeded(run("solve", path, "-o", output, *options, ranks=ranks, threads=threads))
        self.assertEqual(list(self.folder.glob("*.partial*")), [])
        return read_result(output)

    def assert_keeps_promise(self, problem, result, epsilon=1e-6, rows=slice(None), output_type=None):
        """Shapes, types, and on these rows (of every head) the bounds; with epsilon None only that they hold."""
        self.assertEqual(result.output.shape, problem.queries.shape[:-1] + problem.values[0].shape[-1:])
        self.assertEqual(result.output.dtype, output_type or problem.queries.dtype)
        for array in (result.log_normalizer, result.error_bound):
            self.assertEqual((array.shape, array.dtype), (problem.queries.shape[:-1], np.float64))

        chosen = problem._replace(queries=problem.queries[..., rows, :])
        output, log_normalizer = attention(*chosen)
        rounding = attention_rounding(*chosen)
        bound = result.error_bound[..., rows]
        error = np.abs(result.output[..., rows, :] - output).max(axis=-1)
        self.assertTrue((error <= bound + rounding * problem.largest_value).all(),
                        f"largest error {error.max()}, its bound {bound.flat[error.argmax()]}")
        self.assertTrue(np.isfinite(result.error_bound).all() and (result.error_bound >= 0).all())
        if epsilon is not None:
            self.assertLessEqual(result.error_bound.max(), epsilon * problem.largest_value * (1 + np.longdouble(1e-15)))
            difference = np.abs(result.log_normalizer[..., rows] - log_normalizer)
            self.assertTrue((difference <= epsilon + rounding * (1 + np.abs(log_normalizer))).all(), difference.max())

    def assert_report_method(self, result, *methods):
        self.assertIn(result.report["plan"]["method"], methods)


METHODS = {"polynomial": ("polynomial",), "exact": ("exact",), "auto": ("polynomial", "exact", "mixed")}


class Answers(SolveTest):
    def test_every_order_and_method_keeps_its_promise(self):
        for problem in (random_problem(2, 37, 29, 4, 3), random_problem(3, 23, (17, 11), 3, 4),
                        random_problem(4, 9, (7, 6, 5), 3, 2), random_problem(5, 5, (4, 3, 4, 2), 2, 2)):
            path = self.write(problem)
            for method, methods in METHODS.items():
                with self.subTest(order=problem.order, method=method):
                    result = self.solve(path, "--method", method, ranks=2)
                    self.assert_keeps_promise(problem, result)
                    self.assert_report_method(result, *methods)

    def test_a_tighter_promise_is_kept_too(self):
        problem = random_problem(3, 30, (20, 25), 3)
        for method in METHODS:
            with self.subTest(method=method):
                self.assert_keeps_promise(problem, self.solve(problem, "--method", method, "--epsilon", "1e-11"), 1e-11)

    def test_the_smallest_shapes_are_solved(self):
        for name, problem in {"one query": random_problem(2, 1, 30, 3), "width 1": random_problem(3, 20, 10, 1, 3),
                              "one value column": random_problem(2, 20, 30, 4, 1),
                              "one key in each mode": random_problem(3, 20, 1, 3),
                              "one of everything": random_problem(2, 1, 1, 1),
                              "fewer queries than ranks": random_problem(3, 2, (3, 1), 2)}.items():
            for method in ("polynomial", "exact"):
                with self.subTest(name, method=method):
                    self.assert_keeps_promise(problem, self.solve(problem, "--method", method, ranks=4))

    def test_zero_queries_give_an_empty_result(self):
        for heads in (None, 2):
            with self.subTest(heads=heads):
                problem = random_problem(3, 0, (5, 4), 3, 2, heads=heads)
                result = self.solve(problem, ranks=2)
                self.assertEqual(result.output.shape, problem.queries.shape[:-1] + (2,))
                self.assertEqual(result.log_normalizer.shape, problem.queries.shape[:-1])
                self.assertEqual(result.error_bound.shape, problem.queries.shape[:-1])
                self.assertEqual(result.report["problem"]["queries"], 0)

    def test_heads_are_independent_and_share_one_promise(self):
        """Three heads of very different values; epsilon is relative to the largest of all."""
        problem = random_problem(3, 31, (13, 17), 3, 2, heads=3)
        problem.values[0][1] *= 100
        problem.queries[2] *= 2
        for method in ("polynomial", "exact"):
            with self.subTest(method=method):
                self.assert_keeps_promise(problem, self.solve(problem, "--method", method, ranks=3))

    def test_files_of_any_layout_are_read(self):
        problem = random_problem(2, 150, 130, 4, 3).astype(np.float32)
        for name, dtype, layout in (("float32", "<f4", {}), ("big-endian float32", ">f4", {}),
                                    ("big-endian float64", ">f8", {}), ("chunked", "<f8", {"chunks": (7, 3)}),
                                    ("chunked and compressed", "<f4", {"chunks": (11, 2), "compression": "gzip"}),
                                    ("shuffled and checksummed", ">f4", {"chunks": True, "shuffle": True,
                                                                         "fletcher32": True})):
            with self.subTest(name):
                result = self.solve(problem, ranks=3, dtype=dtype, **layout)
                single = np.dtype(dtype).itemsize == 4
                self.assert_keeps_promise(problem, result, output_type=np.float32 if single else np.float64)
                self.assertEqual(result.report["problem"]["precision"], "single" if single else "double")

    def test_the_output_has_the_type_of_the_queries_or_the_one_asked_for(self):
        problem = random_problem(2, 40, 30, 3)
        mixed = problem._replace(queries=problem.queries.astype(np.float32))
        for given, option, output_type in ((mixed, (), np.float32),
                                           (problem, ("--output-precision", "single"), np.float32),
                                           (mixed, ("--output-precision", "double"), np.float64)):
            with self.subTest(queries=str(given.queries.dtype), option=option):
                self.assert_keeps_promise(given, self.solve(given, *option), output_type=output_type)

    def test_order_two_may_say_K_and_V(self):
        problem = random_problem(2, 20, 30, 3)
        self.assert_keeps_promise(problem, self.solve(problem, plain_names=True, ranks=2))

    def test_other_names_in_the_file_are_ignored(self):
        problem = random_problem(2, 20, 30, 3)
        path = self.write(problem)
        with h5py.File(path, "r+") as file:
            file["notes"] = "not ours"
            file["mask/K1"] = np.zeros(3)
        self.assert_keeps_promise(problem, self.solve(path))

    def test_the_scale_comes_from_the_option_else_the_attribute_else_the_width(self):
        problem = random_problem(3, 20, (15, 10), 3)
        for attribute, option, scale in ((None, None, None), (0.7, None, 0.7), (0.7, -0.4, -0.4), (-1.5, None, -1.5),
                                         (None, 0.9, 0.9), (0.7, 0.0, 0.0)):
            with self.subTest(attribute=attribute, option=option):
                result = self.solve(problem._replace(scale=attribute), *([] if option is None else ["--scale", option]))
                self.assert_keeps_promise(problem._replace(scale=scale), result)
                self.assertEqual(result.report["problem"]["scale"], 1 / 3 if scale is None else scale)

    def test_the_working_precision_can_be_chosen(self):
        problem = random_problem(3, 40, (300, 70), 3)
        for precision, method, epsilon, taken in (
                ("auto", "auto", "1e-3", "single"), ("single", "auto", "1e-3", "single"),
                ("double", "auto", "1e-3", "double"), ("auto", "auto", "1e-7", "double"),
                ("auto", "exact", "1e-3", "double"), ("single", "exact", "1e-3", "single"),
                ("auto", "auto", "2e-6", "single"), ("auto", "polynomial", "1e-3", "single"),
                ("double", "polynomial", "1e-3", "double"), ("single", "polynomial", "1e-11", "double"),
                ("single", "polynomial", "1e-6", "single")):
            with self.subTest(precision=precision, method=method, epsilon=epsilon):
                for ranks in (1, 3):
                    result = self.solve(problem, "--precision", precision, "--method", method, "--epsilon", epsilon,
                                        ranks=ranks)
                    self.assert_keeps_promise(problem, result, float(epsilon))
                    self.assertEqual(result.report["plan"]["precision"], taken)
                if method != "polynomial":  # all digits, or those of float32
                    errors = result.error_bound.max() / problem.largest_value
                    self.assertTrue(1e-7 < errors < 1e-4 if taken == "single" else errors < 1e-12, errors)

    def test_constant_values_give_that_constant(self):
        problem = random_problem(3, 20, (15, 10), 3, 2)
        for value, constant in zip(problem.values, (0.3, -7.0)):
            value[:] = constant
        for method in METHODS:
            with self.subTest(method=method):
                result = self.solve(problem, "--method", method)
                self.assert_keeps_promise(problem, result)
                np.testing.assert_allclose(result.output, -2.1, rtol=0, atol=result.error_bound.max() + 1e-15)

    def test_the_order_of_the_keys_changes_nothing_beyond_the_bounds(self):
        problem = random_problem(3, 20, (40, 30), 3)
        shuffles = [np.random.default_rng(mode).permutation(len(key)) for mode, key in enumerate(problem.keys)]
        shuffled = problem._replace(keys=[x[p] for x, p in zip(problem.keys, shuffles)],
                                    values=[x[p] for x, p in zip(problem.values, shuffles)])
        for method in ("polynomial", "exact"):
            with self.subTest(method=method):
                one, other = (self.solve(p, "--method", method) for p in (problem, shuffled))
                difference = np.abs(one.output - other.output).max(axis=1)
                self.assertTrue((difference <= one.error_bound + other.error_bound).all())

    def test_a_second_mode_of_a_single_one_is_order_two(self):
        two = random_problem(2, 20, 30, 3, 4)
        three = two._replace(keys=two.keys + [np.ones((1, 3))], values=two.values + [np.ones((1, 4))])
        for method in ("polynomial", "exact"):
            with self.subTest(method=method):
                one, other = (self.solve(p, "--method", method) for p in (two, three))
                difference = np.abs(one.output - other.output).max(axis=1)
                self.assertTrue((difference <= one.error_bound + other.error_bound).all())
                np.testing.assert_allclose(one.log_normalizer, other.log_normalizer, rtol=0, atol=2e-6)

    def test_extreme_data_keep_the_promise(self):
        two, three = random_problem(2, 60, 50, 3), random_problem(3, 30, (20, 15), 3)
        every_tenth = np.where(np.arange(60) % 10 == 0, 60.0, 1.0)[:, None]
        anything, polynomial_too = ("auto", "exact"), ("auto", "exact", "polynomial")
        cases = (
            ("a few huge queries", anything, two._replace(queries=two.queries * every_tenth)),
            ("a huge key", anything, two._replace(keys=[two.keys[0] * every_tenth[:50]])),
            ("one sign", polynomial_too, Problem(abs(three.queries), [abs(x) for x in three.keys], three.values)),
            ("keys far from 0", polynomial_too, two._replace(keys=[two.keys[0] + 5])),
            ("values far from 0", polynomial_too, two._replace(values=[two.values[0] + 1e8])),
            ("all rows equal", polynomial_too, Problem(0 * three.queries + three.queries[0],
                                                       [0 * x + x[0] for x in three.keys], three.values)),
            ("tiny entries", polynomial_too, Problem(two.queries * 1e-200, [two.keys[0] * 1e-200],
                                                     [two.values[0] * 1e-200])),
            ("huge values", polynomial_too, two._replace(values=[two.values[0] * 1e300])),
            ("zero values", polynomial_too, three._replace(values=[three.values[0], 0 * three.values[1]])),
            ("modes far apart in size", polynomial_too,
             three._replace(queries=three.queries * 1e80, keys=[x * 1e-40 for x in three.keys])),
            ("coordinates far apart in size", polynomial_too,
             Problem(two.queries * [1e40, 1, 1e-40], [two.keys[0] * [1e-40, 1, 1e40]], two.values)),
            ("scores in the hundreds", anything, Problem(two.queries * 25, [two.keys[0] * 25], two.values)),
            ("scores in the ten thousands", anything, Problem(two.queries * 200, [two.keys[0] * 200], two.values)))
        runs = [(*case, method, self.folder / f"{case[0]} {method}.h5") for case in cases for method in case[1]]
        outcomes = side_by_side([(("solve", self.write(problem, f"{name}.h5"), "-o", output, "--method", method), None)
                                 for name, _, problem, method, output in runs])
        for (name, _, problem, method, output), outcome in zip(runs, outcomes):
            with self.subTest(name, method=method):
                self.assert_succeeded(outcome)
                result = read_result(output)
                self.assert_keeps_promise(problem, result)
                self.assert_report_method(result, *METHODS[method])


class Degree(SolveTest):
    def test_a_degree_without_epsilon_reports_its_bound_and_promises_nothing(self):
        for problem in (random_problem(2, 40, 30, 3), random_problem(3, 30, (20, 10), 3, 2)):
            for degree in (0, 1, 4, 7):
                with self.subTest(order=problem.order, degree=degree):
                    result = self.solve(problem, "--degree", degree)
                    self.assert_keeps_promise(problem, result, epsilon=None)
                    plan = result.report["plan"]
                    self.assertEqual((plan["method"], plan["degree"], plan["epsilon"]), ("polynomial", degree, None))
                    self.assertIsNone(result.report["certificate"]["epsilon"])
                    self.assertEqual(result.report["certificate"]["rows_recomputed_exactly"], 0)

    def test_a_degree_uses_every_monomial_up_to_it_for_every_row(self):
        plan = self.solve(random_problem(3, 30, (20, 10), 4), "--degree", 5).report["plan"]
        self.assertEqual((plan["rank"], plan["mean_row_rank"]), (math.comb(4 + 5, 5),) * 2)

    def test_degree_zero_is_the_mean_of_the_values(self):
        problem = random_problem(3, 10, (20, 15), 3)
        output = self.solve(problem, "--degree", 0).output
        mean = problem.values[0].mean(axis=0) * problem.values[1].mean(axis=0)
        np.testing.assert_allclose(output, np.broadcast_to(mean, output.shape), rtol=1e-13)

    def test_a_higher_degree_has_a_smaller_bound(self):
        problem = random_problem(2, 40, 30, 3)
        low, high = (self.solve(problem, "--degree", degree).error_bound.max() for degree in (3, 9))
        self.assertLess(high, low / 1000)

    def test_second_moments_make_bounds_sharper_by_the_spread_of_the_values(self):
        for problem, gain in ((random_problem(2, 40, 300, 3), 1.2), (random_problem(3, 30, (120, 110), 3, 2), 1.5)):
            with self.subTest(order=problem.order):
                plain, sharp = (self.solve(problem, "--degree", 4, *more) for more in ((), ("--second-moments",)))
                self.assert_keeps_promise(problem, sharp, epsilon=None)
                self.assertGreater(np.median(plain.error_bound / sharp.error_bound), gain)
                self.assertEqual((plain.report["plan"]["second_moments"], sharp.report["plan"]["second_moments"]),
                                 (False, True))

    def test_second_moments_give_the_same_bits_at_any_number_of_ranks(self):
        problem = random_problem(2, 3000, 2500, 4, 3)
        problem.queries[::100] *= 30  # rows that are summed exactly afterwards
        one, three = (self.solve(problem, "--second-moments", "--epsilon", "1e-5", ranks=ranks) for ranks in (1, 3))
        self.assertEqual(one.bits(), three.bits())
        self.assert_keeps_promise(problem, one, epsilon=1e-5, rows=slice(0, 300))

    def test_a_degree_that_meets_epsilon_succeeds_and_one_that_does_not_fails(self):
        problem = random_problem(2, 40, 30, 3)
        path, output = self.write(problem), self.folder / "unmet.h5"
        result = self.solve(path, "--degree", "12", "--epsilon", "1e-4")
        self.assert_keeps_promise(problem, result, 1e-4)
        self.assertEqual(result.report["plan"]["degree"], 12)
        self.assert_failed(run("solve", path, "-o", output, "--degree", "1", "--epsilon", "1e-9", ranks=2), 1)
        self.assertFalse(output.exists())


class BrokenPromises(SolveTest):
    def assert_refused(self, problem, options, *patterns):
        path, output = self.write(problem), self.folder / "result.h5"
        self.assert_failed(run("solve", path, "-o", output, *options, ranks=None), 1, *patterns)
        self.assertFalse(output.exists())

    def test_single_precision_that_cannot_keep_the_promise_is_refused_with_what_it_would_take(self):
        self.assert_refused(random_problem(2, 40, 30, 3), ("--precision", "single", "--epsilon", "1e-8", "--method", "exact"),
                            "1e-08 can't be promised.*single.*need a larger --epsilon or --precision double")

    def test_a_polynomial_that_cannot_keep_the_promise_says_what_it_would_need(self):
        problem = random_problem(2, 60, 50, 8, bound=30)  # scores in the hundreds
        self.assert_refused(problem, ("--method", "polynomial", "--epsilon", "1e-10"), "rank|memory|precision")

    def test_an_output_in_single_precision_cannot_keep_a_promise_below_its_rounding(self):
        for method in METHODS:
            with self.subTest(method=method):
                self.assert_refused(random_problem(2, 60, 50, 3), ("--method", method, "--epsilon", "1e-12",
                                                                   "--output-precision", "single"), "precision")


class Choice(SolveTest):
    """Large enough problems (several tiles of rows in every mode) leave `auto` only one sensible way."""

    def test_small_scores_of_many_tuples_are_polynomial(self):
        problem = random_problem(3, 2100, (600, 1100), 4, 3)
        result = self.solve(problem, ranks=2)
        self.assert_report_method(result, "polynomial")
        self.assert_keeps_promise(problem, result, rows=slice(0, None, 600))

    def test_a_few_huge_rows_among_small_ones_keep_the_promise(self):
        problem = random_problem(3, 550, (600, 700), 4, 3)
        problem.queries[::100] *= 100
        result = self.solve(problem, ranks=2)
        self.assert_keeps_promise(problem, result, rows=[0, 1, 100, 500, 549])

    def test_each_head_gets_its_own_method(self):
        problem = random_problem(3, 1100, (300, 700), 4, 3, heads=2)
        problem.queries[1] *= 100
        result = self.solve(problem, ranks=2)
        self.assert_report_method(result, "mixed")
        self.assertEqual(result.report["certificate"]["rows_recomputed_exactly"], 1100)

    def test_large_scores_of_few_tuples_are_exact(self):
        self.assert_report_method(self.solve(random_problem(2, 50, 40, 8, bound=20)), "exact")


class Bits(SolveTest):
    """The datasets of a result are the same bytes for any number of ranks and threads."""

    def assert_same_at_any_ranks_and_threads(self, problem, *options, rows=slice(None)):
        path = self.write(problem)
        first = self.solve(path, *options, ranks=1, threads=1)
        self.assert_keeps_promise(problem, first, rows=rows)
        for ranks, threads in ((1, 2), (2, 1), (3, 2), (4, 1)):
            other = self.solve(path, *options, ranks=ranks, threads=threads)
            self.assertEqual(other.bits(), first.bits(), f"{ranks} ranks of {threads} threads")
        return first

    def test_order_two_polynomial_of_several_tiles(self):
        self.assert_same_at_any_ranks_and_threads(random_problem(2, 2100, 2300, 4, 3), "--method", "polynomial")

    def test_order_two_exact_of_several_tiles(self):
        self.assert_same_at_any_ranks_and_threads(random_problem(2, 2050, 2300, 4, 3), "--method", "exact")

    def test_order_three_polynomial_of_several_tiles(self):
        problem = random_problem(3, 2100, (600, 1100), 4, 3)
        self.assert_same_at_any_ranks_and_threads(problem, "--method", "polynomial", rows=slice(0, None, 700))

    def test_order_three_exact_of_several_tiles(self):
        problem = random_problem(3, 1100, (530, 12), 3, 2)
        self.assert_same_at_any_ranks_and_threads(problem, "--method", "exact", rows=slice(0, None, 11))

    def test_single_precision_heads_of_fewer_queries_than_ranks(self):
        problem = random_problem(2, 3, 1100, 4, heads=3).astype(np.float32)
        self.assert_same_at_any_ranks_and_threads(problem)


INTEGER, NUMBER, STRING, BOOLEAN = (int,), (int, float), (str,), (bool,)
OR_NULL = (type(None),)
REPORT = {
    "kronattn": {"version": STRING, "commit": STRING + OR_NULL, "build": STRING + OR_NULL},
    "problem": {"order": INTEGER, "heads": INTEGER, "queries": INTEGER, "keys": (list,), "width": INTEGER,
                "value_width": INTEGER, "scale": NUMBER, "precision": STRING},
    "plan": {"method": STRING, "reason": STRING, "degree": INTEGER + OR_NULL, "rank": INTEGER, "mean_row_rank": NUMBER,
             "paper_rank": NUMBER, "score_bound": NUMBER, "epsilon": NUMBER, "precision": STRING,
             "predicted_seconds": NUMBER},
    "certificate": {"epsilon": NUMBER, "guaranteed_error": NUMBER, "rows_recomputed_exactly": INTEGER},
    "run": {"ranks": INTEGER, "threads": INTEGER, "hosts": INTEGER + (list,),
            "seconds": dict.fromkeys(("read", "measure", "aggregate", "reduce", "evaluate", "write", "total"), NUMBER),
            "gflops_per_second": dict.fromkeys(("aggregate", "evaluate"), NUMBER + OR_NULL), "peak_rss_bytes": INTEGER,
            "bytes_read": INTEGER, "bytes_read_largest_rank": INTEGER, "bytes_written": INTEGER,
            "bytes_written_largest_rank": INTEGER,
            "bytes_reduced": INTEGER, "resumed": BOOLEAN},
}


def paper_rank(problem, epsilon):
    """C(k(g+d), kg), g the smallest degree with 2 (I_{g+1}(S) + I_{g+2}(S) + ...) <= (epsilon/2) exp(-S)."""
    order, width = problem.order, problem.queries.shape[-1]
    scale = 1 / width if problem.scale is None else abs(problem.scale)
    reach = width * scale * math.prod(np.abs(x).max() for x in [problem.queries, *problem.keys])

    def bessel(m):  # I_m(reach)
        return sum((reach / 2) ** (m + 2 * i) / (math.factorial(i) * math.factorial(m + i)) for i in range(60))

    degree = 0
    while 2 * sum(bessel(m) for m in range(degree + 1, degree + 40)) > epsilon / 2 * math.exp(-reach):
        degree += 1
    return math.comb(order * (degree + width), order * degree)


class Report(SolveTest):
    def assert_fields(self, report, fields, path="report"):
        for name, kind in fields.items():
            self.assertIn(name, report, path)
            if isinstance(kind, dict):
                self.assert_fields(report[name], kind, f"{path}.{name}")
            else:
                self.assertIn(type(report[name]), kind, f"{path}.{name} is {report[name]!r}")

    def test_the_report_has_the_fields_and_types_of_the_contract(self):
        problem = random_problem(3, 40, (30, 20), 3, 4, heads=2)
        for method in METHODS:
            with self.subTest(method=method):
                self.assert_fields(self.solve(problem, "--method", method, ranks=2).report, REPORT)

    def test_the_report_file_is_the_report_attribute(self):
        path = self.folder / "report.json"
        result = self.solve(random_problem(2, 20, 30, 3), "--report", path, ranks=2)
        self.assertEqual(json.loads(path.read_text()), result.report)

    def test_the_result_says_that_it_is_complete_and_where_it_comes_from(self):
        result = self.solve(random_problem(2, 20, 30, 3))
        self.assertEqual(result.attributes["complete"], 1)
        version = result.attributes["kronattn_version"]
        version = version.decode() if isinstance(version, bytes) else version
        self.assertEqual(version, result.report["kronattn"]["version"])
        self.assertIn(version, run("--version", ranks=None).stdout)

    def test_the_report_describes_the_problem(self):
        report = self.solve(random_problem(3, 40, (30, 20), 5, 4, heads=2), "--epsilon", "1e-3").report
        self.assertEqual({name: report["problem"][name] for name in REPORT["problem"]},
                         {"order": 3, "heads": 2, "queries": 40, "keys": [30, 20], "width": 5, "value_width": 4,
                          "scale": 0.2, "precision": "double"})
        self.assertEqual((report["plan"]["epsilon"], report["certificate"]["epsilon"]), (1e-3, 1e-3))

    def test_the_guaranteed_error_is_the_largest_bound_in_units_of_the_values(self):
        problem = random_problem(3, 40, (30, 20), 3, heads=2)
        zero = problem._replace(values=[problem.values[0], 0 * problem.values[1]])
        result = self.solve(problem)
        self.assertAlmostEqual(result.report["certificate"]["guaranteed_error"]
                               / float(result.error_bound.max() / problem.largest_value), 1, delta=1e-12)
        self.assertEqual(self.solve(zero).report["certificate"]["guaranteed_error"], 0)

    def test_the_plan_counts_monomials(self):
        problem = random_problem(3, 40, (30, 20), 3)
        polynomial = self.solve(problem, "--method", "polynomial").report
        self.assertGreaterEqual(polynomial["plan"]["degree"], 1)
        self.assertTrue(0 < polynomial["plan"]["mean_row_rank"] <= polynomial["plan"]["rank"])
        self.assertEqual(polynomial["certificate"]["rows_recomputed_exactly"], 0)
        exact = self.solve(problem, "--method", "exact").report["plan"]
        self.assertEqual((exact["rank"], exact["degree"]), (0, None))
        for plan in (polynomial["plan"], exact):
            self.assertAlmostEqual(plan["paper_rank"] / paper_rank(problem, 1e-6), 1, delta=1e-9)

    def test_the_run_is_what_was_started(self):
        problem = random_problem(2, 300, 200, 4)
        report = self.solve(problem, "--threads", "2", ranks=3).report["run"]
        self.assertEqual((report["ranks"], report["threads"], report["resumed"]), (3, 2, False))
        self.assertEqual(report["hosts"] if isinstance(report["hosts"], int) else len(report["hosts"]), 1)
        seconds = report["seconds"]
        self.assertGreaterEqual(min(seconds.values()), 0)
        self.assertGreaterEqual(seconds["total"], max(seconds.values()))
        self.assertGreater(report["peak_rss_bytes"], 1e6)
        self.assertGreaterEqual(report["bytes_read"], 8 * (300 * 4 + 2 * 200 * 4))
        self.assertTrue(report["bytes_read"] / 3 <= report["bytes_read_largest_rank"] <= report["bytes_read"])
        self.assertGreaterEqual(report["bytes_written"], 8 * 300 * (4 + 2))
        self.assertTrue(report["bytes_written"] / 3 <= report["bytes_written_largest_rank"] <= report["bytes_written"])


class Outputs(SolveTest):
    def setUp(self):
        super().setUp()
        self.problem = self.write(random_problem(2, 20, 30, 3))
        self.output = self.folder / "result.h5"

    def test_an_existing_output_is_replaced_only_with_overwrite(self):
        self.output.write_text("precious")
        self.assert_failed(run("solve", self.problem, "-o", self.output, ranks=2), 1, "result.h5", "--overwrite")
        self.assertEqual(self.output.read_text(), "precious")
        self.assert_succeeded(run("solve", self.problem, "-o", self.output, "--overwrite", ranks=2))
        self.assertEqual(read_result(self.output).attributes["complete"], 1)
        self.assertEqual(list(self.folder.glob("*.partial*")), [])

    def test_a_failure_with_overwrite_leaves_the_old_result(self):
        self.output.write_text("precious")
        options = ("--overwrite", "--degree", "1", "--epsilon", "1e-9")
        self.assert_failed(run("solve", self.problem, "-o", self.output, *options, ranks=None), 1)
        self.assertEqual(self.output.read_text(), "precious")

    def test_an_output_that_is_the_input_is_refused_even_with_overwrite(self):
        before = self.problem.read_bytes()
        link = self.folder / "link.h5"
        link.symlink_to(self.problem)
        detour = self.folder / ".." / self.folder.name / "problem.h5"
        for output in (self.problem, link, detour):
            with self.subTest(output=output.name):
                outcome = run("solve", self.problem, "-o", output, "--overwrite", ranks=None)
                self.assertIn(outcome.code, (1, 2))
                self.assert_failed(outcome, outcome.code, output.name)
                self.assertEqual(self.problem.read_bytes(), before)
        self.assertTrue(link.is_symlink())

    def test_a_report_in_place_of_the_problem_is_refused(self):
        before = self.problem.read_bytes()
        outcome = run("solve", self.problem, "-o", self.output, "--overwrite", "--report", self.problem, ranks=None)
        self.assertIn(outcome.code, (1, 2))
        self.assert_failed(outcome, outcome.code, "problem.h5")
        self.assertEqual(self.problem.read_bytes(), before)
        self.assertFalse(self.output.exists())

    def test_an_output_that_cannot_be_created_is_named(self):
        (self.folder / "folder").mkdir()
        for output in ("missing/result.h5", "folder", "problem.h5/result.h5"):
            with self.subTest(output=output):
                outcome = run("solve", self.problem, "-o", self.folder / output, "--overwrite", ranks=3)
                self.assert_failed(outcome, 1, output.split("/")[0])

    def test_a_report_that_cannot_be_created_is_named_before_any_work(self):
        report = self.folder / "missing" / "report.json"
        outcome = run("solve", self.problem, "-o", self.output, "--report", report, ranks=None)
        self.assert_failed(outcome, 1, "missing")
        self.assertFalse(self.output.exists())

    def test_a_relative_output_lies_in_the_current_folder(self):
        self.assert_succeeded(run("solve", "problem.h5", "-o", "result.h5", ranks=2, cwd=self.folder))
        self.assertTrue(self.output.exists())

    def test_quiet_prints_nothing(self):
        outcome = run("solve", self.problem, "-o", self.output, "--quiet", ranks=2)
        self.assert_succeeded(outcome)
        self.assertEqual(outcome.stdout + outcome.stderr, "")


if __name__ == "__main__":
    unittest.main()
