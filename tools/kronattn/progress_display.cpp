#include "progress_display.hpp"

#include <cstdio>

#include "text.hpp"

namespace kronattn {

namespace {

constexpr std::size_t live_columns = 79;

std::string step_name(const ProgressState& state) {
  std::string name = state.step;
  if (state.heads > 1)
    name += " (head " + std::to_string(state.head + 1) + " of " + std::to_string(state.heads) + ")";
  return name;
}

std::string duration(double seconds) {
  char text[64];
  if (seconds < 120)
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  else if (seconds < 7200)
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  else
    std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  return text;
}

/// "aggregate 43%, 1.2e+06 rows/s, 12 s left"
std::string progress_text(const ProgressState& state, int ranks) {
  if (state.rows == 0 || state.done == 0 || state.seconds <= 0)
    return step_name(state) + ", for " + duration(state.seconds);
  char percent[16];
  std::snprintf(percent, sizeof percent, " %.0f%%, ", 100 * state.done);
  return step_name(state) + percent + short_number(ranks * state.rows * state.done / state.seconds) +
         " rows/s, " + duration(state.seconds / state.done * (1 - state.done)) + " left";
}

}  // namespace

void ProgressDisplay::show(const ProgressState& state) {
  if (state.ended) {
    clear();
    if (level_ >= LogLevel::debug)
      print(std::string("debug: ").append(step_name(state)) + " took " + short_number(state.seconds) +
            " s\n");
  } else if (level_ >= LogLevel::info && terminal_) {
    const std::string text = progress_text(state, ranks_).substr(0, live_columns);
    const std::size_t rest = text.size() < live_ ? live_ - text.size() : 0;
    live_ = text.size();
    print(std::string("\r").append(text).append(rest, ' '));
  } else if (level_ >= LogLevel::info && state.run_seconds >= next_line_) {
    next_line_ = state.run_seconds + next_lines;
    print(std::string("progress: ").append(progress_text(state, ranks_)).append("\n"));
  }
}

void ProgressDisplay::clear() {
  if (live_ == 0) return;
  print(std::string("\r").append(live_, ' ').append("\r"));
  live_ = 0;
}

}  // namespace kronattn
