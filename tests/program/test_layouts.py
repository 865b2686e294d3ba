"""The same bits over layouts: 1 to 8 ranks, 1 to 3 threads, every algorithm of Open MPI's sums, memory of several sizes,
for problems of both methods and of both mixed, heads, all types and storages of files.

Each problem goes through a list in which every number of ranks, of threads, algorithm and size of memory occurs;
KRONATTN_LAYOUTS=all goes through all combinations, which takes an hour or two.
"""
import itertools
import os
import unittest

import numpy as np

from program import ProgramTest, random_problem, read_result, run, write_problem

# Of allreduce. 0: MPI chooses; linear, nonoverlapping, recursive doubling, ring, segmented ring, Rabenseifner. Of
# reduce-scatter, by which the key sums are shared out: MPI chooses; nonoverlapping, recursive halving, ring, butterfly.
ALGORITHMS, SHARING_ALGORITHMS = range(7), 5
MEMORY = (None, "100M", "150M", "400M")

# ranks, threads, algorithm of allreduce, memory of a rank
LAYOUTS = ((1, 3, 0, None), (2, 1, 1, "100M"), (3, 2, 2, "150M"), (4, 1, 3, "400M"), (5, 3, 4, "100M"), (6, 1, 5, None),
           (7, 2, 6, "150M"), (8, 1, 0, "100M"))
if os.environ.get("KRONATTN_LAYOUTS") == "all":
    LAYOUTS = tuple(itertools.product(range(1, 9), range(1, 4), ALGORITHMS, MEMORY))


class Layouts(ProgramTest):
    compared = 0

    def assert_same_bits(self, problem, *options, method, **layout):
        path, output = write_problem(self.folder / "problem.h5", *problem, **layout), self.folder / "result.h5"
        first = None
        for ranks, threads, algorithm, memory in ((1, 1, 0, None), *LAYOUTS):
            env = {"OMPI_MCA_coll_tuned_use_dynamic_rules": "1",
                   "OMPI_MCA_coll_tuned_allreduce_algorithm": str(algorithm),
                   "OMPI_MCA_coll_tuned_reduce_scatter_algorithm": str(algorithm % SHARING_ALGORITHMS)}
            limit = () if memory is None else ("--memory-per-rank", memory)
            outcome = run("solve", path, "-o", output, "--overwrite", *options, *limit, ranks=ranks, threads=threads, env=env)
            with self.subTest(ranks=ranks, threads=threads, algorithm=algorithm, memory=memory):
                self.assert_succeeded(outcome)
                result = read_result(output)
                first = first or result
                self.assertEqual(result.bits(), first.bits())
                Layouts.compared += 1
        self.assertEqual(first.report["plan"]["method"], method)
        return first

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.compared} layouts compared", flush=True)

    def test_the_polynomial_method(self):
        self.assert_same_bits(random_problem(2, 4200, 4700, 5, 3), "--method", "polynomial", method="polynomial")

    def test_order_three_in_single_precision_and_compressed_chunks(self):
        problem = random_problem(3, 2100, (600, 1300), 4, 3)
        self.assert_same_bits(problem, method="polynomial", dtype=">f4", chunks=True, compression="gzip", shuffle=True)

    def test_the_exact_method_over_heads(self):
        self.assert_same_bits(random_problem(2, 700, 1100, 4, heads=2), "--method", "exact", method="exact", chunks=(1, 100, 2))

    def test_the_exact_method_in_single_precision(self):
        first = self.assert_same_bits(random_problem(3, 70, (600, 300), 4), "--method", "exact", "--precision", "single",
                                      "--epsilon", "1e-3", method="exact")
        self.assertEqual(first.report["plan"]["precision"], "single")

    def test_rows_of_a_polynomial_problem_that_are_summed_exactly(self):
        problem = random_problem(3, 2100, (600, 700), 4, 3)
        problem.queries[::400] *= 100
        first = self.assert_same_bits(problem, method="mixed")
        self.assertGreater(first.report["certificate"]["rows_recomputed_exactly"], 0)

    def test_heads_of_either_method_with_fewer_rows_than_ranks(self):
        problem = random_problem(3, 5, (300, 700), 4, 3, heads=2)
        problem.queries[1] *= 100
        self.assert_same_bits(problem, method="exact", dtype=np.float32)


if __name__ == "__main__":
    unittest.main()
