// Signals that ask a run to stop: SIGTERM, SIGINT and SIGUSR1. A handler only sets a flag; the run looks at
// it between two steps.
#pragma once

#include <string>

namespace kronattn {

/// While it lives, these signals only set the flag.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The name of the signal that has come, or "".
  static std::string received();
};

}  // namespace kronattn
