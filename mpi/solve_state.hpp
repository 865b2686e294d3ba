// What a solve has done so far: all that a checkpoint holds beside the rows and the key sums themselves.
//
// A head is solved in rounds: all its rows by the planned method, then those that missed the promise exactly
// or with more monomials, and so on. A round of the polynomial method sums up keys first. What is done is a
// set of rows in whole tiles, so any number of ranks can go on with the rest.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "communicator.hpp"
#include "content.hpp"
#include "row_set.hpp"
#include "types.hpp"

namespace kronattn {

/// Rows that missed the promise: their numbers, and what stands in the file of them.
struct MissingRows {
  std::vector<Index> numbers;
  std::vector<double> entries;  // (rows, d)

  Index count() const { return static_cast<Index>(numbers.size()); }
  Matrix queries(Range rows, Index width) const {
    return Eigen::Map<const Matrix>(entries.data() + rows.begin * width, rows.size(), width);
  }
  void add(Index number, const double* query, Index width) {
    numbers.push_back(number);
    entries.insert(entries.end(), query, query + width);
  }
};

/// Collective: the rows of all ranks, ascending by number.
MissingRows gather(const Communicator& comm, const MissingRows& mine, Index width);
/// Collective: the rows of all ranks, of which no two have the same.
RowSet gather(const Communicator& comm, const RowSet& mine);

/// The fixed-point words of a head's key sums, of each mode: this rank's part of a sum over ranks.
using KeySumWords = std::vector<std::span<std::int64_t>>;

/// Words of which each rank holds a part: what stands for them is the sum over ranks.
struct SharedWords {
  std::uint64_t count = 0;
  /// Adds this rank's part of the words from `begin` on.
  std::function<void(std::uint64_t begin, std::span<std::int64_t> to)> add_mine;
};

/// The sums of all modes, one after the other.
SharedWords shared(const KeySumWords& modes);
/// Some of `count` numbers: those from number `begin` on.
struct SomeNumbers {
  std::uint64_t begin = 0;
  std::vector<double> numbers;
};
/// Numbers of which this rank has these.
SharedWords shared(std::uint64_t count, std::vector<SomeNumbers> mine);

/// Collective: the sums over all ranks go to `put` on rank 0, some at a time. If it throws, all ranks get the
/// words of the failure.
std::string put_words(const Communicator& comm, const SharedWords& words,
                      const std::function<void(std::span<const std::int64_t>)>& put);

/// Rows of the exact method that some key tiles have passed by: flights, each with the same tiles behind. The
/// rows' sums are beside it, flight after flight and row after row: those of ExactAttention.
struct RowsInFlight {
  struct Flight {
    RowSet rows;  // of the round, by place
    Index tuples = 0;
  };
  std::vector<Flight> flights;
  std::vector<Index> counted;  // of each mode, tiles that are in `keys`
  ContentSum keys;             // of what was read for the first time

  Index count() const;  // rows
};

/// A round of one head.
struct Round {
  bool exact = false;
  Index raises = 0;                 // the planned monomials have been made larger so often
  std::optional<MissingRows> rows;  // nothing: all rows of the head
  std::vector<RowSet> keys;         // of each mode, in the sums of this round's new monomials
  RowSet done;                      // tiles of the round's rows, by place
  MissingRows missing;              // of those, what misses the promise again
  RowsInFlight in_flight;

  /// Of its head: the planned monomials' sums are made in it.
  bool is_first() const { return !rows && raises == 0; }
};

/// Figures of a solve that add up over ranks, or of which the largest counts.
struct SolveFigures {
  double largest_error_bound = 0;  // over all rows, in the units of the output
  double largest_log_error = 0;
  std::int64_t rows_exact = 0;   // of polynomial heads, summed exactly because they missed the promise
  std::int64_t rows_raised = 0;  // evaluated again, in double or at a higher degree than was planned
  std::int64_t monomials_evaluated = 0;  // summed over all rows
  ContentSum content;                    // of what was read after the measurement
};

/// All of it, over all ranks.
struct SolveState {
  Index head = 0;
  std::vector<Index> raises;  // of the heads before it
  Round round;
  bool keys_counted = false;  // an exact head: its keys are in the content
  SolveFigures figures;

  /// The rows of head `head` that are written, of `queries` in all.
  RowSet written(Index of_head, Index queries) const;
};

nlohmann::json to_json(const SolveState& state);
/// Throws nlohmann::json::exception or std::runtime_error where that is not the state of a solve of `heads`
/// heads, `queries` rows and these keys.
SolveState solve_state(const nlohmann::json& json, const ProblemShape& shape);

}  // namespace kronattn
