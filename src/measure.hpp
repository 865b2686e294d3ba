// What is measured of a problem before anything is planned: one pass over the keys and values, one over the
// queries.
//
// Everything here merges over tiles and ranks in any order to the same bits: maxima, minima and exact sums.
// All bounds are rounded upwards. Source: mathematics.md E3, E4, F5.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "change_of_coordinates.hpp"
#include "fixed_point_sums.hpp"
#include "score_shape.hpp"
#include "two_valued.hpp"
#include "types.hpp"

namespace kronattn {

/// One key/value mode of one head.
struct ModeMeasurement {
  ModeMeasurement() = default;
  ModeMeasurement(Index width, Index value_width);

  /// Takes rows (rows, d) of keys in, all finite, with their weights (rows), or 1 each where there are none.
  /// `order` is k, for the Hoelder norm.
  void absorb_keys(const ConstColumnTile& keys, const Vector& weights, Index order);
  /// Takes rows (rows, d_v) of values in.
  void absorb_values(const ConstTile& values);
  /// Takes what another one has absorbed in.
  void merge(const ModeMeasurement& other);

  Index rows = 0;            //       keys absorbed so far
  Vector key_min, key_max;   // (d)   range of each key column
  NonzeroRange key_nonzero;  //      of each key column
  double key_norm = 0;       //       max_j (sum_l |K_jl|^k)^(1/k)
  double weight_max = 0;     //       largest weight
  ExactSums weight_sum{1};   //       sum_j w_j
  ExactSums key_sums;        // (d)   sum_j w_j K_jl
  ExactSums key_powers;  // (d, 4) sum_j w_j (K_jl / 2^e_l)^p, p = 2, 4, 6, 8, from above but for roundings;
                         // nothing where key_units is empty
  std::vector<int> key_units;   // (d)   e_l
  Vector value_min, value_max;  // (d_v) range of each value column

  double largest_key(Index l) const { return std::max(std::abs(key_min(l)), std::abs(key_max(l))); }

  /// N of this mode: the sum of its weights, which is the number of rows where all are 1.
  double weight() const { return static_cast<double>(weight_sum.mean(0, 1)); }

  /// Powers of the keys are summed too, in units of what a sample of them shows. Before anything is absorbed.
  void sum_powers(const Matrix& key_sample);
  /// (mean_j |K_jl|^p)^(1/p) from above; the largest entry where powers were not summed.
  long double power_mean(Index l, Index p) const;

  static constexpr Index even_powers = 4;

 private:
  /// Adds the powers of a tile's keys. Sums in double: power_mean's slack has room for it.
  void add_powers(const ConstColumnTile& keys, const Eigen::ArrayXd& weights);
};

/// What is known of the scores of one query row before anything is summed. All but `mean` and `deviation` are
/// proved.
struct RowScores {
  double low = 0, high = 0;  // no score is outside
  double box = 0;          // sigma_i = |scale| sum_l |Q_il| prod_m max|K_ml|: what roundings are relative to
  double jensen = 0;       // the mean score, as computed: right to a few roundings relative to box
  double mean = 0;         // of the scores, as a sample has it
  double deviation = 0;    // likewise
  double error = 0;        // of every score, from a change of coordinates
  double shift = 0;        // was taken off every score
  double shift_error = 0;  // rounding of that

  double largest() const { return std::max(std::abs(low), std::abs(high)); }
};

/// What of all key modes together bounds the scores of a query row: everything O(d).
class ScoreBounds {
 public:
  /// Scores are scale * sum_l q_l prod_m K_m[j_m, l].
  ScoreBounds(const std::vector<ModeMeasurement>& modes, const ProblemShape& shape);

  /// low, high, box and jensen of rows (b, d). Source: mathematics.md E3, E4, F0, F5.
  std::vector<RowScores> rows(const ConstColumnTile& queries) const;

  /// (d) |scale| prod_m max|K_ml|. Long double: products of maxima may leave the range of double.
  const std::vector<long double>& box() const { return wide_.box; }

