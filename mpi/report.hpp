// The JSON report of a solve, and its summary for people. Field names are the contract of the README.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "communicator.hpp"
#include "problem.hpp"
#include "solve.hpp"

namespace kronattn {

using Json = nlohmann::ordered_json;

/// A number, or null where it does not exist.
Json number_or_null(double value);

/// The blocks `kronattn`, `problem` and `plan` that the reports of solve and plan share. `threads`: in all.
Json program_json();
Json problem_json(const ProblemShape& shape, Precision precision);
Json plan_json(const std::vector<PlannedHead>& heads, const ProblemShape& shape, const Wishes& wishes,
               const Rates& rates, double threads);

/// The lines of the summary about them.
std::string plan_summary(const Json& report);

struct RunFacts {
  int threads = 1;
  Rates rates;                     // for the prediction
  std::int64_t bytes_written = 0;  // by this rank
  double total_seconds = 0;        // of this rank
  bool resumed = false;            // the run went on from a checkpoint
  std::int64_t checkpoints = 0;    // saved
  double checkpoint_seconds = 0;   // of this rank
};

/// Collective. The same on every rank.
Json solve_report(const Communicator& comm, const Problem& problem, const ProblemMeasurement& measurement,
                  const Wishes& wishes, const SolveOutcome& outcome, const RunFacts& facts);

/// A few lines: method, degree and rank, errors, seconds, speed, memory.
std::string summary(const Json& report);

}  // namespace kronattn
