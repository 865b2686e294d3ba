// The two kernels that all time goes into: features formed on the fly, and what is summed of them.
//
//   aggregate   sums(a, c) += sum_j k_j^a w_jc          over the rows of one key tile
//   evaluate    moments(m, c, i) += sum over |a| = m of q_i^a G(a, c)      for a group of queries
//
// Both walk one part of the monomial tree (subtrees.hpp) block by block. Lanes are rows; a feature is its
// parent times a coordinate, formed in the registers in which it is multiplied, and stored only where
// children or more columns need it again. Columns are taken as many together as there are registers for
// accumulators. Vectors are Google Highway's, so that the instruction set is chosen when the program runs:
// what depends on it (lanes, the order of a tile's sum) is the same for all ranks and threads on one CPU
// type.
//
//   T   double or float: of features, weights and G, and of the sums within a tile or a block
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "monomials.hpp"
#include "subtrees.hpp"
#include "types.hpp"

namespace kronattn {

/// Numbers where vectors can be loaded from.
template <class T>
using Buffer = Eigen::Array<T, Eigen::Dynamic, 1>;

/// Rows of a vector, and queries that `evaluate_features` takes together, on this CPU.
template <class T>
Index vector_rows();
template <class T>
Index query_group_rows();

/// Monomials of a query block, which are summed in T before they are added to the moments: on this CPU, and
/// on any.
Index query_block_monomials();
inline constexpr Index least_query_block = 64, most_query_block = 128;
/// Monomials of a key block.
inline constexpr Index key_block = 64;

/// Monomials of a part: their key sums fit a second-level cache beside the rows.
inline Index monomials_of_a_part(Index columns) {
  return std::max<Index>(256, 24 * 1024 / columns);
}

/// Key rows whose features are summed in T before they enter the order-independent sums: a feature is 2 kB.
template <class T>
inline constexpr Index aggregate_tile_rows = 2048 / static_cast<Index>(sizeof(T));

/// Roundings that a row's product goes through, its own included, until it is in the sum of a tile of `rows`
/// rows: vector after vector, then the lanes by halves.
template <class T>
double tile_sum_roundings(Index rows) {
  const Index lanes = vector_rows<T>();
  return static_cast<double>((std::min(aggregate_tile_rows<T>, rows) + lanes - 1) / lanes) +
         std::log2(static_cast<double>(lanes));
}

/// A tile of keys as the kernel reads it.
template <class T>
class PackedKeys {
 public:
  PackedKeys(Index width, Index columns)
      : columns_(columns),
        points_(width * aggregate_tile_rows<T>),
        weighted_(columns * aggregate_tile_rows<T>) {}

  /// Takes keys (d, b) and their weighted values (columns, b), b <= aggregate_tile_rows. Rows up to the next
  /// full vector are 0 and weigh nothing.
  void pack(const ConstTile& keys, const ConstTile& weighted) {
    const Index lanes = vector_rows<T>(), rows = keys.cols();
    vectors_ = (rows + lanes - 1) / lanes;
    const auto copy = [&](const ConstTile& from, Index row, Range some, T* to) {
      const double* entries = from.data() + row * from.outerStride();
      const Index end = std::min(rows, some.end);
      for (Index j = some.begin; j < end; ++j) *to++ = static_cast<T>(entries[j]);
      std::fill_n(to, some.end - end, T{0});
    };
    for (Index l = 0; l < keys.rows(); ++l)
      copy(keys, l, {0, vectors_ * lanes}, points_.data() + l * aggregate_tile_rows<T>);
    T* to = weighted_.data();
    for (Index v = 0; v < vectors_; ++v)
      for (Index c = 0; c < columns_; ++c, to += lanes) copy(weighted, c, {v * lanes, (v + 1) * lanes}, to);
  }

  Index columns() const { return columns_; }
  Index vectors() const { return vectors_; }
  const T* points() const { return points_.data(); }      // [coordinate][row]
  const T* weighted() const { return weighted_.data(); }  // [vector][column][lane]

 private:
  Index columns_, vectors_ = 0;
  Buffer<T> points_, weighted_;
};

/// The sums of a part as they grow: words of FixedPointSums, high and low ones apart.
struct PartialSums {
  PartialSums(Index sums, double high_of_one)
      : high(Buffer<std::uint64_t>::Zero(sums + 16)), low(high), to_high(high_of_one) {}  // 16: a full vector

  Buffer<std::uint64_t> high, low;  // [degree][monomial][column]
  double to_high;                   // FixedPointSums::to_high
  std::int64_t terms = 0;           // tiles that are in
};

/// Adds the sums of one tile over the monomials of `part` of the given degrees. `buffer` grows as needed.
/// Cost: 2 rows count columns flops.
template <class T>
void aggregate_features(const Monomials& monomials, const Subtree& part, Range degrees,
                        const PackedKeys<T>& keys, PartialSums& sums, Buffer<T>& buffer);

/// What queries are multiplied with.
template <class T>
struct CombinedSums {
  Index columns = 0;
  Buffer<T> sums;        // G (r, columns), of the degrees that are evaluated
  Buffer<T> magnitudes;  // (r), or empty
};

/// Where moments are added to: [degree][column][row] with so many rows, and [degree][row] of what is kept.
struct Moments {
  double* sums;
  double* kept;  // nullptr where there are no magnitudes
  Index rows;
};

/// Adds the part's share of the moments of the given degrees of query_group_rows() queries, points
/// [coordinate][row]; where there are magnitudes also sum |q^a| magnitudes(a) to what is kept. Cost: 2 rows
/// count columns flops.
template <class T>
void evaluate_features(const Monomials& monomials, const Subtree& part, const CombinedSums<T>& combined,
                       const T* points, Range degrees, const Moments& moments, Buffer<T>& buffer);

}  // namespace kronattn
