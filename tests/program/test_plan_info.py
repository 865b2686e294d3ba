"""`kronattn plan` says what `solve` then does; `kronattn info` says what is in a file."""
import json
import math
import unittest

import h5py
import numpy as np

from program import ProgramTest, random_problem, read_result, run, write_problem

DECIDED = ("reason", "degree", "rank", "paper_rank", "score_bound", "epsilon", "precision")


class PlanTest(ProgramTest):
    def report(self, *arguments, ranks=None):
        path = self.folder / "report.json"
        self.assert_succeeded(run(*arguments, "--report", path, ranks=ranks))
        return json.loads(path.read_text())

    def test_a_plan_of_a_file_is_what_solve_does_at_any_number_of_ranks(self):
        problem = self.folder / "problem.h5"
        for shape in ((2, 900, 700, 3), (3, 50, (60, 70), 3)):
            write_problem(problem, *random_problem(*shape))
            for options in (("--epsilon", "1e-4"), ("--method", "exact"), ("--degree", "3")):
                with self.subTest(shape=shape, options=options):
                    plan = self.report("plan", problem, *options, ranks=3)
                    solved = self.report("solve", problem, "-o", self.folder / "result.h5", "--overwrite", *options)
                    self.assertEqual({name: plan["plan"][name] for name in DECIDED},
                                     {name: solved["plan"][name] for name in DECIDED})
                    self.assertEqual(plan["problem"], solved["problem"])
                    # Foreseen, not decided: how many rows need which degree, and whether any is left for exact.
                    self.assertAlmostEqual(plan["plan"]["mean_row_rank"], solved["plan"]["mean_row_rank"],
                                           delta=0.25 * plan["plan"]["rank"])
                    self.assertEqual(plan["plan"]["method"] == "exact", solved["plan"]["method"] == "exact")

    def test_a_plan_of_given_sizes_is_that_of_the_generated_file(self):
        sizes = ("--order", 3, "--rows", 300, "--key-rows", "200,400", "--width", 4, "--value-width", 2, "--bound", 1.5,
                 "--distribution", "gaussian", "--seed", 7)
        problem = self.folder / "problem.h5"
        self.assert_succeeded(run("generate", *sizes, "-o", problem, ranks=None))
        from_file, from_sizes = self.report("plan", problem), self.report("plan", *sizes)
        self.assertEqual(from_file["plan"], from_sizes["plan"])
        self.assertEqual(from_file["cost"], from_sizes["cost"])

    def test_rates_are_measured_once_and_only_predict(self):
        sizes = ("plan", "--order", 2, "--rows", 20000, "--width", 6, "--report", self.folder / "report.json")
        cache = self.folder / "cache"

        def plan(**environment):
            self.assert_succeeded(run(*sizes, env={"XDG_CACHE_HOME": str(cache), **environment}))
            return json.loads((self.folder / "report.json").read_text())["plan"]

        first = plan()
        kept, = (cache / "kronattn").iterdir()
        rates = json.loads(kept.read_text())
        self.assertEqual(set(rates), {"polynomial", "exact", "row_seconds"})
        kept.write_text(json.dumps({name: rate * (10 if name == "row_seconds" else 0.1) for name, rate in rates.items()}))
        slower = plan()
        self.assertAlmostEqual(slower["predicted_seconds"] / first["predicted_seconds"], 10, delta=0.01)
        self.assertEqual({**slower, "predicted_seconds": 0}, {**first, "predicted_seconds": 0})
        kept.write_text("{not rates")  # measured anew
        self.assertLess(plan()["predicted_seconds"], slower["predicted_seconds"] / 2)
        for nowhere in ("/proc/nowhere", ""):
            self.assertGreater(plan(XDG_CACHE_HOME=nowhere, HOME=nowhere)["predicted_seconds"], 0)

    def test_a_cluster_is_foreseen_from_its_ranks_and_network(self):
        sizes = ("--order", 3, "--rows", 10**12, "--width", 4, "--value-width", 2, "--degree", 4, "--threads", 1)

        def cluster(*options):
            return self.report("plan", *sizes, *options)["cluster"]

        few, many = (cluster("--ranks", ranks, "--network", "1e-3,1e6,1e12") for ranks in (100, 10_000))
        self.assertEqual(few["network"], {"latency": 1e-3, "bandwidth": 1e6, "file_bandwidth": 1e12})
        self.assertEqual((many["ranks"], many["threads"]), (10_000, 1))
        # 10^12 rows: what ranks do for themselves is nothing beside what they share.
        self.assertAlmostEqual(few["seconds"]["compute"] / many["seconds"]["compute"], 100, delta=0.5)
        summed = 16 * math.comb(4 + 4, 4) * 3
        # Of both modes each rank gets a share, of their products, half as many bytes as a mode's, all get all.
        self.assertAlmostEqual(many["seconds"]["reduce"], 3 * 14 * 1e-3 + 2.5 * 9999 / 10_000 * summed / 1e6, places=12)
        # Q, K1, V1, K2, V2, twice; O and two numbers a row, twice.
        self.assertAlmostEqual(many["seconds"]["files"], 2 * 8 * (4 + 2 * 6 + 2 + 2), places=9)
        self.assertAlmostEqual(many["seconds"]["total"], sum(many["seconds"][part] for part in ("compute", "reduce", "files")))
        # At 10,000 ranks 1e11 flops are left to each: more than a tenth of a second on any processor.
        self.assertGreater(many["reduction_dominates_from_ranks"], 10_000)
        measured = self.report("plan", *sizes, "--ranks", 5, ranks=2)["cluster"]["network"]
        self.assertGreater(measured["latency"], 0)
        self.assertGreater(measured["bandwidth"], 0)
        for options, words in ((("--network", "1e-6,1e9"), "need --ranks"), (("--ranks", 0), "ranks"),
                               *((("--ranks", 2, "--network", bad), "LATENCY,BANDWIDTH")
                                 for bad in ("1", "1,", "0,1", "1,-1", "1,2,3,4", "a,b", "1;2", "inf,1", "1,nan"))):
            self.assert_failed(run("plan", *sizes, *options, ranks=None), 2, words)

    def test_a_table_says_what_each_digit_costs(self):
        problem = self.folder / "problem.h5"
        write_problem(problem, *random_problem(2, 3000, 3000, 3))
        table = self.report("plan", problem, "--table")["table"]
        self.assertEqual([round(-math.log10(row["epsilon"])) for row in table], list(range(2, 13)))
        ranks = [row["rank"] for row in table if row["method"] in ("polynomial", "mixed")]
        self.assertGreaterEqual(len(ranks), 4)
        self.assertEqual(ranks, sorted(ranks))
        for epsilon in ("1e-3", "1e-6"):
            row = next(row for row in table if math.isclose(row["epsilon"], float(epsilon)))
            plan = self.report("plan", problem, "--epsilon", epsilon)["plan"]
            self.assertEqual({name: plan[name] for name in ("degree", "rank", "paper_rank", "reason")},
                             {name: row[name] for name in ("degree", "rank", "paper_rank", "reason")})
        self.assert_failed(run("plan", problem, "--table", "--degree", 3), 2, "--degree")

    def test_a_plan_for_many_rows_counts_all_of_them(self):
        sizes = ("--order", 2, "--width", 6, "--epsilon", "1e-5", "--method", "polynomial")
        few, many = (self.report("plan", *sizes, "--rows", rows)["plan"] for rows in (60000, 10**9))
        self.assertAlmostEqual(many["mean_row_rank"], few["mean_row_rank"], delta=0.05 * few["mean_row_rank"])

    def test_a_plan_counts_what_is_reduced_and_where_it_pays(self):
        problem = self.folder / "problem.h5"
        write_problem(problem, *random_problem(3, 40, (60, 70), 3, 2))
        cost = self.report("plan", problem, "--degree", 4)["cost"]
        rank = 35  # C(3 + 4, 4)
        self.assertEqual(cost["bytes_reduced"], 2 * 16 * rank * 3)
        method = {}
        epsilon = ("--epsilon", "1e-3", "--width", 3, "--order", 2)
        pays = self.report("plan", *epsilon, "--rows", 10, "--method", "polynomial")["cost"]["polynomial_pays_from_rows"]
        for rows in (pays / 4, pays * 4):
            method[rows] = self.report("plan", *epsilon, "--rows", int(rows))["plan"]["method"]
        self.assertEqual(list(method.values()), ["exact", "polynomial"])

    def test_sizes_beyond_any_file_are_planned_quickly(self):
        report = self.report("plan", "--order", 3, "--rows", 10**12, "--width", 8)
        self.assertEqual(report["plan"]["method"], "polynomial")
        self.assertEqual(report["problem"]["keys"], [10**12, 10**12])

    def test_a_file_and_sizes_together_are_an_error(self):
        problem = self.folder / "problem.h5"
        write_problem(problem, *random_problem(2, 5, 5, 2))
        self.assert_failed(run("plan", problem, "--rows", 9, ranks=None), 2, "--rows")
        self.assert_failed(run("plan", ranks=None), 2, "--rows")

    def test_a_promise_that_cannot_be_kept_is_said_before_any_work(self):
        self.assert_failed(run("plan", "--rows", 1000, "--width", 64, "--bound", 4, "--method", "polynomial", ranks=2), 1,
                           "rank|precision|memory")


