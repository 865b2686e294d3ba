#include "measure.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "norms.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// A product of many factors, of which no part may leave the range of long double before the whole does.
class ScaledProduct {
 public:
  explicit ScaledProduct(long double first) { multiply(first); }

  void multiply(long double factor) {
    int exponent = 0;
    mantissa_ = std::frexp(mantissa_ * std::frexp(factor, &exponent), &last_);
    exponent_ += exponent + last_;
  }
  long double value() const { return std::ldexp(mantissa_, exponent_); }

 private:
  long double mantissa_ = 1;
  int exponent_ = 0, last_ = 0;
};

/// A tile's sum as exact sums take it: a product of a weight and a subnormal key may be too small for them.
long double summable(long double sum) {
  return std::abs(sum) < 0x1p-1074L ? 0 : sum;
}

/// So far from the ends of double that what products lose there is nothing beside a rounding of x.
template <class Number>
bool is_ordinary(Number x) {
  return x >= Number{1e-200} && x <= Number{1e200};
}

/// The next double above: a bound that was computed in long double, or one step more of slack.
double up_from(long double x) {
  const auto rounded = static_cast<double>(x);
  return std::isfinite(rounded) ? std::nextafter(rounded, HUGE_VAL) : HUGE_VAL;
}

/// sum_j w_j x_j, all w_j being 1 where there are none, right to a rounding of double, and two more of each
/// w_j x_j where there are: what each addition loses is added up beside the sum (Knuth's TwoSum).
long double sum_of(const Eigen::Ref<const Eigen::ArrayXd>& x, const Eigen::ArrayXd& weights) {
  using Lanes = Eigen::Array<double, 8, 1>;
  const bool weighted = weights.size() > 0;
  const double largest = x.abs().maxCoeff();
  // Elsewhere sums may overflow, or products vanish.
  const bool ordinary = largest < 0x1p800 && (!weighted || largest > 0x1p-800);
  long double sum = 0;
  Index j = 0;
  if (ordinary) {
    Lanes high = Lanes::Zero(), lost = high;
    for (; j + Lanes::SizeAtCompileTime <= x.size(); j += Lanes::SizeAtCompileTime) {
      Lanes term = x.segment<Lanes::SizeAtCompileTime>(j);
      if (weighted) term *= weights.segment<Lanes::SizeAtCompileTime>(j);
      const Lanes next = high + term, added = next - high;
      lost += (high - (next - added)) + (term - added);
      high = next;
    }
    for (Index i = 0; i < high.size(); ++i) sum += static_cast<long double>(high(i)) + lost(i);
  }
  for (; j < x.size(); ++j) sum += static_cast<long double>(weighted ? weights(j) : 1) * x(j);
  return sum;
}

}  // namespace

ModeMeasurement::ModeMeasurement(Index width, Index value_width)
    : key_min(Vector::Constant(width, HUGE_VAL)),
      key_max(Vector::Constant(width, -HUGE_VAL)),
      key_nonzero(width),
      key_sums(width),
      value_min(Vector::Constant(value_width, HUGE_VAL)),
      value_max(Vector::Constant(value_width, -HUGE_VAL)) {}

void ModeMeasurement::absorb_keys(const ConstColumnTile& keys, const Vector& weights, Index order) {
  rows += keys.rows();
  key_nonzero.absorb(keys);
  for (Index begin = 0; begin < keys.rows(); begin += key_tile_rows) {
    const Index count = std::min(key_tile_rows, keys.rows() - begin);
    const ConstColumnTile tile = keys.middleRows(begin, count);
    const Eigen::ArrayXd tile_weights =
        weights.size() > 0 ? weights.segment(begin, count).array() : Eigen::ArrayXd();
    key_norm = std::max(key_norm, largest_hoelder_norm(tile, order));
    key_min = key_min.cwiseMin(tile.colwise().minCoeff().transpose().matrix());
    key_max = key_max.cwiseMax(tile.colwise().maxCoeff().transpose().matrix());
    if (!key_units.empty()) add_powers(tile, tile_weights);
    if (tile_weights.size() > 0) weight_max = std::max(weight_max, tile_weights.maxCoeff());
    weight_sum.add(0, tile_weights.size() > 0 ? sum_of(tile_weights, Eigen::ArrayXd())
                                              : static_cast<long double>(count));
    for (Index l = 0; l < keys.cols(); ++l) key_sums.add(l, summable(sum_of(tile.col(l), tile_weights)));
  }
}

void ModeMeasurement::absorb_values(const ConstTile& values) {
  for (Index j = 0; j < values.rows(); ++j)
    for (Index c = 0; c < values.cols(); ++c) {
      value_min(c) = std::min(value_min(c), values(j, c));
      value_max(c) = std::max(value_max(c), values(j, c));
    }
}

