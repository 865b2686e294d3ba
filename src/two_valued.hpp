// Columns that take one value beside 0: what a row is, then, is the set of its columns that are not 0.
//
// Vectors of 0 and 1, times a constant of each column, are such rows; one-hot codes, memberships and the hard
// instances of Gap-MaxIP (gap_maxip.hpp). Of such rows there are few kinds, and attention needs each kind
// once (subset_attention.hpp). Columns that are 0 in the same rows of every matrix count as one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "score_shape.hpp"
#include "types.hpp"

namespace kronattn {

/// The range of a matrix's entries that are not 0, per column; merges in any order. Infinite, low > high,
/// where all are 0; from -inf to inf in all columns once one of them takes two values.
struct NonzeroRange {
  NonzeroRange() = default;
  explicit NonzeroRange(Index width);

  void absorb(const ConstColumnTile& rows);
  void merge(const NonzeroRange& other);

  /// No column takes two values beside 0.
  bool one_value() const { return (low.array() >= high.array()).all(); }
  /// That value, 0 where there is none.
  double value(Index column) const { return low(column) <= high(column) ? low(column) : 0; }

  /// For who merges low and high elsewhere: once a column takes two values nothing else matters, and the same
  /// is left, whatever came first.
  void settle();

  Vector low, high;  // (d)
};

/// Columns that a sample shows to be 0 in the same rows, together; nothing where it shows other columns than
/// two-valued ones. A column that is 0 throughout a matrix of the sample is alone, since it shows nothing.
using ColumnGroups = std::vector<std::vector<Index>>;
ColumnGroups alike_columns(const HeadSample& sample);

class TwoValuedColumns {
 public:
  /// `ranges`: of all rows of Q, K1, ..., Kk-1; `scale` of the scores. Nothing where a column takes more
  /// values, there are no groups or more than most_groups of them, the columns of one cancel each other, or
  /// scores leave
  /// [-largest_score, largest_score].
  static std::optional<TwoValuedColumns> of(const ColumnGroups& groups,
                                            const std::vector<const NonzeroRange*>& ranges, double scale);

  /// g, the groups that matter to scores: those that add to a score first, then those that take from it.
  Index count() const { return static_cast<Index>(groups_.size()); }
  /// How many take from it.
  Index negative_scores() const {
    return std::count_if(scores_.begin(), scores_.end(), [](long double score) { return score < 0; });
  }

  /// Which groups a row (d) of matrix `matrix` (0: Q, m: Km) is not 0 in; nothing where the columns of a
  /// group disagree or an entry is not its column's value.
  std::optional<std::uint32_t> subset(std::size_t matrix, const double* row) const;

  /// beta_l, what group l adds to the score of a query and keys that all have it.
  const std::vector<long double>& scores() const { return scores_; }
  /// Roundings in beta_l, in units of 2^-64 |beta_l|.
  double score_roundings(Index group) const;

  static constexpr Index most_groups = 20;
  static constexpr double largest_score = 5000;  // e^S is far inside the range of long double

 private:
  ColumnGroups groups_;
  std::vector<Vector> values_;  // per matrix (d)
  std::vector<long double> scores_;
};

}  // namespace kronattn
