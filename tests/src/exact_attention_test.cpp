#include "exact_attention.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

void expect_proven(const Problem& problem, const RowOutputs& outputs) {
  for (Index i = 0; i < problem.queries.rows(); ++i) {
    const testing::Truth truth = testing::truth(problem, i);
    EXPECT_LE(testing::row_error(truth, outputs, i), outputs.error_bound(i)) << "row " << i;
    EXPECT_LE(std::abs(static_cast<double>(truth.log_normalizer - outputs.log_normalizer(i))),
              outputs.log_error(i))
        << "row " << i;
  }
}

TEST(ExactAttention, IsTheDefinitionAtEveryOrder) {
  testing::Uniform uniform(1, -1.5, 1.5);
  for (const std::vector<Index>& keys :
       {std::vector<Index>{1}, {700}, {37, 45}, {530, 3}, {3, 530}, {9, 8, 10}, {4, 5, 3, 4}}) {
    const Problem problem = testing::random_problem(keys, 13, 5, 3, uniform);
    const RowOutputs outputs = testing::solve_exactly(problem);
    expect_proven(problem, outputs);
    EXPECT_LE(outputs.error_bound.maxCoeff(), 1e-11);
  }
}

TEST(ExactAttention, NeverOverflowsForScoresOfAnySize) {
  for (double size : {30.0, 1e3, 1e6, 1e12}) {
    testing::Uniform uniform(2, -1, 1);
    Problem problem = testing::random_problem({40, 30}, 9, 4, 2, uniform);
    problem.scale = size;
    const RowOutputs outputs = testing::solve_exactly(problem);
    EXPECT_TRUE(outputs.output.allFinite());
    expect_proven(problem, outputs);
  }
}

TEST(ExactAttention, OfOrderThreeWithOnesIsOrderTwo) {
  testing::Uniform uniform(3, -2, 2);
  const Problem two = testing::random_problem({600}, 20, 6, 6, uniform);
  Problem three = two;
  three.keys.push_back(Matrix::Ones(1, 6));
  three.values.push_back(Matrix::Ones(1, 6));
  const RowOutputs a = testing::solve_exactly(two), b = testing::solve_exactly(three);
  EXPECT_LE((a.output - b.output).cwiseAbs().maxCoeff(), 1e-14);
  EXPECT_LE((a.log_normalizer - b.log_normalizer).cwiseAbs().maxCoeff(), 1e-14);
}

TEST(ExactAttention, GivesAKeyThatTowersOverTheRestAllTheWeight) {
  Problem problem;
  problem.scale = 1;
  problem.queries = Matrix::Ones(1, 1);
  problem.keys = {Matrix::Zero(1000, 1)};
  problem.keys[0](777, 0) = 500;
  problem.values = {Vector::LinSpaced(1000, 0, 1)};
  const RowOutputs outputs = testing::solve_exactly(problem);
  EXPECT_NEAR(outputs.output(0, 0), 777.0 / 999, 1e-15);
  EXPECT_NEAR(outputs.log_normalizer(0), 500, 1e-12);
}

TEST(ExactAttention, BoundsTheRoundingOfItsOutputToSingle) {
  testing::Uniform uniform(4, -1, 1);
  const Problem problem = testing::random_problem({50}, 10, 3, 3, uniform);
  RowOutputs outputs = testing::solve_exactly(problem, Precision::single_precision);
  outputs.output = outputs.output.cast<float>().cast<double>();
  expect_proven(problem, outputs);
}

}  // namespace
}  // namespace kronattn
