#include "rates.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checksum.hpp"
#include "clock.hpp"
#include "degree_needs.hpp"
#include "generate.hpp"
#include "measure_problem.hpp"
#include "solve.hpp"
#include "version.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string cpu_type() {
  std::ifstream cpus("/proc/cpuinfo");
  std::string name, flags;
  for (std::string line; std::getline(cpus, line);) {
    if (name.empty() && line.rfind("model name", 0) == 0) name = line;
    if (flags.empty() && line.rfind("flags", 0) == 0) flags = line;
  }
  return name + flags;
}

/// Empty where there is no place for it.
fs::path cache_file() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  fs::path folder = cache != nullptr && *cache != '\0' ? fs::path(cache)
                    : home != nullptr && *home != '\0' ? fs::path(home) / ".cache"
                                                       : fs::path();
  if (folder.empty()) return folder;
  const std::string key =
      cpu_type() + version + commit + build;  // counts and kernels change with the sources
  char name[40];
  std::snprintf(name, sizeof name, "rates-%016llx.json",
                static_cast<unsigned long long>(checksum(key.data(), key.size(), 0)));
  return folder / "kronattn" / name;
}

std::optional<Rates> known_rates(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  const Json json = Json::parse(file, nullptr, false);
  Rates rates;
  for (auto [name, rate] : {std::pair("polynomial", &rates.polynomial), std::pair("exact", &rates.exact),
                            std::pair("row_seconds", &rates.row_seconds)}) {
    if (!json.is_object() || !json.contains(name) || !json[name].is_number()) return std::nullopt;
    *rate = json[name];
    if (!(*rate > 0 && *rate < 1e15)) return std::nullopt;
  }
  return rates;
}

void keep(const fs::path& path, const Rates& rates) {
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const fs::path partial = path.string() + "." + std::to_string(std::rand());
  {
    std::ofstream file(partial);
    file << Json{
        {"polynomial", rates.polynomial}, {"exact", rates.exact}, {"row_seconds", rates.row_seconds}};
    if (!file) return;
  }
  fs::rename(partial, path, ignored);  // a reader sees all of it or nothing
}

/// Seconds of computing a problem of these sizes, on one rank.
double seconds_of(Index rows, const Wishes& wishes) {
  const Communicator self(MPI_COMM_SELF);
  Instance instance;
  instance.shape = {1, rows, {rows}, 8, 8, 0.125};
  GeneratedProblem problem(instance);
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(self, problem, coordinate_wishes(wishes), seconds);
  const auto discard = [](const std::vector<PlannedHead>&) -> RowSink {
    return [](Index, Range, const RowOutputs&) {};
  };
  const PhaseSeconds spent = solve(self, problem, measurement, wishes, discard, seconds).seconds;
  return spent.aggregate + spent.evaluate;
}

Rates measured_rates() {
  const double threads = omp_get_max_threads();
  const auto polynomial_seconds = [](Index rows, Index degree) {
    Wishes wishes;
    wishes.degree = degree;
    wishes.method = Method::polynomial;
    seconds_of(rows, wishes);  // warms up
    return seconds_of(rows, wishes);
  };
  constexpr Index rows = 16384;
  const auto work = [](Index degree) {
    const ProblemShape shape{1, rows, {rows}, 8, 8, 0.125};
    const double rank = total_degree_rank(shape, degree);
    return aggregate_work(shape, rank) + evaluate_work(rows * rank, 9) +
           own_work(shape, rank, degree, static_cast<double>(degree * degree));
  };
  // Two ranks, two unknowns: seconds = work / rate + rows * row_seconds.
  const double low = polynomial_seconds(rows, 2), high = polynomial_seconds(rows, 5);
  Rates rates;
  rates.polynomial = (work(5) - work(2)) / std::max(high - low, 0.1 * high) / threads;
  rates.row_seconds = std::max(1e-9, (low * threads - work(2) / rates.polynomial) / (2 * rows));
  Wishes exact;
  exact.epsilon = 1e-6;
  exact.method = Method::exact;
  constexpr Index few = 2048;
  seconds_of(few, exact);
  rates.exact = exact_work({1, few, {few}, 8, 8, 0.125}, few) / seconds_of(few, exact) / threads;
  return rates;
}

}  // namespace

Rates machine_rates(const Communicator& comm, bool may_measure) {
  Rates rates;
  comm.together([&] {
    if (!comm.root()) return;
    const fs::path path = cache_file();
    if (const std::optional<Rates> known = path.empty() ? std::nullopt : known_rates(path)) {
      rates = *known;
    } else if (may_measure) {
      rates = measured_rates();
      if (!path.empty()) keep(path, rates);
    }
  });
  double values[] = {rates.polynomial, rates.exact, rates.row_seconds};
  comm.broadcast(values, 3, 0);
  return {values[0], values[1], values[2]};
}

Network measured_network(const Communicator& comm) {
  Network network;
  if (comm.size() == 1) return network;
  const auto least_seconds = [&](std::size_t count, int turns) {
    std::vector<std::int64_t> numbers(count, 1);
    double least = HUGE_VAL;
    for (int turn = 0; turn < turns; ++turn) {
      std::fill(numbers.begin(), numbers.end(), 1);
      comm.max(0.0);  // all start together
      const Stopwatch watch;
      comm.sum(numbers);
      least = std::min(least, comm.max(watch.seconds()));
    }
    return least;
  };
  // Two sums, two unknowns.
  constexpr std::size_t many = 1 << 19;
  const double ranks = comm.size(), brief = least_seconds(1, 200), lengthy = least_seconds(many, 5);
  network.latency = brief / (2 * scatter_seconds(0, ranks, {1, 1, 1}));
  network.bandwidth = 2 * scatter_seconds(8.0 * many, ranks, {0, 1, 1}) / std::max(lengthy - brief, 1e-9);
  return network;
}

}  // namespace kronattn
