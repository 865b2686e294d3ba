#include "coordinates.hpp"

#include <algorithm>
#include <cmath>

namespace kronattn {

ColumnScaling::ColumnScaling(const Vector& largest) : first(largest.size()), second(largest.size()) {
  for (Index l = 0; l < largest.size(); ++l) {
    int exponent = 0;
    std::frexp(largest(l), &exponent);
    exponents.push_back(exponent);
    first(l) = std::ldexp(1.0, -exponent / 2);
    second(l) = std::ldexp(1.0, -exponent - (-exponent / 2));
  }
}

void ColumnScaling::transpose_into(const ConstTile& rows, Tile scaled) const {
  for (Index l = 0; l < rows.cols(); ++l)
    for (Index j = 0; j < rows.rows(); ++j) scaled(l, j) = rows(j, l) * first(l) * second(l);
}

void ColumnScaling::scale_into(const ConstTile& rows, Tile scaled) const {
  for (Index j = 0; j < rows.rows(); ++j)
    for (Index l = 0; l < rows.cols(); ++l) scaled(j, l) = rows(j, l) * first(l) * second(l);
}

Coordinates::Coordinates(const HeadMeasurement& head, const ProblemShape& shape)
    : queries(head.queries.largest),
      weights(shape.width),
      box(shape.width),
      mean(shape.width),
      value_min(Vector::Ones(shape.value_width)),
      value_max(Vector::Ones(shape.value_width)) {
  for (const ModeMeasurement& mode : head.modes) {
    keys.emplace_back(mode.key_max);
    values.emplace_back(Vector::Constant(shape.value_width, largest_value(mode)));
    value_exponent += values.back().exponents.front();
  }

  const ScoreBounds bounds(head.modes, shape);
  for (Index l = 0; l < shape.width; ++l) {
    const auto column = static_cast<std::size_t>(l);
    int exponent = queries.exponents[column];
    for (const ColumnScaling& mode : keys) exponent += mode.exponents[column];
    weights(l) = static_cast<double>(std::ldexp(static_cast<long double>(shape.scale), exponent));
    const int query_exponent = queries.exponents[column];
    box(l) = static_cast<double>(std::ldexp(bounds.box[column], query_exponent)) * (1 + 4 * unit_roundoff);
    mean(l) = static_cast<double>(std::ldexp(bounds.mean[column], query_exponent));
  }

  for (std::size_t m = 0; m < head.modes.size(); ++m)
    for (Index c = 0; c < shape.value_width; ++c) {
      const int exponent = -values[m].exponents[static_cast<std::size_t>(c)];
      const double low = std::ldexp(head.modes[m].value_min(c), exponent);
      const double high = std::ldexp(head.modes[m].value_max(c), exponent);
      const double products[] = {value_min(c) * low, value_min(c) * high, value_max(c) * low,
                                 value_max(c) * high};
      value_min(c) = *std::min_element(products, products + 4);
      value_max(c) = *std::max_element(products, products + 4);
      if (m > 0) {  // products of more than one mode are rounded
        value_min(c) -= 2 * unit_roundoff * std::abs(value_min(c));
        value_max(c) += 2 * unit_roundoff * std::abs(value_max(c));
      }
    }
}

}  // namespace kronattn
