// Rows are worked on in tiles, and tiles are cut by global row number.
//
// A tile is the unit of everything that could change a bit: whoever computes a tile, with how many ranks or
// threads, computes the same numbers. Ranks own whole tiles, contiguous and as even as whole tiles allow.
#pragma once

#include <algorithm>

#include "types.hpp"

namespace kronattn {

/// Key rows that are read, and sent to other ranks, together; the kernel's tiles of the polynomial method
/// (aggregate_tile_rows) divide it.
inline constexpr Index key_tile_rows = 512;

/// Query rows of the polynomial method that are sorted by degree together: whole groups of every instruction
/// set.
inline constexpr Index query_tile_rows = 384;

/// Query rows that the exact method holds together: fewer at order 3 and up, where a row alone is work
/// enough.
constexpr Index exact_query_tile_rows(Index order) {
  return order == 2 ? 64 : 8;
}

inline Index tile_count(Index rows, Index tile_rows) {
  return (rows + tile_rows - 1) / tile_rows;
}

/// The rows of tile `tile`; the last one may be short.
inline Range tile_range(Index tile, Index rows, Index tile_rows) {
  return {tile * tile_rows, std::min(rows, (tile + 1) * tile_rows)};
}

/// The share of part `part` of `parts` in `count` things: contiguous, sizes differing by one at most.
inline Range share(Index count, Index parts, Index part) {
  const Index each = count / parts, more = count % parts;
  const Index begin = part * each + std::min(part, more);
  return {begin, begin + each + (part < more ? 1 : 0)};
}

/// The rows of part `part` when `rows` rows are shared out in whole tiles.
inline Range share_of_rows(Index rows, Index tile_rows, Index parts, Index part) {
  const Range tiles = share(tile_count(rows, tile_rows), parts, part);
  return {std::min(rows, tiles.begin * tile_rows), std::min(rows, tiles.end * tile_rows)};
}

/// Rows of a block where `rows` rows are cut into as few blocks of at most `most` rows as can be, of whole
/// tiles and about the same length. `most` is a multiple of `tile_rows`.
inline Index even_block_rows(Index rows, Index tile_rows, Index most) {
  const Index blocks = std::max<Index>(1, tile_count(rows, most));
  return tile_rows * std::max<Index>(1, tile_count(rows, blocks * tile_rows));
}

/// Who owns tile `tile` when `count` tiles are shared out over `parts` parts.
inline Index owner_of_tile(Index tile, Index count, Index parts) {
  const Index each = count / parts, more = count % parts;
  const Index long_ones = more * (each + 1);
  return tile < long_ones ? tile / (each + 1) : more + (tile - long_ones) / each;
}

}  // namespace kronattn
