// How much memory a rank may take, and how blocks of rows are cut to fit.
//
// What is needed whatever the blocks is known before it is allocated: the samples once the file is open, the
// sums of the keys once there is a plan. Where it does not fit, the run ends there, before the work, with the
// number that is needed. Blocks and read-ahead take a part of what is left. No bit of a result depends on it,
// and nothing here grows with the number of rows.
#pragma once

#include <cmath>
#include <string>

#include "communicator.hpp"
#include "plan.hpp"
#include "problem.hpp"

namespace kronattn {

/// Sizes that no bit of a result depends on.
struct Blocks {
  Index read_bytes = 0;                // of rows that are read together, at least a tile
  Index exact_rows = 16384;            // queries of the exact method in flight while all keys pass by
  Index kept_bytes = Index{64} << 20;  // of key tiles that the exact method keeps for the next time
  double waiting_rows = HUGE_VAL;      // queries whose sums, from a checkpoint, wait for the rest of the keys
};

class RankMemory {
 public:
  /// Without a limit.
  RankMemory() = default;
  /// `bytes`: of each rank, all of its memory included; `name` says in messages what they are.
  RankMemory(double bytes, std::string name) : limit_(bytes), name_(std::move(name)) {}

  /// Collective. Nine tenths of what this host has, shared out over its ranks; the least over all hosts. The
  /// rest is for the system and its file cache.
  static RankMemory of_machine(const Communicator& comm);

  /// Collective. Throws AgreedFailure, beginning with `what`, unless every rank may take `bytes` more than it
  /// has now.
  void need(const Communicator& comm, const std::string& what, double bytes) const;

  /// Collective: what is left for each rank when it has taken `bytes` more than now. The same on all ranks,
  /// below 0 where the limit is passed.
  double left(const Communicator& comm, double bytes) const;

 private:
  double limit_ = HUGE_VAL;
  std::string name_;
};

/// Bytes of memory that a process may have: the least of the machine's and the limits of its control groups
/// (version 1 or 2) and of all above them. `root`: where /proc and /sys stand.
double machine_memory(const std::string& root = "");

/// Bytes of "500M", "1.5GiB", "2e9": K, M, G, T and KiB, ... are powers of 1024, KB, ... of 1000. Throws
/// std::invalid_argument on anything else, and on what is not above 0.
double parse_bytes(const std::string& text);

/// "58 MiB": whole, rounded upwards.
std::string bytes_text(double bytes);

/// What the measurement takes on this rank beside the rows in flight, and what is in flight of a step at
/// least.
double measuring_bytes(const ProblemShape& shape);
double least_bytes_in_flight(const ProblemShape& shape);

/// What a planned head takes on each of so many ranks beside the rows in flight. `shape`: in the coordinates
/// of the head.
double head_bytes(const ProblemShape& shape, const PlannedHead& head, int ranks);

/// The blocks of a step that has `left` bytes for its rows in flight.
Blocks blocks_within(double left, const ProblemShape& shape);

}  // namespace kronattn
