#include "watchdog.hpp"

#include <chrono>
#include <cmath>
#include <future>

#include "mpi_main.hpp"

namespace kronattn {
namespace {

using std::chrono::milliseconds;

/// What a watchdog says, and whether it has said something.
struct Listener {
  std::promise<std::string> told;
  std::future<std::string> words = told.get_future();
  std::function<void(const std::string&)> ear = [this](const std::string& text) { told.set_value(text); };
};

TEST(Watchdog, SaysInWhichStepARankIsStuck) {
  Listener listener;
  Activity::begin("aggregate");
  const Watchdog watchdog(0.2, 0, listener.ear);
  EXPECT_EQ(listener.words.get(),
            "nothing has moved for 0.2 seconds in step aggregate: rank 0 is at work, or waits for its files");
}

TEST(Watchdog, LetsARankThatWaitsSpeakLater) {
  Listener stuck, waits;
  {
    Activity::begin("reduce");
    const Activity::Waiting waiting;
    const Watchdog watchdog(0.2, 1, waits.ear);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(waits.words.get(),
              "nothing has moved for 0.2 seconds in step reduce: rank 1 waits for other ranks");
    EXPECT_GT(std::chrono::steady_clock::now() - begin, milliseconds(2000));
  }
  EXPECT_FALSE(Activity::state().waits);
}

TEST(Watchdog, WaitsNoLongerForWhatIsBrief) {
  Listener listener;
  Activity::begin("close");
  const Watchdog watchdog(20, 0, listener.ear);
  {
    const Activity::Brief brief(0.2);
    EXPECT_EQ(listener.words.get(),
              "nothing has moved for 0.2 seconds in step close: rank 0 is at work, or waits for its files");
  }
  EXPECT_EQ(Activity::state().at_most, HUGE_VAL);
}

TEST(Watchdog, IsQuietWhileSomethingMovesAndWhenTheRunEnds) {
  Listener listener;
  {
    const Watchdog watchdog(30, 0, listener.ear);
    for (int i = 0; i < 3; ++i) {
      Activity::moved();
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
  EXPECT_EQ(listener.words.wait_for(milliseconds(0)), std::future_status::timeout);
}

TEST(Watchdog, ThatIsOffHasNoThread) {
  Listener listener;
  { const Watchdog watchdog(0, 0, listener.ear); }
  EXPECT_EQ(listener.words.wait_for(milliseconds(50)), std::future_status::timeout);
}

}  // namespace
}  // namespace kronattn
