#include "row_set.hpp"

#include <algorithm>
#include <stdexcept>

#include "tiles.hpp"

namespace kronattn {

namespace {

bool before(Range one, Range other) {
  return one.begin < other.begin;
}

}  // namespace

void RowSet::add(Range rows) {
  if (rows.size() <= 0) return;
  auto next = std::lower_bound(ranges_.begin(), ranges_.end(), rows, before);
  const bool touches_next = next != ranges_.end() && next->begin <= rows.end;
  const bool touches_last = next != ranges_.begin() && std::prev(next)->end >= rows.begin;
  if ((touches_next && next->begin < rows.end) || (touches_last && std::prev(next)->end > rows.begin))
    throw std::logic_error("rows " + std::to_string(rows.begin) + " to " + std::to_string(rows.end) +
                           " are in the set already");
  if (touches_last && touches_next) {
    std::prev(next)->end = next->end;
    ranges_.erase(next);
  } else if (touches_last) {
    std::prev(next)->end = rows.end;
  } else if (touches_next) {
    next->begin = rows.begin;
  } else {
    ranges_.insert(next, rows);
  }
}

Index RowSet::count() const {
  Index rows = 0;
  for (Range range : ranges_) rows += range.size();
  return rows;
}

bool RowSet::contains(Index row) const {
  const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), Range{row, row}, before);
  return next != ranges_.begin() && std::prev(next)->end > row;
}

RowSet RowSet::rest(Index rows) const {
  RowSet rest;
  Index begin = 0;
  for (Range range : ranges_) {
    rest.add({begin, std::min(rows, range.begin)});
    begin = range.end;
  }
  rest.add({begin, rows});
  return rest;
}

RowSet RowSet::share(Index tile_rows, Index parts, Index part) const {
  Index tiles = 0;
  for (Range range : ranges_) tiles += tile_count(range.size(), tile_rows);
  const Range mine = kronattn::share(tiles, parts, part);
  RowSet set;
  Index first = 0;  // tile of the range
  for (Range range : ranges_) {
    const Index count = tile_count(range.size(), tile_rows);
    const Index begin = std::max(mine.begin, first) - first, end = std::min(mine.end, first + count) - first;
    if (begin < end)
      set.add({range.begin + begin * tile_rows, std::min(range.end, range.begin + end * tile_rows)});
    first += count;
  }
  return set;
}

std::vector<Range> RowSet::blocks(Index rows) const {
  std::vector<Range> blocks;
  for (Range range : ranges_)
    for (Index begin = range.begin; begin < range.end; begin += rows)
      blocks.push_back({begin, std::min(range.end, begin + rows)});
  return blocks;
}

}  // namespace kronattn
