#include "redistribute.hpp"

#include <algorithm>

namespace kronattn {

namespace {

/// The ranges of all ranks, in rank order. Collective.
std::vector<Range> gather(const Communicator& comm, Range mine) {
  const std::vector<std::int64_t> begins = comm.gather(mine.begin), ends = comm.gather(mine.end);
  std::vector<Range> ranges;
  for (std::size_t rank = 0; rank < begins.size(); ++rank) ranges.push_back({begins[rank], ends[rank]});
  return ranges;
}

/// What `mine` shares with each of `others`, counted from the first of `mine`; empty at 0 where nothing.
std::vector<Range> shared_rows(Range mine, const std::vector<Range>& others) {
  std::vector<Range> shared;
  for (Range other : others) {
    const Range both{std::max(mine.begin, other.begin), std::min(mine.end, other.end)};
    shared.push_back(both.begin < both.end ? Range{both.begin - mine.begin, both.end - mine.begin} : Range{});
  }
  return shared;
}

}  // namespace

RowPlacement::RowPlacement(const Communicator& comm, Index own) {
  const std::vector<std::int64_t> counts = comm.gather(own);
  for (int rank = 0; rank < comm.size(); ++rank) {
    const Index count = counts[static_cast<std::size_t>(rank)];
    if (rank == comm.rank()) mine = {total, total + count};
    total += count;
  }
}

Matrix redistribute(const Communicator& comm, const double* rows, Index columns, Range have, Range want) {
  const std::vector<Range> to = shared_rows(have, gather(comm, want));
  const std::vector<Range> from = shared_rows(want, gather(comm, have));
  Matrix wanted;
  comm.together([&] {
    Index coming = 0;
    for (Range part : from) coming += part.size();
    if (coming != want.size())
      throw std::logic_error("rows " + std::to_string(want.begin) + " to " + std::to_string(want.end) +
                             " are wanted, " + std::to_string(coming) + " rows of them are there");
    wanted.resize(want.size(), columns);
  });
  comm.exchange_rows(rows, to, wanted.data(), from, columns);
  return wanted;
}

}  // namespace kronattn