 private:
  template <class Real>
  struct Columns {
    std::vector<Real> box;  // (d) |scale| prod_m max|K_ml|
    /// (d) scale prod_m mean(K_ml): each mean right to 2 roundings of double relatively to the largest key, 4
    /// where keys have weights.
    std::vector<Real> mean;
    std::vector<Real> low, high;  // (d) range of scale prod_m K_ml
    Real hoelder = 0;             //     |scale| prod_m max_j |K_m,j|_k
  };
  /// A row of any magnitude.
  RowScores row(const Vector& query) const;

  Index order_;
  Columns<long double> wide_;
  Columns<double> ordinary_;  // likewise, for rows whose box is neither huge nor tiny
  bool has_ordinary_ = false;
};

/// How many rows have scores of about one deviation, and how far their scores reach from their means at most:
/// one entry a class of deviations.
struct SpreadClasses {
  std::vector<std::int64_t> rows;
  Vector below, above;

  /// Deviations from 2^-40 to 2^16, eight classes an octave; what is outside counts in the first or last.
  static constexpr Index count = 448;
  static Index of(double deviation);
  static double deviation(Index spread_class);  // in the middle of a class
};

/// The query rows of one head.
struct QueryMeasurement {
  QueryMeasurement() = default;
  explicit QueryMeasurement(Index width);

  /// Takes rows (rows, d) in, all finite, whose scores are `scores`.
  void absorb(const ConstColumnTile& queries, const std::vector<RowScores>& scores);
  void merge(const QueryMeasurement& other);

  Vector largest;          // (d) max_i |Q_il|
  double score_bound = 0;  // no |score| exceeds it
  double box_bound = 0;    // max_i sigma_i
  double score_error = 0;  // max_i of the error of every score
  NonzeroRange nonzero;    // of each column
  SpreadClasses spreads;
};

/// All of one head in one system of coordinates.
struct HeadMeasurement {
  std::vector<ModeMeasurement> modes;
  QueryMeasurement queries;
};

/// All of one head: as it stands in the file, and in the coordinates that the polynomial method works in.
struct MeasuredHead {
  MeasuredHead() = default;
  /// What a sample decides: the coordinates, and the shape of the scores in them. They are changed only if
  /// `may_change`; `negligible_score` as in ChangeOfCoordinates.
  MeasuredHead(const HeadSample& file_sample, const ProblemShape& shape, bool may_change,
               double negligible_score);

  HeadMeasurement file, changed;
  ChangeOfCoordinates change;
  std::vector<double> key_remainders;  // per mode, largest of ChangedKeys
  double key_dropped = 0;              // likewise, of all modes
  ScoreShape scores;                   // in the changed coordinates
  HeadSample sample;                   // likewise
  ColumnGroups alike;                  // of the file's columns, as a sample has them

  /// The shape of the problem in the changed coordinates.
  ProblemShape changed_shape(ProblemShape shape) const {
    shape.width = change.width(shape.width);
    return shape;
  }
};

/// The file's columns, where all of them take one value beside 0 and are few.
std::optional<TwoValuedColumns> two_valued_columns(const MeasuredHead& head, double scale);

/// The unit that powers of scores are counted in: the largest score, 1 where all are 0.
inline double score_unit(const MeasuredHead& head) {
  return head.changed.queries.score_bound > 0 ? head.changed.queries.score_bound : 1;
}

/// A tile of query rows in changed coordinates, and all that is known of their scores. `queries` (b, d) as
/// they stand in the file; bounds of the changed coordinates.
struct QueryTile {
  QueryTile(const MeasuredHead& head, const ScoreBounds& bounds, const ProblemShape& shape,
            const ConstColumnTile& queries);

  ColumnTile rows;  // (b, d')
  std::vector<RowScores> scores;
};

/// max |V_m| of mode m: the promise is relative to the product of these over the modes (largest over heads).
double largest_value(const ModeMeasurement& mode);

/// max |K_m| of mode m.
double largest_key(const ModeMeasurement& mode);

/// The papers' score bound: d |scale| max|Q| prod_m max|K_m|.
double paper_score_bound(const HeadMeasurement& head, const ProblemShape& shape);

}  // namespace kronattn
