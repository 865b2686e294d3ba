#include "exp_polynomial.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace kronattn {
namespace {

long double value(const ExpPolynomial& polynomial, long double z) {
  long double sum = 0;
  for (std::size_t m = polynomial.coefficients.size(); m-- > 0;)
    sum = sum * (z / polynomial.score_bound) + polynomial.coefficients[m];
  return sum;
}

TEST(ExpPolynomial, NeverErrsMoreThanItSaysAndReachesItAtTheEnd) {
  for (double s : {1e-12, 0.1, 0.5, 1.0, 4.0, 12.0, 30.0})
    for (Index g : {0, 1, 2, 5, 9, 16, 40}) {
      const ExpPolynomial polynomial = chebyshev_polynomial(g, s);
      long double worst = 0;
      for (int t = -2000; t <= 2000; ++t) {
        const long double z = s * t / 2000.0L;
        worst = std::max(worst, std::abs(value(polynomial, z) - std::exp(z)));
      }
      const long double arithmetic =
          1e-17L * std::exp(static_cast<long double>(2.5 * s));  // of value(), above
      EXPECT_LE(worst, polynomial.error + arithmetic) << "S " << s << " g " << g;
      if (polynomial.error > 1e-10 * std::exp(s)) {
        EXPECT_GE(worst, 0.99L * polynomial.error) << "S " << s << " g " << g;
      }
    }
}

TEST(ExpPolynomial, HasTheDegreesOfTheTable) {
  // mathematics: smallest g with E_g(S) <= epsilon, for S and epsilon; computed there independently.
  const struct {
    double s, epsilon;
    Index g;
  } rows[] = {{0.5, 1e-3, 3}, {0.5, 1e-6, 5}, {0.5, 1e-9, 7}, {1, 1e-3, 4}, {1, 1e-6, 7},
              {1, 1e-9, 9},   {1, 1e-12, 12}, {2, 1e-3, 6},   {2, 1e-6, 9}, {2, 1e-9, 12},
              {4, 1e-3, 9},   {4, 1e-6, 13},  {8, 1e-3, 16},  {8, 1e-6, 20}};
  for (const auto& row : rows) {
    EXPECT_LE(chebyshev_error(row.g, row.s), row.epsilon) << row.s << " " << row.epsilon;
    EXPECT_GT(chebyshev_error(row.g - 1, row.s), row.epsilon) << row.s << " " << row.epsilon;
  }
}

TEST(PaperDegree, IsTheSmallestThatMeetsThePapersCondition) {
  // The table's degrees for E_g(S) <= epsilon exp(-S), epsilon twice as large here.
  EXPECT_EQ(paper_degree(0.5, 2e-6), 6);
  EXPECT_EQ(paper_degree(1, 2e-6), 7);
  EXPECT_EQ(paper_degree(2, 2e-6), 10);
  EXPECT_EQ(paper_degree(4, 2e-6), 15);
  EXPECT_EQ(paper_degree(8, 2e-6), 24);
  EXPECT_EQ(paper_degree(0, 1e-6), 0);
  EXPECT_EQ(paper_degree(1e5, 1e-6), -1);
}

TEST(ExpPolynomial, OfScoresThatAreAllZeroIsOne) {
  const ExpPolynomial polynomial = chebyshev_polynomial(3, 0);
  EXPECT_EQ(polynomial.coefficients[0], 1);
  EXPECT_EQ(polynomial.coefficients[3], 0);
  EXPECT_EQ(polynomial.error, 0);
}

TEST(ExpPolynomial, OfScoresBeyondReachSaysSo) {
  EXPECT_EQ(chebyshev_polynomial(5, 1e6).error, HUGE_VAL);
  EXPECT_EQ(chebyshev_polynomial(5, HUGE_VAL).error, HUGE_VAL);
  EXPECT_EQ(chebyshev_polynomial(5, 2000).error, HUGE_VAL);
}

}  // namespace
}  // namespace kronattn
