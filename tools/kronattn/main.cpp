// kronattn: attention and tensor attention of any order, with a proven error on every row, over MPI.

#include <mpi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

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

int run(const std::vector<std::string>& arguments) {
  const Stopwatch since_init;
  const Communicator comm;
  try {
    return dispatch(comm, since_init, arguments);
  } catch (const AgreedFailure& error) {
    if (comm.root()) std::cerr << "kronattn: " + std::string(error.what()) + "\n";
    return error.exit_code();
  } catch (const std::exception& error) {
    // This rank alone knows: the others may wait for it, so all of them end here.
    std::cerr << "kronattn: " + std::string(error.what()) + " (rank " + std::to_string(comm.rank()) + ")\n";
    std::cerr.flush();
    MPI_Abort(MPI_COMM_WORLD, failed);
    return failed;
  }
}

}  // namespace

}  // namespace kronattn

namespace {

/// What even an exception can't leave, as out of memory inside a thread: still one line, and no rank waits
/// for this one.
[[noreturn]] void end_all_ranks() {
  std::fputs("kronattn: out of memory or lost in a thread; need more memory or fewer ranks on a host\n",
             stderr);
  MPI_Abort(MPI_COMM_WORLD, kronattn::failed);
  std::_Exit(kronattn::failed);
}

}  // namespace

/// Pages of a process that no mpirun has started are printed without MPI: a build makes files of them, where
/// MPI need not run.
bool answered_alone(const std::vector<std::string>& arguments) {
  if (arguments.empty() || !kronattn::about_program(arguments[0])) return false;
  for (const char* rank : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(rank) != nullptr) return false;
  try {
    std::cout << kronattn::answer(arguments) << std::flush;
  } catch (const kronattn::UsageError&) {
    return false;  // said later, in the same way as all failures
  }
  return true;
}

int main(int count, char** arguments) {
  if (answered_alone({arguments + 1, arguments + count})) return kronattn::done;
  // A run that can be stopped, and only that, is from its first moment on.
  std::optional<kronattn::StopSignals> signals;
  if (count > 1 && std::string(arguments[1]) == "solve") signals.emplace();
  int provided = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  kronattn::h5::silence();
  std::set_terminate(end_all_ranks);
  const int code = kronattn::run({arguments + 1, arguments + count});
  std::cout.flush();
  MPI_Finalize();
  return code;
}
