#include "row_set.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tiles.hpp"

namespace kronattn {
namespace {

std::set<Index> rows_of(const RowSet& set) {
  std::set<Index> rows;
  for (Range range : set.ranges())
    for (Index row = range.begin; row < range.end; ++row) rows.insert(row);
  return rows;
}

/// Some tiles of a dataset, added in any order, and what is in them.
RowSet some_tiles(Index rows, Index tile_rows, std::mt19937& random, std::set<Index>& expected) {
  std::vector<Index> tiles;
  for (Index tile = 0; tile < tile_count(rows, tile_rows); ++tile)
    if (random() % 2 == 0) tiles.push_back(tile);
  std::shuffle(tiles.begin(), tiles.end(), random);
  RowSet set;
  for (Index tile : tiles) {
    const Range range = tile_range(tile, rows, tile_rows);
    set.add(range);
    for (Index row = range.begin; row < range.end; ++row) expected.insert(row);
  }
  return set;
}

TEST(RowSet, HoldsWhatWasAddedInAnyOrderInAsFewRangesAsPossible) {
  std::mt19937 random(1);
  for (Index rows : {1, 7, 8, 9, 61}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::set<Index> expected;
      const RowSet set = some_tiles(rows, 4, random, expected);
      EXPECT_EQ(rows_of(set), expected);
      EXPECT_EQ(set.count(), static_cast<Index>(expected.size()));
      for (std::size_t i = 1; i < set.ranges().size(); ++i)
        EXPECT_LT(set.ranges()[i - 1].end, set.ranges()[i].begin);
      for (Index row = -1; row <= rows; ++row) EXPECT_EQ(set.contains(row), expected.count(row) > 0);
      std::set<Index> all = rows_of(set.rest(rows));
      for (Index row : expected) EXPECT_TRUE(all.insert(row).second) << "row " << row << " is done and left";
      EXPECT_EQ(static_cast<Index>(all.size()), rows);
    }
  }
}

TEST(RowSet, IsSharedOutInWholeTilesEachToOneRank) {
  std::mt19937 random(2);
  for (Index parts : {1, 2, 3, 5}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::set<Index> left;
      const RowSet set = some_tiles(61, 4, random, left);
      Index largest = 0, smallest = 61;
      for (Index part = 0; part < parts; ++part) {
        const RowSet mine = set.share(4, parts, part);
        Index tiles = 0;
        for (Range range : mine.ranges()) {
          EXPECT_EQ(range.begin % 4, 0);
          EXPECT_TRUE(range.end % 4 == 0 || range.end == 61);
          tiles += tile_count(range.size(), 4);
        }
        largest = std::max(largest, tiles), smallest = std::min(smallest, tiles);
        for (Index row : rows_of(mine)) EXPECT_EQ(left.erase(row), 1u);
      }
      EXPECT_TRUE(left.empty());
      EXPECT_LE(largest - smallest, 1);
    }
  }
}

TEST(RowSet, OfAllRowsIsSharedOutAsARunThatBeginsHasIt) {
  for (Index rows : {0, 1, 511, 512, 513, 5000})
    for (Index part = 0; part < 3; ++part) {
      const Range mine = share_of_rows(rows, 512, 3, part);
      EXPECT_EQ(RowSet({0, rows}).share(512, 3, part), mine.size() > 0 ? RowSet(mine) : RowSet());
    }
}

TEST(RowSet, IsCutIntoBlocks) {
  RowSet set({0, 10});
  set.add({20, 23});
  EXPECT_EQ(set.blocks(4), (std::vector<Range>{{0, 4}, {4, 8}, {8, 10}, {20, 23}}));
}

TEST(RowSet, RefusesRowsThatItHas) {
  RowSet set({4, 8});
  for (Range rows : {Range{4, 8}, Range{7, 9}, Range{3, 5}, Range{5, 6}, Range{0, 20}})
    EXPECT_THROW(set.add(rows), std::logic_error);
  EXPECT_EQ(set, RowSet({4, 8}));
}

}  // namespace
}  // namespace kronattn
