#include "progress_display.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace kronattn {
namespace {

ProgressState state(double run_seconds, double done) {
  ProgressState state;
  state.step = "aggregate";
  state.rows = 1000;
  state.done = done;
  state.run_seconds = run_seconds;
  state.seconds = run_seconds;
  return state;
}

ProgressState ended(double run_seconds) {
  ProgressState last = state(run_seconds, 1);
  last.ended = true;
  return last;
}

/// What stays visible on one line of a terminal.
std::string screen(const std::string& written) {
  std::string line;
  std::size_t column = 0;
  for (char c : written) {
    if (c == '\r') {
      column = 0;
      continue;
    }
    if (column == line.size()) line += ' ';
    line[column++] = c;
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

TEST(ProgressDisplay, ALiveLineShowsShareRateOfAllRanksAndTimeLeft) {
  std::ostringstream out;
  ProgressDisplay display(out, true, LogLevel::info, 4);
  display.show(state(1, 0.25));
  EXPECT_EQ(screen(out.str()), "aggregate 25%, 1e+03 rows/s, 3 s left");
  display.show(state(600, 0.5));
  EXPECT_EQ(screen(out.str()), "aggregate 50%, 3.33 rows/s, 10 min left");
  EXPECT_EQ(out.str().find('\n'), std::string::npos);
}

TEST(ProgressDisplay, ALiveLineIsGoneWhenItsStepEndsAndWhenTheRunDoes) {
  std::ostringstream out;
  {
    ProgressDisplay display(out, true, LogLevel::info, 1);
    display.show(state(1, 0.1));
    display.show(ended(2));
    EXPECT_EQ(screen(out.str()), "");
    display.show(state(3, 0.1));
    EXPECT_NE(screen(out.str()), "");
  }
  EXPECT_EQ(screen(out.str()), "");
  EXPECT_EQ(out.str().back(), '\r');
}

TEST(ProgressDisplay, ALogGetsItsFirstLineAfterTenSecondsAndThenOneEveryThirty) {
  std::ostringstream out;
  ProgressDisplay display(out, false, LogLevel::info, 1);
  std::vector<double> seconds;
  for (double now = 0.5; now <= 100; now += 0.5) {
    const std::size_t before = out.str().size();
    display.show(state(now, now / 200));
    if (out.str().size() > before) seconds.push_back(now);
  }
  EXPECT_EQ(seconds, (std::vector<double>{10, 40, 70, 100}));
  EXPECT_EQ(out.str().substr(0, out.str().find('\n')), "progress: aggregate 5%, 5 rows/s, 3 min left");
}

TEST(ProgressDisplay, LevelsAddToOneAnother) {
  for (const auto& [level, text] :
       {std::pair(LogLevel::quiet, ""), std::pair(LogLevel::warning, ""),
        std::pair(LogLevel::info, "progress: aggregate 50%, 25 rows/s, 20 s left\n"),
        std::pair(LogLevel::debug,
                  "progress: aggregate 50%, 25 rows/s, 20 s left\n"
                  "debug: aggregate took 40 s\n")}) {
    std::ostringstream out;
    ProgressDisplay display(out, false, level, 1);
    display.show(state(20, 0.5));
    display.show(ended(40));
    EXPECT_EQ(out.str(), text);
  }
}

TEST(ProgressDisplay, OneOfManyHeadsIsNamedAndAStepWithoutRowsHasNoShare) {
  std::ostringstream out;
  ProgressDisplay display(out, true, LogLevel::info, 1);
  ProgressState reduce = state(3, 0);
  reduce.step = "reduce";
  reduce.rows = 0;
  reduce.head = 1;
  reduce.heads = 8;
  display.show(reduce);
  EXPECT_EQ(screen(out.str()), "reduce (head 2 of 8), for 3 s");
}

}  // namespace
}  // namespace kronattn