void ModeMeasurement::sum_powers(const Matrix& key_sample) {
  key_powers = ExactSums(even_powers * key_sample.cols());
  for (Index l = 0; l < key_sample.cols(); ++l) {
    int exponent = 0;
    std::frexp(key_sample.col(l).cwiseAbs().maxCoeff(), &exponent);
    key_units.push_back(std::clamp(exponent, -1000, 1000));  // 2^-e_l is a double
  }
}

void ModeMeasurement::add_powers(const ConstColumnTile& keys, const Eigen::ArrayXd& weights) {
  Eigen::ArrayXd square, power;
  for (Index l = 0; l < keys.cols(); ++l) {
    const double unit = std::ldexp(1.0, -key_units[static_cast<std::size_t>(l)]);
    // An entry far outside of the sample makes the sum useless, not wrong: it is cut above what power_mean
    // trusts.
    square = (keys.col(l) * unit).abs().min(0x1p20).square();
    power = square;
    if (weights.size() > 0) power *= weights;
    for (Index p = 0; p < even_powers; ++p, power *= square)
      key_powers.add(l * even_powers + p,
                     std::max(power.sum(), 0x1p-900));  // more than what vanished: a bound from above
  }
}

long double ModeMeasurement::power_mean(Index l, Index p) const {
  const long double largest = largest_key(l);
  if (key_units.empty() || largest == 0) return largest;
  const int unit = key_units[static_cast<std::size_t>(l)];
  if (std::ldexp(largest, -unit) >= 0x1p20L) return largest;
  // Between two even powers, the geometric mean bounds the odd one; above the last, the largest entry.
  const auto even = [&](Index power) {
    return power == 0 ? 1.0L : key_powers.mean(l * even_powers + power / 2 - 1, weight());
  };
  const Index low = std::min(p / 2 * 2, 2 * even_powers), high = std::min((p + 1) / 2 * 2, 2 * even_powers);
  long double mean = std::sqrt(even(low) * even(high));
  for (Index i = (low + high) / 2; i < p; ++i) mean *= std::ldexp(largest, -unit);
  const long double root = std::pow(mean, 1.0L / static_cast<long double>(p));
  return std::min(largest, std::ldexp(root * (1 + 0x1p-40L), unit));
}

void ModeMeasurement::merge(const ModeMeasurement& other) {
  rows += other.rows;
  key_min = key_min.cwiseMin(other.key_min);
  key_max = key_max.cwiseMax(other.key_max);
  key_nonzero.merge(other.key_nonzero);
  key_norm = std::max(key_norm, other.key_norm);
  weight_max = std::max(weight_max, other.weight_max);
  weight_sum.merge(other.weight_sum);
  key_sums.merge(other.key_sums);
  key_powers.merge(other.key_powers);
  value_min = value_min.cwiseMin(other.value_min);
  value_max = value_max.cwiseMax(other.value_max);
}

ScoreBounds::ScoreBounds(const std::vector<ModeMeasurement>& modes, const ProblemShape& shape)
    : order_(shape.order()) {
  const auto product = [&](const auto& factor_of_mode) {
    ScaledProduct all(shape.scale);
    for (const ModeMeasurement& mode : modes) all.multiply(factor_of_mode(mode));
    return all.value();
  };
  for (Index l = 0; l < shape.width; ++l) {
    wide_.box.push_back(
        std::abs(product([l](const ModeMeasurement& mode) -> long double { return mode.largest_key(l); })));
    wide_.mean.push_back(
        product([l](const ModeMeasurement& mode) { return mode.key_sums.mean(l, mode.weight()); }));
    // The range of the product, relatively to the box.
    long double low = shape.scale < 0 ? -1 : 1, high = low;
    for (const ModeMeasurement& mode : modes) {
      const long double largest = mode.largest_key(l);
      if (largest == 0) continue;
      const long double ends[] = {low * (mode.key_min(l) / largest), low * (mode.key_max(l) / largest),
                                  high * (mode.key_min(l) / largest), high * (mode.key_max(l) / largest)};
      low = *std::min_element(ends, ends + 4);
      high = *std::max_element(ends, ends + 4);
    }
    wide_.low.push_back(low * wide_.box.back());
    wide_.high.push_back(high * wide_.box.back());
  }
  wide_.hoelder = std::abs(product([](const ModeMeasurement& mode) -> long double { return mode.key_norm; }));
  const auto to_double = [](const std::vector<long double>& column) {
    return std::vector<double>(column.begin(), column.end());
  };
  ordinary_ = {to_double(wide_.box), to_double(wide_.mean), to_double(wide_.low), to_double(wide_.high),
               static_cast<double>(wide_.hoelder)};
  has_ordinary_ = is_ordinary(wide_.hoelder) && std::all_of(wide_.box.begin(), wide_.box.end(),
                                                            [](auto x) { return x == 0 || is_ordinary(x); });
}

