// One run to an output at a time.
//
// Rank 0 holds a lock on NAME.partial.lock while the run lives; it ends with the process, however that ends.
// A job that SLURM has started again takes over from its predecessor, whose ranks may still be alive on a
// node that nobody can reach: it puts a lock file of its own in place, and the predecessor notices that
// before it gives a result its name. Files of the two never have the same name, so until then they only waste
// work.
#pragma once

#include <string>

#include "communicator.hpp"

namespace kronattn {

/// Names this run, and no other: its job and restart under SLURM, host, process and time. On this process
/// alone.
std::string run_name();

class RunLock {
 public:
  /// Collective. Throws AgreedFailure where another run to `output` is alive, unless this one is a later
  /// start of the same job (SLURM_JOB_ID, SLURM_RESTART_COUNT). On a file system without locks nothing is
  /// refused.
  RunLock(const Communicator& comm, const std::string& output);
  /// Removes the lock file, if it is still this run's.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Collective. Throws AgreedFailure where another run has taken over.
  void confirm() const;

 private:
  bool acquire();
  bool ours() const;

  const Communicator& comm_;
  std::string path_, output_;
  int descriptor_ = -1;  // rank 0's
};

}  // namespace kronattn
