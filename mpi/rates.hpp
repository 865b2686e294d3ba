// How fast this machine is, for predictions.
//
// Measured once for a CPU type and a build, on two small problems in memory, and kept in a file of the user's
// cache
// ($XDG_CACHE_HOME or ~/.cache, kronattn/rates-*.json). Where there is no such place nothing is kept.
#pragma once

#include "cluster_model.hpp"
#include "communicator.hpp"
#include "plan.hpp"

namespace kronattn {

/// Collective: the same on all ranks, from rank 0's machine. Where nothing is known they are measured if
/// `may_measure` (some tenths of a second), else they are nominal. Uses the threads that OpenMP has.
Rates machine_rates(const Communicator& comm, bool may_measure);

/// Collective: latency and bandwidth of sums over these ranks, by the times of a short and of a long one
/// (some hundredths of a second); nominal on one rank. File bandwidth is never measured: a file system for
/// all ranks is not known by one file.
Network measured_network(const Communicator& comm);

}  // namespace kronattn
