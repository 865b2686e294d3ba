// Seconds of the phases of a run. Clocks are only reported; they never decide anything.
#pragma once

#include <chrono>

namespace kronattn {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// Adds the time until it goes out of scope to `total`.
class Timed {
 public:
  explicit Timed(double& total) : total_(total) {}
  ~Timed() { total_ += watch_.seconds(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& total_;
  Stopwatch watch_;
};

struct PhaseSeconds {
  double read = 0, measure = 0, aggregate = 0, reduce = 0, evaluate = 0, write = 0;
};

}  // namespace kronattn
