#include "redistribute.hpp"

#include "mpi_main.hpp"
#include "tiles.hpp"

namespace kronattn {
namespace {

/// Rows whose entries say where they stand.
Matrix numbered(Range rows, Index columns) {
  Matrix data(rows.size(), columns);
  for (Index i = 0; i < rows.size(); ++i)
    for (Index c = 0; c < columns; ++c) data(i, c) = static_cast<double>((rows.begin + i) * columns + c);
  return data;
}

Matrix redistribute_numbered(const Communicator& comm, Index columns, Range have, Range want) {
  return redistribute(comm, numbered(have, columns).data(), columns, have, want);
}

TEST(RowPlacement, PutsTheRowsOfARankBehindThoseOfTheRanksBefore) {
  const Communicator comm;
  const RowPlacement placement(comm, 10 * comm.rank());  // rank 0 has none
  const Index p = comm.size(), r = comm.rank();
  EXPECT_EQ(placement.mine, (Range{5 * r * (r - 1), 5 * r * (r + 1)}));
  EXPECT_EQ(placement.total, 5 * p * (p - 1));
}

TEST(Redistribute, BringsEveryRowToThoseWhoWantIt) {
  const Communicator comm;
  const Index rows = 37, last = comm.size() - 1;
  const Range even = share(rows, comm.size(), comm.rank()), none{rows, rows}, all{0, rows};
  const Range last_has_all = comm.rank() == last ? all : none;
  const Range overlapping{std::max<Index>(0, even.begin - 5), std::min(rows, even.end + 3)};
  for (Range have : {even, last_has_all})
    for (Range want : {even, last_has_all, all, none, Range{}, overlapping})
      for (Index columns : {1, 4})
        EXPECT_EQ(redistribute_numbered(comm, columns, have, want), numbered(want, columns));
}

TEST(Redistribute, RefusesRowsThatNobodyOrSeveralHave) {
  const Communicator comm;
  EXPECT_THROW(redistribute_numbered(comm, 2, Range{0, comm.rank() == 0 ? 5 : 0}, Range{0, 6}),
               AgreedFailure);
  if (comm.size() > 1) {
    EXPECT_THROW(redistribute_numbered(comm, 2, Range{0, 5}, Range{0, 5}), AgreedFailure);
  }
}

}  // namespace
}  // namespace kronattn
