#include "certificate.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numbers>

#include "aggregate_keys.hpp"
#include "exact_kernel.hpp"
#include "exponential.hpp"
#include "feature_kernels.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr double u = unit_roundoff, u_single = unit_roundoff_single;

/// std::min and std::max of values: loops with references to them stay scalar.
double least(double a, double b) {
  return b < a ? b : a;
}
double greatest(double a, double b) {
  return a < b ? b : a;
}

/// A bound for rows that are not computed yet: their own bounds are computed in another order of operations.
double with_slack(double bound) {
  return bound == 0 ? 0 : bound * (1 + 1e-9) + 8 * 0x1p-1074;
}

/// |log(1 + x)| for |x| <= ratio, from above.
double log_error(double ratio) {
  if (ratio < 0x1p-10) return ratio * (1 + ratio);
  return ratio < 1 ? -std::log1p(-ratio) : HUGE_VAL;
}

/// The rounding of a logarithm and of what is added to it.
double log_rounding(double log) {
  return 4 * u * (1 + std::abs(log));
}

/// 2^exponent as a product. Beyond the ends everything but zero overflows, or underflows, as it does there.
std::array<double, 3> unit_of(int exponent) {
  if (std::abs(exponent) <= 1000) return {std::ldexp(1.0, exponent), 1, 1};
  const int third = std::clamp(exponent, -3066, 3066) / 3,
            rest = std::clamp(exponent, -3066, 3066) - 2 * third;
  return {std::ldexp(1.0, third), std::ldexp(1.0, third), std::ldexp(1.0, rest)};
}

}  // namespace

OutputUnits::OutputUnits(const Coordinates& coordinates, Precision output_precision)
    : lowest_(coordinates.value_min),
      highest_(coordinates.value_max),
      unit_(unit_of(coordinates.value_exponent)),
      relative_(output_precision == Precision::single_precision ? 0x1p-24 : 0),
      absolute_(output_precision == Precision::single_precision ? 0x1p-150 : 0) {}

void OutputColumn::finish(const double* quotients, const double* errors, Index rows, double* outputs,
                          double* bounds) const {
  // Locals, not members: nothing that is written here can change them, and the loop becomes one of vectors.
  const auto [low, high, units, relative_rounding, absolute_rounding] = *this;
  const auto [first, second, third] = units;
  const double middle = low / 2 + high / 2;
  for (Index i = 0; i < rows; ++i) {
    const double quotient = quotients[i], error = errors[i], known = bounds[i];
    const double clamped = quotient == quotient ? least(greatest(quotient, low), high) : middle;
    const double unconditional = greatest(high - clamped, clamped - low);
    const double scaled = error <= unconditional ? error : unconditional;  // nan: unconditional
    // The range was rounded outwards.
    const double output = least(greatest(clamped * first * second * third, -DBL_MAX), DBL_MAX);
    const double magnitude = std::abs(output);
    // A result below the normal numbers may lose up to the smallest number there is; zero loses nothing.
    const double one_step = absolute_rounding + (magnitude < DBL_MIN ? 0x1p-1074 : 0);
    const double rounding_of_output = magnitude * relative_rounding + (clamped != 0 ? one_step : 0);
    const double bound = scaled * first * second * third;
    const double underflow_of_bound = bound < DBL_MIN ? 0x1p-1074 : 0;
    const double rounding_of_bound = scaled > 0 ? underflow_of_bound : 0;
    outputs[i] = output;
    bounds[i] = greatest(known, (bound + rounding_of_output) * own_rounding + rounding_of_bound);
  }
}

