#include "exp_polynomial.hpp"

#include <cmath>
#include <limits>

namespace kronattn {

namespace {

/// I_m(S) = (S/2)^m / m! * sum_k (S^2/4)^k / (k! (m+1)...(m+k)): positive terms, no cancellation.
long double bessel_i(Index m, long double s) {
  long double lead = 1;
  for (Index i = 1; i <= m; ++i) lead *= s / 2 / static_cast<long double>(i);
  long double term = 1, sum = 1;
  for (Index k = 1; term > sum * std::numeric_limits<long double>::epsilon() / 16; ++k) {
    term *= s * s / 4 / (static_cast<long double>(k) * static_cast<long double>(m + k));
    sum += term;
  }
  return lead * sum;
}

/// Relative roundings of bessel_i and of sums of it, generously.
constexpr long double round_up = 1 + 1e-15L;

constexpr double largest_score = 5000;  // e^S within long double

}  // namespace

long double chebyshev_error(Index degree, double score_bound) {
  if (!(score_bound <= largest_score)) return HUGE_VALL;
  const long double s = score_bound;
  // I_{m+1} / I_m <= S / (2 (m+1)): once that is below 1/2 the rest is below the last term.
  long double sum = 0;
  for (Index m = degree + 1;; ++m) {
    const long double term = bessel_i(m, s);
    sum += term;
    if (static_cast<long double>(m + 1) > s && term <= sum * 1e-18L) return 2 * (sum + term) * round_up;
    if (term == 0 && static_cast<long double>(m + 1) > s) return 2 * sum * round_up;
  }
}

Index paper_degree(double score_bound, double epsilon) {
  if (!(score_bound <= largest_score)) return -1;
  const long double target =
      static_cast<long double>(epsilon) / 2 * std::exp(-static_cast<long double>(score_bound));
  Index high = 1;
  while (chebyshev_error(high, score_bound) > target) high *= 2;
  Index low = -1;  // E_low is above the target, or low is -1
  while (high - low > 1) {
    const Index middle = (low + high) / 2;
    (chebyshev_error(middle, score_bound) > target ? low : high) = middle;
  }
  return high;
}

ExpPolynomial chebyshev_polynomial(Index degree, double score_bound) {
  ExpPolynomial polynomial;
  polynomial.coefficients.assign(static_cast<std::size_t>(degree) + 1, 0.0);
  if (score_bound == 0) {
    polynomial.coefficients[0] = 1;
    return polynomial;
  }
  polynomial.score_bound = score_bound;
  if (!(score_bound <= largest_score)) {
    polynomial.coefficients[0] = 1;
    polynomial.error = HUGE_VAL;
    return polynomial;
  }
  const std::size_t terms = polynomial.coefficients.size();
  std::vector<long double> exact(terms, 0), previous(terms, 0),
      current(terms, 0);  // T_{m-1}, T_m in powers of x
  current[0] = 1;
  long double rounding = 0;
  for (std::size_t m = 0; m < terms; ++m) {
    const long double weight = (m == 0 ? 1 : 2) * bessel_i(static_cast<Index>(m), score_bound);
    for (std::size_t i = 0; i < terms; ++i) {
      exact[i] += weight * current[i];
      // Roundings of I_m (2 a factor of its leading power, a few for each term that counts), and of T_m (its
      // coefficients are sums without cancellation, exact below 2^64, one rounding a step above).
      rounding += (static_cast<long double>(4 * m + 8) + 4 * polynomial.score_bound) * 0x1p-64L *
                  std::abs(weight * current[i]);
    }
    std::vector<long double> next(terms, 0);
    for (std::size_t i = 0; i < terms; ++i)
      next[i] = (m == 0 ? 1 : 2) * (i > 0 ? current[i - 1] : 0) - (m == 0 ? 0 : previous[i]);
    previous = std::move(current);
    current = std::move(next);
  }
  for (std::size_t i = 0; i < terms; ++i) {
    polynomial.coefficients[i] = static_cast<double>(exact[i]);
    rounding += std::abs(static_cast<long double>(polynomial.coefficients[i]) - exact[i]);
  }
  const long double error = (chebyshev_error(degree, score_bound) + rounding) * round_up;
  polynomial.error =
      error < std::numeric_limits<double>::max() && std::isfinite(static_cast<double>(exact[0]))
          ? std::nextafter(static_cast<double>(error), HUGE_VAL)
          : HUGE_VAL;
  for (double& coefficient : polynomial.coefficients)
    if (!std::isfinite(coefficient)) coefficient = 0;
  return polynomial;
}

}  // namespace kronattn
