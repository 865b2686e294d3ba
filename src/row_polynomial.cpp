#include "row_polynomial.hpp"

#include <algorithm>
#include <cmath>

#include "exp_polynomial.hpp"

namespace kronattn {

namespace {

using Numbers = std::vector<long double>;

/// A divided difference of exp is right to this, relatively: a few hundred roundings of positive terms.
constexpr long double difference_rounding = 400 * 0x1p-64L;

/// exp's divided differences f[t_0], f[t_0, t_1], ..., f[t_0..t_n]: the first row of exp of the matrix with t
/// on its diagonal and ones above it, as a Taylor series. Shifted by the smallest t all terms are positive.
Numbers divided_differences(const Numbers& t) {
  const long double shift = *std::min_element(t.begin(), t.end());
  Numbers term(t.size(), 0), sum(t.size(), 0);
  term[0] = sum[0] = 1;
  bool counts = true;
  for (std::size_t k = 1; counts || k <= t.size(); ++k) {
    counts = false;
    const long double by_k = 1 / static_cast<long double>(k);
    for (std::size_t j = t.size(); j-- > 0;) {
      term[j] = (term[j] * (t[j] - shift) + (j > 0 ? term[j - 1] : 0)) * by_k;
      sum[j] += term[j];
      counts = counts || term[j] > sum[j] * 0x1p-70L;
    }
  }
  const long double factor = std::exp(shift);
  for (long double& difference : sum) difference *= factor;
  return sum;
}

/// sum_j coefficients[j] prod_{i<j} (s - t_i) in powers of s, and the same with absolute values everywhere.
struct Powers {
  Numbers values, magnitudes;

  Powers(const Numbers& coefficients, const Numbers& t) : values(coefficients.size(), 0), magnitudes(values) {
    for (std::size_t j = coefficients.size(); j-- > 0;) {
      for (std::size_t m = values.size(); m-- > 0;) {
        values[m] = (m > 0 ? values[m - 1] : 0) - (j < t.size() ? t[j] : 0) * values[m];
        magnitudes[m] = (m > 0 ? magnitudes[m - 1] : 0) + (j < t.size() ? std::abs(t[j]) : 0) * magnitudes[m];
      }
      values[0] += coefficients[j];
      magnitudes[0] += std::abs(coefficients[j]);
    }
  }

  /// What the coefficients' roundings come to for |s| <= largest.
  long double rounding(long double largest) const {
    long double sum = 0;
    for (std::size_t m = magnitudes.size(); m-- > 0;) sum = sum * largest + magnitudes[m];
    return sum * (difference_rounding + static_cast<long double>(4 * magnitudes.size()) * 0x1p-64L);
  }
};

std::vector<double> in_units(const Numbers& coefficients, double unit) {
  std::vector<double> scaled;
  long double power = 1;
  for (long double coefficient : coefficients) {
    scaled.push_back(static_cast<double>(coefficient * power));
    power *= unit;
  }
  return scaled;
}

}  // namespace

RowPolynomial node_polynomial(Index degree, double low, double high, const std::vector<double>& nodes,
                              double unit) {
  Numbers points;  // each node twice
  for (double node : nodes) points.insert(points.end(), 2, node);
  Numbers newton = points;  // omega is the Newton factor of the first 2m points
  newton.insert(newton.end(), {low, high});
  const long double half = (static_cast<long double>(high) - low) / 2;
  Numbers coefficients;  // f[t_0], f[t_0, t_1], ... of these points
  long double half_gap = 0;
  if (degree % 2 == 1) {
    newton.push_back(high);
    coefficients = divided_differences(newton);
    half_gap = coefficients.back() * half * half / 2;  // tau
    coefficients[points.size()] -= half_gap;           // U - tau omega
  } else {
    coefficients = divided_differences(newton);
    half_gap = coefficients.back() * half;    // kappa: f[xx, high] = f[xx, low] + 2 half f[xx, low, high]
    coefficients[points.size()] += half_gap;  // c
  }
  coefficients.pop_back();
  half_gap *= 1 + 8 * difference_rounding;

  const long double largest = std::max(std::abs(low), std::abs(high));
  const Powers p(coefficients, newton);
  Numbers gap(points.size() + 1, 0);
  gap.back() = half_gap;
  const Powers w(gap, points);
  RowPolynomial polynomial;
  polynomial.values = in_units(p.values, unit);
  polynomial.majorant = in_units(w.values, unit);
  // w counts twice: tau was also subtracted from a coefficient of P, where it may have cancelled.
  polynomial.majorant[0] +=
      static_cast<double>((p.rounding(largest) + 3 * w.rounding(largest)) * (1 + 1e-10L));
  polynomial.factor = static_cast<double>(half_gap);
  polynomial.nodes = static_cast<Index>(nodes.size());
  return polynomial;
}

RowPolynomial constant_bound_polynomial(Index degree, double score_bound, double unit) {
  const ExpPolynomial chebyshev = chebyshev_polynomial(degree, score_bound);
  Numbers coefficients;
  long double power = 1;
  for (double coefficient : chebyshev.coefficients) {
    coefficients.push_back(coefficient / power);
    power *= chebyshev.score_bound;
  }
  RowPolynomial polynomial;
  polynomial.values = in_units(coefficients, unit);
  polynomial.majorant = {chebyshev.error};
  polynomial.factor = chebyshev.error;
  return polynomial;
}

}  // namespace kronattn
