#include "certificate.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "aggregate_keys.hpp"
#include "exponential.hpp"
#include "features.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr double u = unit_roundoff;

/// Covers the rounding of the certificate's own arithmetic: a few dozen operations on non-negative numbers.
constexpr double own_rounding = 1 + 1e-13;

/// A bound for rows that are not computed yet: their own bounds are computed in another order of operations.
double with_slack(double bound) {
  return bound == 0 ? 0 : bound * (1 + 1e-9) + 8 * 0x1p-1074;
}

/// |log(1 + x)| for |x| <= ratio.
double log_error(double ratio) {
  return ratio < 1 ? -std::log1p(-ratio) : HUGE_VAL;
}

/// The rounding of a logarithm and of what is added to it.
double log_rounding(double log) {
  return 4 * u * (1 + std::abs(log));
}

}  // namespace

OutputUnits::OutputUnits(const Coordinates& coordinates, Precision output_precision)
    : lowest_(coordinates.value_min),
      highest_(coordinates.value_max),
      exponent_(coordinates.value_exponent),
      relative_(output_precision == Precision::single_precision ? 0x1p-24 : 0),
      absolute_(output_precision == Precision::single_precision ? 0x1p-150 : 0) {}

double OutputUnits::clamp(double quotient, Index column) const {
  const double low = lowest_(column), high = highest_(column);
  return std::isnan(quotient) ? low / 2 + high / 2 : std::min(std::max(quotient, low), high);
}

double OutputUnits::value(double quotient, Index column) const {
  const double output = std::ldexp(clamp(quotient, column), exponent_);
  return std::min(std::max(output, -DBL_MAX), DBL_MAX);  // the range was rounded outwards
}

double OutputUnits::error(double quotient, Index column, double error) const {
  const double clamped = clamp(quotient, column);
  const double unconditional = std::max(highest_(column) - clamped, clamped - lowest_(column));
  const double scaled = error <= unconditional ? error : unconditional;  // nan: unconditional
  const double magnitude = std::abs(value(quotient, column));
  // A result below the normal numbers may lose up to the smallest number there is; zero loses nothing.
  const double underflow_of_output = clamped != 0 && magnitude < DBL_MIN ? 0x1p-1074 : 0;
  const double rounding_of_output = magnitude * relative_ + (clamped != 0 ? absolute_ : 0);
  const double in_units = std::ldexp(scaled, exponent_);
  const double least = scaled > 0 && in_units < DBL_MIN ? 0x1p-1074 : 0;
  return (in_units + rounding_of_output) * own_rounding + underflow_of_output + least;
}

PolynomialCertificate::PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                                             const ExpPolynomial& polynomial,
                                             const std::vector<double>& monomials_per_degree,
                                             Precision output_precision)
    : units_(coordinates, output_precision),
      tuples_(shape.tuples()),
      mean_roundings_(static_cast<double>(shape.width + 4 * shape.order() + 16)),
      scaling_slack_(std::ldexp(1.0, static_cast<int>(shape.order()))),
      polynomial_(polynomial) {
  for (double count : monomials_per_degree) monomials_ += count;
  double blocks = 0;  // of this degree, from above: each block of parents starts a block of children
  for (Index m = 0; m <= polynomial.degree(); ++m) {
    blocks +=
        std::ceil(monomials_per_degree[static_cast<std::size_t>(m)] / static_cast<double>(monomial_block));
    double roundings = 0;
    for (Index rows : shape.keys) roundings += KeyAggregate::roundings(m, rows);
    roundings += static_cast<double>(shape.modes());                  // product over the modes
    roundings += static_cast<double>(5 * m + 1);                      // multinomial weights, w_l / S
    roundings += static_cast<double>(std::max<Index>(m - 1, 0)) + 1;  // query feature times sum
    roundings += static_cast<double>(monomial_block) + blocks;        // sum over the monomials of degree m
    roundings += static_cast<double>(polynomial.degree() + 2);        // sum over the degrees
    roundings_.push_back(roundings);
  }
}

double PolynomialCertificate::rounding(double box) const {
  const double ratio = box / polynomial_.score_bound * (1 + 2 * u);
  // Underflow: an operation on features, products or weights loses at most 2^-1074, and what multiplies it
  // afterwards sums up to at most exp(2^k box) over the monomials, since scaled maxima lie in [1/2, 1).
  double power = 1, sum = 0x1p-1000 * monomials_ * std::exp(scaling_slack_ * box);
  for (std::size_t m = 0; m < roundings_.size(); ++m, power *= ratio)
    sum += gamma(roundings_[m]) * std::abs(polynomial_.coefficients[m]) * power;
  return sum * own_rounding;
}

double PolynomialCertificate::jensen(double box, double mean) const {
  const double slack = box * gamma(mean_roundings_) + 8 * u * (1 + std::abs(mean));
  return tuples_ * std::exp(mean - slack) / own_rounding;
}

