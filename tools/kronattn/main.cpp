// kronattn: attention and tensor attention of any order, with a proven error on every row, over MPI.

#include <malloc.h>
#include <mpi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "command.hpp"
#include "h5.hpp"
#include "pages.hpp"
#include "shared_options.hpp"
#include "stop_requests.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

const Command commands[] = {{generate_line, run_generate},
                            {plan_line, run_plan},
                            {solve_line, run_solve},
                            {verify_line, run_verify},
                            {info_line, run_info}};

std::vector<CommandLine> command_lines() {
  std::vector<CommandLine> lines;
  for (const Command& command : commands) lines.push_back(command.line());
  return lines;
}

bool about_program(const std::string& first) {
  return first == "--help" || first == "--version" || first == "--man" || first == "--completion";
}

/// The answer to what the program itself is asked.
std::string answer(const std::vector<std::string>& question) {
  const std::string& first = question.front();
  if (first == "--completion") {
    if (question.size() != 2 || question[1] != "bash") throw UsageError("--completion takes one word, bash");
    return bash_completion(command_lines());
  }
  if (question.size() > 1) throw UsageError(first + " takes no arguments; found " + question[1]);
  return first == "--help" ? overview_page(command_lines())
         : first == "--man"
             ? manual_page(command_lines(), version)
             : std::string("kronattn ") + version + " (commit " + commit + ", " + build + ")\n";
}

/// Runs a command whose options are read.
ExitCode run_command(const Command& command, const CommandLine& line, const Communicator& comm,
                     const Stopwatch& since_init) {
  const LogLevel level = read_log_level(line);
  ProgressDisplay display(std::cerr, isatty(STDERR_FILENO) != 0, level, comm.size());
  Progress progress;
  if (comm.root() && level >= LogLevel::info)
    progress = Progress([&](const ProgressState& state) { display.show(state); },
                        [&] { return since_init.seconds(); });
  const ExitCode code = command.run({comm, since_init, level, progress}, line);
  progress.end();
  if (comm.root() && level >= LogLevel::warning)
    for (const std::string& note : line.notes()) std::cerr << "note: " + note + "\n";
  return code;
}

ExitCode dispatch(const Communicator& comm, const Stopwatch& since_init,
                  const std::vector<std::string>& arguments) {
  const char* const need = "need a command: generate, plan, solve, verify or info; see kronattn --help";
  if (arguments.empty()) throw UsageError(need);
  const std::string& first = arguments.front();
  if (about_program(first)) {
    const std::string text = answer(arguments);
    if (comm.root()) std::cout << text;
    return done;
  }
  for (const Command& command : commands) {
    CommandLine line = command.line();
    if (line.about().name != first) continue;
    if (line.parse({arguments.begin() + 1, arguments.end()}))
      return run_command(command, line, comm, since_init);
    if (comm.root()) std::cout << help_page(line);
    return done;
  }
  throw UsageError("there is no command " + first + "; " + need);
}

/// Says why a run failed, on one line, whatever the names of files and datasets hold.
void complain(std::string words) {
  for (char& c : words)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  std::cerr << "kronattn: " + words + "\n" << std::flush;
}

/// This rank alone knows of a failure: the others may wait for it, so all of them end here. Where several
/// fail at once only one of them is heard, since each gives those before it the time to end it.
void end_all_ranks(const std::string& words, int rank) {
  std::signal(SIGTERM, SIG_DFL);
  std::this_thread::sleep_for(std::chrono::milliseconds(100) * std::min(rank, 20));
  complain(words + " (rank " + std::to_string(rank) + ")");
  MPI_Abort(MPI_COMM_WORLD, failed);
}

int world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

int run_on(const Communicator& comm, const std::vector<std::string>& arguments) {
  const Stopwatch since_init;
  try {
    return dispatch(comm, since_init, arguments);
  } catch (const AgreedFailure& error) {
    if (comm.root()) complain(error.what());
    if (comm.max(h5::left_open() ? 1 : 0) > 0) MPI_Abort(MPI_COMM_WORLD, error.exit_code());
    return error.exit_code();
  }
}

