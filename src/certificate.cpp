#include "certificate.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numbers>

#include "aggregate_keys.hpp"
#include "exponential.hpp"
#include "feature_kernels.hpp"
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
      unit_(std::abs(exponent_) <= 1000 ? std::ldexp(1.0, exponent_) : 0),
      relative_(output_precision == Precision::single_precision ? 0x1p-24 : 0),
      absolute_(output_precision == Precision::single_precision ? 0x1p-150 : 0) {}

double OutputUnits::clamp(double quotient, Index column) const {
  const double low = lowest_(column), high = highest_(column);
  return std::isnan(quotient) ? low / 2 + high / 2 : std::min(std::max(quotient, low), high);
}

double OutputUnits::in_units(double scaled) const {
  return unit_ != 0 ? scaled * unit_ : std::ldexp(scaled, exponent_);
}

double OutputUnits::value(double quotient, Index column) const {
  const double output = in_units(clamp(quotient, column));
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
  const double bound = in_units(scaled);
  const double least = scaled > 0 && bound < DBL_MIN ? 0x1p-1074 : 0;
  return (bound + rounding_of_output) * own_rounding + underflow_of_output + least;
}

PolynomialCertificate::PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                                             double unit, const std::vector<double>& monomials_per_degree,
                                             Precision output_precision)
    : units_(coordinates, output_precision),
      tuples_(coordinates.tuples),
      unit_(unit),
      log_weight_(coordinates.weight_exponent * std::numbers::ln2),
      mean_roundings_(static_cast<double>(shape.width + 4 * shape.order() + 16)),
      largest_weight_(std::max(2.0, 2 * coordinates.weights.cwiseAbs().sum() / unit * own_rounding)) {
  for (double count : monomials_per_degree) monomials_ += count;
  const std::vector<double> blocks =
      most_blocks(monomials_per_degree, query_block, monomials_of_a_part(shape.value_width + 1));
  const auto degree = static_cast<Index>(monomials_per_degree.size()) - 1;
  for (Index m = 0; m <= degree; ++m) {
    double roundings = 0;
    for (Index rows : shape.keys) roundings += KeyAggregate::roundings(m, rows, coordinates.rows_per_weight);
    roundings += static_cast<double>(shape.modes());                  // product over the modes
    roundings += static_cast<double>(5 * m + 1);                      // multinomial weights, w_l / unit
    roundings += static_cast<double>(std::max<Index>(m - 1, 0)) + 1;  // query feature times sum
    roundings +=
        static_cast<double>(query_block) + blocks[static_cast<std::size_t>(m)];  // sum of the monomials
    roundings += static_cast<double>(degree + 4);  // the coefficient; sum over the degrees
    roundings_.push_back(roundings);
  }
}

double PolynomialCertificate::rounding(const std::vector<double>& coefficients, double box) const {
  const double ratio = box / unit_ * (1 + 2 * u);
  // Underflow: an operation on features, products, weights or coefficients loses at most 2^-1074, and what
  // multiplies it afterwards sums up, over the monomials of degree m, to at most (2 sum_l |w_l| / unit)^m: of
  // the head, not of the row, whose own entries may be tiny beside those that queries are scaled by.
  double power = 1, largest = 1, sum = 0;
  for (std::size_t m = 0; m < coefficients.size(); ++m, power *= ratio, largest *= largest_weight_)
    sum += gamma(roundings_[m]) * std::abs(coefficients[m]) * power +
           0x1p-1000 * monomials_ * (1 + std::abs(coefficients[m])) * largest;
  return sum * own_rounding;
}

double PolynomialCertificate::jensen(const RowScores& scores) const {
  const double slack = scores.box * gamma(mean_roundings_) + 8 * u * (1 + std::abs(scores.jensen));
  return std::min(DBL_MAX, tuples_ * std::exp(scores.jensen - slack) / own_rounding);
}

RowBound PolynomialCertificate::finish(const double* moments, const RowScores& scores,
                                       const RowPolynomial& polynomial, const double* dropped, double* output,
                                       double& log_normalizer) const {
  const Index d_v = units_.lowest().size(), columns = d_v + 1;
  // Y and W_V of each column, Y_0 and W_0 in the last one.
  Vector values = Vector::Zero(columns), gaps = Vector::Zero(columns);
  const auto add = [&](const std::vector<double>& coefficients, Vector& sums) {
    for (std::size_t m = 0; m < coefficients.size(); ++m)
      sums += coefficients[m] * Eigen::Map<const Vector>(moments + static_cast<Index>(m) * columns, columns);
  };
  add(polynomial.values, values);
  add(polynomial.majorant, gaps);
  const auto unknown = [&](const std::vector<double>& coefficients) {
    double sum = rounding(coefficients, scores.box);
    for (std::size_t m = 0; dropped != nullptr && m < coefficients.size(); ++m)
      sum += std::abs(coefficients[m]) * dropped[m];
    return tuples_ * sum * own_rounding;
  };
  const double delta = unknown(polynomial.values), gap_delta = unknown(polynomial.majorant);
  const double normalizer = values(d_v);
  const double gap = std::max(0.0, gaps(d_v)) + gap_delta;  // W_0 from above
  const double from_below = (normalizer - delta - gap) - 4 * u * (std::abs(normalizer) + delta + gap);
  const double least = jensen(scores);
  const double low = from_below > least ? from_below : least;  // from_below may be nan
  const double score_error = 2 * std::tanh(scores.error / 2) * (1 + 4 * u);

  RowBound bound;
  for (Index c = 0; c < d_v; ++c) {
    const double quotient = values(c) / normalizer;
    const double lowest = units_.lowest()(c), highest = units_.highest()(c);
    double spread = gap * std::max(highest - quotient, quotient - lowest);
    if (std::isfinite(gap) && std::isfinite(gaps(c)) && lowest < highest && lowest <= quotient &&
        quotient <= highest) {
      const double above = std::max(0.0, highest * gaps(d_v) - gaps(c)) + 3 * gap_delta;
      const double below = std::max(0.0, gaps(c) - lowest * gaps(d_v)) + 3 * gap_delta;
      const double chord = ((quotient - lowest) * above + (highest - quotient) * below) / (highest - lowest);
      spread = chord < spread ? chord : spread;
    }
    const double error =
        (spread + delta + std::abs(quotient) * (delta + 2 * u * std::abs(normalizer))) / low +
        score_error * ((highest - lowest) / 2);
    output[c] = units_.value(quotient, c);
    bound.output = std::max(bound.output, units_.error(quotient, c, error * own_rounding));
  }
  const bool usable = normalizer > 0 && std::isfinite(normalizer);
  log_normalizer =
      (usable ? std::log(normalizer) : std::log(tuples_) + scores.jensen) + (scores.shift + log_weight_);
  bound.log_normalizer = usable ? log_error((gap + delta) / low * own_rounding) + scores.error +
                                      scores.shift_error + log_rounding(std::log(normalizer)) +
                                      log_rounding(log_normalizer) +
                                      log_rounding(std::abs(scores.shift) + std::abs(log_weight_))
                                : HUGE_VAL;
  if (std::isnan(bound.log_normalizer)) bound.log_normalizer = HUGE_VAL;
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
    sum_roundings_ += static_cast<double>(std::min(key_tile_rows, rows)) + 2 * tiles + 4;
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
