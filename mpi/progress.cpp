#include "progress.hpp"

#include <algorithm>

#include "watchdog.hpp"

namespace kronattn {

Progress& Progress::unseen() {
  static Progress nobody;
  return nobody;
}

void Progress::at_head(Index head, Index heads) {
  if (!sink_) return;
  end();
  state_.head = head;
  state_.heads = heads;
}

void Progress::begin(const std::string& step, Index rows, double pieces) {
  Activity::begin(step);
  if (!sink_) return;
  end();
  state_.step = step;
  state_.rows = static_cast<double>(rows);
  state_.ended = false;
  pieces_ = pieces;
  pieces_done_ = 0;
  began_ = clock_();
  tell_when_due(began_);
}

void Progress::advance(Index pieces) {
  Activity::moved();
  if (!sink_) return;
  pieces_done_ += static_cast<double>(pieces);
  if (pieces_done_ < pieces_) tell_when_due(clock_());  // else the next step is more worth telling
}

void Progress::end() {
  if (!sink_ || state_.step.empty()) return;
  state_.ended = true;
  tell(clock_());
  state_.step.clear();
}

void Progress::tell_when_due(double now) {
  if (now < next_) return;
  next_ = now + shortest_interval;
  tell(now);
}

void Progress::tell(double now) {
  state_.done = pieces_ > 0 ? std::min(1.0, pieces_done_ / pieces_) : 0;
  state_.seconds = now - began_;
  state_.run_seconds = now;
  sink_(state_);
}

}  // namespace kronattn
