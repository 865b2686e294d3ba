#include "exact_attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exact_kernel.hpp"
#include "exponential.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr double no_score = -std::numeric_limits<double>::infinity();

/// What a weight relative to `from` is multiplied with to be relative to `to`, to >= from.
double shift(double from, double to) {
  return from == to ? 1.0 : from == no_score ? 0.0 : exponential(from - to);
}

/// The last level: ordinary attention of `queries` (b, d) over one tile.
void sum_scores(const KeyTile& tile, const ConstTile& queries, SoftmaxSums& result) {
  const auto sum = [&](const auto& keys, const auto& values) {
    sum_tile(queries.data(), queries.outerStride(), queries.rows(), keys.data(), values.data(), keys.rows(),
             keys.cols(), values.cols(), result.maximum.data(), result.sums.data());
  };
  if (tile.single_keys.size() == 0)
    sum(tile.keys, tile.values);
  else if (tile.single_values.size() == 0)
    sum(tile.single_keys, tile.values);
  else
    sum(tile.single_keys, tile.single_values);
}

void sum_level(const std::vector<const KeyTile*>& tiles, std::size_t level, const ConstTile& queries,
               SoftmaxSums& result) {
  if (level + 1 == tiles.size()) return sum_scores(*tiles[level], queries, result);
  const KeyTile& tile = *tiles[level];
  SoftmaxSums below(tile.keys.rows(), result.sums.cols());
  Matrix expanded(tile.keys.rows(), tile.keys.cols());
  for (Index i = 0; i < queries.rows(); ++i) {
    expanded = tile.keys.array().rowwise() * queries.row(i).array();
    sum_level(tiles, level + 1, expanded, below);
    const double maximum = below.maximum.maxCoeff();
    result.maximum(i) = maximum;
    auto sums = result.sums.row(i);
    sums.setZero();
    for (Index j = 0; j < expanded.rows(); ++j)
      sums += shift(below.maximum(j), maximum) * tile.values.row(j).cwiseProduct(below.sums.row(j));
  }
}

}  // namespace

KeyTile::KeyTile(const ConstTile& raw_keys, const ConstTile& raw_values, const ColumnScaling& key_scaling,
                 const ColumnScaling& value_scaling, ExactArithmetic arithmetic)
    : keys(raw_keys.rows(), raw_keys.cols()), values(raw_values.rows(), raw_values.cols() + 1) {
  key_scaling.scale_into(raw_keys, keys);
  value_scaling.scale_into(raw_values, values.leftCols(raw_values.cols()));
  values.rightCols(1).setOnes();
  if (arithmetic.scores == Precision::single_precision) single_keys = keys.cast<float>();
  if (arithmetic.sums == Precision::single_precision) single_values = values.cast<float>();
}

SoftmaxSums::SoftmaxSums(Index rows, Index columns) : maximum(rows), sums(rows, columns) {
  clear();
}

void SoftmaxSums::clear() {
  maximum.setConstant(no_score);
  sums.setZero();
}

void SoftmaxSums::merge(const SoftmaxSums& other) {
  for (Index i = 0; i < maximum.size(); ++i) {
    const double larger = std::max(maximum(i), other.maximum(i));
    sums.row(i) =
        shift(maximum(i), larger) * sums.row(i) + shift(other.maximum(i), larger) * other.sums.row(i);
    maximum(i) = larger;
  }
}

SoftmaxSums sum_over_tiles(const std::vector<const KeyTile*>& tiles, const ConstTile& queries) {
  SoftmaxSums result(queries.rows(), tiles.front()->values.cols());
  sum_level(tiles, 0, queries, result);
  return result;
}

ExactAttention::ExactAttention(const ProblemShape& shape, const Coordinates& coordinates,
                               const ConstTile& queries, Index tile_rows)
    : rows_(queries.rows()), tile_rows_(tile_rows), value_width_(shape.value_width), modes_(shape.modes()) {
  for (Index tile = 0; tile < tile_count(rows_, tile_rows); ++tile) {
    const Range rows = tile_range(tile, rows_, tile_rows);
    QueryTile query_tile{Matrix(rows.size(), shape.width), Vector::Zero(rows.size()), {}};
    coordinates.queries.scale_into(queries.middleRows(rows.begin, rows.size()), query_tile.points);
    for (Index i = 0; i < rows.size(); ++i)
      for (Index l = 0; l < shape.width; ++l) {
        query_tile.box(i) += std::abs(query_tile.points(i, l)) * coordinates.box(l);
        query_tile.points(i, l) *= coordinates.weights(l);
      }
    query_tile.box *= 1 + 2 * gamma(static_cast<double>(shape.width + 2));
    query_tile.sums.assign(shape.keys.size(), SoftmaxSums(rows.size(), value_width_ + 1));
    tiles_.push_back(std::move(query_tile));
  }
}

void ExactAttention::absorb(const std::vector<const KeyTile*>& tiles) {
#pragma omp parallel for schedule(dynamic)
  for (std::size_t t = 0; t < tiles_.size(); ++t)
    tiles_[t].sums.back().merge(sum_over_tiles(tiles, tiles_[t].points));
}

void ExactAttention::close_mode(Index mode) {
  const auto m = static_cast<std::size_t>(mode);
  for (QueryTile& tile : tiles_) {
    tile.sums[m - 1].merge(tile.sums[m]);
    tile.sums[m].clear();
  }
}

void ExactAttention::copy_sums(double* to) const {
  for (const QueryTile& tile : tiles_)
    for (Index i = 0; i < tile.points.rows(); ++i)
      for (const SoftmaxSums& level : tile.sums) {
        *to++ = level.maximum(i);
        to = std::copy_n(level.sums.row(i).data(), value_width_ + 1, to);
      }
}

void ExactAttention::set_sums(const double* from) {
  for (QueryTile& tile : tiles_)
    for (Index i = 0; i < tile.points.rows(); ++i)
      for (SoftmaxSums& level : tile.sums) {
        level.maximum(i) = *from++;
        std::copy_n(from, value_width_ + 1, level.sums.row(i).data());
        from += value_width_ + 1;
      }
}

RowOutputs ExactAttention::finish(const ExactCertificate& certificate) const {
  RowOutputs outputs(rows_, value_width_);
  for (std::size_t t = 0; t < tiles_.size(); ++t) {
    const SoftmaxSums& sums = tiles_[t].sums.front();
    for (Index i = 0; i < sums.maximum.size(); ++i) {
      const Index row = static_cast<Index>(t) * tile_rows_ + i;
      const RowBound bound = certificate.finish(sums.sums.row(i).data(), sums.maximum(i), tiles_[t].box(i),
                                                outputs.output.row(row).data(), outputs.log_normalizer(row));
      outputs.error_bound(row) = bound.output;
      outputs.log_error(row) = bound.log_normalizer;
    }
  }
  return outputs;
}

}  // namespace kronattn
