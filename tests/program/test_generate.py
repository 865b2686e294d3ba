"""`kronattn generate`: the datasets it writes, their ranges and laws, and that they do not depend on the ranks."""
import unittest

import numpy as np

from program import ProgramTest, read_datasets, run


class Generate(ProgramTest):
    def generate(self, *options, ranks=None, name="problem.h5"):
        """The datasets of a file just generated, and deleted again."""
        path = self.folder / name
        self.assert_succeeded(run("generate", "-o", path, *options, ranks=ranks))
        self.assertEqual(list(self.folder.glob("*.partial*")), [])
        datasets = read_datasets(path)
        path.unlink()
        return datasets

    def assert_shapes(self, datasets, dtype=np.float64, **shapes):
        self.assertEqual({name: data.shape for name, data in datasets.items()}, shapes)
        self.assertEqual({data.dtype for data in datasets.values()}, {np.dtype(dtype)})

    def test_rows_and_width_shape_every_dataset(self):
        datasets = self.generate("--order", 3, "--rows", 50, "--width", 4)
        self.assert_shapes(datasets, **dict.fromkeys(("Q", "K1", "V1", "K2", "V2"), (50, 4)))

    def test_key_rows_value_width_heads_and_precision_shape_their_datasets(self):
        datasets = self.generate("--order", 4, "--rows", 50, "--width", 4, "--key-rows", "30,40,1", "--value-width", 6,
                                 "--heads", 2, "--precision", "single", ranks=3)
        self.assert_shapes(datasets, np.float32, Q=(2, 50, 4), K1=(2, 30, 4), V1=(2, 30, 6), K2=(2, 40, 4),
                           V2=(2, 40, 6), K3=(2, 1, 4), V3=(2, 1, 6))

    def test_order_two_has_one_mode(self):
        datasets = self.generate("--order", 2, "--rows", 20, "--width", 3)
        self.assertIn(set(datasets), ({"Q", "K1", "V1"}, {"Q", "K", "V"}))

    def test_signal_values_depend_on_the_keys(self):
        """V_m[j,c] = K_m[j, c mod d] / B, also where V has more columns than K, by option and by default."""
        for precision, options in (("double", ()), ("single", ("--values", "signal"))):
            with self.subTest(precision=precision):
                datasets = self.generate("--order", 3, "--rows", 40, "--width", 4, "--value-width", 6, "--bound", 1.7,
                                         "--precision", precision, *options)
                for mode in "12":
                    expected = datasets["K" + mode][:, np.arange(6) % 4] / np.float64(1.7)
                    tolerance = 4 * np.finfo(datasets["V" + mode].dtype).eps
                    np.testing.assert_allclose(datasets["V" + mode], expected, rtol=tolerance)

    def test_uniform_entries_fill_their_range_evenly(self):
        datasets = self.generate("--order", 3, "--rows", 4000, "--width", 5, "--bound", 1.7, "--values", "uniform")
        for name, data in datasets.items():
            with self.subTest(name):
                bound = 1 if name.startswith("V") else 1.7
                self.assertLessEqual(np.abs(data).max(), bound)
                counts, _ = np.histogram(data, bins=8, range=(-bound, bound))
                np.testing.assert_allclose(counts / data.size, 1 / 8, atol=0.012)  # 5 standard deviations

    def test_no_two_rows_datasets_or_heads_repeat(self):
        datasets = self.generate("--order", 3, "--rows", 500, "--width", 3, "--values", "uniform", "--heads", 3, ranks=3)
        rows = np.concatenate([data.reshape(-1, 3) for data in datasets.values()])
        self.assertEqual(len(np.unique(rows, axis=0)), len(rows))
        flat = np.stack([data[head].ravel() for data in datasets.values() for head in range(3)])
        self.assertLess(np.abs(np.corrcoef(flat) - np.eye(len(flat))).max(), 0.15)  # 5 standard deviations

    def test_gaussian_entries_crowd_around_zero_within_the_bound(self):
        datasets = self.generate("--order", 2, "--rows", 2000, "--width", 4, "--bound", 2.5, "--distribution", "gaussian")
        for data in (data for name, data in datasets.items() if not name.startswith("V")):
            self.assertLessEqual(np.abs(data).max(), 2.5)
            self.assertGreater((np.abs(data) < 1.25).mean(), 0.6)  # uniform: 0.5
            self.assertLess(abs(data.mean()), 0.15)

    def test_rows_on_a_sphere_have_one_norm(self):
        datasets = self.generate("--order", 3, "--rows", 300, "--width", 4, "--bound", 1.5, "--distribution", "sphere")
        for name in ("Q", "K1", "K2"):
            norms = np.linalg.norm(datasets[name], axis=1)
            np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
            self.assertLessEqual(np.abs(datasets[name]).max(), 1.5)
            self.assertLess(np.abs(datasets[name].mean(axis=0)).max(), 0.3)

    def test_the_datasets_are_the_same_at_any_number_of_ranks(self):
        for distribution in ("uniform", "gaussian", "sphere"):
            with self.subTest(distribution):
                runs = [self.generate("--order", 3, "--rows", 1201, "--key-rows", "2,1033", "--width", 3, "--heads", 2,
                                      "--seed", 7, "--distribution", distribution, ranks=ranks) for ranks in (None, 2, 3)]
                for datasets in runs[1:]:
                    self.assertEqual({name: data.tobytes() for name, data in datasets.items()},
                                     {name: data.tobytes() for name, data in runs[0].items()})

    def test_another_seed_gives_other_entries(self):
        one, other = (self.generate("--order", 2, "--rows", 30, "--width", 3, "--seed", seed) for seed in (1, 2))
        for name in one:
            self.assertFalse(np.isin(one[name], other[name]).any(), name)

    def test_an_existing_file_is_replaced_only_with_overwrite(self):
        path = self.folder / "problem.h5"
        path.write_text("precious")
        arguments = ("generate", "--order", 2, "--rows", 30, "--width", 3, "-o", path)
        self.assert_failed(run(*arguments, ranks=2), 1, "problem.h5", "--overwrite")
        self.assertEqual(path.read_text(), "precious")
        self.assert_succeeded(run(*arguments, "--overwrite", ranks=2))
        self.assertEqual(read_datasets(path)["Q"].shape, (30, 3))


if __name__ == "__main__":
    unittest.main()
