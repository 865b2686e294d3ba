"""A benchmark program still works: it ends, prints its table, and says of small problems what is known otherwise."""
import json
import math
import os
import pathlib
import re
import subprocess
import unittest

from program import ProgramTest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"
ROWS = 6000  # polynomials pay by far
CASES = {"order2-d8": (2, 8, 1e-6), "order3-d8": (3, 8, 1e-6)}  # order, width, epsilon


def run_benchmark(name, *arguments):
    return subprocess.run([BENCHMARKS / name, *map(str, arguments)], text=True, capture_output=True, timeout=300,
                          env=dict(os.environ, KRONATTN=os.path.abspath(os.environ["KRONATTN"])))


def table_rows(stdout):
    """A Markdown table as one dictionary per row."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in stdout.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], cells)) for cells in lines[2:]]


class CertifiedRanks(ProgramTest):
    def test_quick_table_of_two_cases(self):
        summary = self.folder / "ranks.json"
        outcome = run_benchmark("certified_ranks", "--quick", "--rows", ROWS, "--cases", ",".join(CASES),
                                "--folder", self.folder, "--json", summary)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertRegex(outcome.stdout, r"\Acommit \w+.*CPU.*2 rank\(s\) of 1 thread\(s\)\n")
        table, summary = table_rows(outcome.stdout), json.loads(summary.read_text())
        self.assertEqual([row["case"] for row in table], list(CASES))
        self.assertEqual([row["case"] for row in summary["rows"]], list(CASES))
        for row, numbers in zip(table, summary["rows"]):
            with self.subTest(row["case"]):
                self.assert_row(row, numbers, *CASES[row["case"]])

    def assert_row(self, row, numbers, order, width, epsilon):
        self.assertEqual((row["n"], float(row["epsilon"])), (f"{ROWS:,d}", epsilon))
        self.assertIn(row["method"], ("polynomial", "mixed"))
        degree = int(row["degree"])
        rank = int(row["rank"].replace(",", ""))
        self.assertEqual((rank, degree), (numbers["rank"], numbers["degree"]))
        self.assertLessEqual(rank, math.comb(width + degree, degree))
        self.assertGreater(rank, width)  # outputs that depend on the queries take the degrees 0 and 1 at least
        self.assertLessEqual(float(row["guaranteed"]), epsilon)
        self.assertGreater(float(row["guaranteed"]), 0)
        self.assertLessEqual(numbers["mean_row_rank"], 2 * rank)  # rows may be evaluated twice
        for name in ("mean row", "exact rows", "raised"):
            self.assertRegex(row[name], r"\A[0-9,]+\Z")

        # The papers' degree: the smallest whose Chebyshev error on the box of the largest entries, scores up to 1, is
        # below epsilon / 2 e^-S; entries of so many rows come so close to 1 that S = 1 for this purpose.
        papers = float(row["papers'"])
        tail = [2 * bessel(1.0, m) for m in range(40)]
        g = next(g for g in range(40) if sum(tail[g + 1:]) <= epsilon / 2 * math.exp(-1))
        self.assertAlmostEqual(papers / math.comb(order * (g + width), order * g), 1, delta=0.01)

    def test_cases_that_do_not_exist(self):
        outcome = run_benchmark("certified_ranks", "--cases", "order2-d8,order9")
        self.assertEqual(outcome.returncode, 2)
        self.assertRegex(outcome.stderr, re.compile(r"no case order9; there are order2-d8, "))


class Peers(ProgramTest):
    def test_quick_table(self):
        """Whatever of the others is installed: kronattn is there, and all of one problem computed the same thing."""
        summary = self.folder / "peers.json"
        outcome = run_benchmark("peers", "--quick", "--threads", "1", "--folder", self.folder, "--json", summary)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        rows, known = table_rows(outcome.stdout), json.loads(summary.read_text())
        for name in known["missing"]:
            self.assertIn(name, outcome.stdout.splitlines()[0])
        own = {row["problem"]: row for row in rows if row["program"] == "kronattn"}
        self.assertEqual(list(own), ["exact, order 2, n = 2,000", "exact, order 3, n = 100",
                                     "degree 4, n = 2,000", "degree 5, n = 2,000"])
        for row in rows:
            with self.subTest(row["problem"], program=row["program"]):
                self.assertGreater(float(row["seconds"]), 0)
                largest = 1e-6 if row["problem"].startswith("exact") else 1e-3
                self.assertLess(float(row["error"]), largest)
        self.assertLess(float(own["degree 5, n = 2,000"]["error"]), float(own["degree 4, n = 2,000"]["error"]) / 4)
        self.assertGreater(float(own["degree 5, n = 2,000"]["error"]), 0)


class Overheads(ProgramTest):
    def test_quick_table(self):
        summary = self.folder / "overheads.json"
        outcome = run_benchmark("overheads", "--quick", "--folder", self.folder, "--json", summary)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        rows, known = table_rows(outcome.stdout), json.loads(summary.read_text())
        self.assertEqual([row["order, epsilon"] for row in rows], ["2, 1e-3", "2, 1e-6", "3, 1e-3", "3, 1e-6"])
        for numbers in known:
            for share in [*numbers["equal bits"], *numbers["content"]]:
                if share is not None:  # without perf
                    self.assertTrue(0 <= share < 1, numbers)
            for seconds, saves in numbers["checkpoints"]:
                self.assertTrue(0 < seconds < 10 and saves > 0, numbers)


def bessel(x, order):
    """I_order(x), the modified Bessel function, by its series."""
    return sum((x / 2) ** (2 * m + order) / (math.factorial(m) * math.factorial(m + order)) for m in range(30))


if __name__ == "__main__":
    unittest.main()
