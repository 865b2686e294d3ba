// Polynomials for exp on [-S, S], with proven errors.
//
// Chebyshev: e^z = I_0(S) + 2 sum_{m>=1} I_m(S) T_m(z/S). Cut after degree g, the largest error is
//     E_g(S) = 2 sum_{m>g} I_m(S),
// within (4/pi)/(1 - S/(2(g+2))) of the best polynomial there is. Source: mathematics.md B2, H1.
#pragma once

#include <vector>

#include "types.hpp"

namespace kronattn {

/// E_g(S) from above, S >= 0: correct to a few roundings of long double. HUGE_VALL where it exceeds long
/// double.
long double chebyshev_error(Index degree, double score_bound);

/// The papers' degree: the smallest g with E_g(S) <= (epsilon / 2) exp(-S). -1 where S is beyond reach (S >
/// 5000).
Index paper_degree(double score_bound, double epsilon);

/// P(z) = sum_m coefficients[m] (z/S)^m with |P(z) - e^z| <= error for |z| <= S.
struct ExpPolynomial {
  double score_bound = 1;            // S, the unit of z; 1 where all scores are 0
  std::vector<double> coefficients;  // (g + 1)
  double error = 0;                  // E_g(S), rounding of the coefficients included; may be infinite

  Index degree() const { return static_cast<Index>(coefficients.size()) - 1; }
};

/// The Chebyshev polynomial of exp on [-S, S], in powers of z/S. Cost O(g^2).
ExpPolynomial chebyshev_polynomial(Index degree, double score_bound);

}  // namespace kronattn
