// The reader of problem files, on one file after the other: paths come on standard input, and for each a line
// says how its process ended. Each file is read in a process of its own, so that one that breaks it is known
// by name.
//
//   0  read    1  refused in words    2  out of memory    3  another exception
//   4  HDF5 crashed, or the address sanitizer found something in it    -N  ended by signal N
//   66 the address sanitizer found something elsewhere
#include <dlfcn.h>
#include <execinfo.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>

#include "problem_file.hpp"

namespace kronattn {
namespace {

constexpr unsigned most_seconds = 20;
constexpr Index most_rows = 4096;  // at either end

/// Reads rows at both ends of a dataset.
double read_ends(const h5::Handle& file, const std::string& name, const ProblemDescription& problem,
                 Index rows, Index columns) {
  const h5::Handle dataset = h5::open_dataset(file, name);
  const Index few = std::clamp<Index>((Index{1} << 20) / columns, 1, most_rows);
  double sum = h5::buffer_bytes(dataset);
  for (Index head : {Index{0}, problem.shape.heads - 1})
    for (Index begin : {Index{0}, std::max<Index>(0, rows - few)}) {
      const Range part{begin, std::min(rows, begin + few)};
      if (part.size() == 0 || columns > (Index{1} << 22)) continue;
      Matrix data(part.size(), columns);
      if (!h5::read_rows(dataset, problem.has_heads, head, part, H5T_NATIVE_DOUBLE, data.data()))
        throw std::runtime_error(name + " can't be read");
      sum += data.sum();
    }
  return sum;
}

void read_problem(const std::string& path) {
  const ProblemDescription problem = describe_problem(path, std::nullopt);
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  double sum = read_ends(file, "Q", problem, problem.shape.queries, problem.shape.width);
  for (std::size_t m = 0; m < problem.key_names.size(); ++m) {
    sum += read_ends(file, problem.key_names[m], problem, problem.shape.keys[m], problem.shape.width);
    sum += read_ends(file, problem.value_names[m], problem, problem.shape.keys[m], problem.shape.value_width);
  }
  if (problem.shape.width <= 0 || problem.shape.value_width <= 0 || problem.shape.heads <= 0 ||
      !std::isfinite(problem.shape.scale) || sum == 0.125)
    throw std::logic_error("what no problem may be got through");
}

int outcome_of(const std::string& path) {
  try {
    read_problem(path);
    return 0;
  } catch (const std::bad_alloc&) {
    return 2;
  } catch (const std::runtime_error&) {
    return 1;
  } catch (const std::exception& error) {
    std::cerr << path << ": " << error.what() << "\n";
    return 3;
  }
}

/// Whose a crash is: the first library on the stack, the system's, the sanitizer's and the two functions here
/// aside, is to blame.
bool hdf5_is_to_blame() {
  void* frames[48];
  const int count = backtrace(frames, 48);
  for (int i = 0; i < count; ++i) {
    Dl_info place;
    if (dladdr(frames[i], &place) == 0 || place.dli_fname == nullptr) continue;
    const auto in = [&](const char* library) { return std::strstr(place.dli_fname, library) != nullptr; };
    if (in("hdf5")) return true;
    if (place.dli_saddr != nullptr && i > 1 && !in("/libc.") && !in("/libasan.")) return false;
  }
  return false;
}

void crashed(int signal) {
  if (hdf5_is_to_blame()) _exit(4);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

#ifdef __SANITIZE_ADDRESS__
/// The sanitizer has found something, said what, and is about to end the process.
void found_by_sanitizer() {
  if (hdf5_is_to_blame()) _exit(4);
}
#endif

}  // namespace
}  // namespace kronattn

int main() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  void* warm_up[1];
  backtrace(warm_up, 1);  // loads what it needs
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, kronattn::crashed);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(kronattn::found_by_sanitizer);
#endif
  H5open();
  kronattn::h5::silence();
  for (std::string path; std::getline(std::cin, path);) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kronattn::most_seconds);
      _exit(kronattn::outcome_of(path));
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    std::cout << (WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status)) << std::endl;
  }
}
