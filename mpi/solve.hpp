// A solve after the measurement: a plan for each head, the heads one after the other (head_solve.hpp), and
// whether all of it is true to the promise and to what was measured. Decisions are taken in `plan`, from the
// measurement alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "communicator.hpp"
#include "evaluate_queries.hpp"
#include "measure_problem.hpp"
#include "plan.hpp"
#include "problem.hpp"
#include "progress.hpp"
#include "rank_memory.hpp"
#include "solve_state.hpp"

namespace kronattn {

class Checkpointing;

/// Where finished rows go: called by each rank for its own rows, once for each, in any order.
using RowSink = std::function<void(Index head, Range rows, const RowOutputs& outputs)>;

/// What takes the planned monomials' key sums of head after head, from all ranks at once: collective; and
/// what gives them, to rank 0, others being left as they are.
using KeySumSink = std::function<void(Index head, const KeySumWords& sums)>;
using KeySumSource = std::function<void(Index head, const KeySumWords& sums)>;

/// What a solve may have beside the problem.
struct SolveAids {
  Progress& progress = Progress::unseen();
  Checkpointing* checkpoints = nullptr;
  RankMemory memory = RankMemory();
  KeySumSink keep_sums = nullptr;
  KeySumSource given_sums = nullptr;  // where the wishes have them
};

/// What a solve did, beside the rows: the same on all ranks, except `seconds` and, until it ends, the
/// figures, which are this rank's.
struct SolveOutcome : SolveFigures {
  std::vector<PlannedHead> heads;  // as carried out: raised where rows missed the promise
  PhaseSeconds seconds;
};

/// Needs: the measurement. Leaves: a plan for each head. Throws AgreedFailure, naming the problem, where the
/// wishes can't be met.
std::vector<PlannedHead> plan_heads(const ProblemMeasurement& measurement, const ProblemShape& shape,
                                    const Wishes& wishes, const std::string& problem);

/// Collective: all steps after the measurement, or those that a resumed run has left. Throws AgreedFailure
/// before any work where the memory is too small, and if the promise is broken, StoppedEarly when the
/// checkpoints' control says so.
SolveOutcome solve(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                   const Wishes& wishes,
                   const std::function<RowSink(const std::vector<PlannedHead>&)>& make_sink,
                   PhaseSeconds seconds, const SolveAids& aids = {});

/// Collective. Throws AgreedFailure where `memory` is too small for what is planned; how much is needed
/// stands in the message.
void need_memory_for(const Communicator& comm, const std::vector<PlannedHead>& heads,
                     const ProblemMeasurement& measurement, const ProblemShape& shape,
                     const std::string& problem, const RankMemory& memory);

}  // namespace kronattn
