// The polynomial method from measurement to outputs, against the definition and against identities.
#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

TEST(PolynomialAttention, IsTheDefinitionWithThePolynomialInExpsPlace) {
  testing::Uniform uniform(1, -1, 1.3);
  for (const std::vector<Index>& keys : {std::vector<Index>{1100}, {40, 70}, {7, 9, 11}, {3, 4, 5, 6}})
    for (Index degree : {0, 1, 3, 6}) {
      const Problem problem = testing::random_problem(keys, 17, 4, 3, uniform);
      const ExpPolynomial polynomial =
          chebyshev_polynomial(degree, testing::measure(problem).queries.score_bound);
      const RowOutputs outputs = testing::solve_polynomial(problem, degree);
      for (Index i = 0; i < problem.queries.rows(); ++i) {
        const testing::Truth direct = testing::truth(problem, i, [&](long double score) {
          long double sum = 0;
          for (std::size_t m = polynomial.coefficients.size(); m-- > 0;)
            sum = sum * (score / polynomial.score_bound) + polynomial.coefficients[m];
          return sum;
        });
        EXPECT_LE(testing::row_error(direct, outputs, i), 2e-13)
            << "order " << keys.size() + 1 << " degree " << degree;
      }
    }
}

TEST(PolynomialAttention, OfOrderThreeWithOnesIsOrderTwo) {
  testing::Uniform uniform(2, -1, 1);
  Problem two = testing::random_problem({800}, 150, 5, 4, uniform);
  two.queries.row(0)
      .setOnes();  // the largest score is then the box's corner at both orders: the same polynomial
  two.keys[0].row(0).setOnes();
  Problem three = two;
  three.keys.push_back(Matrix::Ones(1, 5));
  three.values.push_back(Matrix::Ones(1, 4));
  const RowOutputs a = testing::solve_polynomial(two, 5), b = testing::solve_polynomial(three, 5);
  EXPECT_LE((a.output - b.output).cwiseAbs().maxCoeff(), 1e-14);
  EXPECT_LE((a.log_normalizer - b.log_normalizer).cwiseAbs().maxCoeff(), 1e-14);
}

TEST(PolynomialAttention, OfConstantValuesIsThatConstant) {
  testing::Uniform uniform(3, -1, 1);
  Problem problem = testing::random_problem({300, 200}, 40, 4, 2, uniform);
  problem.values[0].setConstant(-7.5);
  problem.values[1].setConstant(1e5);
  const RowOutputs outputs = testing::solve_polynomial(problem, 4);
  EXPECT_LE((outputs.output.array() / -7.5e5 - 1).abs().maxCoeff(), 1e-15);
}

TEST(PolynomialAttention, DoesNotCareForTheOrderOfKeys) {
  testing::Uniform uniform(4, -1, 1);
  const Problem problem = testing::random_problem({1500}, 60, 4, 4, uniform);
  Problem shuffled = problem;
  for (Index j = 0; j < 1500; ++j) {
    const Index other = (j * 707 + 13) % 1500;
    shuffled.keys[0].row(other) = problem.keys[0].row(j);
    shuffled.values[0].row(other) = problem.values[0].row(j);
  }
  const RowOutputs a = testing::solve_polynomial(problem, 6), b = testing::solve_polynomial(shuffled, 6);
  EXPECT_LE((a.output - b.output).cwiseAbs().maxCoeff(), 1e-14);
}

TEST(PolynomialAttention, TakesShortWideAndSingleShapes) {
  testing::Uniform uniform(5, -1, 1);
  for (const auto& [keys, queries, width, value_width] :
       {std::tuple<std::vector<Index>, Index, Index, Index>{{1}, 1, 1, 1},
        {{2, 700}, 3, 1, 5},
        {{513}, 129, 9, 1}}) {
    const Problem problem = testing::random_problem(keys, queries, width, value_width, uniform);
    const RowOutputs outputs = testing::solve_polynomial(problem, 8);
    for (Index i = 0; i < queries; ++i)
      EXPECT_LE(testing::row_error(testing::truth(problem, i), outputs, i), outputs.error_bound(i));
    EXPECT_LE(outputs.error_bound.maxCoeff(), 1e-4);
  }
}

TEST(PolynomialAttention, SurvivesModesScaledAgainstEachOther) {
  testing::Uniform uniform(6, 0.25, 1);
  const Problem problem = testing::random_problem({60, 50}, 20, 3, 3, uniform);
  Problem scaled = problem;
  scaled.queries *= 0x1p150;
  scaled.keys[0] *= 0x1p-300;
  scaled.keys[1] *= 0x1p150;
  const RowOutputs a = testing::solve_polynomial(problem, 4), b = testing::solve_polynomial(scaled, 4);
  EXPECT_EQ(a.output, b.output);
}

}  // namespace
}  // namespace kronattn
