// How fast this machine is, for predictions.
//
// Measured once for a CPU type and a build, on two small problems in memory, and kept in a file of the user's
// cache
// ($XDG_CACHE_HOME or ~/.cache, kronattn/rates-*.json). Where there is no such place nothing is kept.
#pragma once

#include "communicator.hpp"
#include "plan.hpp"

namespace kronattn {

/// Collective: the same on all ranks, from rank 0's machine. Where nothing is known they are measured if
/// `may_measure` (some tenths of a second), else they are nominal. Uses the threads that OpenMP has.
Rates machine_rates(const Communicator& comm, bool may_measure);

}  // namespace kronattn
