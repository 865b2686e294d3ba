// How many rows of a head need which degree, as foreseen from the deviations and reaches of all rows' scores.
//
// The plan weighs degrees by these counts. They prove nothing: whether a row keeps the promise is known when
// it has been evaluated. Sources: mathematics.md G2 (planning), H3.
#pragma once

#include <vector>

#include "row_choice.hpp"

namespace kronattn {

inline constexpr Index largest_degree = 200;
inline constexpr double largest_rank = 2147483646;  // monomials are numbered with 31 bits

/// r = C(d+g, g).
double total_degree_rank(const ProblemShape& shape, Index degree);

/// How many rows need which degree, as foreseen.
struct DegreeNeeds {
  std::vector<double> rows;  // rows[g] need degree g
  double beyond = 0;         // need more than rounding allows

  Index highest() const { return static_cast<Index>(rows.size()) - 1; }
  double above(Index degree) const {
    double sum = beyond;
    for (Index g = degree + 1; g <= highest(); ++g) sum += rows[static_cast<std::size_t>(g)];
    return sum;
  }
};

/// `shape` and `coordinates` are the changed ones; `single_from` as in MonomialChoice. Counts are scaled to
/// all rows where a part of them was measured.
DegreeNeeds foresee(const MeasuredHead& head, const ProblemShape& shape, const Coordinates& coordinates,
                    GapBudget budget, Precision output_precision, Index single_from);

}  // namespace kronattn
