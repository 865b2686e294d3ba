#include "row_choice.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace kronattn {

namespace {

/// Rounds a positive number up (or to the nearest) to so many bits behind the leading one.
double rounded_to(double x, int bits, bool up) {
  if (!(x > 0)) return 0;
  const int dropped = 52 - bits;
  const std::uint64_t add = up ? (std::uint64_t{1} << dropped) - 1 : std::uint64_t{1} << (dropped - 1);
  return std::bit_cast<double>(((std::bit_cast<std::uint64_t>(x) + add) >> dropped) << dropped);
}

/// How coarse: a reach that is 3 % too long costs 3 % of the bound, a node that is off by 6 % of a deviation
/// less.
constexpr int reach_bits = 5, deviation_bits = 3;
constexpr double centre_steps = 4;  // of a deviation

/// Up to this half width node polynomials are the better ones.
constexpr double narrow_interval = 3;

/// What the coefficients' cancellation costs, roughly.
double cancellation(const RowPolynomial& polynomial, double largest) {
  double sum = 0;
  for (std::size_t m = polynomial.values.size(); m-- > 0;)
    sum = sum * largest + std::abs(polynomial.values[m]);
  return 1e-13 * sum;
}

}  // namespace

RowPolynomial suited_polynomial(const ScoreShape& shape, Index degree, double centre, double below,
                                double above, double deviation, double unit) {
  const Index m = degree / 2;
  const double largest =
      std::max(std::abs(centre - below), std::abs(centre + above)) * (1 + 4 * unit_roundoff);
  const auto constant_bound = [&] { return constant_bound_polynomial(degree, largest, unit); };
  if (below + above > 2 * widest_node_interval || m > ScoreShape::most_nodes) return constant_bound();
  std::vector<double> nodes;
  for (double node : shape.nodes(m))  // nodes outside of the interval would serve no score
    nodes.push_back(std::clamp(centre + deviation * node, centre - below, centre + above));
  nodes.resize(static_cast<std::size_t>(m), centre);
  const double slack = 4 * unit_roundoff * (std::abs(centre) + below + above);
  RowPolynomial polynomial =
      node_polynomial(degree, centre - below - slack, centre + above + slack, nodes, unit);
  if (below + above <= 2 * narrow_interval) return polynomial;
  RowPolynomial other = constant_bound();
  const auto merit = [&](const RowPolynomial& one) {
    return foreseen_gap(shape, one, centre, deviation) +
           cancellation(one, largest / unit) * std::exp(-centre);
  };
  return merit(polynomial) <= merit(other) ? std::move(polynomial) : std::move(other);
}

double foreseen_gap(const ScoreShape& shape, const RowPolynomial& polynomial, double centre,
                    double deviation) {
  const double spread = std::pow(deviation, 2 * static_cast<double>(polynomial.nodes)) *
                        (polynomial.nodes > 0 ? shape.node_mean(polynomial.nodes) : 1);
  return polynomial.factor * spread * std::exp(-centre) / (1 + deviation * deviation / 2);
}

GapBudget GapBudget::of(const Coordinates& coordinates, const Promise& promise, Precision output_precision) {
  // By the chord (E10) an output in the middle of the range is off by half the range times W_0 / D.
  const double half_range = (coordinates.value_max - coordinates.value_min).maxCoeff() / 2;
  const double largest = std::max(coordinates.value_max.maxCoeff(), -coordinates.value_min.minCoeff());
  const double rounding = output_precision == Precision::single_precision ? 0x1p-24 * largest : 0;
  const double in_range = std::ldexp(promise.output, -coordinates.value_exponent) - rounding;
  const double of_output = half_range > 0 ? std::max(0.0, in_range / half_range) : HUGE_VAL;
  return {std::min(of_output, promise.log_normalizer)};
}

