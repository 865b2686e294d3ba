// The units that kernels work in: powers of two, which leave scores and outputs exactly as they are.
//
// Every coordinate of every mode, every mode's values, and the key weights are scaled by a power of two until
// their largest entry lies in [1/2, 1). That is exact at every order and keeps features from overflowing or
// underflowing, however the modes are scaled against each other (mathematics.md, section H, E8 remedies); and
// it makes every key sum at most the number of rows, which is the bound that the fixed-point sums need. What
// was taken out goes into one constant a coordinate:  score = sum_l weights(l) q_l prod_m k_ml  in scaled
// entries. Which coordinates these are is decided before (change_of_coordinates.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "measure.hpp"
#include "types.hpp"

namespace kronattn {

/// Powers of two to multiply columns by: two factors, since 2^1073 is not a double.
struct ColumnScaling {
  explicit ColumnScaling(const Vector& largest = Vector());
  std::vector<int> exponents;  // (columns) largest(l) * 2^-exponents(l) lies in [1/2, 1), or is 0
  Vector first, second;        // (columns) first * second = 2^-exponent

  /// Writes rows (b, columns), scaled, one coordinate per row: scaled (columns, b).
  void transpose_into(const ConstColumnTile& rows, Tile scaled) const;
  /// Writes rows (b, columns), scaled, as rows.
  void scale_into(const ConstTile& rows, Tile scaled) const;
};

struct Coordinates {
  Coordinates(const HeadMeasurement& head, const ProblemShape& shape);

  ColumnScaling queries;              // (d)
  std::vector<ColumnScaling> keys;    // per mode, (d)
  std::vector<ColumnScaling> values;  // per mode, (d_v): one exponent for all columns of a mode
  int value_exponent = 0;             // outputs are 2^this times what scaled values give
  int weight_exponent = 0;     // key weights are 2^this times the scaled ones, whose largest is in [1/2, 1]
  double tuples = 1;           // N in scaled weights: the sum over all key tuples of their weights
  double rows_per_weight = 1;  // largest over the modes: rows over the sum of scaled weights, at least 1
  Vector weights;              // (d) scale * 2^(sum of the exponents of coordinate l); may be infinite
  Vector box;                  // (d) |score| of scaled query q is at most sum_l |q_l| box(l), rounded up
  /// prod over the modes of max_l mean_j |k_jl|^m / max_j |k_jl|^m, from above: over all tuples the absolute
  /// values of the terms of a score's m-th power come to at most N times this times that of the box score
  /// (mathematics.md E6 with the power means of the data in the box's place).
  double power_share(Index m) const {
    return power_shares[std::min(static_cast<std::size_t>(m), power_shares.size() - 1)];
  }
  std::array<double, 2 * ModeMeasurement::even_powers + 1> power_shares;  // of m = 0 ... 8, and above as of 8
  Vector value_min, value_max;  // (d_v) range of V_J = prod_m V_m[j_m], scaled, rounded outwards
};

}  // namespace kronattn
