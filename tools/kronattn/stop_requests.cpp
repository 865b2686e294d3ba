#include "stop_requests.hpp"

#include <atomic>
#include <csignal>

namespace kronattn {

namespace {

std::atomic<int> signal_received = 0;
static_assert(std::atomic<int>::is_always_lock_free);

struct Watched {
  int number;
  const char* name;
};
constexpr Watched watched[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGUSR1, "SIGUSR1"}};

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const Watched& signal : watched) sigaction(signal.number, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  install([](int number) { signal_received = number; });
}

StopSignals::~StopSignals() {
  install(SIG_DFL);
}

std::string StopSignals::received() {
  const int number = signal_received;
  for (const Watched& signal : watched)
    if (signal.number == number) return signal.name;
  return "";
}

}  // namespace kronattn
