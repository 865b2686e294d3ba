#include "coordinates.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

TEST(ColumnScaling, BringsTheLargestEntryToOneHalfOrMoreExactly) {
  for (double largest : {1.0, 0.99, 3.7, 1e-310, 4.9e-324, 1.7e308, 1e-160}) {
    const Matrix rows = Matrix::Constant(2, 1, -largest);
    Matrix scaled(1, 2);
    const ColumnScaling scaling(Vector::Constant(1, largest));
    scaling.transpose_into(rows, scaled);
    EXPECT_GE(std::abs(scaled(0, 1)), 0.5) << largest;
    EXPECT_LT(std::abs(scaled(0, 1)), 1.0) << largest;
    EXPECT_EQ(std::ldexp(scaled(0, 0), scaling.exponents[0]), -largest) << largest;
  }
}

TEST(Coordinates, KeepScoresAndBoundThem) {
  testing::Uniform uniform(4, -1, 1);
  testing::Problem problem = testing::random_problem({9, 11}, 7, 3, 2, uniform);
  problem.queries.col(1) *= 1e-90;
  problem.keys[0].col(1) *= 1e45;
  problem.keys[1].col(1) *= 1e45;
  problem.scale = -0.8;
  const HeadMeasurement head = testing::measure(problem).file;
  const Coordinates coordinates(head, problem.shape());
  Matrix queries(7, 3), first(9, 3), second(11, 3);
  coordinates.queries.scale_into(problem.queries, queries);
  coordinates.keys[0].scale_into(problem.keys[0], first);
  coordinates.keys[1].scale_into(problem.keys[1], second);
  for (Index i = 0; i < 7; ++i) {
    long double largest = 0, sum = 0;
    testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>& j) {
      double scaled = 0;
      for (Index l = 0; l < 3; ++l)
        scaled += coordinates.weights(l) * queries(i, l) * first(j[0], l) * second(j[1], l);
      EXPECT_NEAR(scaled, static_cast<double>(score), 1e-15);
      largest = std::max(largest, std::abs(score));
      sum += score;
    });
    double box = 0;
    for (Index l = 0; l < 3; ++l) box += std::abs(queries(i, l)) * coordinates.box(l);
    EXPECT_GE(box, largest);
    EXPECT_LE(largest, head.queries.score_bound);
    const RowScores scores =
        ScoreBounds(head.modes, problem.shape()).rows(problem.queries)[static_cast<std::size_t>(i)];
    EXPECT_NEAR(scores.jensen, static_cast<double>(sum / 99), 1e-15);
    EXPECT_GE(scores.box, largest);
  }
}

TEST(Measurement, HoelderBoundBeatsTheBoxOnRoundData) {
  testing::Uniform uniform(5, -1, 1);
  testing::Problem problem = testing::random_problem({200}, 200, 12, 1, uniform);
  problem.queries.rowwise().normalize();
  problem.keys[0].rowwise().normalize();
  problem.scale = 1;
  const HeadMeasurement head = testing::measure(problem).file;
  EXPECT_NEAR(head.queries.score_bound, 1.0, 1e-12);
  EXPECT_GT(head.queries.box_bound, 1.5);
}

TEST(Measurement, RowsKnowTheRangeOfTheirScores) {
  for (double scale : {0.3, -0.3})
    for (const std::vector<Index>& keys : {std::vector<Index>{50}, {12, 9}, {5, 6, 7}}) {
      testing::Problem problem = testing::random_problem(keys, 30, 3, 1, testing::Uniform(7, 0.1, 1));
      problem.scale = scale;
      problem.keys[0].col(1) *= -1;
      const std::vector<RowScores> rows =
          ScoreBounds(testing::measure(problem).file.modes, problem.shape()).rows(problem.queries);
      for (Index i = 0; i < 30; ++i) {
        const RowScores& row = rows[static_cast<std::size_t>(i)];
        long double low = HUGE_VALL, high = -HUGE_VALL;
        testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>&) {
          low = std::min(low, score);
          high = std::max(high, score);
        });
        EXPECT_LE(row.low, low);
        EXPECT_GE(row.high, high);
        // One-signed columns: the range is about half of [-largest, largest] a column.
        EXPECT_LT(row.high - row.low, 1.4 * row.box);
      }
    }
}