Foresight foresee_row(const ScoreShape& shape, const PolynomialCertificate& certificate,
                      const RowPolynomial& polynomial, double centre, double deviation, double box,
                      GapBudget budget) {
  const double roundings = 2 * certificate.rounding(polynomial.values, box) * std::exp(-centre);
  if (!(roundings <= budget.gap)) return Foresight::rounding_breaks_it;
  const double gap = foreseen_gap(shape, polynomial, centre, deviation) + roundings;
  return gap <= budget.gap ? Foresight::holds : Foresight::fails;
}

RowChooser::RowChooser(const ScoreShape& shape, const PolynomialCertificate& certificate, double unit,
                       Index highest_degree, GapBudget budget)
    : shape_(shape),
      certificate_(certificate),
      unit_(unit),
      highest_degree_(highest_degree),
      budget_(budget) {}

RowChooser::Scores RowChooser::rounded(const RowScores& scores) {
  const double deviation = rounded_to(scores.deviation, deviation_bits, false);
  // Nodes about 0 are good enough for scores whose mean is near it.
  const double step = deviation / centre_steps;
  const double centre = std::abs(scores.mean) <= step / 2 ? 0
                        : deviation > 0                   ? std::round(scores.mean / step) * step
                                                          : scores.mean;
  return {centre, rounded_to(centre - scores.low, reach_bits, true),
          rounded_to(scores.high - centre, reach_bits, true), deviation};
}

RowPolynomial RowChooser::of_degree(Index degree, const Scores& scores) const {
  return suited_polynomial(shape_, degree, scores.centre, scores.below, scores.above, scores.deviation,
                           unit_);
}

const RowPolynomial& RowChooser::choose(const RowScores& row) {
  const Scores scores = rounded(row);
  const Made::value_type*& recent = recent_[Hash()(scores) % recent_.size()];
  if (recent == nullptr || !(recent->first == scores)) {
    const auto [entry, is_new] = chosen_.try_emplace(scores);
    if (is_new) entry->second = made_for(scores);
    recent = &*entry;
  }
  return recent->second;
}

RowPolynomial RowChooser::made_for(const Scores& scores) const {
  if (!(budget_.gap > 0)) return of_degree(highest_degree_, scores);
  // Of what was rounded, not of this row: rows that share a polynomial may come in any order.
  const double box = std::max(std::abs(scores.centre - scores.below), std::abs(scores.centre + scores.above));
  // Higher degrees keep what lower ones do: halving finds where that begins.
  std::optional<RowPolynomial> found;
  for (Range degrees{0, highest_degree_}; degrees.size() > 0;) {
    const Index degree = degrees.begin + degrees.size() / 2;
    RowPolynomial polynomial = of_degree(degree, scores);
    if (foresee_row(shape_, certificate_, polynomial, scores.centre, scores.deviation, box, budget_) ==
        Foresight::holds) {
      found = std::move(polynomial);
      degrees.end = degree;
    } else {
      degrees.begin = degree + 1;
    }
  }
  return found ? *std::move(found) : of_degree(highest_degree_, scores);
}

void RowChooser::forget_if_many() {
  constexpr std::size_t many = 50000;
  if (chosen_.size() > many) {
    chosen_.clear();
    recent_.assign(recent_.size(), nullptr);
  }
  if (highest_.size() > many) highest_.clear();
}

const RowPolynomial& RowChooser::highest(const RowScores& row) {
  const Scores scores = rounded(row);
  const auto [entry, is_new] = highest_.try_emplace(scores);
  if (is_new) entry->second = of_degree(highest_degree_, scores);
  return entry->second;
}

std::size_t RowChooser::Hash::operator()(const Scores& scores) const {
  // Rounded numbers differ in their highest bits alone: the upper half of each product comes down to the
  // lower.
  std::uint64_t hash = 0;
  for (double part : {scores.centre, scores.below, scores.above, scores.deviation}) {
    hash = (hash ^ std::bit_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return hash * 0x9e3779b97f4a7c15 >> 32;
}

}  // namespace kronattn
