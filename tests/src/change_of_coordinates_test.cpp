#include "change_of_coordinates.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

Matrix random_rotation(Index d, std::uint64_t seed) {
  const Matrix noise = testing::random_matrix(d, d, testing::Uniform(seed, -1, 1));
  return Eigen::HouseholderQR<Matrix>(noise).householderQ();
}

/// Scores in changed coordinates are those of the file, to the error that is claimed.
void expect_same_scores(const Problem& problem, double negligible) {
  const MeasuredHead head = testing::measure(problem, true, negligible);
  ASSERT_FALSE(head.change.none());
  const ProblemShape shape = head.changed_shape(problem.shape());
  const QueryTile tile(head, ScoreBounds(head.changed.modes, shape), shape, problem.queries);
  const MeasuredKeys changed_keys = head.change.measured_keys(problem.keys[0], 0);
  const ColumnTile& keys = changed_keys.rows;
  for (Index i = 0; i < problem.queries.rows(); ++i) {
    const RowScores& row = tile.scores[static_cast<std::size_t>(i)];
    testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>& j) {
      long double changed = row.shift;
      for (Index l = 0; l < shape.width; ++l)
        changed += static_cast<long double>(problem.scale) * tile.rows(i, l) * keys(j[0], l);
      EXPECT_GE(static_cast<double>(changed) - row.shift, row.low - 1e-12);
      if (head.change.weighs_keys())
        changed += std::log(static_cast<long double>(changed_keys.weights(j[0])));
      EXPECT_LE(std::abs(changed - score), row.error + row.shift_error);
    });
    EXPECT_LE(row.error, negligible + 1e-12);
  }
}

TEST(ChangeOfCoordinates, KeepsScoresUpToWhatItClaims) {
  for (Index d : {1, 2, 5}) {
    Problem problem = testing::random_problem({300}, 40, d, 1, testing::Uniform(3, -1, 1));
    expect_same_scores(problem, 1e-12);
    problem.keys[0].array() += 7;
    expect_same_scores(problem, 1e-12);
    problem.queries.col(0) *= 1e3;
    problem.keys[0].col(0) *= 1e-5;
    expect_same_scores(problem, 1e-9);
    expect_same_scores(problem, 1e-3);
  }
}

TEST(ChangeOfCoordinates, FindsTheDimensionOfTheData) {
  for (bool both : {true, false}) {
    Problem problem = testing::random_problem({500}, 100, 24, 1, testing::Uniform(4, -1, 1));
    const Matrix mix = testing::random_matrix(4, 24, testing::Uniform(5, -1, 1));
    problem.keys[0] = problem.keys[0].leftCols(4) * mix;
    problem.keys[0].rowwise() += Eigen::RowVectorXd::LinSpaced(24, -1, 2);
    if (both) problem.queries = problem.queries.leftCols(4) * mix;
    const MeasuredHead head = testing::measure(problem, true, 1e-9);
    EXPECT_EQ(head.change.width(24), 4);
    expect_same_scores(problem, 1e-9);
  }
}

TEST(ChangeOfCoordinates, BalancesUnevenCoordinatesAndSortsThem) {
  Problem problem = testing::random_problem({4000}, 3000, 6, 1, testing::Uniform(6, -1, 1));
  const Vector sizes = (Vector(6) << 0.01, 3, 0.2, 1, 0.05, 0.5).finished();
  const Matrix turn = random_rotation(6, 7);
  problem.queries = problem.queries * sizes.asDiagonal() * turn;
  problem.keys[0] = problem.keys[0] * sizes.asDiagonal() * turn;
  const ChangeOfCoordinates change({problem.queries, problem.keys}, problem.scale, 1e-14);
  const Matrix queries = change.queries(problem.queries).rows.matrix(),
               keys = change.keys(problem.keys[0]).rows.matrix();
  for (Index l = 0; l < 6; ++l) {
    EXPECT_NEAR(queries.col(l).norm() / std::sqrt(3000.0) / (keys.col(l).norm() / std::sqrt(4000.0)), 1,
                1e-6);
    EXPECT_LE(keys.col(l).norm(), keys.col(std::max<Index>(l - 1, 0)).norm());
  }
  EXPECT_NEAR(keys.col(0).dot(keys.col(1)) / keys.col(0).squaredNorm(), 0, 1e-9);
}

TEST(ChangeOfCoordinates, LeavesEvenCoordinatesButForTheCentre) {
  Problem problem = testing::random_problem({4000}, 3000, 6, 1, testing::Uniform(8, -1, 1));
  const ChangeOfCoordinates change({problem.queries, problem.keys}, problem.scale, 1e-9);
  EXPECT_EQ(change.queries(problem.queries).rows.matrix(), problem.queries);
  EXPECT_NEAR(change.keys(problem.keys[0]).rows.matrix().colwise().mean().norm(), 0, 1e-12);
}