TEST(Measurement, BoundsOfRowsHoldAtEveryMagnitude) {
  // From where products vanish to where they overflow; columns far apart; zero rows and columns.
  const auto check = [](const std::vector<Index>& keys, int key_exponent, int query_exponent, int apart) {
    SCOPED_TRACE(::testing::Message() << key_exponent << ' ' << query_exponent << ' ' << apart);
    testing::Problem problem =
        testing::random_problem(keys, 12, 5, 1, testing::Uniform(2000 + key_exponent, -1, 1));
    problem.scale = -0.7;
    problem.keys[0] *= std::ldexp(1.0, key_exponent);
    problem.keys[0].col(1) *= std::ldexp(1.0, apart);
    problem.keys[0].col(2).setZero();
    problem.queries *= std::ldexp(1.0, query_exponent);
    problem.queries.col(1) *= std::ldexp(1.0, -apart);
    problem.queries.row(3).setZero();
    const std::vector<RowScores> rows =
        ScoreBounds(testing::measure(problem).file.modes, problem.shape()).rows(problem.queries);
    for (Index i = 0; i < 12; ++i) {
      const RowScores& row = rows[static_cast<std::size_t>(i)];
      long double low = HUGE_VALL, high = -HUGE_VALL, box = 0;
      testing::for_each_tuple(problem, i, [&](long double score, const std::vector<Index>&) {
        low = std::min(low, score);
        high = std::max(high, score);
      });
      for (Index l = 0; l < 5; ++l) {
        long double product = std::abs(static_cast<long double>(problem.queries(i, l)) * problem.scale);
        for (const Matrix& mode : problem.keys) product *= mode.col(l).cwiseAbs().maxCoeff();
        box += product;
      }
      ASSERT_LE(row.low, low);
      ASSERT_GE(row.high, high);
      ASSERT_GE(row.box, box);
      if (row.box < HUGE_VAL) {
        const long double slack = row.box * 1e-12L + 0x1p-1073L;
        ASSERT_LE(row.box, box + slack);
        ASSERT_LE(std::max(row.high, -row.low), row.box + slack);
      }
    }
  };
  for (const std::vector<Index>& keys : {std::vector<Index>{40}, {9, 7}})
    for (int key_exponent = -1000; key_exponent <= 900; key_exponent += 50)
      for (int query_exponent : {-1060, -300, 0, 100, 1000})
        for (int apart : {0, -60, -1015})
          if (query_exponent - apart < 1023) check(keys, key_exponent, query_exponent, apart);
}

TEST(Coordinates, RangeOfValueProductsIsTheInterval) {
  testing::Uniform uniform(6, -1, 1);
  testing::Problem problem = testing::random_problem({5, 6}, 1, 2, 2, uniform);
  problem.values[0].col(1) = problem.values[0].col(1).cwiseAbs() * 3;
  const HeadMeasurement head = testing::measure(problem).file;
  const Coordinates coordinates(head, problem.shape());
  for (Index c = 0; c < 2; ++c) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (Index a = 0; a < 5; ++a)
      for (Index b = 0; b < 6; ++b) {
        low = std::min(low, problem.values[0](a, c) * problem.values[1](b, c));
        high = std::max(high, problem.values[0](a, c) * problem.values[1](b, c));
      }
    EXPECT_NEAR(std::ldexp(coordinates.value_min(c), coordinates.value_exponent), low, 1e-14);
    EXPECT_NEAR(std::ldexp(coordinates.value_max(c), coordinates.value_exponent), high, 1e-14);
  }
}

}  // namespace
}  // namespace kronattn
