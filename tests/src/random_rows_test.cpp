#include "random_rows.hpp"

#include <gtest/gtest.h>

namespace kronattn {
namespace {

Matrix block(Distribution distribution, double bound, std::uint64_t seed = 1, Index dataset = 0,
             Index number = 0) {
  return random_block(distribution, bound, seed, dataset, 0, number, random_block_rows, 6);
}

TEST(RandomRows, StayWithinTheirBoundAndComeNearIt) {
  for (Distribution law :
       {Distribution::uniform, Distribution::gaussian, Distribution::sphere, Distribution::positive}) {
    const Matrix rows = block(law, 2.5);
    EXPECT_LE(rows.cwiseAbs().maxCoeff(), 2.5);
    EXPECT_GT(rows.maxCoeff(), 2.2);
  }
}

TEST(RandomRows, FollowTheirLaws) {
  const double entries = static_cast<double>(random_block_rows) * 6;
  const Matrix uniform = block(Distribution::uniform, 1), gaussian = block(Distribution::gaussian, 3);
  EXPECT_NEAR(uniform.mean(), 0, 4 / std::sqrt(3 * entries));
  EXPECT_NEAR(uniform.squaredNorm() / entries, 1.0 / 3, 0.02);
  EXPECT_NEAR(gaussian.squaredNorm() / entries, 0.973, 0.06);  // a unit normal cut at three deviations
  EXPECT_GE(block(Distribution::positive, 1).minCoeff(), 0);
  EXPECT_LE((block(Distribution::sphere, 2).rowwise().norm().array() - 2).abs().maxCoeff(), 1e-14);
}

TEST(RandomRows, AreAFunctionOfSeedDatasetAndBlock) {
  const Matrix rows = block(Distribution::uniform, 1);
  EXPECT_EQ(rows, block(Distribution::uniform, 1));
  EXPECT_NE(rows, block(Distribution::uniform, 1, 2));
  EXPECT_NE(rows, block(Distribution::uniform, 1, 1, 1));
  EXPECT_NE(rows, block(Distribution::uniform, 1, 1, 0, 1));
  EXPECT_EQ(rows.topRows(10), random_block(Distribution::uniform, 1, 1, 0, 0, 0, 10, 6));
}

}  // namespace
}  // namespace kronattn
