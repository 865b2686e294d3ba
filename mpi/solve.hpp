// A solve, step by step: measure, plan, sums of key tiles, values of query tiles.
//
// Each step is a function that says what it needs and what it leaves; the steps in between two of them could
// be written to disk and taken up again by any number of ranks, since everything they leave is merged from
// whole tiles in any order. Decisions are taken in `plan`, from the measurement alone.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "aggregate_keys.hpp"
#include "clock.hpp"
#include "communicator.hpp"
#include "evaluate_queries.hpp"
#include "measure_problem.hpp"
#include "plan.hpp"
#include "problem.hpp"
#include "progress.hpp"

namespace kronattn {

/// Where finished rows go: called by each rank for its own rows, in whole tiles.
using RowSink = std::function<void(Index head, Range rows, const RowOutputs& outputs)>;

/// What a solve did, beside the rows: the same on all ranks, except `seconds`, which are this rank's.
struct SolveOutcome {
  std::vector<Plan> plans;         // per head
  double largest_error_bound = 0;  // over all rows, in the units of the output
  double largest_log_error = 0;
  PhaseSeconds seconds;
  ContentSum content;  // of what was read after the measurement, by this rank
};

/// Needs: the measurement. Leaves: a plan for each head. Throws AgreedFailure, naming the problem, where the
/// wishes can't be met.
std::vector<Plan> plan_heads(const ProblemMeasurement& measurement, const ProblemShape& shape,
                             const Wishes& wishes, const std::string& problem);

/// The sums of the keys of one head as they grow: what a checkpoint would hold.
struct HeadSums {
  HeadSums(const ProblemShape& shape, const Plan& plan);

  Monomials monomials;
  std::vector<KeyAggregate> modes;
};

/// Collective in its failures. Needs: measurement and plan. Leaves: this rank's share of the key sums,
/// unreduced.
void aggregate_head(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
                    HeadSums& sums, SolveOutcome& outcome, Progress& progress);

/// Collective: one allreduce of 2 r (d_v + 1) integers a mode. Leaves: the sums over all ranks, on all ranks.
void sum_over_ranks(const Communicator& comm, HeadSums& sums, PhaseSeconds& seconds);

/// Collective in its failures. Needs: the sums over all ranks. Leaves: this rank's rows in `sink`.
void evaluate_head(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
                   const Plan& plan, const HeadSums& sums, Precision output_precision, const RowSink& sink,
                   SolveOutcome& outcome, Progress& progress);

/// Collective. The exact method for one head. Needs: measurement and plan. Leaves: this rank's rows in
/// `sink`.
void solve_head_exactly(const Communicator& comm, Problem& problem, Index head,
                        const Coordinates& coordinates, Precision output_precision, const RowSink& sink,
                        SolveOutcome& outcome, Progress& progress);

/// Collective: all steps after the measurement. Throws AgreedFailure if the promise is broken.
SolveOutcome solve(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                   const Wishes& wishes, const std::function<RowSink(const std::vector<Plan>&)>& make_sink,
                   PhaseSeconds seconds, Progress& progress = Progress::unseen());

}  // namespace kronattn
