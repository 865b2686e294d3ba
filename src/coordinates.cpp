#include "coordinates.hpp"

#include <algorithm>
#include <cmath>

namespace kronattn {

namespace {

/// x * 2^-exponent, towards `outwards` where that is not a double.
double scaled_outwards(double x, int exponent, double outwards) {
  const double scaled = std::ldexp(x, -exponent);
  return std::ldexp(scaled, exponent) == x ? scaled : std::nextafter(scaled, outwards);
}

}  // namespace

ColumnScaling::ColumnScaling(const Vector& largest) : first(largest.size()), second(largest.size()) {
  for (Index l = 0; l < largest.size(); ++l) {
    int exponent = 0;
    std::frexp(largest(l), &exponent);
    exponents.push_back(exponent);
    first(l) = std::ldexp(1.0, -exponent / 2);
    second(l) = std::ldexp(1.0, -exponent - (-exponent / 2));
  }
}

void ColumnScaling::transpose_into(const ConstColumnTile& rows, Tile scaled) const {
  for (Index l = 0; l < rows.cols(); ++l)
    scaled.row(l) = (rows.col(l) * first(l) * second(l)).matrix().transpose();
}

void ColumnScaling::scale_into(const ConstTile& rows, Tile scaled) const {
  for (Index j = 0; j < rows.rows(); ++j)
    for (Index l = 0; l < rows.cols(); ++l) scaled(j, l) = rows(j, l) * first(l) * second(l);
}

Coordinates::Coordinates(const HeadMeasurement& head, const ProblemShape& shape)
    : queries(head.queries.largest),
      weights(shape.width),
      box(shape.width),
      value_min(Vector::Ones(shape.value_width)),
      value_max(Vector::Ones(shape.value_width)) {
  for (const ModeMeasurement& mode : head.modes) {
    keys.emplace_back(mode.key_min.cwiseAbs().cwiseMax(mode.key_max.cwiseAbs()));
    values.emplace_back(Vector::Constant(shape.value_width, largest_value(mode)));
    value_exponent += values.back().exponents.front();
    int exponent = 0;
    if (mode.weight_max != 1) std::frexp(mode.weight_max, &exponent);
    const double weight = std::ldexp(mode.weight(), -exponent);
    weight_exponent += exponent;
    tuples *= weight;
    rows_per_weight = std::max(rows_per_weight, static_cast<double>(mode.rows) / weight);
  }

  const ScoreBounds bounds(head.modes, shape);
  for (Index l = 0; l < shape.width; ++l) {
    const auto column = static_cast<std::size_t>(l);
    bool vanishes = shape.scale == 0 || head.queries.largest(l) == 0;
    for (const ModeMeasurement& mode : head.modes) vanishes = vanishes || mode.largest_key(l) == 0;
    int exponent = queries.exponents[column];
    for (const ColumnScaling& mode : keys) exponent += mode.exponents[column];
    // A coordinate that is zero in one mode adds nothing; its weight must not overflow where the others are
    // large.
    weights(l) =
        vanishes ? 0 : static_cast<double>(std::ldexp(static_cast<long double>(shape.scale), exponent));
    box(l) = vanishes ? 0
                      : std::nextafter(
                            static_cast<double>(std::ldexp(bounds.box()[column], queries.exponents[column])) *
                                (1 + 4 * unit_roundoff),
                            HUGE_VAL);
  }

  power_shares.fill(1);
  for (const ModeMeasurement& mode : head.modes)
    for (std::size_t p = 1; p < power_shares.size(); ++p) {
      long double share = 0;
      for (Index l = 0; l < shape.width; ++l)
        if (mode.largest_key(l) > 0)
          share = std::max(share, mode.power_mean(l, static_cast<Index>(p)) / mode.largest_key(l));
      power_shares[p] *= std::min(
          1.0, static_cast<double>(std::pow(share, static_cast<long double>(p))) * (1 + 16 * unit_roundoff));
    }

  for (std::size_t m = 0; m < head.modes.size(); ++m)
    for (Index c = 0; c < shape.value_width; ++c) {
      const int exponent = values[m].exponents[static_cast<std::size_t>(c)];
      const double low = scaled_outwards(head.modes[m].value_min(c), exponent, -HUGE_VAL);
      const double high = scaled_outwards(head.modes[m].value_max(c), exponent, HUGE_VAL);
      const double products[] = {value_min(c) * low, value_min(c) * high, value_max(c) * low,
                                 value_max(c) * high};
      const bool rounded = m > 0;  // products of more than one mode are
      const bool zero = (low == 0 && high == 0) || (value_min(c) == 0 && value_max(c) == 0);
      value_min(c) = *std::min_element(products, products + 4);
      value_max(c) = *std::max_element(products, products + 4);
      if (rounded && !zero) {
        value_min(c) = std::nextafter(value_min(c) - 2 * unit_roundoff * std::abs(value_min(c)), -HUGE_VAL);
        value_max(c) = std::nextafter(value_max(c) + 2 * unit_roundoff * std::abs(value_max(c)), HUGE_VAL);
      }
    }
}

}  // namespace kronattn
