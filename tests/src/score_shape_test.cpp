#include "score_shape.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

TEST(ScoreShape, OfNormalScoresHasHermiteNodes) {
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal(0, 1);
  const Matrix queries = testing::random_matrix(64, 30, [&] { return normal(generator); });
  const Matrix keys = testing::random_matrix(4096, 30, [&] { return normal(generator); });
  const ScoreShape shape({queries, {keys}}, 0.1);
  EXPECT_NEAR(shape.nodes(1)[0], 0, 0.02);
  EXPECT_NEAR(shape.node_mean(1), 1, 1e-9);
  EXPECT_NEAR(shape.nodes(2)[1], 1, 0.03);
  EXPECT_NEAR(shape.node_mean(2), 2, 0.2);  // m! of the monic Hermite polynomials
  EXPECT_NEAR(shape.nodes(3)[2], std::sqrt(3.0), 0.1);
  EXPECT_NEAR(shape.node_mean(3), 6, 1.5);
}

TEST(ScoreShape, KnowsMeanAndDeviationOfARow) {
  for (const std::vector<Index>& keys : {std::vector<Index>{300}, {20, 15}, {7, 8, 5}}) {
    testing::Problem problem = testing::random_problem(keys, 10, 4, 1, testing::Uniform(2, -0.5, 1));
    problem.scale = -0.7;
    const ScoreShape shape({problem.queries, problem.keys}, problem.scale);
    const ScoreShape::Spread spread = shape.spread(problem.queries);
    for (Index i = 0; i < 10; ++i) {
      long double count = 0, sum = 0, squares = 0;
      testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>&) {
        count += 1, sum += score, squares += score * score;
      });
      EXPECT_NEAR(spread.mean(i), static_cast<double>(sum / count), 1e-12);
      EXPECT_NEAR(spread.deviation(i),
                  static_cast<double>(std::sqrt(squares / count - sum * sum / count / count)), 1e-9);
    }
  }
}

TEST(ScoreShape, OfTwoScoresInterpolatesBoth) {
  const Matrix queries = Matrix::Ones(1, 1);
  Matrix keys(2, 1);
  keys << -3, 5;
  const ScoreShape shape({queries, {keys}}, 1);
  EXPECT_NEAR(shape.nodes(2)[0], -1, 1e-12);
  EXPECT_NEAR(shape.nodes(2)[1], 1, 1e-12);
  EXPECT_NEAR(shape.node_mean(2), 0, 1e-12);
  EXPECT_EQ(shape.nodes(5).size(), 2u);
}

TEST(ScoreShape, TakesScoresThatAreAllAlikeAndNoQueries) {
  for (Index queries : {0, 3}) {
    const ScoreShape shape({Matrix::Zero(queries, 2), {Matrix::Ones(9, 2)}}, 1);
    for (Index m = 0; m <= ScoreShape::most_nodes; ++m) EXPECT_TRUE(std::isfinite(shape.node_mean(m)));
  }
}

}  // namespace
}  // namespace kronattn
