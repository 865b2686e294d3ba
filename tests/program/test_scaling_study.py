"""tools/scaling-study: medians, intervals and fits against data of known law; a study in small, stopped and gone on with."""
import importlib.machinery
import importlib.util
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import unittest

from program import BINARY, ProgramTest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/scaling-study"


def load():
    loader = importlib.machinery.SourceFileLoader("scaling_study", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("scaling_study", loader))
    loader.exec_module(module)
    return module


study = load()


class StatisticsTest(unittest.TestCase):
    def test_medians_and_their_intervals(self):
        self.assertEqual(study.median_of([3, 1, 2])[:3], (2, 1, 3))
        self.assertEqual(study.median_of([4, 1, 2, 3])[:3], (2.5, 1, 4))
        self.assertEqual(study.median_of([5.0])[:4], (5, 5, 5, 0))
        # All of 6 samples hold the median unless all are on one side of it: 1 - 2/64; of 9 the inner 7 do: 1 - 2*10/512.
        self.assertEqual(study.median_of(range(6)), (2.5, 0, 5, 1 - 2 / 64))
        self.assertEqual(study.median_of(range(9)), (4, 1, 7, 1 - 20 / 512))

    def test_the_interval_holds_the_median_as_often_as_it_says(self):
        draw, held, promised = random.Random(1), 0, 0
        for _ in range(4000):
            median = study.median_of([draw.expovariate(1) for _ in range(11)])
            held += median.low <= math.log(2) <= median.high
            promised = median.confidence
        self.assertAlmostEqual(held / 4000, promised, delta=0.015)

    def test_powers_are_found_again(self):
        rows = [2**i for i in range(10, 18)]
        for c in (1.0, 2.0, 2.97):
            power = study.fit_power([(n, 3e-9 * n**c) for n in rows])
            self.assertAlmostEqual(power.c, c, places=9)
            self.assertLess(power.error, 1e-6)
            total = study.fit_start_and_power([(n, 0.2 + 3e-9 * n**c) for n in rows])
            self.assertAlmostEqual(total.c, c, delta=0.006)
            self.assertAlmostEqual(total.a, 0.2, delta=0.01)

    def test_the_interval_of_an_exponent_holds_it(self):
        draw, held = random.Random(2), 0
        for _ in range(1000):
            power = study.fit_power([(n, n * math.exp(draw.gauss(0, 0.1))) for n in (1, 2, 4, 8, 16)])
            held += abs(power.c - 1) <= power.error
        self.assertAlmostEqual(held / 1000, 0.95, delta=0.03)

    def test_where_curves_cross(self):
        where = study.crossing(study.Power(0, 1e-6, 1), study.Power(0, 1e-9, 2))
        self.assertAlmostEqual(where, 1000, places=6)
        self.assertIsNone(study.crossing(study.Power(0, 1.0, 2), study.Power(0, 1e-9, 1)))


def sample_of(name, rows, ranks, noise=1.0):
    """What a machine of known rates would report of a solve."""
    computing, files, rest = 0.01 + 2e-6 * rows / ranks, 0.002 + 500 * rows / ranks / 2e9, 0.05 + 1e-8 * rows / ranks
    reduce = (ranks - 1) / ranks * 1.5 * 3e5 / 1.5e9
    seconds = {"read": files / 4, "measure": computing / 8, "aggregate": computing / 2, "reduce": reduce,
               "evaluate": computing * 3 / 8, "write": files * 3 / 4}
    run = {"ranks": ranks, "seconds": {phase: noise * value for phase, value in seconds.items()}, "bytes_reduced": 3e5,
           "bytes_read": 400 * rows, "bytes_written": 100 * rows}
    run["seconds"]["total"] = sum(run["seconds"].values()) + noise * rest
    point = study.Point(name, 2, "polynomial", rows, ranks, 1, 8, 5, 1e-6)
    return {**point._asdict(), "program": "kronattn", "cpu": "one", "time": "now", "run": run}


