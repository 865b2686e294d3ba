#include "solve_state.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "tiles.hpp"

namespace kronattn {

namespace {

using nlohmann::json;

json to_json(const RowSet& set) {
  std::vector<Index> bounds;
  for (Range rows : set.ranges()) bounds.insert(bounds.end(), {rows.begin, rows.end});
  return bounds;
}

/// Of rows within [0, rows).
RowSet row_set(const json& kept, Index rows) {
  const auto bounds = kept.get<std::vector<Index>>();
  RowSet set;
  if (bounds.size() % 2 != 0) throw std::runtime_error("a range of rows has no end");
  for (std::size_t i = 0; i < bounds.size(); i += 2) {
    if (bounds[i] < 0 || bounds[i] >= bounds[i + 1] || bounds[i + 1] > rows)
      throw std::runtime_error("a range of rows is not of this problem");
    set.add({bounds[i], bounds[i + 1]});
  }
  return set;
}

json to_json(const RowsInFlight& all) {
  json flights = json::array();
  for (const RowsInFlight::Flight& flight : all.flights)
    flights.push_back({{"rows", to_json(flight.rows)}, {"tuples", flight.tuples}});
  return {{"flights", flights}, {"counted", all.counted}, {"keys", all.keys.halves()}};
}

/// Of a round of so many rows, of which `done` are done.
RowsInFlight rows_in_flight(const json& kept, const ProblemShape& shape, Index rows, RowSet done) {
  RowsInFlight all{{},
                   kept.at("counted").get<std::vector<Index>>(),
                   ContentSum(kept.at("keys").get<std::vector<std::int64_t>>())};
  const bool none = all.counted.empty();
  double tuples = 1;
  bool fits = none || all.counted.size() == shape.keys.size();
  for (std::size_t m = 0; fits && m < shape.keys.size(); ++m) {
    const Index tiles = tile_count(shape.keys[m], key_tile_rows);
    fits = none || (all.counted[m] >= 0 && all.counted[m] <= tiles);
    tuples *= static_cast<double>(tiles);
  }
  for (const json& flight : kept.at("flights")) {
    all.flights.push_back({row_set(flight.at("rows"), rows), flight.at("tuples")});
    const Index behind = all.flights.back().tuples;
    fits = fits && !none && behind >= 0 && static_cast<double>(behind) <= tuples;
    for (Range range : all.flights.back().rows.ranges()) done.add(range);  // throws where some are done
  }
  if (!fits) throw std::runtime_error("rows in flight are not of this problem");
  return all;
}

json to_json(const MissingRows& rows) {
  return {{"numbers", rows.numbers}, {"entries", rows.entries}};
}

MissingRows missing_rows(const json& kept, const ProblemShape& shape) {
  MissingRows rows{kept.at("numbers").get<std::vector<Index>>(),
                   kept.at("entries").get<std::vector<double>>()};
  const bool ascending = std::is_sorted(rows.numbers.begin(), rows.numbers.end(), std::less_equal<>());
  if (!ascending ||
      (rows.count() > 0 && (rows.numbers.front() < 0 || rows.numbers.back() >= shape.queries)) ||
      static_cast<Index>(rows.entries.size()) != rows.count() * shape.width)
    throw std::runtime_error("rows that miss the promise are not of this problem");
  return rows;
}

}  // namespace

MissingRows gather(const Communicator& comm, const MissingRows& mine, Index width) {
  MissingRows all;
  for (double number : comm.gather(std::vector<double>(mine.numbers.begin(), mine.numbers.end())))
    all.numbers.push_back(static_cast<Index>(number));
  all.entries = comm.gather(mine.entries);
  if (std::is_sorted(all.numbers.begin(), all.numbers.end())) return all;  // always, but for a resumed run
  std::vector<Index> order(all.numbers.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](Index one, Index other) {
    return all.numbers[static_cast<std::size_t>(one)] < all.numbers[static_cast<std::size_t>(other)];
  });
  MissingRows sorted;
  for (Index i : order)
    sorted.add(all.numbers[static_cast<std::size_t>(i)], all.entries.data() + i * width, width);
  return sorted;
}

RowSet gather(const Communicator& comm, const RowSet& mine) {
  std::vector<double> bounds;
  for (Range rows : mine.ranges())
    bounds.insert(bounds.end(), {static_cast<double>(rows.begin), static_cast<double>(rows.end)});
  bounds = comm.gather(bounds);
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < bounds.size(); i += 2)
    ranges.push_back({static_cast<Index>(bounds[i]), static_cast<Index>(bounds[i + 1])});
  std::sort(ranges.begin(), ranges.end(), [](Range one, Range other) { return one.begin < other.begin; });
  RowSet all;
  for (Range rows : ranges) all.add(rows);
  return all;
}

namespace {

/// What two ranges of words have in common, or an empty one.
struct Overlap {
  std::uint64_t begin, end;
  Overlap(std::uint64_t first, std::size_t count, std::uint64_t other, std::size_t other_count)
      : begin(std::max(first, other)), end(std::max(begin, std::min(first + count, other + other_count))) {}
};

}  // namespace

SharedWords shared(const KeySumWords& modes) {
  SharedWords words;
  for (const std::span<std::int64_t> mode : modes) words.count += mode.size();
  words.add_mine = [modes](std::uint64_t begin, std::span<std::int64_t> to) {
    std::uint64_t first = 0;
    for (const std::span<std::int64_t> mode : modes) {
      const Overlap both(begin, to.size(), first, mode.size());
      for (std::uint64_t i = both.begin; i < both.end; ++i) to[i - begin] += mode[i - first];
      first += mode.size();
    }
  };
  return words;
}

