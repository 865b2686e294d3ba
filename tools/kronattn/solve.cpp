// kronattn solve: the main job.

#include "solve.hpp"

#include <memory>

#include "output_file.hpp"
#include "rates.hpp"
#include "result_file.hpp"
#include "shared_options.hpp"

namespace kronattn {

namespace po = boost::program_options;

CommandLine solve_line() {
  CommandText text{
      .name = "solve",
      .summary = "solve a problem file",
      .description =
          "Solves a problem file (HDF5: Q, K1, V1, ..., Kk-1, Vk-1; order 2 may say K, V) and writes "
          "O, log_normalizer and error_bound. The result appears under its name only when it is "
          "complete, and has the same bits at any number of ranks and threads.",
      .files = {"problem"},
      .examples = {"kronattn solve problem.h5 -o result.h5",
                   "mpirun -n 4 kronattn solve problem.h5 -o result.h5 --epsilon 1e-8 --report report.json"}};
  text.exit_codes[done] = "done, and the promise kept";
  CommandLine line(std::move(text));
  line.add()("output,o", po::value<std::string>()->value_name("FILE"), "result file to write; needed")  //
      ("overwrite", po::bool_switch(), "replace the result if it exists");
  add_wish_options(line);
  add_run_options(line);
  add_memory_option(line);
  add_log_options(line);
  return line;
}

ExitCode run_solve(const Session& session, const CommandLine& line) {
  const Communicator& comm = session.comm;
  if (!line.given("output")) line.complain("need --output");
  Wishes wishes = read_wishes(line);
  const std::optional<double> scale = read_scale(line);
  if (line.given("output-precision")) line.precision("output-precision");  // before any work
  RunFacts facts;
  facts.threads = read_threads(line, comm);
  const RankMemory memory = read_memory(line, comm);
  facts.rates = machine_rates(comm, false);
  const std::string &problem_path = line.file("problem"), &output = line.text("output");
  check_output(comm, output, line.flag("overwrite"), {problem_path});
  if (line.given("report")) check_output(comm, line.text("report"), true, {problem_path, output});

  ProblemFile problem(comm, problem_path, scale, memory);
  mark_idle_wishes(line, problem.shape());
  wishes.output_precision = read_output_precision(line, problem.precision());
  PhaseSeconds seconds;
  const ProblemMeasurement measurement =
      measure_problem(comm, problem, coordinate_wishes(wishes), seconds, session.progress, memory);
  std::unique_ptr<ResultWriter> result;
  SolveOutcome outcome = solve(
      comm, problem, measurement, wishes,
      [&](const std::vector<PlannedHead>&) -> RowSink {
        result = std::make_unique<ResultWriter>(comm, output, problem.description(), wishes.output_precision,
                                                line.flag("overwrite"));
        return [&](Index head, Range rows, const RowOutputs& outputs) { result->write(head, rows, outputs); };
      },
      seconds, session.progress, memory);
  {
    session.progress.begin("check what is written", 0);
    const Timed timed(outcome.seconds.write);
    result->check_written();
  }
  facts.bytes_written = result->bytes_written();
  facts.total_seconds = session.since_init.seconds();
  const Json report = solve_report(comm, problem, measurement, wishes, outcome, facts);
  result->commit(report, measurement.fingerprint());
  if (line.given("report")) write_text(comm, line.text("report"), report.dump(2) + "\n");
  session.print(summary(report));
  return done;
}

}  // namespace kronattn
