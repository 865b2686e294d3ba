#include "fixed_point_sums.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <random>

#include "problems.hpp"

namespace kronattn {
namespace {

TEST(FixedPointSums, DontDependOnTheOrderNorOnHowTermsAreSharedOut) {
  testing::Uniform uniform(1, -1, 1);
  std::vector<double> terms(3000);
  for (double& term : terms) term = uniform();
  FixedPointSums forward(1, 3000.0), backward(1, 3000.0), first(1, 3000.0), second(1, 3000.0);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    forward.add(0, &terms[i], 1);
    backward.add(0, &terms[terms.size() - 1 - i], 1);
    (i % 3 == 0 ? first : second).add(0, &terms[i], 1);
  }
  for (std::size_t w = 0; w < 2; ++w) first.words()[w] += second.words()[w];
  EXPECT_EQ(forward.words(), backward.words());
  EXPECT_EQ(forward.words(), first.words());
}

TEST(FixedPointSums, LoseLessThanTheirQuantumSays) {
  testing::Uniform uniform(2, -1, 1);
  for (double bound : {1e-30, 1.0, 12345.0, 1e200}) {
    FixedPointSums sums(7, bound);
    long double exact[7] = {};
    for (int t = 0; t < 1000; ++t) {
      double terms[7];
      for (int s = 0; s < 7; ++s) {
        terms[s] = uniform() * bound / 1000;
        exact[s] += terms[s];
      }
      sums.add(0, terms, 3);  // in two pieces
      sums.add(3, terms + 3, 4);
    }
    for (Index s = 0; s < 7; ++s)
      EXPECT_LE(std::abs(static_cast<double>(sums[s] - exact[s])),
                bound * FixedPointSums::quantisation(1000) + 3 * unit_roundoff * std::abs(sums[s]));
  }
}

TEST(FixedPointSums, ReachTheirBoundInOneTermOrManyWithoutOverflow) {
  for (double sign : {1.0, -1.0}) {
    FixedPointSums sums(1, 1 << 20);
    const double one = sign;
    for (int t = 0; t < 1 << 20; ++t) sums.add(0, &one, 1);
    EXPECT_EQ(sums[0], sign * (1 << 20));
    FixedPointSums single(1, 1 << 20);
    const double all = sign * (1 << 20);
    single.add(0, &all, 1);
    EXPECT_EQ(single.words()[0], sums.words()[0]);
  }
}

TEST(FixedPointSums, GrowBehindWhatIsThere) {
  FixedPointSums sums(2, 4.0);
  const double terms[] = {1.5, -0.25};
  sums.add(0, terms, 2);
  sums.grow(3);
  sums.add(2, terms, 1);
  EXPECT_EQ(sums.size(), 3);
  EXPECT_EQ(sums[0], 1.5);
  EXPECT_EQ(sums[1], -0.25);
  EXPECT_EQ(sums[2], 1.5);
}

TEST(ExactSums, AreExactWhereFloatingPointCancels) {
  ExactSums sums(2);
  for (long double term : {1e300L, 1.0L, -1e300L, 1e-300L}) sums.add(1, term);
  EXPECT_EQ(static_cast<double>(sums.mean(1, 1)), 1.0);
  sums.add(1, -1.0L);
  EXPECT_EQ(static_cast<double>(sums.mean(1, 1)), 1e-300);
  EXPECT_EQ(sums.mean(0, 5), 0);
}

TEST(ExactSums, HoldTheWholeRangeOfDouble) {
  ExactSums sums(1);
  for (int t = 0; t < 1000; ++t) sums.add(0, DBL_MAX);
  EXPECT_EQ(sums.mean(0, 1000), static_cast<long double>(DBL_MAX));
  for (int t = 0; t < 2000; ++t) sums.add(0, -DBL_MAX);
  EXPECT_EQ(sums.mean(0, 1000), -static_cast<long double>(DBL_MAX));
  ExactSums tiny(1);
  for (int t = 0; t < 3; ++t) tiny.add(0, -DBL_TRUE_MIN);
  EXPECT_EQ(tiny.mean(0, 3), -static_cast<long double>(DBL_TRUE_MIN));
}

TEST(ExactSums, DontDependOnTheOrder) {
  std::mt19937_64 generator(3);
  std::vector<double> terms;
  for (int t = 0; t < 500; ++t)
    terms.push_back(
        std::ldexp(testing::Uniform(generator(), -1, 1)(), static_cast<int>(generator() % 400) - 200));
  ExactSums forward(1), backward(1);
  for (double term : terms) forward.add(0, term);
  std::reverse(terms.begin(), terms.end());
  for (double term : terms) backward.add(0, term);
  EXPECT_EQ(forward.mean(0, 7), backward.mean(0, 7));
}

}  // namespace
}  // namespace kronattn