SharedWords shared(std::uint64_t count, std::vector<SomeNumbers> mine) {
  return {count, [mine = std::move(mine)](std::uint64_t begin, std::span<std::int64_t> to) {
            for (const SomeNumbers& some : mine) {
              const Overlap both(begin, to.size(), some.begin, some.numbers.size());
              for (std::uint64_t i = both.begin; i < both.end; ++i)
                to[i - begin] += std::bit_cast<std::int64_t>(some.numbers[i - some.begin]);
            }
          }};
}

std::string put_words(const Communicator& comm, const SharedWords& words,
                      const std::function<void(std::span<const std::int64_t>)>& put) {
  constexpr std::uint64_t chunk = std::uint64_t{1} << 17;
  std::vector<std::int64_t> sum;
  std::string trouble;  // on rank 0, which takes part in the reductions to come whatever happens
  for (std::uint64_t begin = 0; begin < words.count; begin += chunk) {
    sum.assign(std::min(chunk, words.count - begin), 0);
    words.add_mine(begin, sum);
    comm.sum_to_root(sum);
    if (!comm.root() || !trouble.empty()) continue;
    try {
      put(sum);
    } catch (const std::exception& error) {
      trouble = error.what();
    }
  }
  return comm.broadcast(trouble, 0);
}

Index RowsInFlight::count() const {
  Index rows = 0;
  for (const Flight& flight : flights) rows += flight.rows.count();
  return rows;
}

RowSet SolveState::written(Index of_head, Index queries) const {
  if (of_head < head) return RowSet({0, queries});
  if (of_head > head) return RowSet();
  RowSet rows;
  const auto misses = [&](Index number) {
    return std::binary_search(round.missing.numbers.begin(), round.missing.numbers.end(), number);
  };
  if (round.rows) {  // all that the rounds before it kept, and of its own those that it kept
    std::size_t place = 0;
    Index begin = 0;
    for (Index number : round.rows->numbers) {
      if (!round.done.contains(static_cast<Index>(place++)) || misses(number)) {
        rows.add({begin, number});
        begin = number + 1;
      }
    }
    rows.add({begin, queries});
    return rows;
  }
  for (Range done : round.done.ranges()) {
    Index begin = done.begin;
    const auto first =
        std::lower_bound(round.missing.numbers.begin(), round.missing.numbers.end(), done.begin);
    for (auto missing = first; missing != round.missing.numbers.end() && *missing < done.end; ++missing) {
      rows.add({begin, *missing});
      begin = *missing + 1;
    }
    rows.add({begin, done.end});
  }
  return rows;
}

json to_json(const SolveState& state) {
  const Round& round = state.round;
  const SolveFigures& figures = state.figures;
  json keys = json::array();
  for (const RowSet& mode : round.keys) keys.push_back(to_json(mode));
  return {{"head", state.head},
          {"raises", state.raises},
          {"keys_counted", state.keys_counted},
          {"round",
           {{"exact", round.exact},
            {"raises", round.raises},
            {"rows", round.rows ? to_json(*round.rows) : json()},
            {"keys", keys},
            {"done", to_json(round.done)},
            {"missing", to_json(round.missing)},
            {"in_flight", to_json(round.in_flight)}}},
          {"figures",
           {{"largest_error_bound", figures.largest_error_bound},
            {"largest_log_error", figures.largest_log_error},
            {"rows_exact", figures.rows_exact},
            {"rows_raised", figures.rows_raised},
            {"monomials_evaluated", figures.monomials_evaluated},
            {"content", figures.content.halves()}}}};
}

SolveState solve_state(const json& kept, const ProblemShape& shape) {
  SolveState state;
  state.head = kept.at("head");
  state.raises = kept.at("raises").get<std::vector<Index>>();
  state.keys_counted = kept.at("keys_counted");
  const auto &round = kept.at("round"), &figures = kept.at("figures");
  state.round.exact = round.at("exact");
  state.round.raises = round.at("raises");
  if (!round.at("rows").is_null()) state.round.rows = missing_rows(round.at("rows"), shape);
  const auto& keys = round.at("keys");
  if (state.head < 0 || state.head >= shape.heads || static_cast<Index>(state.raises.size()) != state.head ||
      keys.size() != shape.keys.size())
    throw std::runtime_error("heads or modes are not those of this problem");
  for (std::size_t m = 0; m < keys.size(); ++m) state.round.keys.push_back(row_set(keys[m], shape.keys[m]));
  const Index rows = state.round.rows ? state.round.rows->count() : shape.queries;
  state.round.done = row_set(round.at("done"), rows);
  state.round.in_flight = rows_in_flight(round.at("in_flight"), shape, rows, state.round.done);
  state.round.missing = missing_rows(round.at("missing"), shape);
  state.figures.largest_error_bound = figures.at("largest_error_bound");
  state.figures.largest_log_error = figures.at("largest_log_error");
  state.figures.rows_exact = figures.at("rows_exact");
  state.figures.rows_raised = figures.at("rows_raised");
  state.figures.monomials_evaluated = figures.at("monomials_evaluated");
  state.figures.content = ContentSum(figures.at("content").get<std::vector<std::int64_t>>());
  return state;
}

}  // namespace kronattn
