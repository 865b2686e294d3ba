// Other coordinates for queries and keys that leave the output as it is, up to an error that is measured and
// proved.
//
// Order 2. Adding a constant to every score of a row changes nothing but its normaliser, and scores are inner
// products. So for any centre c, any matrix B (d, d) and any numbers k' that stand for a key,
//     q . k = q . c  +  (B' q) . k'  +  q . r,      r = (k - c) - B k'
// holds exactly: the first term is free, the second is what is worked with, the third is an error of the
// score, as large as the remainder r that was measured. B and c come from a sample: B makes the second
// moments of both sides one and the same diagonal matrix (mathematics.md F1, F2), so that coordinates can be
// sorted by what they matter, and those that provably do not matter on any row are left out.
//
// Queries can be centred too, at any t: (B' q) . k' = (B' q - t) . k' + t . k', and the last term, which
// depends on the key alone, becomes a weight e^(scale t . k') of the key. All sums over keys are then
// weighted sums, and the number of keys is the sum of their weights (mathematics.md F1').
//
// Order 3 and up. Turning is not free, but columns may be merged: where column l of every mode is alpha_m
// times column r, q_l prod k_ml + q_r prod k_mr = (q_r + q_l prod alpha_m) prod k_mr is one coordinate; where
// it is a constant c_m in every mode, q_l prod c_m is free. Again the sample proposes, and what is left on
// all rows is measured.
#pragma once

#include <vector>

#include "score_shape.hpp"
#include "types.hpp"

namespace kronattn {

/// Key rows in changed coordinates.
struct ChangedKeys {
  ColumnTile rows;  // (b, d')
  Vector weights;   // (b) e^(scale t . k' - reference); empty where queries are not centred
};

/// The same, and what was left behind.
struct MeasuredKeys : ChangedKeys {
  /// Order 2: max_j |r_j|_2; else the largest |k_l - alpha k_r|, in units of the sample's column.
  double remainder = 0;
  double dropped = 0;  // max_j norm of the coordinates that were left out
};

/// Query rows in changed coordinates.
struct ChangedQueries {
  ColumnTile rows;             // (b, d')
  Eigen::ArrayXd norm;         // (b) |q|_2, from above
  Eigen::ArrayXd dropped;      // (b) norm of the coordinates that were left out, from above
  Eigen::ArrayXd rounding;     // (b) what each new coordinate may be off by
  Eigen::ArrayXd shift;        // (b) scale q . c + reference, which was taken off the scores of the row
  Eigen::ArrayXd shift_error;  // (b) rounding of that
};

class ChangeOfCoordinates {
 public:
  /// None.
  ChangeOfCoordinates() = default;

  /// For order 2, from a sample in the file's coordinates. Coordinates are left out while what they add to a
  /// score of the sample stays below `negligible`. None where entries are near the ends of double or d is
  /// above 256.
  ChangeOfCoordinates(const HeadSample& sample, double scale, double negligible);

  /// For order 3 and up: none where no columns can be merged.
  static ChangeOfCoordinates merging(const HeadSample& sample, double scale);

  bool none() const { return basis_.size() == 0; }
  bool weighs_keys() const { return query_centre_.size() > 0; }
  /// R of all modes: every score of q is off by at most |scale| |q|_2 R because of the `remainders` of the
  /// modes, whose entries are at most `largest` (d).
  double remainder(const std::vector<double>& remainders, const std::vector<Vector>& largest) const;
  /// What the logarithm of a weight may be off by, for keys of at most these sizes (d').
  double weight_error(const Vector& largest_keys) const;
  /// d', the coordinates that are kept of d.
  Index width(Index d) const { return none() ? d : kept_; }

  /// Rows (b, d) as they stand in the file. Cost 2 b d^2, measured 4 b d^2; O(b d) where nothing is turned.
  ChangedKeys keys(const ConstColumnTile& rows) const;
  MeasuredKeys measured_keys(const ConstColumnTile& rows, std::size_t mode) const;
  ChangedQueries queries(const ConstColumnTile& rows) const;

 private:
  struct MovedKeys;

  Index kept_ = 0;
  bool turned_ = true;  // B is not the identity
  double scale_ = 0;
  Vector centre_;         // (d) c
  Vector query_centre_;   // (d') t; empty where queries are not centred
  double reference_ = 0;  // about the largest exponent of a weight
  Matrix basis_;          // (d, d) B
  Matrix inverse_;        // (d, d) k' = inverse (k - c)
  Vector column_norms_;   // (d) of B

  /// A column that is merged away: of each mode, alpha and the sample's largest entry.
  struct Merged {
    Index column, into;  // into a kept column of the file; -1: a constant
    std::vector<double> alpha, size;
  };
  std::vector<Index> columns_;  // order 3 and up: what is kept of the file's columns; empty at order 2
  std::vector<Merged> merged_;
};

}  // namespace kronattn
