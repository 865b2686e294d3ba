// What is measured of a problem before anything is planned: one pass over the keys and values, one over the
// queries.
//
// Everything here merges over tiles and ranks in any order to the same bits: maxima, minima and exact sums.
// All bounds are rounded upwards. Source: mathematics.md E3, E4, F5.
#pragma once

#include <vector>

#include "fixed_point_sums.hpp"
#include "types.hpp"

namespace kronattn {

/// One key/value mode of one head.
struct ModeMeasurement {
  ModeMeasurement() = default;
  ModeMeasurement(Index width, Index value_width);

  /// Takes rows (rows, d) of keys and (rows, d_v) of values in, all finite. `order` is k, for the Hoelder
  /// norm.
  void absorb(const ConstTile& keys, const ConstTile& values, Index order);

  Index rows = 0;               //       absorbed so far
  Vector key_max;               // (d)   max_j |K_jl|
  double key_norm = 0;          //       max_j (sum_l |K_jl|^k)^(1/k)
  ExactSums key_sums;           // (d)   sum_j K_jl
  Vector value_min, value_max;  // (d_v) range of each value column
};

/// What of all key modes together bounds the score of a query row: everything O(d).
struct ScoreBounds {
  /// Scores are scale * sum_l q_l prod_m K_m[j_m, l]. Long double: products of maxima may leave the range of
  /// double.
  ScoreBounds(const std::vector<ModeMeasurement>& modes, const ProblemShape& shape);

  std::vector<long double> box;  // (d) |scale| prod_m max|K_ml|
  /// (d) scale prod_m mean(K_ml). Tile sums are in long double: right to 2 roundings of double, relatively to
  /// box.
  std::vector<long double> mean;
  long double hoelder = 0;  //     |scale| prod_m max_j |K_m,j|_k
};

/// The query rows of one head.
struct QueryMeasurement {
  QueryMeasurement() = default;
  explicit QueryMeasurement(Index width) : largest(Vector::Zero(width)) {}

  /// Takes rows (rows, d) in, all finite.
  void absorb(const ConstTile& queries, const ScoreBounds& bounds, Index order);

  Vector largest;                   // (d) max_i |Q_il|
  double score_bound = 0;           // max_i min(box, Hoelder): no |score| exceeds it
  double box_bound = 0;             // max_i sigma_i, sigma_i = |scale| sum_l |Q_il| prod_m max|K_ml|
  double smallest_mean = HUGE_VAL;  // min_i of the mean score of row i, as computed
};

/// All of one head.
struct HeadMeasurement {
  std::vector<ModeMeasurement> modes;
  QueryMeasurement queries;
};

/// max |V_m| of mode m: the promise is relative to the product of these over the modes (largest over heads).
double largest_value(const ModeMeasurement& mode);

/// The papers' score bound: d |scale| max|Q| prod_m max|K_m|.
double paper_score_bound(const HeadMeasurement& head, const ProblemShape& shape);

}  // namespace kronattn
