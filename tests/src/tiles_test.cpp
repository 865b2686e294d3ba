#include "tiles.hpp"

#include <gtest/gtest.h>

namespace kronattn {
namespace {

TEST(Tiles, AreSharedOutWholeEvenlyAndInOrder) {
  for (Index rows : {0, 1, 511, 512, 513, 3000, 5120})
    for (Index parts : {1, 2, 3, 4, 7, 11}) {
      Index end = 0, most = 0, least = rows;
      const Index tiles = tile_count(rows, 512);
      for (Index part = 0; part < parts; ++part) {
        const Range mine = share_of_rows(rows, 512, parts, part);
        EXPECT_EQ(mine.begin, end);
        EXPECT_TRUE(mine.begin % 512 == 0 || mine.size() == 0);
        end = mine.end;
        most = std::max(most, tile_count(mine.size(), 512));
        least = std::min(least, tile_count(mine.size(), 512));
        const Range owned = share(tiles, parts, part);
        for (Index tile = owned.begin; tile < owned.end; ++tile)
          EXPECT_EQ(owner_of_tile(tile, tiles, parts), part);
      }
      EXPECT_EQ(end, rows);
      EXPECT_LE(most - least, 1);
    }
}

TEST(Tiles, EvenBlocksAreFewAndAlike) {
  for (Index rows : {0, 1, 7, 8, 9, 40, 41, 79, 1000})
    for (Index most : {8, 16, 40}) {
      const Index each = even_block_rows(rows, 8, most);
      EXPECT_EQ(each % 8, 0);
      EXPECT_GE(each, 8);
      EXPECT_LE(each, most);
      EXPECT_EQ(tile_count(rows, each), tile_count(rows, most));
    }
  EXPECT_EQ(even_block_rows(48, 8, 40), 24);
  EXPECT_EQ(even_block_rows(1000, 8, 496), 336);
}

}  // namespace
}  // namespace kronattn
