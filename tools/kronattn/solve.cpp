// kronattn solve: the main job.

#include "solve.hpp"

#include <cmath>
#include <iostream>
#include <memory>

#include "command.hpp"
#include "result_file.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

Wishes read_wishes(const CommandLine& line) {
  Wishes wishes;
  wishes.method = static_cast<Method>(line.choice("method", {"auto", "polynomial", "exact"}));
  if (line.given("degree")) {
    wishes.degree = line.integer("degree", 0);
    if (wishes.method == Method::exact)
      line.complain("--degree goes with --method polynomial or auto, not exact");
  }
  if (line.given("epsilon") || !wishes.degree) {
    wishes.epsilon = line.number("epsilon");
    if (!(*wishes.epsilon > 0 && *wishes.epsilon < 1)) {
      std::ostringstream value;
      value << *wishes.epsilon;
      line.complain("--epsilon is " + value.str() + "; need a number above 0 and below 1");
    }
  }
  return wishes;
}

}  // namespace

ExitCode run_solve(const Session& session, const std::vector<std::string>& arguments) {
  const Communicator& comm = session.comm;
  CommandLine line(
      "solve",
      "Solves a problem file (HDF5: Q, K1, V1, ..., Kk-1, Vk-1; order 2 may say K, V) and writes O,\n"
      "log_normalizer and error_bound. The result appears under its name only when it is complete.",
      {"problem"}, "  mpirun -n 4 kronattn solve problem.h5 -o result.h5 --epsilon 1e-6");
  line.add()("output,o", po::value<std::string>(), "result file to write")  //
      ("epsilon", po::value<double>()->default_value(1e-6, "1e-6"),
       "the promise: |O - exact| <= epsilon * max|V1| * ... * max|Vk-1| for every entry, 0 < epsilon < 1")  //
      ("method", po::value<std::string>()->default_value("auto"),
       "auto: the cheapest way that keeps the promise; polynomial: near-linear time, or fail; exact: all key "
       "tuples")  //
      ("degree", po::value<Index>(),
       "use exactly this total degree; without --epsilon no promise is asked and the bound is reported")   //
      ("scale", po::value<double>(), "of the scores (default: the file's attribute scale, else 1/width)")  //
      ("precision", po::value<std::string>()->default_value("auto"), "of the arithmetic: auto or double")  //
      ("output-precision", po::value<std::string>(), "of O: double or single (default: the type of Q)")    //
      ("threads", po::value<Index>(),
       "threads per rank (default: OMP_NUM_THREADS, else this rank's share of the cores)")  //
      ("report", po::value<std::string>(), "write the JSON report to this file too")        //
      ("overwrite", po::bool_switch(), "replace the result if it exists")                   //
      ("quiet", po::bool_switch(), "no summary");
  if (!line.parse(arguments)) {
    if (comm.root()) std::cout << line.help();
    return done;
  }
  if (!line.given("output")) line.complain("need --output");
  Wishes wishes = read_wishes(line);
  line.choice("precision", {"auto", "double"});
  std::optional<double> scale;
  if (line.given("scale")) {
    scale = line.number("scale");
    if (!std::isfinite(*scale)) line.complain("--scale is not finite");
  }
  std::optional<Precision> output_precision;
  if (line.given("output-precision"))
    output_precision = precision_of(line.choice("output-precision", {"double", "single"}));
  std::optional<Index> wanted_threads;
  if (line.given("threads")) wanted_threads = line.integer("threads", 1);

  RunFacts facts;
  facts.threads = set_threads(comm, wanted_threads);
  const std::string &problem_path = line.file("problem"), &output = line.text("output");
  check_output(comm, output, line.flag("overwrite"), {problem_path});
  if (line.given("report")) check_output(comm, line.text("report"), true, {problem_path, output});

  ProblemFile problem(comm, problem_path, scale);
  wishes.output_precision = output_precision.value_or(problem.precision());
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, seconds);
  std::unique_ptr<ResultWriter> result;
  SolveOutcome outcome = solve(
      comm, problem, measurement, wishes,
      [&](const std::vector<Plan>&) -> RowSink {
        result = std::make_unique<ResultWriter>(comm, output, problem.description(), wishes.output_precision,
                                                line.flag("overwrite"));
        return [&](Index head, Range rows, const RowOutputs& outputs) { result->write(head, rows, outputs); };
      },
      seconds);
  {
    const Timed timed(outcome.seconds.write);
    result->check_written();
  }
  facts.bytes_written = result->bytes_written();
  facts.total_seconds = session.since_init.seconds();
  const Json report = solve_report(comm, problem, measurement, wishes, outcome, facts);
  result->commit(report, measurement.fingerprint());
  if (line.given("report")) write_report(comm, line.text("report"), report);
  if (comm.root() && !line.flag("quiet")) std::cout << summary(report);
  return done;
}

}  // namespace kronattn