PolynomialCertificate::PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                                             double unit, const std::vector<double>& monomials_per_degree,
                                             Precision output_precision, Index single_from)
    : units_(coordinates, output_precision),
      columns_(shape.sum_columns()),
      tuples_(coordinates.tuples),
      unit_(unit),
      log_weight_(coordinates.weight_exponent * std::numbers::ln2),
      mean_roundings_(static_cast<double>(shape.width + 6 * shape.order() + 16)) {
  double monomials = 0;
  for (double count : monomials_per_degree) monomials += count;
  const auto degree = static_cast<Index>(monomials_per_degree.size()) - 1;
  // Underflow: an operation on features, products, weights or coefficients loses at most 2^-1074, and what
  // multiplies it afterwards sums up, over the monomials of degree m, to at most (2 sum_l |w_l| / unit)^m: of
  // the head, not of the row, whose own entries may be tiny beside those that queries are scaled by.
  const double largest_weight = std::max(2.0, 2 * coordinates.weights.cwiseAbs().sum() / unit * own_rounding);
  double underflow = 0x1p-1000 * monomials;
  const bool some_single = single_from <= degree;
  if (some_single) {
    // 2^-126 where it is float's: of the rows of a mode, a feature's products and what they are multiplied
    // with; of a query, its feature, and once for each monomial the sum that this multiplies (N >= 2^-modes).
    const auto modes = static_cast<double>(shape.modes());
    underflow += 0x1p-126 * (modes * static_cast<double>(4 * degree + 8) * coordinates.rows_per_weight +
                             monomials * std::exp2(modes + 3));
  }
  // Sums of products of keys, and these times weights, must not overflow.
  const bool overflows =
      some_single && !(tuples_ * std::pow(largest_weight, static_cast<double>(degree)) < 0x1p120);
  const std::vector<double> blocks =
      most_blocks(monomials_per_degree, least_query_block, monomials_of_a_part(shape.sum_columns()));
  for (Index m = 0; m <= degree; ++m, underflow *= largest_weight) {
    double roundings = 0, single = 0;
    for (Index rows : shape.keys) {
      roundings += KeyAggregate::roundings(m, rows, coordinates.rows_per_weight);
      single += KeyAggregate::roundings_in_single(m, rows);
    }
    roundings += static_cast<double>(shape.modes());                  // product over the modes
    roundings += static_cast<double>(5 * m + 1);                      // multinomial weights, w_l / unit
    roundings += static_cast<double>(std::max<Index>(m - 1, 0)) + 1;  // query feature times sum
    roundings +=
        static_cast<double>(most_query_block) + blocks[static_cast<std::size_t>(m)];  // sum of the monomials
    roundings += static_cast<double>(degree + 4);  // the coefficient; sum over the degrees
    double relative = gamma(roundings);
    if (m >= single_from) {
      // What queries are multiplied with; their entries, products of these, and the sum of a block.
      single += static_cast<double>(1 + m + std::max<Index>(m - 1, 0) + 1 + query_block_monomials());
      const double of_single = overflows ? HUGE_VAL : gamma_single(single);
      relative = (relative + of_single * coordinates.power_share(m) + relative * of_single) * own_rounding;
    }
    roundings_.push_back(relative);
    underflows_.push_back(underflow);
  }
}

double PolynomialCertificate::rounding(const std::vector<double>& coefficients, double box) const {
  const double ratio = box / unit_ * (1 + 2 * u);
  double power = 1, sum = 0;
  for (std::size_t m = 0; m < coefficients.size(); ++m, power *= ratio)
    sum +=
        roundings_[m] * std::abs(coefficients[m]) * power + underflows_[m] * (1 + std::abs(coefficients[m]));
  return sum * own_rounding;
}

void PolynomialCertificate::sum_up(const RowGroup& group, std::vector<double> RowPolynomial::*polynomial,
                                   PolynomialSums& all) const {
  const Index lanes = group.lanes, columns = columns_;
  all.sums.setZero(columns * lanes);
  std::array<const double*, most_lanes> own;
  Lanes ratio, power, size, error{}, coefficient, present;
  for (Index i = 0; i < lanes; ++i) {
    const std::vector<double>& coefficients = group.polynomials[i]->*polynomial;
    own[i] = coefficients.data();
    size[i] = static_cast<double>(coefficients.size());
    ratio[i] = group.scores[i]->box / unit_ * (1 + 2 * u);
    power[i] = 1;
  }
  for (Index m = 0; m <= group.degree; ++m) {
    for (Index i = 0; i < lanes; ++i) present[i] = static_cast<double>(m) < size[i] ? 1 : 0;
    for (Index i = 0; i < lanes; ++i) coefficient[i] = present[i] > 0 ? own[i][m] : 0;
    const double* moment = group.moments + m * columns * lanes;
    double* sum = all.sums.data();
    for (Index c = 0; c < columns; ++c, moment += lanes, sum += lanes)
#pragma omp simd
      for (Index i = 0; i < lanes; ++i) sum[i] += coefficient[i] * moment[i];
    const double rounding = roundings_[static_cast<std::size_t>(m)];
    const double underflow = underflows_[static_cast<std::size_t>(m)];
    for (Index i = 0; i < lanes; ++i) {
      const double magnitude = std::abs(coefficient[i]);
      error[i] += rounding * magnitude * power[i] + underflow * (present[i] + magnitude);
      power[i] *= ratio[i];
    }
    if (group.dropped != nullptr)
      for (Index i = 0; i < lanes; ++i) error[i] += std::abs(coefficient[i]) * group.dropped[m * lanes + i];
  }
  for (Index i = 0; i < lanes; ++i) all.error[i] = tuples_ * error[i] * own_rounding;
}

