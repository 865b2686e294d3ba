#include "rank_memory.hpp"

#include <malloc.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "feature_kernels.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr double word = sizeof(double);

/// What allocators keep, buffers of messages and files, stacks: beside all that is counted.
constexpr double uncounted_bytes = 16 << 20;

/// Of the rows that are read together, what each thread gets: enough tiles for all threads to be busy alike,
/// few enough bytes to be still in its second-level cache when they are worked on.
constexpr Index read_bytes_of_a_thread = Index{2} << 20;

/// A block of rows as it is read, and what is made of it: outputs and parts of them.
constexpr double copies_in_flight = 6;

/// Memory that this process has now, what its heap keeps for later included.
double resident_bytes() {
  double pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// The number that a file holds; HUGE_VAL for one that is missing or says "max".
double number_in(const std::string& path) {
  double number = HUGE_VAL;
  std::ifstream file(path);
  return file >> number ? number : HUGE_VAL;
}

/// The least limit of a control group and of all above it.
double group_limit(const std::string& hierarchy, std::string group, const std::string& file) {
  double least = HUGE_VAL;
  for (;;) {
    least = std::min(least, number_in(hierarchy + group + "/" + file));
    const std::size_t slash = group.rfind('/');
    if (group.empty() || slash == std::string::npos) return least;
    group.resize(slash);
  }
}

/// ":cpu,memory:"
bool names_memory(const std::string& controllers) {
  std::istringstream list(controllers.substr(1, controllers.size() - 2));
  for (std::string name; std::getline(list, name, ',');)
    if (name == "memory") return true;
  return false;
}

double tile_bytes(const ProblemShape& shape) {
  return static_cast<double>(key_tile_rows * (shape.width + shape.value_width)) * word;
}

/// Of the exact method, for each query in flight: as read, scaled, sums of each mode, once more for a
/// checkpoint, outputs.
double exact_row_bytes(const ProblemShape& shape) {
  return word * static_cast<double>(4 * shape.width + (3 * shape.modes() + 4) * (shape.value_width + 3));
}

}  // namespace