RowScores ScoreBounds::row(const Vector& query) const {
  const auto d = static_cast<Index>(wide_.box.size());
  const long double slack = 4 * static_cast<long double>(gamma(static_cast<double>(d + 2 * order_ + 8)));
  long double in_box = 0, at_mean = 0, low = 0, high = 0;
  for (std::size_t l = 0; l < wide_.box.size(); ++l) {
    const long double q = query(static_cast<Index>(l));
    in_box += wide_.box[l] * std::abs(q);
    at_mean += wide_.mean[l] * q;
    low += q * (q < 0 ? wide_.high[l] : wide_.low[l]);
    high += q * (q < 0 ? wide_.low[l] : wide_.high[l]);
  }
  in_box *= 1 + slack;
  const long double hoelder = wide_.hoelder * hoelder_norm(query.data(), d, order_) * (1 + slack);
  RowScores scores;
  scores.box = up_from(in_box);
  scores.jensen = static_cast<double>(at_mean);
  scores.high = up_from(std::min({high + slack * in_box, in_box, hoelder}));
  scores.low = -up_from(std::min({-low + slack * in_box, in_box, hoelder}));
  return scores;
}

std::vector<RowScores> ScoreBounds::rows(const ConstColumnTile& queries) const {
  const Index b = queries.rows(), d = queries.cols();
  std::vector<RowScores> scores(static_cast<std::size_t>(b));
  const double slack = 4 * gamma(static_cast<double>(d + 2 * order_ + 8));
  Eigen::ArrayXd in_box = Eigen::ArrayXd::Zero(b), at_mean = in_box, low = in_box, high = in_box, most;
  if (has_ordinary_) {
    for (Index l = 0; l < d; ++l) {
      const auto column = static_cast<std::size_t>(l);
      const auto q = queries.col(l);
      in_box += ordinary_.box[column] * q.abs();
      at_mean += ordinary_.mean[column] * q;
      low += (ordinary_.low[column] * q).min(ordinary_.high[column] * q);
      high += (ordinary_.low[column] * q).max(ordinary_.high[column] * q);
    }
    in_box *= 1 + slack;
    most = in_box.min(hoelder_norms(queries, order_) * (ordinary_.hoelder * (1 + slack)));
    high = (high + slack * in_box).min(most);
    low = (low - slack * in_box).max(-most);
  }
  for (Index i = 0; i < b; ++i) {
    RowScores& row = scores[static_cast<std::size_t>(i)];
    // Products that vanish are far below the slack then; the Hoelder bound is at least box / d, so it can't.
    if (has_ordinary_ && is_ordinary(in_box(i))) {
      row.box = in_box(i);
      row.jensen = at_mean(i);
      row.high = high(i);
      row.low = low(i);
    } else {
      row = this->row(queries.row(i).matrix());
    }
  }
  return scores;
}

QueryMeasurement::QueryMeasurement(Index width) : largest(Vector::Zero(width)), nonzero(width) {
  spreads.rows.assign(static_cast<std::size_t>(SpreadClasses::count), 0);
  spreads.below = spreads.above = Vector::Zero(SpreadClasses::count);
}

void QueryMeasurement::absorb(const ConstColumnTile& queries, const std::vector<RowScores>& scores) {
  if (queries.rows() == 0) return;
  nonzero.absorb(queries);
  largest = largest.cwiseMax(queries.abs().colwise().maxCoeff().transpose().matrix());
  for (const RowScores& row : scores) {
    score_bound = std::max(score_bound, row.largest());
    box_bound = std::max(box_bound, row.box);
    if (!(row.error <= score_error)) score_error = std::isnan(row.error) ? HUGE_VAL : row.error;
    const Index like = SpreadClasses::of(row.deviation);
    ++spreads.rows[static_cast<std::size_t>(like)];
    spreads.below(like) = std::max(spreads.below(like), row.mean - row.low);
    spreads.above(like) = std::max(spreads.above(like), row.high - row.mean);
  }
}

void QueryMeasurement::merge(const QueryMeasurement& other) {
  largest = largest.cwiseMax(other.largest);
  nonzero.merge(other.nonzero);
  score_bound = std::max(score_bound, other.score_bound);
  box_bound = std::max(box_bound, other.box_bound);
  score_error = std::max(score_error, other.score_error);
  for (std::size_t i = 0; i < spreads.rows.size(); ++i) spreads.rows[i] += other.spreads.rows[i];
  spreads.below = spreads.below.cwiseMax(other.spreads.below);
  spreads.above = spreads.above.cwiseMax(other.spreads.above);
}