double PolynomialCertificate::jensen(const RowScores& scores) const {
  const double slack = scores.box * gamma(mean_roundings_) + 8 * u * (1 + std::abs(scores.jensen));
  return std::min(DBL_MAX, tuples_ * std::exp(scores.jensen - slack) / own_rounding);
}

void PolynomialCertificate::finish(const RowGroup& group, FinishedGroup& finished) const {
  const Index lanes = group.lanes, d_v = units_.columns();
  PolynomialSums &values = finished.values, &gaps = finished.gaps;
  sum_up(group, &RowPolynomial::values, values);
  sum_up(group, &RowPolynomial::majorant, gaps);
  const double* normalizers = values.sums.data() + (columns_ - 1) * lanes;  // Y_0
  const double* all_gaps = gaps.sums.data() + (columns_ - 1) * lanes;       // W_0
  Lanes gap, low, score_error, quotients, spreads, errors;                  // W_0 from above; D_low
  for (Index i = 0; i < lanes; ++i) low[i] = jensen(*group.scores[i]);
  for (Index i = 0; i < lanes; ++i) score_error[i] = std::min(group.scores[i]->error, 2.0);
  for (Index i = 0; i < lanes; ++i) {
    const double normalizer = normalizers[i], delta = values.error[i];
    gap[i] = std::max(0.0, all_gaps[i]) + gaps.error[i];
    const double from_below = (normalizer - delta - gap[i]) - 4 * u * (std::abs(normalizer) + delta + gap[i]);
    low[i] = from_below > low[i] ? from_below : low[i];  // from_below may be nan
  }

  finished.output.resize(d_v * lanes);
  finished.error_bound.fill(0);
  for (Index c = 0; c < d_v; ++c) {
    const OutputColumn column = units_.column(c);
    const double lowest = column.lowest, highest = column.highest;
    const double* sum = values.sums.data() + c * lanes;
    const double* column_gaps = gaps.sums.data() + c * lanes;  // W_V
    for (Index i = 0; i < lanes; ++i) {
      const double gap_delta = gaps.error[i];
      const double quotient = sum[i] / normalizers[i];
      const double farthest = gap[i] * std::max(highest - quotient, quotient - lowest);
      const double above = std::max(0.0, highest * all_gaps[i] - column_gaps[i]) + 3 * gap_delta;
      const double below = std::max(0.0, column_gaps[i] - lowest * all_gaps[i]) + 3 * gap_delta;
      const double chord = ((quotient - lowest) * above + (highest - quotient) * below) / (highest - lowest);
      const bool inside = (lowest < highest) & (lowest <= quotient) & (quotient <= highest) &
                          (gap[i] <= DBL_MAX) & (std::abs(column_gaps[i]) <= DBL_MAX);
      spreads[i] = inside & (chord < farthest) ? chord : farthest;
      quotients[i] = quotient;
    }
    if (columns_ > d_v + 1) {
      const double* square_gaps = gaps.sums.data() + (d_v + c) * lanes;  // W_VV
      for (Index i = 0; i < lanes; ++i) {
        const double size = std::abs(quotients[i]);
        const double of_values = 2 * quotients[i] * column_gaps[i],
                     of_ones = quotients[i] * quotients[i] * all_gaps[i];
        const double slack = gaps.error[i] * (1 + size) * (1 + size) +
                             8 * u * (std::abs(square_gaps[i]) + std::abs(of_values) + std::abs(of_ones));
        const double squares = std::max(0.0, square_gaps[i] - of_values + of_ones) + slack;
        const double deviation = std::sqrt(gap[i] * squares);
        spreads[i] = deviation < spreads[i] ? deviation : spreads[i];  // it may be nan
      }
    }
    for (Index i = 0; i < lanes; ++i) {
      const double delta = values.error[i];
      const double error =
          (spreads[i] + delta + std::abs(quotients[i]) * (delta + 2 * u * std::abs(normalizers[i]))) /
              low[i] +
          score_error[i] * ((highest - lowest) / 2);
      errors[i] = error * own_rounding;
    }
    column.finish(quotients.data(), errors.data(), lanes, finished.output.data() + c * lanes,
                  finished.error_bound.data());
  }
  for (Index i = 0; i < lanes; ++i) {
    const RowScores& scores = *group.scores[i];
    const bool usable = normalizers[i] > 0 && std::isfinite(normalizers[i]);
    const double log = usable ? std::log(normalizers[i]) : std::log(tuples_) + scores.jensen;
    finished.log_normalizer[i] = log + (scores.shift + log_weight_);
    const double error = log_error((gap[i] + values.error[i]) / low[i] * own_rounding) + scores.error +
                         scores.shift_error + log_rounding(log) + log_rounding(finished.log_normalizer[i]) +
                         log_rounding(std::abs(scores.shift) + std::abs(log_weight_));
    finished.log_error[i] = usable && !std::isnan(error) ? error : HUGE_VAL;
  }
}