TEST(ChangeOfCoordinates, CentresQueriesByWeightsOfKeys) {
  for (double scale : {0.4, -1.3}) {
    Problem problem = testing::random_problem({700}, 300, 5, 1, testing::Uniform(10, 0, 1));
    problem.scale = scale;
    const MeasuredHead head = testing::measure(problem, true, 1e-9);
    EXPECT_TRUE(head.change.weighs_keys());
    expect_same_scores(problem, 1e-9);
    // Half of the reach on each side of a product that was one-signed on both.
    EXPECT_LT(head.changed.queries.score_bound, 0.4 * testing::measure(problem).changed.queries.score_bound);
  }
  Problem problem = testing::random_problem({700}, 300, 5, 1, testing::Uniform(11, 0, 1));
  problem.scale = 200;  // weights over more than 40 e-folds
  EXPECT_FALSE(testing::measure(problem, true, 1e-9).change.weighs_keys());
}

TEST(ChangeOfCoordinates, IsUselessForAKeyFarOutsideOfTheSample) {
  Problem problem = testing::random_problem({700}, 300, 3, 1, testing::Uniform(12, 0, 1));
  const ChangeOfCoordinates change({problem.queries, problem.keys}, problem.scale, 1e-9);
  Matrix key = problem.keys[0].topRows(2);
  EXPECT_LT(change.measured_keys(key, 0).remainder, 1e-12);
  for (double far : {1e5, 1e255, 1e300}) {
    key(1, 2) = far;
    const MeasuredKeys changed = change.measured_keys(key, 0);
    EXPECT_GT(changed.remainder, 1e200);
    EXPECT_TRUE(changed.rows.allFinite() && changed.weights.allFinite());
    // Its neighbour does not care, whatever tile it is in.
    EXPECT_EQ(changed.rows.matrix().row(0), change.keys(key.topRows(1)).rows.matrix());
    EXPECT_EQ(changed.weights(0), change.keys(key.topRows(1)).weights(0));
    EXPECT_EQ(change.keys(key).rows.matrix(), changed.rows.matrix());
  }
}

TEST(ChangeOfCoordinates, MergesProportionalAndConstantColumnsAtHigherOrders) {
  for (const std::vector<Index>& keys : {std::vector<Index>{40, 30}, {9, 8, 7}}) {
    Problem problem = testing::random_problem(keys, 25, 6, 1, testing::Uniform(13, -1, 1));
    problem.scale = -0.6;
    for (Matrix& mode : problem.keys) {
      mode.col(3) = 0.3 * mode.col(1);  // up to rounding
      mode.col(4) = -mode.col(0);
      mode.col(5).setConstant(1.7);
    }
    const MeasuredHead head = testing::measure(problem, true, 1e-9);
    const ProblemShape shape = head.changed_shape(problem.shape());
    ASSERT_EQ(shape.width, 3);
    const QueryTile tile(head, ScoreBounds(head.changed.modes, shape), shape, problem.queries);
    std::vector<ColumnTile> changed;
    for (std::size_t m = 0; m < keys.size(); ++m) changed.push_back(head.change.keys(problem.keys[m]).rows);
    for (Index i = 0; i < 25; ++i) {
      const RowScores& row = tile.scores[static_cast<std::size_t>(i)];
      EXPECT_LE(row.error, 1e-13);
      testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>& j) {
        long double found = row.shift;
        for (Index l = 0; l < 3; ++l) {
          long double product = static_cast<long double>(problem.scale) * tile.rows(i, l);
          for (std::size_t m = 0; m < keys.size(); ++m) product *= changed[m](j[m], l);
          found += product;
        }
        EXPECT_LE(std::abs(found - score), row.error + row.shift_error);
      });
    }
    problem.keys[1](3, 3) += 1e-3;  // seen where all rows are measured
    EXPECT_EQ(testing::measure(problem, true, 1e-9).changed_shape(problem.shape()).width, 4);
    const MeasuredKeys off = head.change.measured_keys(problem.keys[1], 1);
    EXPECT_GT(off.remainder, 1e-4);
  }
}

TEST(ChangeOfCoordinates, IsNoneWhereItCanNotBeTrusted) {
  Problem problem = testing::random_problem({50}, 20, 3, 1, testing::Uniform(9, -1, 1));
  problem.keys[0] *= 1e200;
  EXPECT_TRUE(ChangeOfCoordinates({problem.queries, problem.keys}, 1, 1e-9).none());
  EXPECT_TRUE(ChangeOfCoordinates({Matrix(0, 3), problem.keys}, 1, 1e-9).none());
}

}  // namespace
}  // namespace kronattn