Index SpreadClasses::of(double deviation) {
  if (!(deviation > 0)) return 0;
  return static_cast<Index>(std::clamp(8 * (std::log2(deviation) + 40), 0.0, count - 1.0));
}

double SpreadClasses::deviation(Index spread_class) {
  return spread_class == 0 ? 0 : std::exp2((static_cast<double>(spread_class) + 0.5) / 8 - 40);
}

MeasuredHead::MeasuredHead(const HeadSample& file_sample, const ProblemShape& shape, bool may_change,
                           double negligible_score) {
  if (may_change)
    change = shape.order() == 2 ? ChangeOfCoordinates(file_sample, shape.scale, negligible_score)
                                : ChangeOfCoordinates::merging(file_sample, shape.scale);
  alike = alike_columns(file_sample);
  sample = file_sample;
  if (!change.none()) {
    sample = {change.queries(file_sample.queries).rows.matrix(), {}};
    for (std::size_t m = 0; m < file_sample.keys.size(); ++m) {
      ChangedKeys keys = change.keys(file_sample.keys[m]);
      sample.keys.emplace_back(keys.rows.matrix());
      sample.weights = std::move(keys.weights);
    }
  }
  scores = ScoreShape(sample, shape.scale);
}

std::optional<TwoValuedColumns> two_valued_columns(const MeasuredHead& head, double scale) {
  std::vector<const NonzeroRange*> ranges = {&head.file.queries.nonzero};
  for (const ModeMeasurement& mode : head.file.modes) ranges.push_back(&mode.key_nonzero);
  return TwoValuedColumns::of(head.alike, ranges, scale);
}

QueryTile::QueryTile(const MeasuredHead& head, const ScoreBounds& bounds, const ProblemShape& shape,
                     const ConstColumnTile& queries) {
  std::optional<ChangedQueries> changed;
  if (head.change.none()) {
    rows = queries;
  } else {
    changed = head.change.queries(queries);
    rows = std::move(changed->rows);
  }
  scores = bounds.rows(rows);
  const ScoreShape::Spread spread = head.scores.spread(rows);
  for (Index i = 0; i < rows.rows(); ++i) {
    RowScores& row = scores[static_cast<std::size_t>(i)];
    const bool known = std::isfinite(spread.mean(i)) && std::isfinite(spread.deviation(i));
    row.mean = known ? std::clamp(spread.mean(i), row.low, row.high) : 0;
    row.deviation = known ? std::min(spread.deviation(i), row.high - row.low) : 0;
  }
  if (!changed) return;
  Vector largest_keys = Vector::Ones(rows.cols());  // of their products over the modes
  std::vector<Vector> largest_in_file;
  for (std::size_t m = 0; m < head.changed.modes.size(); ++m) {
    for (Index l = 0; l < rows.cols(); ++l) largest_keys(l) *= head.changed.modes[m].largest_key(l);
    largest_in_file.push_back(
        head.file.modes[m].key_min.cwiseAbs().cwiseMax(head.file.modes[m].key_max.cwiseAbs()));
  }
  const double remainder = head.change.remainder(head.key_remainders, largest_in_file);
  const double weight_error = head.change.weight_error(largest_keys);
  const double largest_sum = largest_keys.sum();
  for (Index i = 0; i < rows.rows(); ++i) {
    RowScores& row = scores[static_cast<std::size_t>(i)];
    row.error = std::abs(shape.scale) * (1 + 1e-12) *
                    (changed->norm(i) * remainder + changed->dropped(i) * head.key_dropped +
                     changed->rounding(i) * largest_sum) +
                weight_error;
    row.shift = changed->shift(i);
    row.shift_error = changed->shift_error(i);
  }
}

double largest_value(const ModeMeasurement& mode) {
  return std::max(mode.value_min.cwiseAbs().maxCoeff(), mode.value_max.cwiseAbs().maxCoeff());
}

double largest_key(const ModeMeasurement& mode) {
  return std::max(mode.key_max.maxCoeff(), -mode.key_min.minCoeff());
}

double paper_score_bound(const HeadMeasurement& head, const ProblemShape& shape) {
  long double bound = std::abs(static_cast<long double>(shape.scale)) *
                      static_cast<long double>(shape.width) * head.queries.largest.maxCoeff();
  for (const ModeMeasurement& mode : head.modes) bound *= largest_key(mode);
  return static_cast<double>(bound);
}

}  // namespace kronattn