int run(const std::vector<std::string>& arguments) {
  try {
    return run_on(Communicator(), arguments);
  } catch (const std::bad_alloc&) {
    end_all_ranks("out of memory; need more of it, or fewer ranks on a host", world_rank());
    return failed;
  } catch (const std::exception& error) {
    end_all_ranks(error.what(), world_rank());
    return failed;
  }
}

}  // namespace

}  // namespace kronattn

namespace {

/// What even an exception can't leave, as out of memory inside a thread: still one line, and no rank waits
/// for this one.
[[noreturn]] void lost() {
  std::fputs("kronattn: out of memory or lost in a thread; need more memory or fewer ranks on a host\n",
             stderr);
  MPI_Abort(MPI_COMM_WORLD, kronattn::failed);
  std::_Exit(kronattn::failed);
}

}  // namespace

/// A crash, as a damaged file can bring HDF5 to: one line, no core, no rank left behind. Only what may be
/// done in a signal handler, and MPI_Abort, which may not; if it hangs, the alarm ends this rank.
void crashed(int signal) {
  std::signal(signal, SIG_DFL);
  // Written in one piece: another rank that crashes, too, may end this one between two.
  static char line[4096];
  std::size_t length = 0;
  const auto add = [&](const char* words) {
    for (; *words != '\0' && length + 1 < sizeof line; ++words) line[length++] = *words;
  };
  add("kronattn: crashed");
  if (*kronattn::h5::last_opened() != '\0') {
    add(" with ");
    add(kronattn::h5::last_opened());
    add(" open; a damaged file can do that");
  }
  line[length++] = '\n';
  static_cast<void>(!write(STDERR_FILENO, line, length));
  alarm(10);
  MPI_Abort(MPI_COMM_WORLD, kronattn::failed);
  std::_Exit(kronattn::failed);
}

/// Pages of a process that no mpirun has started are printed without MPI: a build makes files of them, where
/// MPI need not run.
bool answered_alone(const std::vector<std::string>& arguments) {
  if (arguments.empty() || !kronattn::about_program(arguments[0])) return false;
  for (const char* rank : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(rank) != nullptr) return false;
  try {
    if (!(std::cout << kronattn::answer(arguments) << std::flush))
      return false;  // said in the way of all failures
  } catch (const kronattn::UsageError&) {
    return false;  // said later, in the same way as all failures
  }
  return true;
}

/// Blocks of rows come and go all the time, all of one size: the heap keeps what they leave. Given back to
/// the system, every page of the next one would be mapped and cleared again, a tenth of a solve. The first 64
/// MB of the heap, untouched here, may lie in huge pages, also where a program has to ask for them: where a
/// fault is dear, as on virtual machines, those of small pages are half of a solve of 20,000 rows.
void prepare_heap() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#ifdef MADV_HUGEPAGE
  constexpr std::size_t huge_page = std::size_t{2} << 20;
  std::size_t space = 32 * huge_page;
  void* const place = std::malloc(space);
  void* first = place;
  if (place != nullptr && std::align(huge_page, huge_page, first, space) != nullptr)
    madvise(first, space / huge_page * huge_page, MADV_HUGEPAGE);  // refused: small pages, as without
  std::free(place);
#endif
#endif
}

int main(int count, char** arguments) {
  if (answered_alone({arguments + 1, arguments + count})) return kronattn::done;
  prepare_heap();
  // A run that can be stopped, and only that, is from its first moment on.
  std::optional<kronattn::StopSignals> signals;
  if (count > 1 && std::string(arguments[1]) == "solve") signals.emplace();
  int provided = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  kronattn::h5::silence();
  std::set_terminate(lost);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, crashed);
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit is a failed write like any other
  int code = kronattn::run({arguments + 1, arguments + count});
  if (!std::cout.flush()) {
    kronattn::complain("what there was to say can't be printed on standard output");
    code = kronattn::failed;
  }
  MPI_Finalize();
  return code;
}
