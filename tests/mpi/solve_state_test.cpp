#include "solve_state.hpp"

#include <random>
#include <set>

#include "mpi_main.hpp"

namespace kronattn {
namespace {

const ProblemShape shape = {3, 40, {30, 20}, 2, 1, 0.5};

MissingRows missing(const std::vector<Index>& numbers) {
  MissingRows rows;
  for (Index number : numbers) {
    const double query[] = {static_cast<double>(number), 0.25};
    rows.add(number, query, 2);
  }
  return rows;
}

SolveState some_state() {
  SolveState state;
  state.head = 1;
  state.raises = {2};
  state.keys_counted = true;
  state.round.raises = 1;
  state.round.keys = {RowSet({0, 30}), RowSet({4, 8})};
  state.round.done = RowSet({8, 24});
  state.round.done.add({32, 40});
  state.round.missing = missing({8, 11, 12, 23, 39});
  state.round.in_flight = {{{RowSet({24, 28}), 1}, {RowSet({28, 32}), 0}}, {1, 0}, ContentSum({3, 4})};
  state.figures.largest_error_bound = 1e-300;
  state.figures.monomials_evaluated = std::int64_t{1} << 60;
  state.figures.content = ContentSum({5, 7});
  return state;
}

TEST(SolveState, SurvivesItsRecord) {
  const SolveState state = some_state();
  const auto text = nlohmann::json::to_cbor(to_json(state));
  const SolveState read = solve_state(nlohmann::json::from_cbor(text), shape);
  EXPECT_EQ(to_json(read), to_json(state));
  EXPECT_EQ(read.round.done, state.round.done);
  EXPECT_EQ(read.round.missing.entries, state.round.missing.entries);
  ASSERT_EQ(read.round.in_flight.flights.size(), 2u);
  EXPECT_EQ(read.round.in_flight.flights[1].rows, RowSet({28, 32}));
  EXPECT_EQ(read.round.in_flight.count(), 8);
  EXPECT_EQ(read.round.in_flight.keys, state.round.in_flight.keys);
  EXPECT_EQ(read.figures.content, state.figures.content);
  EXPECT_EQ(read.figures.largest_error_bound, 1e-300);
  EXPECT_FALSE(read.round.rows);
}

TEST(SolveState, OfAnotherProblemIsRefused) {
  const nlohmann::json good = to_json(some_state());
  const auto refused = [&](const char* pointer, const nlohmann::json& value) {
    nlohmann::json bad = good;
    bad[nlohmann::json::json_pointer(pointer)] = value;
    EXPECT_ANY_THROW(solve_state(bad, shape)) << pointer << " " << value;
  };
  EXPECT_NO_THROW(solve_state(good, shape));
  refused("/head", 3);
  refused("/head", -1);
  refused("/head", "1");
  refused("/raises", {1, 2});
  refused("/round/keys", {{0, 30}});
  refused("/round/keys", {{0, 31}, {0, 20}});
  refused("/round/done", {0, 41});
  refused("/round/done", {-1, 4});
  refused("/round/done", {4, 4});
  refused("/round/done", {0, 8, 4, 12});
  refused("/round/done", {0});
  refused("/round/missing/numbers", {1, 2});
  refused("/round/missing/numbers", {8, 11, 12, 23, 40});
  refused("/round/missing/numbers", {11, 8, 12, 23, 39});
  refused("/round/in_flight", {1});
  refused("/round/in_flight/flights/0/rows", {20, 28});  // of which some are done
  refused("/round/in_flight/flights/0/rows", {24, 32});  // or in the other flight
  refused("/round/in_flight/flights/0/rows", {24, 41});
  refused("/round/in_flight/flights/1/tuples", -1);
  refused("/round/in_flight/flights/1/tuples", 2);
  refused("/round/in_flight/counted", {1});
  refused("/round/in_flight/counted", nlohmann::json::array());
  refused("/round/in_flight/counted", {1, 2});
  refused("/round/in_flight/counted", {-1, 1});
  refused("/round/in_flight/keys", {1});
  refused("/figures/content", {1});
  refused("/round", nullptr);
}

/// Row by row.
std::set<Index> written(const SolveState& state, Index queries) {
  std::set<Index> rows;
  const std::set<Index> again(state.round.missing.numbers.begin(), state.round.missing.numbers.end());
  for (Index row = 0; row < queries; ++row) {
    Index place = row;
    if (state.round.rows) {
      const auto& numbers = state.round.rows->numbers;
      const auto found = std::find(numbers.begin(), numbers.end(), row);
      place = found == numbers.end() ? -1 : found - numbers.begin();
    }
    if ((place < 0 || state.round.done.contains(place)) && again.count(row) == 0) rows.insert(row);
  }
  return rows;
}

TEST(SolveState, KnowsTheRowsThatAreWritten) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 200; ++repeat) {
    SolveState state;
    state.head = 1;
    std::vector<Index> listed;
    for (Index row = 0; row < 40; ++row)
      if (random() % 3 == 0) listed.push_back(row);
    if (repeat % 2 == 0) state.round.rows = missing(listed);
    const Index places = repeat % 2 == 0 ? static_cast<Index>(listed.size()) : 40;
    std::vector<Index> again;
    for (Index place = 0; place < places; ++place) {
      if (random() % 2 == 0) continue;
      state.round.done.add({place, place + 1});
      if (random() % 3 == 0)
        again.push_back(repeat % 2 == 0 ? listed[static_cast<std::size_t>(place)] : place);
    }
    state.round.missing = missing(again);
    std::set<Index> found;
    const RowSet set = state.written(1, 40);
    for (Range range : set.ranges())
      for (Index row = range.begin; row < range.end; ++row) found.insert(row);
    EXPECT_EQ(found, written(state, 40));
    EXPECT_EQ(state.written(0, 40).count(), 40);
    EXPECT_EQ(state.written(2, 40).count(), 0);
  }
}

TEST(SolveState, RowsOfAllRanksComeTogetherInOrder) {
  const Communicator comm;
  MissingRows mine;
  RowSet done;
  // Rank p has every size-th row and tile, the last rank the first of them.
  const Index first = comm.size() - 1 - comm.rank();
  for (Index row = first; row < 23; row += comm.size()) {
    const double query[] = {static_cast<double>(row), -1};
    mine.add(row, query, 2);
    done.add({4 * row, 4 * row + 4});
  }
  const MissingRows all = gather(comm, mine, 2);
  ASSERT_EQ(all.count(), 23);
  for (Index row = 0; row < 23; ++row) {
    EXPECT_EQ(all.numbers[static_cast<std::size_t>(row)], row);
    EXPECT_EQ(all.queries({row, row + 1}, 2)(0, 0), static_cast<double>(row));
  }
  EXPECT_EQ(gather(comm, done), RowSet({0, 92}));
  EXPECT_EQ(gather(comm, RowSet()), RowSet());
}

}  // namespace
}  // namespace kronattn
