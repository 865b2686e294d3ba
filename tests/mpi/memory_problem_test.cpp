#include "memory_problem.hpp"

#include "mpi_main.hpp"
#include "tiles.hpp"

namespace kronattn {
namespace {

double entry(Part part, Index row, Index column) {
  return static_cast<double>(row * 10 + column) + 0.125 * static_cast<double>(part.kind + 3 * part.mode);
}

Matrix rows_of(Part part, Range rows, Index columns) {
  Matrix data(rows.size(), columns);
  for (Index i = 0; i < rows.size(); ++i)
    for (Index c = 0; c < columns; ++c) data(i, c) = entry(part, rows.begin + i, c);
  return data;
}

constexpr Index queries = 1700, width = 3, value_width = 2;
const std::vector<Index> keys = {1, 2600};

/// Everything on the last rank.
AttentionInput share_of_rank(const Communicator& comm) {
  const bool last = comm.rank() == comm.size() - 1;
  const auto own = [&](Part part, Index rows, Index columns) {
    return last ? rows_of(part, {0, rows}, columns) : Matrix();
  };
  AttentionInput input;
  input.queries = own({Part::queries}, queries, width);
  for (Index m = 0; m < 2; ++m) {
    const Index rows = keys[static_cast<std::size_t>(m)];
    input.keys.push_back(own({Part::keys, m}, rows, width));
    input.values.push_back(own({Part::values, m}, rows, value_width));
  }
  return input;
}

TEST(MemoryProblem, HasTheSharesOfASolveOnTheirRanks) {
  const Communicator comm;
  MemoryProblem problem(comm, share_of_rank(comm));
  EXPECT_EQ(problem.shape().queries, queries);
  EXPECT_EQ(problem.shape().keys, keys);
  const auto expect_share = [&](Part part, Index tile_rows) {
    const Range mine = share_of_rows(problem.rows(part), tile_rows, comm.size(), comm.rank());
    for (Range rows : {mine, Range{mine.begin, (mine.begin + mine.end) / 2}, Range{mine.end, mine.end}})
      EXPECT_EQ(problem.read(part, 0, rows), rows_of(part, rows, problem.columns(part)));
  };
  for (Part part : {Part{Part::keys, 0}, Part{Part::values, 0}, Part{Part::keys, 1}, Part{Part::values, 1}})
    expect_share(part, key_tile_rows);
  for (Index tile_rows : {key_tile_rows, query_tile_rows, exact_query_tile_rows(3)})
    expect_share({Part::queries}, tile_rows);
  if (comm.size() > 1) {
    EXPECT_THROW(problem.read({Part::queries}, 0, {0, queries}), std::logic_error);
  }
}

TEST(MemoryProblem, NamesEntriesByTheirPlaceInTheWhole) {
  const Communicator comm;
  const MemoryProblem problem(comm, share_of_rank(comm));
  EXPECT_EQ(problem.entry_name({Part::values, 1}, 0, 2599, 1), "attention: V2[2599,1]");
}

}  // namespace
}  // namespace kronattn