RowBound PolynomialCertificate::finish(const double* moments, double box, double mean, double* output,
                                       double& log_normalizer) const {
  const Index d_v = units_.lowest().size();
  const auto sum_column = [&](Index column) {
    double sum = 0;
    for (std::size_t m = 0; m < roundings_.size(); ++m)
      sum += polynomial_.coefficients[m] * moments[static_cast<Index>(m) * (d_v + 1) + column];
    return sum;
  };
  const double truncation = tuples_ * polynomial_.error;
  const double delta = tuples_ * rounding(box);
  const double normalizer = sum_column(d_v);
  const double from_below =
      (normalizer - delta - truncation) - 4 * u * (std::abs(normalizer) + delta + truncation);
  const double least = jensen(box, mean);
  const double low = from_below > least ? from_below : least;  // from_below may be nan

  RowBound bound;
  for (Index c = 0; c < d_v; ++c) {
    const double quotient = sum_column(c) / normalizer;
    const double spread = std::max(units_.highest()(c) - quotient, quotient - units_.lowest()(c));
    const double error =
        (truncation * spread + delta + std::abs(quotient) * (delta + 2 * u * std::abs(normalizer))) / low;
    output[c] = units_.value(quotient, c);
    bound.output = std::max(bound.output, units_.error(quotient, c, error * own_rounding));
  }
  const bool usable = normalizer > 0 && std::isfinite(normalizer);
  log_normalizer = usable ? std::log(normalizer) : std::log(tuples_) + mean;
  bound.log_normalizer =
      usable ? log_error((truncation + delta) / low * own_rounding) + log_rounding(log_normalizer) : HUGE_VAL;
  return bound;
}

RowBound PolynomialCertificate::worst_case(double box, double mean) const {
  const double truncation = tuples_ * polynomial_.error;
  const double delta = tuples_ * rounding(box);
  const double low = jensen(box, mean);
  const double ratio = box / polynomial_.score_bound;
  double largest = 0, power = 1;  // of |Y_0|
  for (double coefficient : polynomial_.coefficients)
    largest += std::abs(coefficient) * power, power *= ratio;
  largest = tuples_ * largest + delta;

  RowBound bound;
  for (Index c = 0; c < units_.lowest().size(); ++c) {
    // The quotient q is as far outside [V_min, V_max] as it is wrong, and its error grows with |q|: error <=
    // first + growth * error.
    const double range = units_.highest()(c) - units_.lowest()(c);
    const double magnitude = std::max(std::abs(units_.highest()(c)), std::abs(units_.lowest()(c)));
    const double first = (truncation * range + delta + magnitude * (delta + 2 * u * largest)) / low;
    const double growth = (truncation + delta + 2 * u * largest) / low;
    const double error = growth < 1 ? first / (1 - growth) : HUGE_VAL;
    const double furthest = std::abs(units_.highest()(c)) > std::abs(units_.lowest()(c)) ? units_.highest()(c)
                                                                                         : units_.lowest()(c);
    bound.output = std::max(bound.output, with_slack(units_.error(furthest, c, error)));
  }
  bound.log_normalizer = log_error((truncation + delta) / low * (1 + 1e-9)) +
                         log_rounding(std::log(tuples_) + box + std::abs(mean));
  return bound;
}

ExactCertificate::ExactCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                                   Precision output_precision)
    : units_(coordinates, output_precision), width_(shape.width), tuples_(shape.tuples()) {
  // A score: w_l, w_l q_l, then one product a mode and d additions.
  score_roundings_ = static_cast<double>(width_ + shape.modes() + 2);
  exponentials_ = 1;                                    // on the way of a weight into the row's sum
  sum_roundings_ = static_cast<double>(shape.modes());  // the product of the values
  for (Index rows : shape.keys) {
    const auto tiles = static_cast<double>(tile_count(rows, key_tile_rows));
    exponentials_ += tiles + 2;
    sum_roundings_ += static_cast<double>(key_tile_rows) + 2 * tiles + 4;
  }
}

RowBound ExactCertificate::scaled(double box) const {
  // Differences to running maxima add up to at most 2 box on the way of a weight, each rounded once.
  const double delta =
      (gamma(score_roundings_) + 4 * u) * box + gamma((exponential_roundings + 2) * exponentials_);
  const double sums = gamma(sum_roundings_) + tuples_ * 1e-300;
  RowBound bound;
  bound.output = (2 * std::tanh(delta / 2) + 2 * sums / (1 - sums) + 2 * u) * own_rounding;
  bound.log_normalizer = (delta + log_error(sums)) * own_rounding;
  return bound;
}

RowBound ExactCertificate::finish(const double* sums, double maximum, double box, double* output,
                                  double& log_normalizer) const {
  const RowBound relative = scaled(box);
  const Index d_v = units_.lowest().size();
  RowBound bound;
  for (Index c = 0; c < d_v; ++c) {
    const double quotient = sums[c] / sums[d_v];
    output[c] = units_.value(quotient, c);
    bound.output = std::max(bound.output,
                            units_.error(quotient, c, std::isfinite(quotient) ? relative.output : HUGE_VAL));
  }
  log_normalizer = maximum + std::log(sums[d_v]);
  bound.log_normalizer =
      std::isfinite(log_normalizer)
          ? relative.log_normalizer + log_rounding(std::abs(maximum) + std::abs(std::log(sums[d_v])))
          : HUGE_VAL;
  return bound;
}

RowBound ExactCertificate::worst_case(double box) const {
  const RowBound relative = scaled(box);
  RowBound bound;
  for (Index c = 0; c < units_.lowest().size(); ++c)
    for (double extreme : {units_.lowest()(c), units_.highest()(c)})
      bound.output = std::max(bound.output, with_slack(units_.error(extreme, c, relative.output)));
  bound.log_normalizer = relative.log_normalizer + log_rounding(2 * box + std::log(tuples_));
  return bound;
}

}  // namespace kronattn
