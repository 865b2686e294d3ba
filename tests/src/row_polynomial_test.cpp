#include "row_polynomial.hpp"

#include <gtest/gtest.h>

#include <random>

namespace kronattn {
namespace {

long double value(const std::vector<double>& coefficients, long double z) {
  long double sum = 0;
  for (std::size_t m = coefficients.size(); m-- > 0;) sum = sum * z + coefficients[m];
  return sum;
}

/// The coefficients are right to a rounding each, which the certificate counts and W does not.
long double slack(const RowPolynomial& polynomial, long double z) {
  long double sum = 0, power = 1;
  for (std::size_t m = 0; m < polynomial.values.size(); ++m, power *= std::abs(z))
    sum += (std::abs(polynomial.values[m]) +
            (m < polynomial.majorant.size() ? std::abs(polynomial.majorant[m]) : 0)) *
           power;
  return sum * 0x1p-53L * 1.01L;
}

/// Largest |P - exp| / W over the interval; checks that it never exceeds 1.
long double sharpness(const RowPolynomial& polynomial, double low, double high, double unit) {
  long double largest = 0;
  for (int i = 0; i <= 2000; ++i) {
    const long double s = low + (static_cast<long double>(high) - low) * i / 2000;
    const long double error = std::abs(value(polynomial.values, s / unit) - std::exp(s));
    const long double bound = value(polynomial.majorant, s / unit);
    EXPECT_LE(error, bound + slack(polynomial, s / unit))
        << "degree " << polynomial.degree() << " at " << (double)s;
    if (bound > 1e3L * slack(polynomial, s / unit)) largest = std::max(largest, error / bound);
  }
  return largest;
}

TEST(NodePolynomial, IsWithinItsMajorantAndReachesIt) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trial = 0; trial < 400; ++trial) {
    const Index degree = trial % 15;
    const double width = std::exp2(-6 * uniform(generator)) * 19, low = 4 * uniform(generator) - 0.7 * width,
                 high = low + width;
    std::vector<double> nodes;
    for (Index m = 0; m < degree / 2; ++m) nodes.push_back(low + width * (1.4 * uniform(generator) - 0.2));
    const double unit = std::max(std::abs(low), std::abs(high));
    const RowPolynomial polynomial = node_polynomial(degree, low, high, nodes, unit);
    EXPECT_EQ(polynomial.degree(), degree);
    const long double reached = sharpness(polynomial, low, high, unit);
    if (degree % 2 == 0 && degree < 8) {
      EXPECT_GT(reached, 0.99L);  // at both ends of the interval
    }
  }
}

TEST(NodePolynomial, TakesEqualNodesAndIntervalsOfOnePoint) {
  for (Index degree : {0, 1, 4, 7}) {
    const std::vector<double> nodes(static_cast<std::size_t>(degree / 2), 0.25);
    sharpness(node_polynomial(degree, 0.25, 0.25, nodes, 1), 0.25, 0.25, 1);
    sharpness(node_polynomial(degree, -1, 1, nodes, 1), -1, 1, 1);
  }
  const RowPolynomial zero = node_polynomial(2, 0, 0, {0}, 1);
  EXPECT_EQ(zero.values[0], 1);
  EXPECT_LE(zero.majorant[0], 1e-15);
}

TEST(NodePolynomial, HasTheBoundOfTheTaylorPolynomialAtNodesAtZero) {
  // mathematics.md E5: kappa >= S / (g + 1), over g!.
  const RowPolynomial polynomial = node_polynomial(4, -0.5, 0.5, {0, 0}, 1);
  EXPECT_GT(polynomial.factor, 0.5 / 5 / 24);
  EXPECT_LT(polynomial.factor, 1.02 * 0.5 / 5 / 24);
  EXPECT_NEAR(polynomial.values[2], 0.5, 1e-15);
  EXPECT_NEAR(polynomial.values[3], 1.0 / 6, 1e-15);
}

TEST(ConstantBoundPolynomial, IsWithinItsBoundOnWideIntervals) {
  for (double bound : {0.0, 3.0, 12.0, 40.0})
    for (Index degree : {0, 5, 30, 90}) {
      const RowPolynomial polynomial = constant_bound_polynomial(degree, bound, 7.5);
      EXPECT_EQ(polynomial.majorant.size(), 1u);
      sharpness(polynomial, -bound, bound, 7.5);
    }
}

}  // namespace
}  // namespace kronattn
