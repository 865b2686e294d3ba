// kronattn verify: a result against the definition.

#include "verify.hpp"

#include <cstdio>

#include "output_file.hpp"
#include "rates.hpp"
#include "shared_options.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

std::string summary(const Verification& verification) {
  char text[512];
  std::snprintf(text, sizeof text,
                "checked    %td rows against the exact method\n"
                "error      %.3g at most, %.3g in Frobenius norm relative to the output, %.3g of the row's "
                "bound at most\n",
                verification.rows_checked, verification.max_error, verification.relative_error,
                verification.max_error_over_bound);
  return text;
}

}  // namespace

CommandLine verify_line() {
  CommandText text{
      .name = "verify",
      .summary = "check a result against the definition, row by row",
      .description =
          "Computes rows of a result again by the exact method and compares: with the row's "
          "error_bound, and with the promise.",
      .files = {"problem", "result"},
      .examples = {"kronattn verify problem.h5 result.h5",
                   "mpirun -n 2 kronattn verify problem.h5 result.h5 --rows 100 --report verify.json"}};
  text.exit_codes[done] = "every row that was checked keeps its bound and the promise";
  text.exit_codes[failed] = "the run or a file failed";
  text.exit_codes[wrong_result] =
      "verify found an error above the promise or above its error_bound, by more than the reference's own "
      "rounding";
  CommandLine line(std::move(text));
  line.add()("rows", po::value<std::string>()->value_name("N|all"),
             "rows of each head to check, at least 1, evenly spread (default: as many as a minute bears)");
  add_run_options(line);
  add_memory_option(line);
  add_log_options(line);
  return line;
}

ExitCode run_verify(const Session& session, const CommandLine& line) {
  const Communicator& comm = session.comm;
  std::optional<Index> wanted_rows;
  const bool all = line.given("rows") && line.text("rows") == "all";
  if (line.given("rows") && !all) {
    try {
      std::size_t used = 0;
      wanted_rows = std::stoll(line.text("rows"), &used);
      if (used != line.text("rows").size() || *wanted_rows < 1) throw std::invalid_argument("rows");
    } catch (const std::exception&) {
      line.complain("--rows is " + line.text("rows") + "; need a whole number above 0, or all");
    }
  }
  const int threads = read_threads(line, comm);
  const RankMemory memory = read_memory(line, comm);
  const std::string &problem_path = line.file("problem"), &result_path = line.file("result");
  if (line.given("report")) check_output(comm, line.text("report"), true, {problem_path, result_path});

  // The scale that was solved with may have come from an option: the result knows.
  double scale = 0;
  comm.together([&] { scale = result_report(result_path).at("problem").at("scale").get<double>(); });
  ProblemFile problem(comm, problem_path, scale, memory);
  const ResultFile result(comm, result_path, problem.description());
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, CoordinateWishes(), seconds,
                                                         session.progress, RunControl::none(), memory);
  if (measurement.fingerprint() != result.fingerprint())
    throw AgreedFailure(result_path + " is the result of another problem than " + problem_path);

  const ProblemShape& shape = problem.shape();
  const Index rows = all           ? shape.queries
                     : wanted_rows ? *wanted_rows
                                   : affordable_rows(shape, machine_rates(comm, false),
                                                     static_cast<double>(comm.size()) * threads);
  if (wanted_rows && *wanted_rows > shape.queries)
    line.is_in_vain("rows", "each head has " + std::to_string(shape.queries) + " rows, all are checked");
  const Verification verification =
      verify(comm, problem, measurement, result, rows, session.progress, memory);
  if (line.given("report")) write_text(comm, line.text("report"), verify_report(verification).dump(2) + "\n");
  session.print(summary(verification));
  char worst[160];
  std::snprintf(
      worst, sizeof worst, "the largest error is %.3g, %.3g of its bound, that of a log normalizer %.3g",
      verification.max_error, verification.max_error_over_bound, verification.max_log_normalizer_error);
  if (!verification.within_bound)
    throw WrongResult(result_path + ": an error is above its error_bound; " + worst);
  if (!verification.within_epsilon)
    throw WrongResult(result_path + ": an error is above the promise; " + worst);
  session.print("verdict    every bound and the promise hold\n");
  return done;
}

}  // namespace kronattn
