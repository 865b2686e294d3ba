#include "aggregate_keys.hpp"

#include <algorithm>
#include <cmath>

#include "tiles.hpp"

namespace kronattn {

KeyAggregate::KeyAggregate(Index monomials, Index rows, Index value_width)
    : columns_(value_width + 1), sums_(monomials * columns_, static_cast<double>(rows)), block_locks_(64) {}

void KeyAggregate::absorb(const Monomials& monomials, Index from_degree, const ConstTile& keys,
                          const ConstTile& values, const ChangeOfCoordinates& change,
                          const Coordinates& coordinates, Index mode) {
  const ColumnScaling& key_scaling = coordinates.keys[static_cast<std::size_t>(mode)];
  const ColumnScaling& value_scaling = coordinates.values[static_cast<std::size_t>(mode)];
  const double weight_scale = std::ldexp(1.0, -coordinates.weight_exponent);
  const Index tiles = tile_count(keys.rows(), key_tile_rows);
  const Index d = monomials.variables(), d_v = values.cols();
#pragma omp parallel
  {
    FeatureWalk walk(monomials, key_tile_rows);
    Matrix points(d, key_tile_rows), weighted(key_tile_rows, columns_), products(monomial_block, columns_);
    weighted.col(d_v).setOnes();
#pragma omp for schedule(dynamic)
    for (Index tile = 0; tile < tiles; ++tile) {
      const Range rows = tile_range(tile, keys.rows(), key_tile_rows);
      const ConstTile raw = keys.middleRows(rows.begin, rows.size());
      const auto tile_points = points.leftCols(rows.size());
      value_scaling.scale_into(values.middleRows(rows.begin, rows.size()),
                               weighted.topLeftCorner(rows.size(), d_v));
      if (change.none()) {
        key_scaling.transpose_into(raw, tile_points);
      } else {
        const ChangedKeys changed = change.keys(raw, static_cast<std::size_t>(mode));
        key_scaling.transpose_into(changed.rows, tile_points);
        for (Index j = 0; j < changed.weights.size(); ++j) {
          const double weight = changed.weights(j) * weight_scale;
          weighted.row(j).head(d_v) *= weight;
          weighted(j, d_v) = weight;
        }
      }
      walk(tile_points, monomials.degree(), [&](Index degree, Range block, const ConstTile& features) {
        if (degree < from_degree) return;
        products.topRows(block.size()).noalias() = features * weighted.topRows(rows.size());
        const auto lock = static_cast<std::size_t>(block.begin / monomial_block) % block_locks_.size();
        const std::lock_guard guard(block_locks_[lock]);
        sums_.add(block.begin * columns_, products.data(), block.size() * columns_);
      });
    }
  }
}

double KeyAggregate::roundings(Index degree, Index rows, double rows_per_weight) {
  const double features = static_cast<double>(std::max<Index>(degree - 1, 0));
  const double product_and_tile_sum = 1 + static_cast<double>(std::min(key_tile_rows, rows) - 1);
  // The quantum counts relatively to rows * 1, the maxima only lie in [1/2, 1): 2^degree for the keys, 2 for
  // values.
  const double quantum = FixedPointSums::quantisation(static_cast<double>(tile_count(rows, key_tile_rows))) *
                         std::ldexp(2.0, static_cast<int>(degree) + 1) * rows_per_weight / unit_roundoff;
  return features + product_and_tile_sum + std::ceil(quantum) + 4;  // 3 of the sum, 1 of a weighted value
}

Matrix combine_modes(const std::vector<KeyAggregate>& modes, const Vector& weights, Index columns) {
  Matrix combined(weights.size(), columns);
#pragma omp parallel for
  for (Index a = 0; a < weights.size(); ++a)
    for (Index c = 0; c < columns; ++c) {
      double product = weights(a);
      for (const KeyAggregate& mode : modes) product *= mode(a, c);
      combined(a, c) = product;
    }
  return combined;
}

}  // namespace kronattn
