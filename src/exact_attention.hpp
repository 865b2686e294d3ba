// The definition, computed: sums over all key tuples, tile by tile, with a running maximum.
//
// Tiles of the modes are taken like the digits of a number, the last mode's fastest. A query tile keeps one
// set of partial sums per mode: what tile t_m of mode m contributes is summed up below it before it is added,
// so a weight goes through sum_m (rows of a tile + number of tiles) additions, not through their product.
//
//   level m of a row x:   sum over j of V_m[j] * (level m+1 of the row x * K_m[j])
//   last level:           sum over j of exp(x . K[j] - maximum) [V[j], 1]
//
// so the tuple (i, j_1, ..., j_(k-2)) acts as a query of ordinary attention, and every order is the same
// recursion.
#pragma once

#include <vector>

#include "certificate.hpp"
#include "coordinates.hpp"
#include "evaluate_queries.hpp"
#include "types.hpp"

namespace kronattn {

/// A tile of keys and values, scaled (coordinates.hpp).
struct KeyTile {
  /// Takes rows as they stand in the file: `keys` (b, d), `values` (b, d_v). `arithmetic`: of the last level.
  KeyTile(const ConstTile& keys, const ConstTile& values, const ColumnScaling& key_scaling,
          const ColumnScaling& value_scaling, ExactArithmetic arithmetic);

  Matrix keys;    // (b, d)
  Matrix values;  // (b, d_v + 1), the last column is 1

  using SingleMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  SingleMatrix single_keys, single_values;  // likewise in float, where arithmetic is; else empty
};

/// Sums of exp(s - maximum) [V, 1] over some tuples, for each of a few rows.
struct SoftmaxSums {
  SoftmaxSums(Index rows, Index columns);

  /// Adds other's tuples: both sides are brought to the larger maximum.
  void merge(const SoftmaxSums& other);
  void clear();

  Vector maximum;  // (rows) -inf while empty
  Matrix sums;     // (rows, d_v + 1)
};

/// The sums of the rows of `queries` (b, d) over all tuples of one tile of each mode; queries carry the
/// weights of Coordinates. Cost: b prod_m |tile_m| (2 d + 2 (d_v + 1) flops and one exp).
SoftmaxSums sum_over_tiles(const std::vector<const KeyTile*>& tiles, const ConstTile& queries);

/// The exact method for a range of query rows, as the tiles of the modes come by.
class ExactAttention {
 public:
  /// `queries` (rows, d) as they stand in the file, starting at a tile boundary; rows are cut into tiles of
  /// `tile_rows`, exact_query_tile_rows(order) wherever bits matter.
  ExactAttention(const ProblemShape& shape, const Coordinates& coordinates, const ConstTile& queries,
                 Index tile_rows);

  /// Adds all tuples of one tile of each mode. Uses all OpenMP threads.
  void absorb(const std::vector<const KeyTile*>& tiles);

  /// Tile after tile of mode `mode` has come by, under the present tiles of the modes before it: adds what
  /// they gave to that of mode `mode` - 1. Never called for mode 0.
  void close_mode(Index mode);

  /// The sums as they stand, of so many numbers a row, row after row: what a later ExactAttention of the same
  /// queries goes on from. None of them depends on the other rows.
  Index numbers_of_a_row() const { return modes_ * (value_width_ + 2); }
  void copy_sums(double* to) const;
  void set_sums(const double* from);

  /// After the last tile.
  RowOutputs finish(const ExactCertificate& certificate) const;

 private:
  struct QueryTile {
    Matrix points;                  // (b, d), scaled and weighted
    Vector box;                     // (b)
    std::vector<SoftmaxSums> sums;  // per mode
  };
  std::vector<QueryTile> tiles_;
  Index rows_, tile_rows_, value_width_, modes_;
};

}  // namespace kronattn
