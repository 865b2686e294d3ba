"""--memory-per-rank: kept, at the same bits; where it can't be kept, an error before the work with the number needed.

Peak memory does not grow with the number of rows.
"""
import re
import unittest

import h5py
import numpy as np

from program import ProgramTest, random_problem, read_datasets, read_result, run, write_problem

MEBIBYTE = 2**20


class Memory(ProgramTest):
    def write(self, *sizes, name="problem.h5", **options):
        layout = {key: options.pop(key) for key in ("chunks", "compression", "dtype") if key in options}
        return write_problem(self.folder / name, *random_problem(*sizes, **options), **layout)

    def solve(self, path, *options, ranks=2, threads=2):
        output = self.folder / "result.h5"
        env = {"OMPI_MCA_odls_base_sigkill_timeout": "0"}  # mpirun waits no longer after a failure
        return run("solve", path, "-o", output, "--overwrite", *options, ranks=ranks, threads=threads, env=env), output

    def peak(self, *arguments, **places):
        outcome, output = self.solve(*arguments, **places)
        self.assert_succeeded(outcome)
        return read_result(output).report["run"]["peak_rss_bytes"]

    def assert_kept(self, path, *options, **places):
        """Follows what the messages ask for, to the first size that is enough, which is returned, in MiB."""
        size = 1
        for _ in range(6):
            outcome, output = self.solve(path, *options, "--memory-per-rank", f"{size}M", **places)
            if outcome.code == 0:
                self.assertLessEqual(read_result(output).report["run"]["peak_rss_bytes"], size * MEBIBYTE)
                return size
            self.assert_failed(outcome, 1, "problem.h5", rf"--memory-per-rank is {size} MiB")
            size = max(size + 1, int(re.search(r"needs (\d+) MiB", outcome.stderr)[1]))
        self.fail(f"{size} MiB are not enough")

    def assert_kept_at_the_same_bits(self, path, *options):
        outcome, output = self.solve(path, *options)
        self.assert_succeeded(outcome)
        free = read_result(output)
        self.assert_kept(path, *options)
        self.assertEqual(read_result(output).bits(), free.bits())

    def test_a_polynomial_solve_keeps_what_it_may_take(self):
        self.assert_kept_at_the_same_bits(self.write(2, 60000, 50000, 6, 10), "--method", "polynomial")

    def test_an_exact_solve_keeps_what_it_may_take(self):
        self.assert_kept_at_the_same_bits(self.write(2, 20000, 3000, 3, 3, heads=2), "--method", "exact")

    def test_sums_that_are_larger_than_all_blocks_keep_what_they_may_take(self):
        self.assert_kept_at_the_same_bits(self.write(3, 600, (700, 800), 10, 12), "--method", "polynomial", "--epsilon",
                                          "1e-9")

    def test_chunks_are_counted(self):
        """A compressed chunk of 16 MB has to be inflated as a whole."""
        problem = random_problem(2, 250000, 2000, 8)
        contiguous = write_problem(self.folder / "problem.h5", *problem)
        least = self.assert_kept(contiguous, "--method", "polynomial", ranks=None)
        with h5py.File(contiguous, "r+") as file:
            del file["Q"]
            file.create_dataset("Q", data=problem.queries, compression="gzip", compression_opts=1, chunks=(250000, 8))
        self.assertGreater(self.assert_kept(contiguous, "--method", "polynomial", ranks=None), least + 16)

    def test_peak_memory_does_not_grow_with_the_number_of_rows(self):
        # Of the exact method, each of two ranks has as many rows in flight as it ever has at a time.
        for method, rows, keys in (("polynomial", 400000, 400000), ("exact", 33000, 3000)):
            with self.subTest(method):
                peaks = []
                for times in (1, 4):
                    path = self.folder / f"{method} {times}.h5"
                    self.assert_succeeded(run("generate", "--rows", times * rows, "--key-rows", times * keys, "--width", 4,
                                              "--precision", "single", "-o", path))
                    peaks.append(self.peak(path, "--method", method))
                self.assertLess(peaks[1], peaks[0] + 4 * MEBIBYTE)

    def test_other_commands_say_what_they_need(self):
        path = self.write(2, 3000, 2000, 4)
        result = self.folder / "result.h5"
        self.assert_succeeded(run("solve", path, "-o", result))
        for arguments in (("plan", path), ("plan", "--rows", "1000", "--width", "4"), ("verify", path, result),
                          ("generate", "--rows", "1000", "--width", "4", "-o", self.folder / "new.h5")):
            with self.subTest(arguments[0]):
                self.assert_failed(run(*arguments, "--memory-per-rank", "1M", ranks=None), 1, r"needs \d+ MiB")
                self.assert_succeeded(run(*arguments, "--memory-per-rank", "200M", ranks=None))

    def test_verify_checks_all_rows_in_little_memory(self):
        path = self.write(2, 6000, 500, 4)
        result = self.folder / "result.h5"
        self.assert_succeeded(run("solve", path, "-o", result))
        self.assert_succeeded(run("verify", path, result, "--rows", "all", "--memory-per-rank", "64M", ranks=2))

    def test_a_synthetic_problem_is_the_same_in_any_memory(self):
        contents = []
        for number, memory in enumerate(("48M", "1G")):
            path = self.folder / f"{number}.h5"
            self.assert_succeeded(run("generate", "--rows", "40000", "--width", "5", "--memory-per-rank", memory, "-o", path,
                                      ranks=2))
            contents.append(read_datasets(path))
        for name, data in contents[0].items():
            np.testing.assert_array_equal(data, contents[1][name])

    def test_sizes_that_make_no_sense_are_refused(self):
        path = self.write(2, 30, 20, 3)
        for size in ("0", "-1G", "much", "1X", "nan", "G"):
            outcome, _ = self.solve(path, "--memory-per-rank", size, ranks=None)
            self.assert_failed(outcome, 2, "--memory-per-rank")


if __name__ == "__main__":
    unittest.main()
