// One head on its way from measurement and plan to its rows, step by step.
//
//   polynomial   key tiles -> sums; each rank gets its share of them (2 r (d_v + 1) integers a mode),
//   multiplies
//                the modes there, and all get the products (r (d_v + 1) doubles) -> values of query tiles;
//                rows that miss the promise go to all ranks and are summed exactly, or with more monomials
//   exact        all tuples of key tiles pass by the query tiles of every rank
//
// Each is a round (solve_state.hpp) and is done in steps between which the ranks meet. What all of them leave
// behind at such a point is merged from whole tiles in any order, so it can be saved, and any number of ranks
// can go on from it.
#pragma once

#include "solve.hpp"

namespace kronattn {

/// A plan whose monomials have been made larger so often. `shape` is that of the changed coordinates.
void raise_plan(PlannedHead& planned, Index raises, const ProblemShape& shape);

/// Collective. Solves head `state.head` as outcome.heads has it planned, from where `state` has it: a round
/// without modes in `keys` is new. Leaves what was done in `outcome` and `state`.
void solve_head(const Communicator& comm, Problem& problem, SolveState& state,
                const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
                SolveOutcome& outcome, const SolveAids& aids);

/// Collective. Makes the planned key sums of head `number` and hands them to aids.keep_sums, nothing else.
/// Leaves seconds in `outcome`.
void sum_head_keys(const Communicator& comm, Problem& problem, Index number,
                   const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
                   SolveOutcome& outcome, const SolveAids& aids);

}  // namespace kronattn
