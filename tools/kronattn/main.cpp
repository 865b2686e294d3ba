// kronattn: attention and tensor attention of any order, with a proven error on every row, over MPI.

#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>

#include "command.hpp"
#include "h5.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

const char* const overview = R"(kronattn COMMAND [arguments]

Computes attention of order k = 2, 3, 4, ... with a proven error bound on every row:

    O[i,c] = sum_J exp(s(i;J)) V1[j1,c] ... Vk-1[jk-1,c] / sum_J exp(s(i;J)),
    s(i;J) = scale * sum_l Q[i,l] K1[j1,l] ... Kk-1[jk-1,l],

in time proportional to the number of rows where scores are small, exactly elsewhere. Every command runs alone
or under mpirun.

Commands:
  generate    write a synthetic problem
  plan        say what solve would do, and what it would cost
  solve       solve a problem file
  verify      check a result against the definition, row by row
  info        say what is in a problem or result file

  kronattn COMMAND --help     the options of a command
  kronattn --version          version, commit and build

Exit codes: 0 done and the promise kept; 1 the run or a file failed; 2 the command line makes no sense;
3 verify found an error above the promise or above the bound.
)";

ExitCode dispatch(const Session& session, const std::vector<std::string>& arguments) {
  const std::map<std::string, ExitCode (*)(const Session&, const std::vector<std::string>&)> commands = {
      {"generate", run_generate},
      {"plan", run_plan},
      {"solve", run_solve},
      {"verify", run_verify},
      {"info", run_info}};
  if (arguments.empty())
    throw UsageError("need a command: generate, plan, solve, verify or info; see kronattn --help");
  const std::string& first = arguments.front();
  if (first == "--help" || first == "--version") {
    if (arguments.size() > 1) throw UsageError(first + " takes no arguments; found " + arguments[1]);
    if (session.comm.root()) {
      if (first == "--help")
        std::cout << overview;
      else
        std::cout << "kronattn " << version << " (commit " << commit << ", " << build << ")\n";
    }
    return done;
  }
  const auto command = commands.find(first);
  if (command == commands.end())
    throw UsageError("there is no command " + first + "; need generate, plan, solve, verify or info");
  return command->second(session, {arguments.begin() + 1, arguments.end()});
}

int run(const std::vector<std::string>& arguments) {
  const Stopwatch since_init;
  const Communicator comm;
  try {
    return dispatch({comm, since_init}, arguments);
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

int main(int count, char** arguments) {
  int provided = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  kronattn::h5::silence();
  std::set_terminate(end_all_ranks);
  const int code = kronattn::run({arguments + 1, arguments + count});
  std::cout.flush();
  MPI_Finalize();
  return code;
}
