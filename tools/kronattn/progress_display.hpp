// Progress as a person sees it: one live line on a terminal, a plain line now and then in a log.
#pragma once

#include <ostream>
#include <string>

#include "progress.hpp"

namespace kronattn {

/// What a run prints beside the line about its failure; each level adds to the one before.
enum class LogLevel {
  quiet,    // nothing
  warning,  // what was given in vain
  info,     // progress and the summary
  debug     // the seconds of each step
};

class ProgressDisplay {
 public:
  /// `terminal`: lines can be written over. `ranks`: rows per second are estimated for all of them.
  ProgressDisplay(std::ostream& out, bool terminal, LogLevel level, int ranks)
      : out_(out), terminal_(terminal), level_(level), ranks_(ranks) {}
  ~ProgressDisplay() { clear(); }
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void show(const ProgressState& state);

 private:
  void clear();
  void print(const std::string& text) { out_ << text << std::flush; }  // whole: other ranks may print too

  static constexpr double first_line = 10, next_lines = 30;  // seconds of a run, between lines of a log

  std::ostream& out_;
  bool terminal_;
  LogLevel level_;
  int ranks_;
  double next_line_ = first_line;
  std::size_t live_ = 0;  // characters of the line on the terminal
};

}  // namespace kronattn
