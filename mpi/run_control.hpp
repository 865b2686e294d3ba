// How a long piece of work is done by all ranks: in steps, between which they meet. There they learn whether
// one of them has failed, whether the run has been asked to stop, and whether it is time to save what is
// done.
//
// A signal or a clock only asks; all ranks act on it at the same step. So whatever is saved is the state
// between two steps everywhere, and one signalled rank is enough.
#pragma once

#include <functional>
#include <string>

#include "communicator.hpp"
#include "types.hpp"

namespace kronattn {

/// A run that was asked to stop, on all ranks: not a failure.
class StoppedEarly : public AgreedFailure {
 public:
  using AgreedFailure::AgreedFailure;
};

/// A failure after which nothing that was saved is of use, on all ranks.
class VoidWork : public AgreedFailure {
 public:
  using AgreedFailure::AgreedFailure;
};

class RunControl {
 public:
  /// Nothing stops the run, and nothing is saved.
  RunControl() = default;
  /// `stop`: asked on every rank between steps; why the run should stop ("SIGTERM"), or nothing. It must be
  /// cheap and may change its mind only from nothing to something. `save_due`: whether it is time to save;
  /// asked on rank 0 alone.
  RunControl(std::function<std::string()> stop, std::function<bool()> save_due)
      : stop_(std::move(stop)), save_due_(std::move(save_due)) {}

  /// For calls that nobody interrupts.
  static RunControl& none();

  /// Called collectively when something is to be saved: `last` if the run stops then. Says what to tell of
  /// it: "" or why nothing could be saved.
  using Save = std::function<void(bool last)>;

  /// Collective: step(0), step(1), ..., step(mine - 1) on each rank, ranks side by side; one allreduce of
  /// four numbers a step. Throws AgreedFailure on all ranks after the first step that fails on one. Between
  /// steps `save` is called when due; where the run is to stop it is called once more, and StoppedEarly
  /// leaves on all ranks.
  void steps(const Communicator& comm, Index mine, const std::function<void(Index)>& step,
             const Save& save) const;

  /// Collective: the same for a point between two pieces of work that are no steps.
  void meet(const Communicator& comm, const Save& save) const {
    steps(
        comm, 0, [](Index) {}, save);
  }

 private:
  std::function<std::string()> stop_;
  std::function<bool()> save_due_;
};

}  // namespace kronattn
