// A polynomial for exp that suits one row's scores, and what it is off by, as a polynomial again.
//
// Let omega(s) = prod_j (s - x_j)^2 for any real nodes x_1..x_m, xx = each node twice, f = exp, f[...] its
// divided differences, all scores in [low, high]. Then, with the values and slopes of exp at the nodes
// interpolated:
//   degree 2m      P = H + c omega,     |P - e^s| <= kappa omega(s),   c, kappa = (f[xx, high] +- f[xx, low])
//   / 2 degree 2m + 1  P = U - tau omega,   |P - e^s| <= tau omega(s),     tau = f[xx, low, high, high] (high
//   - low)^2 / 8
// H interpolates at xx, U at xx, low and high. The bound is a polynomial of the score too, so its sum over
// all key tuples is read off the same sums as the output, exactly as the scores are spread (mathematics.md
// H2, E9; without nodes it is E5). Where the interval is wide, powers of s cancel; there the Chebyshev
// polynomial takes over, whose bound is a constant (E4).
#pragma once

#include <vector>

#include "types.hpp"

namespace kronattn {

struct RowPolynomial {
  std::vector<double> values;    // (g + 1) P = sum_m values[m] (s/unit)^m, the unit given to the maker
  std::vector<double> majorant;  // W, likewise and no longer: |P(s) - e^s| <= W(s) for low <= s <= high
  /// kappa or tau (m nodes), or the Chebyshev error (no nodes): W is that times omega, but for its own
  /// rounding.
  double factor = 0;
  Index nodes = 0;

  Index degree() const { return static_cast<Index>(values.size()) - 1; }
};

/// The node polynomial of that degree: floor(degree / 2) nodes. Roundings of everything computed here are in
/// W. low <= high, high - low <= 2 widest_node_interval. Cost O(degree (degree + high - low)) in long double.
RowPolynomial node_polynomial(Index degree, double low, double high, const std::vector<double>& nodes,
                              double unit);

/// The Chebyshev polynomial on [-S, S] with a constant W.
RowPolynomial constant_bound_polynomial(Index degree, double score_bound, double unit);

/// Half the widest interval on which a node polynomial may be asked for.
inline constexpr double widest_node_interval = 40;

}  // namespace kronattn
