#include "run_control.hpp"

#include <new>

namespace kronattn {

RunControl& RunControl::none() {
  static RunControl nothing;
  return nothing;
}

void RunControl::steps(const Communicator& comm, Index mine, const std::function<void(Index)>& step,
                       const Save& save) const {
  // What ranks tell each other is the largest of each: the lowest rank has the largest number.
  const double me = comm.size() - comm.rank();
  for (Index i = 0;; ++i) {
    std::string failure;
    bool failed = false;
    try {
      if (i < mine) step(i);
    } catch (const std::bad_alloc&) {
      failed = true, failure = "out of memory";
    } catch (const std::exception& error) {
      failed = true, failure = error.what();
    }
    const std::string reason = stop_ ? stop_() : "";
    double told[] = {failed ? me : 0, reason.empty() ? 0 : me,
                     comm.root() && save_due_ && save_due_() ? 1.0 : 0.0, i + 1 < mine ? 1.0 : 0.0};
    comm.max(told, 4);
    const auto teller = [&](double number) { return comm.size() - static_cast<int>(number); };
    if (told[0] > 0) throw AgreedFailure(comm.broadcast(failure, teller(told[0])));
    const bool stops = told[1] > 0;
    if (save && (stops || told[2] > 0)) save(stops);
    if (stops) throw StoppedEarly(comm.broadcast(reason, teller(told[1])), 75);
    if (told[3] == 0) return;
  }
}

}  // namespace kronattn