double machine_memory(const std::string& root) {
  double least = HUGE_VAL;
  std::ifstream meminfo(root + "/proc/meminfo");
  for (std::string name, unit; meminfo >> name;) {
    double kilobytes = 0;
    if (name == "MemTotal:" && meminfo >> kilobytes) least = 1024 * kilobytes;
    std::getline(meminfo, unit);
  }
  // A line is "number:controllers:group"; version 2 has no controllers.
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first, second - first).append(":");
    const std::string group = line.substr(second + 1) == "/" ? "" : line.substr(second + 1);
    if (controllers == "::")
      least = std::min(least, group_limit(root + "/sys/fs/cgroup", group, "memory.max"));
    if (names_memory(controllers))
      least = std::min(least, group_limit(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

RankMemory RankMemory::of_machine(const Communicator& comm) {
  const double share = 0.9 * machine_memory() / comm.ranks_on_host();
  return {comm.min(share), "a rank's share of the memory of its host"};
}

double RankMemory::left(const Communicator& comm, double bytes) const {
  if (limit_ == HUGE_VAL) return HUGE_VAL;
  const auto rest = [&] { return limit_ - comm.max(resident_bytes() + bytes) - uncounted_bytes; };
  const double plenty = limit_ / 2, now = rest();
  if (now > plenty) return now;
  // What the heap keeps is given back only where it is short: each of its pages would be cleared once more.
  malloc_trim(0);
  return rest();
}

void RankMemory::need(const Communicator& comm, const std::string& what, double bytes) const {
  const double missing = -left(comm, bytes);
  if (missing > 0)
    throw AgreedFailure(what + " needs " + bytes_text(limit_ + missing) + " of memory on each rank; " +
                        name_ + " is " + bytes_text(limit_));
}

double parse_bytes(const std::string& text) {
  char* rest = nullptr;
  double bytes = std::strtod(text.c_str(), &rest);
  const std::string unit(rest);
  static const std::string letters = "KMGT";
  double factor = 1;
  if (!unit.empty() && unit != "B") {
    const std::size_t power = letters.find(static_cast<char>(std::toupper(unit[0])));
    const std::string suffix = unit.substr(1);
    if (power == std::string::npos || (!suffix.empty() && suffix != "B" && suffix != "iB"))
      throw std::invalid_argument(text);
    factor = std::pow(suffix == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
  }
  bytes *= factor;
  if (rest == text.c_str() || !std::isfinite(bytes) || !(bytes > 0)) throw std::invalid_argument(text);
  return bytes;
}

std::string bytes_text(double bytes) {
  const double mebibytes = std::ceil(bytes / 0x1p20);
  std::ostringstream text;
  text.precision(15);
  text << mebibytes << " MiB";
  return text.str();
}

double measuring_bytes(const ProblemShape& shape) {
  const auto d = static_cast<double>(shape.width), d_v = static_cast<double>(shape.value_width),
             modes = static_cast<double>(shape.modes()), heads = static_cast<double>(shape.heads);
  double sampled = 256.0;
  for (Index rows : shape.keys) sampled += static_cast<double>(std::min<Index>(rows, 4096));
  const double sample = 3 * sampled * d * word;  // of the file, of the new coordinates, on its way
  const double sums = 2 * modes * (6 * d * 72 * word + 8 * d_v * word);
  const double thread = sums / modes + tile_bytes(shape) * copies_in_flight;
  return heads * (sample + sums + (64 << 10)) + omp_get_max_threads() * thread;
}

double least_bytes_in_flight(const ProblemShape& shape) {
  return std::max(copies_in_flight * tile_bytes(shape),
                  static_cast<double>(exact_query_tile_rows(shape.order())) * exact_row_bytes(shape));
}

double head_bytes(const ProblemShape& shape, const PlannedHead& head, int ranks) {
  const auto d = static_cast<double>(shape.width), columns = static_cast<double>(shape.sum_columns()),
             modes = static_cast<double>(shape.modes()),
             degrees = static_cast<double>(head.plan.degree() + 1);
  // Key tiles of each mode as they are sent and as they are used, and what a thread makes of one of them.
  const double tile = word * static_cast<double>(key_tile_rows) * (d + columns);
  const double exact = modes * 3 * tile + omp_get_max_threads() * (modes * 2 * tile + 0x1p20);
  if (head.plan.method == Method::exact) return exact + head.estimate.memory_bytes;
  // Where there is float, it has twice as many rows of half the size at a time; and what queries are
  // multiplied with, of all monomials.
  const bool has_single = head.plan.monomials.has_single();
  const double features = (has_single ? 2 : 1) * word *
                          static_cast<double>(key_block * aggregate_tile_rows<double> +
                                              most_query_block * query_group_rows<double>());
  const double rows = static_cast<double>(query_tile_rows);
  const double moments = word * rows * (columns + 2), points = word * rows * 3 * d;
  const double partial =
      2 * word * (static_cast<double>(monomials_of_a_part(shape.sum_columns())) * columns + 16);
  const double thread = degrees * (features + moments) + points + partial + 4 * tile + 0x1p20;
  // Sums of all ranks beside this rank's own, which are gone when what queries are multiplied with is there.
  const double shares = ranks > 1 ? 2 * modes * columns / ranks : 0;
  const double combined = (has_single ? 1.5 : 1) * (columns + 3);
  return head.estimate.memory_bytes + std::max(combined, shares) * word * head.estimate.rank +
         omp_get_max_threads() * thread + exact;
}

Blocks blocks_within(double left, const ProblemShape& shape) {
  Blocks blocks;
  blocks.read_bytes = omp_get_max_threads() * read_bytes_of_a_thread;
  if (left == HUGE_VAL) return blocks;
  const double part = std::max(left, 0.0) / 2;
  const auto fitting = [](double bytes, Index most) {
    return static_cast<Index>(std::min(bytes, static_cast<double>(most)));
  };
  blocks.read_bytes = fitting(part / copies_in_flight, blocks.read_bytes);
  blocks.kept_bytes = fitting(part / 2, blocks.kept_bytes);
  const Index tile_rows = exact_query_tile_rows(2);  // a multiple of those of other orders
  const Index tiles = fitting(part / exact_row_bytes(shape), blocks.exact_rows) / tile_rows;
  blocks.exact_rows = std::max<Index>(tiles, 1) * tile_rows;
  blocks.waiting_rows = std::max(0.0, part / exact_row_bytes(shape) - static_cast<double>(blocks.exact_rows));
  return blocks;
}

}  // namespace kronattn
