"""`kronattn plan` says what `solve` then does; `kronattn info` says what is in a file."""
import json
import unittest

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

    def test_files_that_are_neither_are_errors(self):
        text = self.folder / "text.h5"
        text.write_text("not HDF5")
        self.assert_failed(run("info", text, ranks=2), 1, "text.h5")
        self.assert_failed(run("info", self.folder / "missing.h5", ranks=None), 1, "missing.h5")
        self.assert_failed(run("info", ranks=None), 2, "file")


if __name__ == "__main__":
    unittest.main()