ExactCertificate::ExactCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                                   Precision output_precision, ExactArithmetic arithmetic)
    : units_(coordinates, output_precision),
      width_(shape.width),
      tuples_(shape.tuples()),
      arithmetic_(arithmetic) {
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
  double delta = (gamma(score_roundings_) + 4 * u) * box + gamma((exponential_roundings + 2) * exponentials_);
  double sums = gamma(sum_roundings_) + tuples_ * 1e-300;
  if (arithmetic_.scores == Precision::single_precision) {
    // A query's and a key's entry, d products and sums of them; the difference to the maximum of the tile, at
    // most 2 box; the exp. What underflows is lost absolutely: entries and products below 2^-126, on both
    // sides. Weights below e^-87 count as that.
    const auto d = static_cast<double>(width_);
    const double scores = (gamma_single(d + 2) + 2 * u_single) * box + (2 * box + 3 * d) * 0x1p-126;
    delta += scores * (1 + 8 * u_single) + gamma_single(exponential_roundings);
    sums += tuples_ * 2e-38;
  }
  // A value, and the sums of a block.
  if (arithmetic_.sums == Precision::single_precision)
    sums += gamma_single(static_cast<double>(single_block) + 1) + 0x1p-126;
  RowBound bound;
  bound.output = (2 * std::tanh(delta / 2) + 2 * sums / (1 - sums) + 2 * u) * own_rounding;
  bound.log_normalizer = (delta + log_error(sums)) * own_rounding;
  return bound;
}

RowBound ExactCertificate::finish(const double* sums, double maximum, double box, double* output,
                                  double& log_normalizer) const {
  const RowBound relative = scaled(box);
  const Index d_v = units_.columns();
  RowBound bound;
  for (Index c = 0; c < d_v; ++c) {
    const double quotient = sums[c] / sums[d_v];
    const double error = std::isfinite(quotient) ? relative.output : HUGE_VAL;
    units_.column(c).finish(&quotient, &error, 1, output + c, &bound.output);
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
  for (Index c = 0; c < units_.columns(); ++c) {
    const OutputColumn column = units_.column(c);
    const std::array<double, 2> extremes{column.lowest, column.highest};
    const std::array<double, 2> errors{relative.output, relative.output};
    std::array<double, 2> outputs, bounds{};
    column.finish(extremes.data(), errors.data(), 2, outputs.data(), bounds.data());
    bound.output = std::max({bound.output, with_slack(bounds[0]), with_slack(bounds[1])});
  }
  bound.log_normalizer = relative.log_normalizer + log_rounding(2 * box + std::log(tuples_));
  return bound;
}

}  // namespace kronattn
