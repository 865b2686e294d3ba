#include "aggregate_keys.hpp"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "tiles.hpp"

namespace kronattn {

KeyAggregate::KeyAggregate(Index monomials, Index rows, Index columns, Index single_from)
    : columns_(columns), single_from_(single_from), sums_(monomials * columns_, static_cast<double>(rows)) {}

namespace {

/// Tiles that a thread sums up over one part before it merges the part's sums: few enough for all threads to
/// have some and for the packed tiles to stay in the second-level cache, many enough for merging to be cheap.
constexpr Index most_tiles_together = 16;

/// So many parts take so long with a tile that it costs nothing to fetch it again for each. Then all tiles
/// are packed before the first part begins, and part after part is done.
constexpr std::size_t many_parts = 8;

/// The rows of a tile in scaled entries, one coordinate per row, and their weighted values with the weights
/// behind them.
template <class T>
class KeyPacking {
 public:
  KeyPacking(const ChangeOfCoordinates& change, const Coordinates& coordinates, Index mode, Index width,
             Index columns)
      : change_(change),
        mode_(static_cast<std::size_t>(mode)),
        keys_(coordinates.keys[mode_]),
        values_(coordinates.values[mode_]),
        weight_scale_(std::ldexp(1.0, -coordinates.weight_exponent)),
        points_(width, aggregate_tile_rows<T>),
        weighted_(columns, aggregate_tile_rows<T>) {}

  void operator()(const ConstTile& keys, const ConstTile& values, PackedKeys<T>& packed) {
    const Index rows = keys.rows(), d_v = values.cols(), ones = weighted_.rows() - 1;
    auto points = points_.leftCols(rows), weighted = weighted_.leftCols(rows);
    values_.transpose_into(columns_of(values), weighted.topRows(d_v));
    if (ones > d_v) weighted.middleRows(d_v, d_v) = weighted.topRows(d_v).cwiseAbs2();
    weighted.row(ones).setOnes();
    if (change_.none()) {
      keys_.transpose_into(columns_of(keys), points);
    } else {
      const ChangedKeys changed = change_.keys(columns_of(keys));
      keys_.transpose_into(changed.rows, points);
      if (changed.weights.size() > 0) {
        weighted.row(ones) = changed.weights.transpose() * weight_scale_;
        for (Index c = 0; c < ones; ++c) weighted.row(c).array() *= weighted.row(ones).array();
      }
    }
    packed.pack(points, weighted);
  }

