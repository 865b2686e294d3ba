#include "run_control.hpp"

#include "mpi_main.hpp"

namespace kronattn {
namespace {

TEST(RunControl, DoesAllStepsOfAllRanksHoweverManyEachHas) {
  const Communicator comm;
  for (Index most : {0, 1, 5}) {
    Index done = 0;
    const Index mine = comm.rank() % 2 == 0 ? most : most / 2;
    RunControl::none().steps(
        comm, mine, [&](Index i) { EXPECT_EQ(i, done++); }, nullptr);
    EXPECT_EQ(done, mine);
  }
}

TEST(RunControl, AFailureOnOneRankEndsAllAfterThatStepInTheSameWords) {
  const Communicator comm;
  const int last = comm.size() - 1;
  Index done = 0;
  try {
    RunControl::none().steps(
        comm, 10,
        [&](Index i) {
          ++done;
          if (i == 3 && comm.rank() == last) throw std::runtime_error("the third went wrong");
        },
        nullptr);
    FAIL() << "nobody noticed";
  } catch (const AgreedFailure& failure) {
    EXPECT_STREQ(failure.what(), "the third went wrong");
    EXPECT_EQ(failure.exit_code(), 1);
  }
  EXPECT_EQ(done, 4);
  EXPECT_EQ(comm.sum(1), comm.size());  // all are here, and nobody is elsewhere
}

TEST(RunControl, OneRankThatIsToStopStopsAllAtTheSameStepWithOneSave) {
  const Communicator comm;
  const int last = comm.size() - 1;
  Index done = 0, saves = 0;
  const RunControl control([&]() -> std::string { return comm.rank() == last && done >= 3 ? "SIGUSR1" : ""; },
                           [] { return false; });
  const auto save = [&](bool stops) {
    EXPECT_TRUE(stops);
    ++saves;
  };
  try {
    control.steps(
        comm, comm.rank() == 0 ? 100 : 3, [&](Index) { ++done; }, save);
    FAIL() << "nobody stopped";
  } catch (const StoppedEarly& why) {
    EXPECT_STREQ(why.what(), "SIGUSR1");
    EXPECT_EQ(why.exit_code(), 75);
  }
  EXPECT_EQ(done, 3);
  EXPECT_EQ(saves, 1);
}

TEST(RunControl, SavesWhenRankZeroSaysSoAndGoesOn) {
  const Communicator comm;
  Index done = 0, saves = 0;
  const RunControl control([] { return std::string(); },
                           [&] { return comm.rank() == 0 ? done % 2 == 0 : true; });
  control.steps(
      comm, 6, [&](Index) { ++done; },
      [&](bool stops) {
        EXPECT_FALSE(stops);
        EXPECT_EQ(done % 2, 0);
        ++saves;
      });
  EXPECT_EQ(done, 6);
  EXPECT_EQ(saves, 3);
}

TEST(RunControl, AFailureBeatsARequestToStop) {
  const Communicator comm;
  const RunControl control([] { return std::string("SIGTERM"); }, [] { return true; });
  Index saves = 0;
  try {
    control.steps(
        comm, 1, [&](Index) { throw std::runtime_error("rank " + std::to_string(comm.rank())); },
        [&](bool) { ++saves; });
    FAIL();
  } catch (const StoppedEarly&) {
    FAIL() << "the failure was lost";
  } catch (const AgreedFailure& failure) {
    EXPECT_STREQ(failure.what(), "rank 0");
  }
  EXPECT_EQ(saves, 0);
}

}  // namespace
}  // namespace kronattn
