#include "measure.hpp"

#include <algorithm>
#include <cmath>

#include "tiles.hpp"

namespace kronattn {

namespace {

/// (sum_l |x_l|^k)^(1/k), rounded up; scaled by the largest entry so that no power overflows.
double hoelder_norm(const double* x, Index d, Index k) {
  double largest = 0;
  for (Index l = 0; l < d; ++l) largest = std::max(largest, std::abs(x[l]));
  if (largest == 0) return 0;
  double sum = 0;
  for (Index l = 0; l < d; ++l) {
    const double ratio = std::abs(x[l]) / largest;
    double power = ratio;
    for (Index i = 1; i < k; ++i) power *= ratio;
    sum += power;
  }
  const double root = k == 2 ? std::sqrt(sum) : std::pow(sum, 1.0 / static_cast<double>(k));
  // Below the normal numbers a relative slack does nothing: one step up always counts.
  return std::nextafter(largest * root * (1 + 4 * gamma(static_cast<double>(d + 2 * k + 8))), HUGE_VAL);
}

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

double down_from(long double x) {
  return static_cast<double>(x);
}

/// The next double above, for bounds that were computed in long double.
double up_from(long double x) {
  const auto rounded = static_cast<double>(x);
  return std::isfinite(rounded) ? std::nextafter(rounded, HUGE_VAL) : HUGE_VAL;
}

}  // namespace

ModeMeasurement::ModeMeasurement(Index width, Index value_width)
    : key_max(Vector::Zero(width)),
      key_sums(width),
      value_min(Vector::Constant(value_width, HUGE_VAL)),
      value_max(Vector::Constant(value_width, -HUGE_VAL)) {}

void ModeMeasurement::absorb(const ConstTile& keys, const ConstTile& values, Index order) {
  const Index d = keys.cols();
  rows += keys.rows();
  for (Index begin = 0; begin < keys.rows(); begin += key_tile_rows) {
    const Index end = std::min(keys.rows(), begin + key_tile_rows);
    std::vector<long double> sums(static_cast<std::size_t>(d), 0);
    for (Index j = begin; j < end; ++j) {
      const double* row = keys.data() + j * keys.outerStride();
      for (Index l = 0; l < d; ++l) {
        key_max(l) = std::max(key_max(l), std::abs(row[l]));
        sums[static_cast<std::size_t>(l)] += row[l];
      }
      key_norm = std::max(key_norm, hoelder_norm(row, d, order));
    }
    for (Index l = 0; l < d; ++l) key_sums.add(l, sums[static_cast<std::size_t>(l)]);
  }
  for (Index j = 0; j < values.rows(); ++j)
    for (Index c = 0; c < values.cols(); ++c) {
      value_min(c) = std::min(value_min(c), values(j, c));
      value_max(c) = std::max(value_max(c), values(j, c));
    }
}

ScoreBounds::ScoreBounds(const std::vector<ModeMeasurement>& modes, const ProblemShape& shape) {
  const auto product = [&](const auto& factor_of_mode) {
    ScaledProduct all(shape.scale);
    for (const ModeMeasurement& mode : modes) all.multiply(factor_of_mode(mode));
    return all.value();
  };
  for (Index l = 0; l < shape.width; ++l) {
    box.push_back(
        std::abs(product([l](const ModeMeasurement& mode) -> long double { return mode.key_max(l); })));
    mean.push_back(product(
        [l](const ModeMeasurement& mode) { return mode.key_sums.mean(l, static_cast<double>(mode.rows)); }));
  }
  hoelder = std::abs(product([](const ModeMeasurement& mode) -> long double { return mode.key_norm; }));
}

void QueryMeasurement::absorb(const ConstTile& queries, const ScoreBounds& bounds, Index order) {
  const Index d = queries.cols();
  const long double up = 1 + 4 * static_cast<long double>(gamma(static_cast<double>(d + 8)));
  for (Index i = 0; i < queries.rows(); ++i) {
    const double* row = queries.data() + i * queries.outerStride();
    long double box = 0, mean = 0;
    for (Index l = 0; l < d; ++l) {
      const auto column = static_cast<std::size_t>(l);
      largest(l) = std::max(largest(l), std::abs(row[l]));
      box += bounds.box[column] * std::abs(row[l]);
      mean += bounds.mean[column] * row[l];
    }
    const long double hoelder = bounds.hoelder * hoelder_norm(row, d, order);
    score_bound = std::max(score_bound, up_from(std::min(box, hoelder) * up));
    box_bound = std::max(box_bound, up_from(box * up));
    smallest_mean = std::min(smallest_mean, down_from(mean));
  }
}

double largest_value(const ModeMeasurement& mode) {
  return std::max(mode.value_min.cwiseAbs().maxCoeff(), mode.value_max.cwiseAbs().maxCoeff());
}

double paper_score_bound(const HeadMeasurement& head, const ProblemShape& shape) {
  long double bound = std::abs(static_cast<long double>(shape.scale)) *
                      static_cast<long double>(shape.width) * head.queries.largest.maxCoeff();
  for (const ModeMeasurement& mode : head.modes) bound *= mode.key_max.maxCoeff();
  return static_cast<double>(bound);
}

}  // namespace kronattn
