#include "watchdog.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "text.hpp"

namespace kronattn {

namespace {

std::atomic<std::uint64_t> moves = 0;
std::atomic<int> waiting = 0;
std::atomic<double> at_most = HUGE_VAL;
std::mutex step_mutex;
std::string step_name = "start";

}  // namespace

void Activity::begin(const std::string& step) {
  const std::lock_guard guard(step_mutex);
  step_name = step;
  moved();
}

void Activity::moved() {
  moves.fetch_add(1, std::memory_order_relaxed);
}

Activity::Waiting::Waiting() {
  moved();
  ++waiting;
}

Activity::Waiting::~Waiting() {
  --waiting;
  moved();
}

Activity::Brief::Brief(double seconds) {
  moved();
  at_most = seconds;
}

Activity::Brief::~Brief() {
  at_most = HUGE_VAL;
  moved();
}

Activity::State Activity::state() {
  const std::lock_guard guard(step_mutex);
  return {moves, waiting > 0, at_most, step_name};
}

Watchdog::Watchdog(double seconds, int rank, std::function<void(const std::string&)> bark)
    : bark_(std::move(bark)) {
  if (seconds > 0) thread_ = std::thread([this, seconds, rank] { watch(seconds, rank); });
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    ended_ = true;
  }
  ends_.notify_all();
  thread_.join();
}

void Watchdog::watch(double seconds, int rank) {
  using Clock = std::chrono::steady_clock;
  const std::chrono::duration<double> glance(std::clamp(seconds / 20, 0.01, 5.0));
  const double turn = 2.0 * std::min(rank, 20);  // so that one rank speaks for all
  Activity::State last = Activity::state();
  Clock::time_point since = Clock::now();
  std::unique_lock lock(mutex_);
  while (!ends_.wait_for(lock, glance, [this] { return ended_; })) {
    const Activity::State now = Activity::state();
    if (now.moves != last.moves) {
      last = now;
      since = Clock::now();
      continue;
    }
    const double idle = std::chrono::duration<double>(Clock::now() - since).count();
    const double limit = std::min(seconds, now.at_most);
    const double patience =
        now.waits ? std::clamp(limit / 10, 0.1, 60.0) : 0;  // with ranks that are to blame
    if (idle < limit + patience + turn) continue;
    bark_("nothing has moved for " + short_number(limit) + " seconds in step " + now.step + ": rank " +
          std::to_string(rank) +
          (now.waits ? " waits for other ranks" : " is at work, or waits for its files"));
    return;
  }
}

}  // namespace kronattn