 private:
  const ChangeOfCoordinates& change_;
  std::size_t mode_;
  const ColumnScaling &keys_, &values_;
  double weight_scale_;
  Matrix points_, weighted_;
};

}  // namespace

void KeyAggregate::absorb(const Monomials& monomials, Index from_degree, const ConstTile& keys,
                          const ConstTile& values, const ChangeOfCoordinates& change,
                          const Coordinates& coordinates, Index mode, const PartsDone& done) {
  const Index end = monomials.degree() + 1, middle = std::clamp(single_from_, from_degree, end);
  if (from_degree < middle)
    absorb_in<double>(monomials, {from_degree, middle}, keys, values, change, coordinates, mode,
                      middle == end ? done : PartsDone());
  if (middle < end) absorb_in<float>(monomials, {middle, end}, keys, values, change, coordinates, mode, done);
}

template <class T>
void KeyAggregate::absorb_in(const Monomials& monomials, Range degrees, const ConstTile& keys,
                             const ConstTile& values, const ChangeOfCoordinates& change,
                             const Coordinates& coordinates, Index mode, const PartsDone& done) {
  constexpr Index tile_rows = aggregate_tile_rows<T>;
  const std::vector<Subtree> parts = this->parts(monomials);
  const Index tiles = tile_count(keys.rows(), tile_rows), threads = omp_get_max_threads();
  const Index tasks = threads > 1 ? 4 * threads : 1;  // at least, where there are so many
  const Index together = std::clamp<Index>(tiles * static_cast<Index>(parts.size()) / tasks, 1,
                                           std::clamp<Index>(tiles, 1, most_tiles_together));
  const Index at_once = parts.size() >= many_parts ? tiles : std::min(tiles, together * tasks);
  std::vector<PackedKeys<T>> packed;
  packed.reserve(static_cast<std::size_t>(at_once));
  for (Index tile = 0; tile < at_once; ++tile) packed.emplace_back(monomials.variables(), columns_);
  std::vector<std::mutex> locks(parts.size());
  std::vector<std::atomic<Index>> tiles_in(parts.size());
  const auto add = [&](std::size_t p, Range members, Buffer<T>& buffer) {
    const Subtree& part = parts[p];
    const Range own{std::max(degrees.begin, part.degree), std::min(degrees.end, part.highest_degree() + 1)};
    if (own.size() <= 0) return;
    PartialSums sums(part.first_of(own.end) * columns_, sums_.to_high());
    for (Index tile = members.begin; tile < members.end; ++tile, ++sums.terms)
      aggregate_features(monomials, part, degrees, packed[static_cast<std::size_t>(tile)], sums, buffer);
    const std::lock_guard guard(locks[p]);
    for (Index m = own.begin; m < own.end; ++m) {
      const Range range = part.degrees[static_cast<std::size_t>(m - part.degree)];
      const Index from = part.first_of(m) * columns_;
      sums_.merge(range.begin * columns_, sums.high.data() + from, sums.low.data() + from,
                  range.size() * columns_, sums.terms);
    }
  };
  std::size_t parts_done = 0;  // the calling thread's
#pragma omp parallel
  {
    KeyPacking<T> pack(change, coordinates, mode, monomials.variables(), columns_);
    Buffer<T> buffer;
    for (Index first = 0; first < tiles; first += at_once) {
      const Index count = std::min(at_once, tiles - first), groups = tile_count(count, together);
#pragma omp for schedule(static)
      for (Index tile = 0; tile < count; ++tile) {
        const Range rows = tile_range(first + tile, keys.rows(), tile_rows);
        pack(keys.middleRows(rows.begin, rows.size()), values.middleRows(rows.begin, rows.size()),
             packed[static_cast<std::size_t>(tile)]);
      }
#pragma omp for collapse(2) schedule(dynamic)
      for (std::size_t p = 0; p < parts.size(); ++p)
        for (Index group = 0; group < groups; ++group) {
          const Range members = tile_range(group, count, together);
          add(p, members, buffer);
          tiles_in[p] += members.size();
          if (!done || omp_get_thread_num() != 0) continue;
          while (parts_done < parts.size() && tiles_in[parts_done] == tiles) ++parts_done;
          done(static_cast<Index>(parts_done));
        }
    }
  }
}

double KeyAggregate::roundings(Index degree, Index rows, double rows_per_weight) {
  const double features = static_cast<double>(std::max<Index>(degree - 1, 0));
  const double product_and_tile_sum = static_cast<double>(std::min(aggregate_tile_rows<double>, rows));
  // The quantum counts relatively to rows * 1, the maxima only lie in [1/2, 1): 2^degree for the keys, 2 for
  // values.
  const double quantum =
      FixedPointSums::quantisation(static_cast<double>(tile_count(rows, aggregate_tile_rows<double>))) *
      std::ldexp(2.0, static_cast<int>(degree) + 1) * rows_per_weight / unit_roundoff;
  // 3 of the sum, 2 of a weighted value, which may be a square.
  return features + product_and_tile_sum + std::ceil(quantum) + 5;
}

double KeyAggregate::roundings_in_single(Index degree, Index rows) {
  // The entries, their products, a weighted value, and the sum of a tile.
  const Index features = degree + std::max<Index>(degree - 1, 0);
  return static_cast<double>(features) + 1 + tile_sum_roundings<float>(rows);
}

void combine_modes(const std::vector<KeyAggregate>& modes, const Vector& weights, Range some,
                   Matrix& combined) {
  const Index columns = combined.cols();
#pragma omp parallel for
  for (Index i = some.begin; i < some.end; ++i) {
    double product = weights(i / columns);
    for (const KeyAggregate& mode : modes) product *= mode(i / columns, i % columns);
    combined(i / columns, i % columns) = product;
  }
}

}  // namespace kronattn
