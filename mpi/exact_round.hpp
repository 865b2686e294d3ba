// The exact method as a round of a head: all key tuples pass by the rows, or sums over sets of columns stand
// for them.
//
// Rows are in flight while keys pass by: as many as fit, and few enough for a tuple of key tiles to be a
// step. Their sums may be saved between any two tuples, and another run, on any number of ranks, lets the
// rest of the keys pass by them.
#pragma once

#include <optional>

#include "head_run.hpp"

namespace kronattn {

/// Collective: a round in passes over all keys, from where `run.round` has it. Leaves this rank's rows in the
/// sink or on their way there.
void sum_exactly(HeadRun& run);

/// Collective. By sums over sets of columns, in linear time and in one go: nothing of it goes into a
/// checkpoint. Leaves this rank's rows in the sink; returns those that miss the promise, of all ranks, or
/// nothing where keys are not what a sample showed of them, and then nothing is done.
std::optional<MissingRows> sum_by_subsets(HeadRun& run);

}  // namespace kronattn