class InfoTest(ProgramTest):
    def test_it_says_what_is_in_a_problem_and_in_its_result(self):
        data = random_problem(3, 6, (5, 4), 3, 2, heads=2)
        problem, result, report = (self.folder / name for name in ("problem.h5", "result.h5", "info.json"))
        write_problem(problem, *data._replace(scale=0.25))
        self.assert_succeeded(run("solve", problem, "-o", result, ranks=None))
        outcome = run("info", problem, result, "--report", report, ranks=2)
        self.assert_succeeded(outcome)
        about_problem, about_result = json.loads(report.read_text())
        self.assertEqual((about_problem["kind"], about_result["kind"]), ("problem", "result"))
        self.assertEqual(about_problem["problem"]["scale"], 0.25)
        datasets = {dataset["name"]: dataset for dataset in about_problem["datasets"]}
        for name, values in (("Q", data.queries), ("K1", data.keys[0]), ("K2", data.keys[1]), ("V1", data.values[0]),
                             ("V2", data.values[1])):
            self.assertEqual(datasets[name]["shape"], list(values.shape))
            self.assertEqual(datasets[name]["largest_entry"], np.abs(values).max())
        self.assertIs(about_result["complete"], True)
        self.assertEqual(about_result["report"], read_result(result).report)
        self.assertEqual(about_result["fingerprint"], about_problem["fingerprint"])
        for word in ("K2", "2 x 4 x 3", "error_bound", "exact"):
            self.assertIn(word, outcome.stdout)

    def info(self, *files, ranks=None):
        """The report, and what was printed."""
        report = self.folder / "info.json"
        outcome = run("info", *files, "--report", report, ranks=ranks)
        self.assert_succeeded(outcome)
        return json.loads(report.read_text()), outcome.stdout

    def test_types_and_layouts_are_those_of_the_file(self):
        data = random_problem(2, 60, 50, 3)
        kinds = (("<f8", {}, ("contiguous", None, []), "60 x 3, float64 little-endian, contiguous,"),
                 (">f4", {}, ("contiguous", None, []), "60 x 3, float32 big-endian, contiguous,"),
                 ("<f4", {"chunks": (20, 3)}, ("chunked", [20, 3], []),
                  "60 x 3, float32 little-endian, chunked in chunks 20 x 3,"),
                 (">f8", {"chunks": (10, 2), "shuffle": True}, ("chunked", [10, 2], ["shuffle"]),
                  "60 x 3, float64 big-endian, chunked in chunks 10 x 2 (shuffle),"),
                 ("<f8", {"chunks": (7, 3), "compression": "gzip", "shuffle": True},
                  ("compressed", [7, 3], ["shuffle", "deflate"]),
                  "60 x 3, float64 little-endian, compressed in chunks 7 x 3 (shuffle, deflate),"))
        paths = [self.folder / f"problem{number}.h5" for number in range(len(kinds))]
        for path, (dtype, options, _, _) in zip(paths, kinds):
            write_problem(path, *data, dtype=dtype, **options)
        report, printed = self.info(*paths, ranks=2)
        for about, (dtype, _, layout, words) in zip(report, kinds):
            with self.subTest(words):
                self.assertEqual(len(about["datasets"]), 3)
                for dataset in about["datasets"]:
                    self.assertEqual(dataset["type"], "float" + str(8 * np.dtype(dtype).itemsize))
                    self.assertEqual(dataset["byte_order"], "big" if dtype[0] == ">" else "little")
                    self.assertEqual((dataset["layout"], dataset["chunk"], dataset["filters"]), layout)
                self.assertIn(words, printed)

    def result(self, rows, heads=None):
        """A result of so many rows."""
        problem, result = self.folder / "problem.h5", self.folder / "result.h5"
        write_problem(problem, *random_problem(2, rows, 4, 1, heads=heads))
        self.assert_succeeded(run("solve", problem, "-o", result, "--overwrite", "--degree", 0, ranks=None))
        return result

    def test_the_largest_and_the_median_error_bound(self):
        random = np.random.default_rng(3)
        for rows, heads in ((200001, None), (5, None), (6, None), (1, None), (40, 3)):
            path = self.result(rows, heads)
            with h5py.File(path, "r+") as file:
                bounds = np.exp(random.normal(size=file["error_bound"].shape, scale=20))
                bounds.flat[::7] = 0
                file["error_bound"][...] = bounds
            ordered = np.sort(bounds, axis=None)
            for ranks in (None, 3):
                with self.subTest(rows=rows, heads=heads, ranks=ranks):
                    (about,), printed = self.info(path, ranks=ranks)
                    self.assertEqual(about["largest_error_bound"], ordered[-1])
                    self.assertEqual(about["median_error_bound"], ordered[(len(ordered) - 1) // 2])
                    self.assertIn(f"error bound of a row {ordered[-1]:.3g} at most", printed)

    def test_bounds_that_are_not_numbers_or_not_there(self):
        path = self.result(9)
        with h5py.File(path, "r+") as file:
            file["error_bound"][...] = [4, np.nan, 2, 3, -np.nan, 0, 5, 1, 6]
        (about,), _ = self.info(path, ranks=2)
        self.assertEqual((about["largest_error_bound"], about["median_error_bound"]), (None, 4))
        (about,), _ = self.info(self.result(0), ranks=2)
        self.assertEqual((about["largest_error_bound"], about["median_error_bound"]), (None, None))

    def test_a_result_says_whether_it_is_complete_and_who_wrote_it(self):
        path = self.result(9)
        (about,), printed = self.info(path)
        self.assertIs(about["complete"], True)
        self.assertEqual(about["kronattn_version"], read_result(path).report["kronattn"]["version"])
        self.assertIn("written by kronattn " + about["kronattn_version"], printed)
        with h5py.File(path, "r+") as file:
            del file.attrs["complete"]
        (about,), printed = self.info(path, ranks=2)
        self.assertEqual((about["complete"], about["report"]), (False, None))
        self.assertIn("NOT COMPLETE", printed)

    def test_files_that_are_neither_are_errors(self):
        text = self.folder / "text.h5"
        text.write_text("not HDF5")
        self.assert_failed(run("info", text, ranks=2), 1, "text.h5")
        self.assert_failed(run("info", self.folder / "missing.h5", ranks=None), 1, "missing.h5")
        self.assert_failed(run("info", ranks=None), 2, "file")


if __name__ == "__main__":
    unittest.main()
