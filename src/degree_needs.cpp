#include "degree_needs.hpp"

#include <algorithm>

#include "monomials.hpp"

namespace kronattn {

namespace {

/// Rounding breaks every promise long before: e^S leaves the range of double.
constexpr double largest_polynomial_score = 700;

std::vector<double> monomials_per_degree(const ProblemShape& shape, Index degree) {
  std::vector<double> counts;
  for (Index m = 0; m <= degree; ++m)
    counts.push_back(binomial(static_cast<double>(shape.width + m - 1), static_cast<double>(m)));
  return counts;
}

}  // namespace

double total_degree_rank(const ProblemShape& shape, Index degree) {
  return binomial(static_cast<double>(shape.width + degree), static_cast<double>(degree));
}

DegreeNeeds foresee(const MeasuredHead& head, const ProblemShape& shape, const Coordinates& coordinates,
                    GapBudget budget, Precision output_precision, Index single_from) {
  const QueryMeasurement& queries = head.changed.queries;
  const double unit = score_unit(head);
  const auto certificate = [&](const std::vector<double>& monomials) {
    return PolynomialCertificate(shape, coordinates, unit, monomials, output_precision, single_from);
  };
  const auto foresight = [&](Index degree, double below, double above, double deviation) {
    const RowPolynomial polynomial = suited_polynomial(head.scores, degree, 0, below, above, deviation, unit);
    const double box = std::max(below, above) * (queries.box_bound / unit);
    // Of a rank that can't be, and where only its sums' rounding is in the way, the degree is still told.
    const std::vector<double> none(static_cast<std::size_t>(degree) + 1, 1);
    const Foresight at_best =
        foresee_row(head.scores, certificate(none), polynomial, 0, deviation, box, budget);
    if (at_best != Foresight::holds || total_degree_rank(shape, degree) > largest_rank) return at_best;
    const Foresight real = foresee_row(head.scores, certificate(monomials_per_degree(shape, degree)),
                                       polynomial, 0, deviation, box, budget);
    return real == Foresight::holds ? real : Foresight::fails;
  };
  DegreeNeeds needs;
  std::int64_t measured = 0;  // may be a part of all rows (plan without a file)
  for (std::int64_t rows : queries.spreads.rows) measured += rows;
  const double each =
      static_cast<double>(shape.queries) / static_cast<double>(std::max<std::int64_t>(measured, 1));
  Index degree = 0;  // the spreads grow, and with them the degree: start where the last class ended
  for (Index like = 0; like < SpreadClasses::count; ++like) {
    const double rows = each * static_cast<double>(queries.spreads.rows[static_cast<std::size_t>(like)]);
    if (rows == 0) continue;
    const double below = queries.spreads.below(like), above = queries.spreads.above(like);
    const double deviation = SpreadClasses::deviation(like);
    bool hopeless = std::max(below, above) > largest_polynomial_score;
    for (degree = std::max<Index>(0, degree - 2); !hopeless; ++degree) {
      const Foresight foreseen = foresight(degree, below, above, deviation);
      if (foreseen == Foresight::holds) break;
      hopeless = foreseen == Foresight::rounding_breaks_it || degree == largest_degree;
    }
    if (hopeless) {
      needs.beyond += rows;
      degree = 0;
      continue;
    }
    if (needs.highest() < degree) needs.rows.resize(static_cast<std::size_t>(degree) + 1, 0);
    needs.rows[static_cast<std::size_t>(degree)] += rows;
  }
  if (needs.rows.empty()) needs.rows = {0};
  return needs;
}

}  // namespace kronattn
