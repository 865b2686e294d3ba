// A solve after the measurement: a plan for each head, the heads one after the other (head_solve.hpp), and
// whether all of it is true to the promise and to what was measured. Decisions are taken in `plan`, from the
// measurement alone.
#pragma once

#include <functional>
#include <string>

#include "clock.hpp"
#include "communicator.hpp"
#include "evaluate_queries.hpp"
#include "measure_problem.hpp"
#include "plan.hpp"
#include "problem.hpp"
#include "progress.hpp"
#include "rank_memory.hpp"

namespace kronattn {

/// Where finished rows go: called by each rank for its own rows, once for each, in any order.
using RowSink = std::function<void(Index head, Range rows, const RowOutputs& outputs)>;

/// What a solve did, beside the rows: the same on all ranks, except `seconds`, which are this rank's.
struct SolveOutcome {
  std::vector<PlannedHead> heads;  // as carried out: the degree may have been raised
  double largest_error_bound = 0;  // over all rows, in the units of the output
  double largest_log_error = 0;
  std::int64_t rows_exact = 0;   // of polynomial heads, summed exactly because they missed the promise
  std::int64_t rows_raised = 0;  // evaluated again at a higher degree than was planned
  std::int64_t monomials_evaluated = 0;  // summed over all rows
  PhaseSeconds seconds;
  ContentSum content;  // of what was read after the measurement, by this rank
};

/// Needs: the measurement. Leaves: a plan for each head. Throws AgreedFailure, naming the problem, where the
/// wishes can't be met.
std::vector<PlannedHead> plan_heads(const ProblemMeasurement& measurement, const ProblemShape& shape,
                                    const Wishes& wishes, const std::string& problem);

/// Collective: all steps after the measurement. Throws AgreedFailure before any work where `memory` is too
/// small, and if the promise is broken.
SolveOutcome solve(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                   const Wishes& wishes,
                   const std::function<RowSink(const std::vector<PlannedHead>&)>& make_sink,
                   PhaseSeconds seconds, Progress& progress = Progress::unseen(),
                   const RankMemory& memory = RankMemory());

/// Collective. Throws AgreedFailure where `memory` is too small for what is planned; how much is needed
/// stands in the message.
void need_memory_for(const Communicator& comm, const std::vector<PlannedHead>& heads,
                     const ProblemMeasurement& measurement, const ProblemShape& shape,
                     const std::string& problem, const RankMemory& memory);

}  // namespace kronattn
