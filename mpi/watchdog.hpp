// A run in which nothing moves any more ends itself: a cut link gives no error in MPI, a hung file system
// none in HDF5.
//
// Whatever a rank gets done (a step, rows read or written, an answer from other ranks) counts as a move. A
// thread of each rank looks whether there was one lately. A rank that is at work for too long is to blame
// itself and speaks first; ranks that wait for others give those the time to.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace kronattn {

/// What this process is doing.
class Activity {
 public:
  /// A step of the run begins: "aggregate".
  static void begin(const std::string& step);
  /// Something was done.
  static void moved();

  /// While it lives, this rank waits for other ranks.
  class Waiting {
   public:
    Waiting();
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
  };

  /// While it lives, what is done is known to take no more than `seconds` without a move: a watchdog waits no
  /// longer. One at a time.
  class Brief {
   public:
    explicit Brief(double seconds);
    ~Brief();
    Brief(const Brief&) = delete;
    Brief& operator=(const Brief&) = delete;
  };

  struct State {
    std::uint64_t moves = 0;
    bool waits = false;
    double at_most = 0;  // seconds without a move
    std::string step;
  };
  static State state();
};

class Watchdog {
 public:
  /// Calls `bark` from a thread of its own, once, when this rank has not moved for `seconds`, or for what is
  /// known to be enough: with one sentence on what it did meanwhile. Ranks that wait for others bark later,
  /// and one after the other. 0: never.
  Watchdog(double seconds, int rank, std::function<void(const std::string&)> bark);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch(double seconds, int rank);

  std::function<void(const std::string&)> bark_;
  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace kronattn
