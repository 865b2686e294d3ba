// Whatever the problem: no error above its bound, no bound above the promise. By the whole solve, rows done
// again included.
#include <cmath>

#include "attention.hpp"
#include "families.hpp"
#include "mpi_main.hpp"

namespace kronattn {
namespace {

/// Column c of the first values: the sign of what the row c's weights are off by from a polynomial of low
/// degree, the worst that values can do to it.
testing::Problem with_adversarial_values(testing::Problem problem) {
  for (Matrix& mode : problem.values) mode.setOnes();
  for (Index c = 0; c < problem.values[0].cols(); ++c) {
    Vector sums = Vector::Zero(problem.keys[0].rows());
    testing::for_each_tuple(problem, c, [&](long double score, const std::vector<Index>& j) {
      sums(j[0]) += static_cast<double>(std::exp(score) - (1 + score + score * score / 2));
    });
    problem.values[0].col(c) = sums.unaryExpr([](double sum) { return sum < 0 ? -1.0 : 1.0; });
  }
  return problem;
}

TEST(Promise, IsKeptOnEveryRowOfEveryFamily) {
  const Communicator comm;
  Index problems = 0, refused = 0;
  for (const auto& [name, family] : testing::families()) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 2; ++seed)
      for (const std::vector<Index>& keys :
           {std::vector<Index>{1}, {300}, {23, 31}, {8, 9, 10}, {4, 3, 5, 4}})
        for (double epsilon : {1e-2, 1e-6, 1e-10})
          for (Method method : {Method::polynomial, Method::automatic}) {
            testing::Problem problem = family(seed, keys, 2 + static_cast<Index>(seed));
            if (seed == 2) problem = with_adversarial_values(problem);
            Wishes wishes;
            wishes.epsilon = epsilon;
            wishes.method = method;
            AttentionInput input;  // rank 0 brings all rows
            input.scale = problem.scale;
            input.keys.resize(keys.size());
            input.values.resize(keys.size());
            if (comm.root()) input = {problem.queries, problem.keys, problem.values, problem.scale};
            ++problems;
            Attention result;
            try {
              result = attention(comm, input, wishes);
            } catch (const AgreedFailure&) {
              ++refused;  // a promise that can't be kept is not given
              continue;
            }
            for (Index i = 0; i < result.output.rows(); ++i) {
              const testing::Truth truth = testing::truth(problem, i);
              long double error = 0;
              for (std::size_t c = 0; c < truth.output.size(); ++c)
                error = std::max(error, std::abs(truth.output[c] - result.output(i, static_cast<Index>(c))));
              const double slack = 1e-17 * problem.promise();  // of the long double reference
              EXPECT_LE(static_cast<double>(error), result.error_bound(i) + slack) << name << " row " << i;
              EXPECT_LE(result.error_bound(i), epsilon * problem.promise()) << name << " row " << i;
              EXPECT_LE(static_cast<double>(std::abs(truth.log_normalizer - result.log_normalizer(i))),
                        epsilon + 1e-15)
                  << name << " row " << i;
              if (error > 0) ratios.push_back(result.error_bound(i) / static_cast<double>(error));
            }
          }
    if (comm.root() && !ratios.empty())
      std::printf("%-28s bound / true error: median %9.3g, smallest %7.3f\n", name.c_str(),
                  testing::median(ratios), *std::min_element(ratios.begin(), ratios.end()));
  }
  EXPECT_GE(problems, 500);
  EXPECT_LE(refused, problems / 3);
}

}  // namespace
}  // namespace kronattn
