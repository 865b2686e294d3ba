// One head on its way from measurement and plan to its rows, step by step.
//
//   polynomial   key tiles -> sums, one reduction of 2 r (d_v + 1) integers a mode -> values of query tiles;
//   rows that miss
//                the promise go to all ranks and are summed exactly, or with more monomials
//   exact        all tuples of key tiles pass by the query tiles of every rank
//
// The steps in between two of them could be written to disk and taken up again by any number of ranks, since
// everything they leave is merged from whole tiles in any order.
#pragma once

#include "solve.hpp"

namespace kronattn {

/// Collective. Solves head `head` as outcome.heads[head] has it planned; leaves what was done in `outcome`.
void solve_head(const Communicator& comm, Problem& problem, Index head, const ProblemMeasurement& measurement,
                const Wishes& wishes, const RowSink& sink, SolveOutcome& outcome, Progress& progress,
                const RankMemory& memory);

}  // namespace kronattn