class ModelTest(unittest.TestCase):
    SIZES = [2**i for i in range(14, 21)]

    def test_it_is_found_again_and_holds_where_it_was_not_fitted(self):
        samples = [sample_of("growth", n, 2) for n in self.SIZES] + [sample_of("strong", 10**6, p) for p in (1, 2, 4)]
        model, machine, seen, held = study.model_of(study.Study(samples), 2)
        self.assertEqual([point.rows for point in seen], self.SIZES[::2])
        self.assertAlmostEqual(model.computing.b / 2e-6, 1)
        self.assertAlmostEqual(model.computing.a, 0.01)
        self.assertAlmostEqual(1 / model.files.b / 2e9, 1)
        self.assertEqual(model.bytes_a_row, 500)
        self.assertAlmostEqual(machine.bandwidth / 1.5e9, 1)
        self.assertEqual(sorted(point.rows for point, *_ in held), sorted([*self.SIZES[1::2], *3 * [10**6]]))
        for point, measured, predicted in held:
            self.assertAlmostEqual(predicted / measured, 1)

    def test_what_it_is_off_by_is_said(self):
        samples = [sample_of("growth", n, 2) for n in self.SIZES] + [sample_of("strong", 10**6, 1, noise=1.25)]
        modelled = study.model_of(study.Study(samples), 2)
        lines = "\n".join(study.model_tables(2, modelled, study.network_of("1e-6,1e10,1e12")))
        self.assertIn("| strong | 1 | 1000000 |", lines)
        self.assertIn(" -20.0% |", lines)
        self.assertIn("off by 0.0% in the median, 20.0% at most", lines)

    def test_where_the_reduction_dominates(self):
        network = study.Network(1e-6, 1e10, 1e12)
        model = study.fit_model([(study.point_of(s), [s]) for s in (sample_of("growth", n, 2) for n in self.SIZES)])
        where = study.dominates_from(model, 10**9, network)
        for ranks, dominates in ((where // 1.2, False), (where, True)):
            self.assertEqual(network.reduction(2, 3e5, ranks) > 2e-6 * 1e9 / ranks, dominates)
        # Order 3: two modes of 1000 bytes, and 500 bytes of products, 3/4 of each.
        self.assertAlmostEqual(network.reduction(3, 2000, 4), 6e-6 + 0.75 * 2500 / 1e10)


class StudyTest(ProgramTest):
    def run_study(self, *options, code=0):
        command = [sys.executable, SCRIPT, "study", *options]
        done = subprocess.run(command, cwd=self.folder, env={**os.environ, "KRONATTN": BINARY}, text=True,
                              capture_output=True, timeout=600)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def samples(self):
        lines = (self.folder / "study/samples.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def test_a_study_in_small_goes_on_where_it_was_stopped(self):
        small = ("--quick", "--orders", "2", "--largest", "16384", "--rows", "2000", "--repeats", "2", "--ranks", "1,2")
        self.run_study(*small, "--studies", "growth", "--only", "measure")
        first = self.samples()
        self.assertEqual(len(first), 2 * (3 + 4))
        for sample in first:
            self.assertEqual(sample["run"]["ranks"], sample["ranks"])
            self.assertEqual(sample["problem"]["queries"], sample["rows"])
            self.assertEqual(sample["plan"]["method"], sample["method"])
            for name in ("cpu", "command", "time", "load", "host", "certificate"):
                self.assertIsNotNone(sample[name])
        path = self.folder / "study/samples.jsonl"
        whole = path.read_text()
        path.write_text(whole[:-len(whole.splitlines()[-1]) // 2])  # killed in the middle of a line
        again = self.run_study(*small)
        self.assertIn("11 points, 9 of 22 samples to measure", again.stdout)
        report = (self.folder / "study/report.md").read_text()
        for words in ("strong, order 2", "weak, order 2", "growth in n, order 2", "exact: computing grows like n^",
                      "performance model, order 2", "The fit saw none of these"):
            self.assertIn(words, report)
        for name in ("growth-order2", "model-order2", "efficiency", "phases"):
            self.assertIn(f"![{name}]({name}.svg)", report)
            self.assertEqual((self.folder / f"study/{name}.png").read_bytes()[:4], b"\x89PNG")
            self.assertIn("<svg", (self.folder / f"study/{name}.svg").read_text()[:1000])
        self.assertEqual(sorted(p.name for p in (self.folder / "study").iterdir() if p.is_dir()), [])
        done = self.run_study(*small)
        self.assertIn(" 0 of 22 samples", done.stdout)

    def test_all_points_of_an_order_are_measured_in_turn(self):
        self.run_study("--quick", "--orders", "2", "--studies", "weak", "--rows", "2000", "--repeats", "3", "--ranks", "1,2",
                       "--only", "measure")
        self.assertEqual([sample["rows"] for sample in self.samples()], 3 * [2000, 4000])

    def test_mistakes_and_failures_are_told_in_a_line(self):
        for options, words in ((("--studies", "stronk"), "stronk"), (("--orders", "1"), "orders begin with 2"),
                               (("--ranks", "0"), "--ranks"), (("--network", "1e-6,1e9"), "need LATENCY,BANDWIDTH,FILES"),
                               (("--network", "0,1,1"), "above 0")):
            self.assertIn(words, self.run_study(*options, code=2).stderr)
        self.assertEqual(self.run_study("--only", "report", code=1).stderr, "tools/scaling-study: study has no samples\n")
        failed = self.run_study("--quick", "--studies", "weak", "--orders", "2", "--degree", "9999", code=1)
        self.assertRegex(failed.stderr, "^tools/scaling-study: kronattn: .*degree.*\n$")


if __name__ == "__main__":
    unittest.main()
