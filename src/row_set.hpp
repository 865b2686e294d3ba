// Sets of rows as ranges: what is done of a dataset, and what is left of it to be shared out anew.
//
// Work is done in whole tiles, and a tile's bits don't depend on who computes it. So what a run has done is a
// set of rows, and any number of ranks can go on with the rest.
#pragma once

#include <vector>

#include "types.hpp"

namespace kronattn {

class RowSet {
 public:
  RowSet() = default;
  explicit RowSet(Range rows) { add(rows); }

  /// Adds rows of which none are in the set yet. Cheap where they follow the last ones.
  void add(Range rows);
  /// Ascending, with gaps between them.
  const std::vector<Range>& ranges() const { return ranges_; }
  /// How many rows.
  Index count() const;
  bool contains(Index row) const;

  /// The rows of [0, rows) that are not in the set.
  RowSet rest(Index rows) const;

  /// The share of part `part` of `parts`: whole tiles of `tile_rows` rows, counted from row 0 of the dataset,
  /// as even as they allow. Ranges must begin at tiles; for one range from row 0 on it is share_of_rows.
  RowSet share(Index tile_rows, Index parts, Index part) const;

  /// The same rows in ranges of at most `rows` rows.
  std::vector<Range> blocks(Index rows) const;

  bool operator==(const RowSet&) const = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace kronattn
