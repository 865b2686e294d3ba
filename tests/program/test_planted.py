"""`kronattn generate --instance`: problems with a known answer, and that attention decides every query of them.

The truth in the file is checked against a search of its own where the search is small; elsewhere the proofs stand beside
the constructions (src/gap_maxip.hpp, src/match.hpp), and tests/src tries them out.
"""
import json
import unittest

import h5py
import numpy as np

from program import ProgramTest, attention, read_datasets, read_result, run


def balanced_error(outputs, truth):
    """Of the best threshold, in the better direction: 1/2 where outputs say nothing about the truth."""
    best = 0.5
    for threshold in np.unique(outputs):
        above = outputs >= threshold
        error = (np.mean(~above[truth == 1]) + np.mean(above[truth == 0])) / 2
        best = min(best, error, 1 - error)
    return best


class Planted(ProgramTest):
    def generate(self, *options, ranks=None, name="problem.h5"):
        path = self.folder / name
        self.assert_succeeded(run("generate", "--instance", *options, "-o", path, "--overwrite", ranks=ranks))
        return path

    def outputs(self, problem, *options, ranks=None, timeout=600):
        result = self.folder / "result.h5"
        self.assert_succeeded(run("solve", problem, "-o", result, "--overwrite", "--quiet", *options, ranks=ranks,
                                  timeout=timeout))
        return read_result(result)

    def assert_decided(self, problem, **options):
        """Every query is on its side of the threshold by far more than it may be off, and within what is proven."""
        result = self.outputs(problem, **options)
        with h5py.File(problem) as file:
            truth, facts = file["truth"][()], dict(file.attrs)
        outputs, bounds = result.output[:, 0], result.error_bound
        self.assertEqual(set(truth), {0.0, 1.0})
        self.assertTrue((outputs + bounds >= facts["yes_at_least"])[truth == 1].all())
        self.assertTrue((outputs - bounds <= facts["no_at_most"])[truth == 0].all())
        self.assertTrue((np.abs(outputs - facts["decide_above"]) > bounds).all())
        self.assertTrue(((outputs > facts["decide_above"]) == (truth == 1)).all())

    def test_gap_maxip_at_order_2_is_decided(self):
        self.assert_decided(self.generate("gap-maxip", "--rows", 10000, "--width", 32))

    def test_gap_maxip_at_order_3_is_decided(self):
        self.assert_decided(self.generate("gap-maxip", "--order", 3, "--rows", 1000, "--width", 32))

    def test_a_hundred_thousand_vectors_are_decided_by_sums_over_sets(self):
        for instance, order in (("gap-maxip", 3), ("gap-maxip-original", 3), ("gap-maxip", 4)):
            with self.subTest(instance, order=order):
                self.assert_decided(self.generate(instance, "--order", order, "--rows", 100000, "--width", 16))

    def test_gap_maxip_at_order_4_is_decided(self):
        self.assert_decided(self.generate("gap-maxip", "--order", 4, "--rows", 50, "--width", 24))

    def test_the_original_reduction_is_decided_by_an_error_far_below_the_outputs(self):
        for order, rows in ((2, 2000), (3, 150)):
            path = self.generate("gap-maxip-original", "--order", order, "--rows", rows, "--width", 32)
            self.assert_decided(path)
            with h5py.File(path) as file:
                self.assertLess(file.attrs["yes_at_least"], 1e-7)  # whoever promises 1e-6 sees nothing
                self.assertAlmostEqual(file.attrs["yes_at_least"] / file.attrs["no_at_most"], 2)

    def test_the_truth_of_gap_maxip_is_that_of_a_search(self):
        for order, rows in ((2, 300), (3, 60)):
            path = self.generate("gap-maxip", "--order", order, "--rows", rows, "--width", 20)
            data = read_datasets(path)
            with h5py.File(path) as file:
                facts = dict(file.attrs)
            self.assertEqual(data["Q"].shape, (rows, 40))
            largest = (data["Q"][:, :20] != 0).astype(int)
            for mode in range(1, order):
                vectors = (data[f"K{mode}"][:rows, :20] != 0).astype(int)
                largest = largest[..., None, :] * vectors
            largest = largest.sum(axis=-1).reshape(rows, -1).max(axis=1)
            np.testing.assert_array_equal(data["truth"] == 1, largest >= facts["t"])
            self.assertTrue((largest <= (1 - facts["gap_epsilon"]) * facts["t"] + 1e-9)[data["truth"] == 0].all())
            kappa = facts["kappa"]
            self.assertAlmostEqual(kappa**order, 40 * np.log(81 * float(rows)**(order - 1))
                                   / (facts["gap_epsilon"] * facts["t"]))
            self.assertEqual(np.abs(data["Q"]).max(), facts["bound"])

    def test_match_is_decided(self):
        for options in (("match3", "--rows", 60, "--modulus", 997), ("match2", "--rows", 500, "--modulus", 50),
                        ("matchk", "--order", 4, "--rows", 40, "--modulus", 30),
                        ("matchk", "--order", 5, "--rows", 12, "--modulus", 60)):
            with self.subTest(options):
                self.assert_decided(self.generate(*options))

    def test_match3_of_two_thousand_tokens_is_decided(self):
        self.assert_decided(self.generate("match3", "--rows", 2000, "--modulus", 50))

    def test_the_truth_of_match3_is_that_of_counted_residues(self):
        path = self.generate("match3", "--rows", 2000, "--modulus", 50)
        data = read_datasets(path)
        counts = np.bincount(data["tokens"].astype(int), minlength=50)
        pairs = np.rint(np.fft.ifft(np.fft.fft(counts)**2).real)  # pairs[r] pairs sum to r mod M
        matches = pairs[-data["tokens"].astype(int) % 50]
        np.testing.assert_array_equal(data["truth"] == 1, matches > 0)
        self.assertEqual(counts[0], 0)
        self.assertTrue((counts * counts[-np.arange(50) % 50] == 0).all())  # no two tokens sum to 0

    def test_order_2_fails_on_the_tokens_that_order_3_decides(self):
        """One head of order 2, the one that decides Match2, over many sequences: its best threshold is near chance."""
        outputs, truths = {2: [], 3: []}, []
        for seed in range(1, 16):
            sequence = ("--rows", 60, "--modulus", 997, "--relation", 3, "--seed", seed)
            tokens = []
            for order in outputs:
                path = self.generate("matchk", "--order", order, *sequence)
                data = read_datasets(path)
                tokens.append((data["tokens"], data["truth"]))
                outputs[order].append(attention(data["Q"], [data[f"K{m}"] for m in range(1, order)],
                                                [data[f"V{m}"] for m in range(1, order)])[0][:, 0])
            np.testing.assert_array_equal(tokens[0], tokens[1])
            truths.append(tokens[0][1])
        truth = np.concatenate(truths)
        self.assertEqual(balanced_error(np.concatenate(outputs[3]), truth), 0)
        self.assertGreater(balanced_error(np.concatenate(outputs[2]), truth), 0.4)

    def test_the_datasets_are_the_same_at_any_number_of_ranks(self):
        for options in (("gap-maxip", "--order", 3, "--rows", 2100, "--width", 8),
                        ("match3", "--rows", 3100, "--modulus", 50)):
            runs = [read_datasets(self.generate(*options, ranks=ranks)) for ranks in (None, 2, 3)]
            self.assertIn("truth", runs[0])
            for datasets in runs[1:]:
                self.assertEqual({name: data.tobytes() for name, data in datasets.items()},
                                 {name: data.tobytes() for name, data in runs[0].items()})

    def test_the_plan_says_what_a_polynomial_would_take(self):
        outcome = run("plan", "--instance", "gap-maxip", "--order", 3, "--rows", 1000, "--width", 32, "--method",
                      "polynomial", "--epsilon", 0.1, ranks=None)
        self.assert_failed(outcome, 1, r"without rounding degree \d+ at rank \d[.\d]*e\+2\d would do")
        report = self.folder / "plan.json"
        self.assert_succeeded(run("plan", "--instance", "gap-maxip", "--rows", 200000, "--width", 32, "--report", report,
                                  ranks=None))
        plan = json.loads(report.read_text())
        self.assertEqual((plan["plan"]["method"], plan["problem"]["queries"], plan["problem"]["keys"]),
                         ("exact", 200000, [400000]))


if __name__ == "__main__":
    unittest.main()
