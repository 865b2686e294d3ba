#include "progress.hpp"

#include "mpi_main.hpp"

namespace kronattn {
namespace {

/// Progress with a clock that is set by hand, and all that it told.
struct Watched {
  double now = 0;
  std::vector<ProgressState> told;
  Progress progress{[this](const ProgressState& state) { told.push_back(state); }, [this] { return now; }};
};

TEST(Progress, TellsAtMostFiveTimesASecond) {
  Watched run;
  run.progress.begin("aggregate", 10000);
  for (int i = 0; i < 9999; ++i) {
    run.now += 0.001;  // ten seconds in all
    run.progress.advance(1);
  }
  EXPECT_LE(run.told.size(), 50u);
  EXPECT_GE(run.told.size(), 45u);
}

TEST(Progress, ToldSharesAndSecondsAreThoseOfTheStep) {
  Watched run;
  run.progress.begin("measure", 10);
  run.now = 5;
  run.progress.begin("aggregate", 400);
  run.now = 7;
  run.progress.advance(100);
  const ProgressState& state = run.told.back();
  EXPECT_EQ(state.step, "aggregate");
  EXPECT_EQ(state.rows, 400);
  EXPECT_EQ(state.done, 0.25);
  EXPECT_EQ(state.seconds, 2);
  EXPECT_EQ(state.run_seconds, 7);
  EXPECT_FALSE(state.ended);
}

TEST(Progress, PiecesNeedNotBeRows) {
  Watched run;
  run.progress.begin("exact", 7, 1e3);
  run.now = 1;
  run.progress.advance(500);
  EXPECT_EQ(run.told.back().rows, 7);
  EXPECT_EQ(run.told.back().done, 0.5);
}

TEST(Progress, EveryStepEndsOnceHoweverShortItIs) {
  Watched run;
  for (Index head = 0; head < 3; ++head) {
    run.progress.at_head(head, 3);
    for (const char* step : {"aggregate", "reduce"}) run.progress.begin(step, 0);
  }
  run.progress.end();
  run.progress.end();
  std::string ended;
  for (const ProgressState& state : run.told)
    if (state.ended) ended += state.step + std::to_string(state.head) + " ";
  EXPECT_EQ(ended, "aggregate0 reduce0 aggregate1 reduce1 aggregate2 reduce2 ");
}

TEST(Progress, AStepWithoutRowsIsToldWhenItBegins) {
  Watched run;
  run.now = 3;
  run.progress.begin("reduce", 0);
  ASSERT_EQ(run.told.size(), 1u);
  EXPECT_EQ(run.told[0].step, "reduce");
  EXPECT_EQ(run.told[0].done, 0);
}

}  // namespace
}  // namespace kronattn
