// How far a run is, told to whoever wants to know.
//
// Each rank counts its own rows and nothing is communicated, so a rank's share done is an estimate of
// everybody's. Progress only watches: no step asks it anything.
#pragma once

#include <functional>
#include <string>

#include "types.hpp"

namespace kronattn {

struct ProgressState {
  std::string step;  // what runs: "aggregate"
  Index head = 0;    // of which head, of how many
  Index heads = 1;
  double rows = 0;         // this rank's rows in this step; 0: it has none to count
  double done = 0;         // share of the step that is done, 0 to 1
  double seconds = 0;      // since the step began
  double run_seconds = 0;  // since the run began
  bool ended = false;      // the step is over
};

class Progress {
 public:
  using Sink = std::function<void(const ProgressState&)>;

  /// Tells nobody, and costs nothing.
  Progress() = default;
  /// Tells `sink`, at most once in `shortest_interval` seconds and once more at the end of a step. `clock`:
  /// seconds since the run began.
  Progress(Sink sink, std::function<double()> clock) : sink_(std::move(sink)), clock_(std::move(clock)) {}

  /// For calls that nobody watches.
  static Progress& unseen();

  /// The steps to come are those of this head.
  void at_head(Index head, Index heads);
  /// A step begins, and the one before it ends: so many rows on this rank, in so many pieces of equal work;
  /// or in as many as rows.
  void begin(const std::string& step, Index rows, double pieces);
  void begin(const std::string& step, Index rows) { begin(step, rows, static_cast<double>(rows)); }
  /// Some pieces are done.
  void advance(Index pieces);
  /// The last step ends.
  void end();

  static constexpr double shortest_interval = 0.2;

 private:
  void tell_when_due(double now);
  void tell(double now);

  Sink sink_;
  std::function<double()> clock_;
  ProgressState state_;
  double began_ = 0, next_ = shortest_interval, pieces_ = 0, pieces_done_ = 0;
};

}  // namespace kronattn
