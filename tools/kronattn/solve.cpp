// kronattn solve: the main job.

#include "solve.hpp"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>

#include "checkpointing.hpp"
#include "key_sums.hpp"
#include "output_file.hpp"
#include "rates.hpp"
#include "result_file.hpp"
#include "run_lock.hpp"
#include "shared_options.hpp"
#include "stop_requests.hpp"
#include "text.hpp"
#include "watchdog.hpp"

namespace kronattn {

namespace po = boost::program_options;

CommandLine solve_line() {
  CommandText text{
      .name = "solve",
      .summary = "solve a problem file",
      .description =
          "Solves a problem file (HDF5: Q, K1, V1, ..., Kk-1, Vk-1; order 2 may say K, V) and writes "
          "O, log_normalizer and error_bound. The result appears under its name only when it is "
          "complete, and has the same bits at any number of ranks and threads, interrupted or not. SIGTERM, "
          "SIGINT, "
          "SIGUSR1 and --max-seconds stop a run between two steps; what is done is saved beside the result "
          "then, and "
          "every minute, and --resume goes on from there, at any number of ranks.",
      .files = {"problem"},
      .examples = {"kronattn solve problem.h5 -o result.h5",
                   "mpirun -n 4 kronattn solve problem.h5 -o result.h5 --epsilon 1e-8 --report report.json",
                   "mpirun -n 4 kronattn solve problem.h5 -o result.h5 --resume --max-seconds 3600",
                   "mpirun -n 4 kronattn solve first.h5 -o first-result.h5 --save-sums keys.sums",
                   "mpirun -n 4 kronattn solve second.h5 -o second-result.h5 --sums keys.sums"}};
  text.exit_codes[done] = "done, and the promise kept";
  text.exit_codes[stopped] =
      "stopped early on request (SIGTERM, SIGINT, SIGUSR1, --max-seconds); the same command with --resume "
      "goes on";
  CommandLine line(std::move(text));
  line.add()("output,o", po::value<std::string>()->value_name("FILE"), "result file to write; needed")  //
      ("overwrite", po::bool_switch(), "replace the result if it exists")                               //
      ("resume", po::bool_switch(),
       "go on from the newest checkpoint of this problem and these options, at any number of ranks; without "
       "one, start over; "
       "if the result is there already, do nothing")  //
      ("save-sums", po::value<std::string>()->value_name("FILE"),
       "keep the sums over the keys in this file, for --sums; needs the polynomial method for all heads")  //
      ("sums", po::value<std::string>()->value_name("FILE"),
       "take the sums over the keys from this file, of an earlier run with the same keys and values and "
       "any "
       "queries: what is left to do is to measure and to evaluate; not with --method exact or "
       "--coordinates")  //
      ("checkpoint-interval", po::value<double>()->default_value(60, "60")->value_name("S"),
       "seconds between two checkpoints, at least 0; they come less often where they would take more than 2 "
       "% of the time, "
       "except with 0: after every step")  //
      ("max-seconds", po::value<double>()->value_name("S"),
       "stop after so many seconds, above 0, with a checkpoint and exit code 75 (default: never)")  //
      ("watchdog", po::value<double>()->default_value(1800, "1800")->value_name("S"),
       "end the run when nothing has moved on a rank for so many seconds, at least 0, as after a cut link or "
       "on a file system that "
       "hangs; 0: never");
  add_wish_options(line);
  add_run_options(line);
  add_memory_option(line);
  add_log_options(line);
  return line;
}

namespace {

/// Seconds that an option has, more than `above` or at least `least`.
double read_seconds(const CommandLine& line, const std::string& name, bool may_be_zero) {
  const double seconds = line.number(name);
  if (!(std::isfinite(seconds) && (may_be_zero ? seconds >= 0 : seconds > 0)))
    line.complain("--" + name + " is " + short_number(seconds) + "; need a finite number " +
                  (may_be_zero ? "that is not below 0" : "above 0"));
  return seconds;
}

/// What a watchdog's thread does when a run is stuck: one line, and all ranks end.
void end_stuck_run(const std::string& why) {
  std::cerr << "kronattn: " + why + "; the run ends, --resume goes on from its last checkpoint\n"
            << std::flush;
  alarm(10);  // should MPI be stuck, too
  MPI_Abort(MPI_COMM_WORLD, failed);
}

/// Collective. Whether the output is the complete result of this problem and these options already.
bool is_done(const Session& session, ProblemFile& problem, const Wishes& wishes, const std::string& output) {
  const Communicator& comm = session.comm;
  std::string there_text;
  std::optional<bool> same;
  comm.together([&] {
    std::error_code ignored;
    if (!comm.root() || !std::filesystem::is_regular_file(output, ignored)) return;
    const nlohmann::json there = solved_as(output);
    if (!there.is_object() ||
        !difference(there.value("identity", nlohmann::json()), identity_json(wishes, problem.description()))
             .empty())
      return;
    there_text = there.value("fingerprint", "");
    same = there.value("stamp", nlohmann::json()) == file_stamp(problem.name());
  });
  const std::string fingerprint = comm.broadcast(there_text, 0);
  if (fingerprint.empty()) return false;
  if (comm.max(same.value_or(false) ? 1 : 0) > 0) return true;
  PhaseSeconds seconds;  // the file has another date: what counts is what is in it
  return measure_problem(comm, problem, CoordinateWishes(), seconds, session.progress).fingerprint() ==
         fingerprint;
}

/// Without --resume: what is there of earlier runs is named, and left.
void name_leftovers(const Session& session, const std::vector<std::string>& outputs) {
  if (!session.comm.root()) return;
  std::string list;
  for (const std::string& output : outputs)
    for (const std::string& path : leftovers(output)) list += (list.empty() ? "" : ", ") + path;
  if (!list.empty())
    session.note("earlier runs have left " + list + "; --resume would go on from a checkpoint");
}

}  // namespace

ExitCode run_solve(const Session& session, const CommandLine& line) {
  const Communicator& comm = session.comm;
  if (!line.given("output")) line.complain("need --output");
  Wishes wishes = read_wishes(line);
  const std::optional<double> scale = read_scale(line);
  if (line.given("output-precision")) line.precision("output-precision");  // before any work
  const double interval = read_seconds(line, "checkpoint-interval", true);
  const Watchdog watchdog(read_seconds(line, "watchdog", true), comm.rank(), end_stuck_run);
  const double most_seconds = line.given("max-seconds") ? read_seconds(line, "max-seconds", false) : HUGE_VAL;
  RunFacts facts;
  facts.threads = read_threads(line, comm);
  const RankMemory memory = read_memory(line, comm);
  facts.rates = machine_rates(comm, false);
  const std::string &problem_path = line.file("problem"), &output = line.text("output");
  const bool overwrite = line.flag("overwrite"), resume = line.flag("resume");
  std::vector<std::string> files = {problem_path};  // of this run
  const std::string sums_path = line.given("sums") ? line.text("sums") : "",
                    saved_sums = line.given("save-sums") ? line.text("save-sums") : "";
  if (!sums_path.empty()) {
    if (wishes.method == Method::exact)
      line.complain("--sums goes with --method polynomial or auto, not exact");
    if (line.given("coordinates")) line.complain("--sums has coordinates already; need no --coordinates");
    if (!saved_sums.empty()) line.complain("--sums and --save-sums: need one of them alone");
    files.push_back(sums_path);
  }
  check_output(comm, output, overwrite || resume, files);
  files.push_back(output);
  if (!saved_sums.empty()) {
    check_output(comm, saved_sums, overwrite || resume, files);
    files.push_back(saved_sums);
  }
  if (line.given("report")) check_output(comm, line.text("report"), true, files);

  ProblemFile problem(comm, problem_path, scale, memory);  // before there is anything to leave behind
  const RunLock lock(comm, output);
  mark_idle_wishes(line, problem.shape());
  wishes.output_precision = read_output_precision(line, problem.precision());
  std::optional<KeySums> given;
  if (!sums_path.empty()) {
    given.emplace(comm, sums_path, wishes.summed(problem.shape()));
    wishes.sums = given->given();
  }
  if (resume) {
    const bool sums_missing =
        !saved_sums.empty() && comm.max(comm.root() && !std::filesystem::exists(saved_sums) ? 1 : 0) > 0;
    if (!sums_missing && is_done(session, problem, wishes, output)) {
      session.note(output +
                   " is the complete result of this problem and these options already; nothing is done");
      return done;
    }
    check_output(comm, output, overwrite, {problem_path});
  } else {
    name_leftovers(session, saved_sums.empty() ? std::vector{output} : std::vector{output, saved_sums});
  }
  Checkpointing checkpoints(
      comm, output, problem, wishes, interval,
      [&]() -> std::string {
        const std::string signal = StopSignals::received();
        return !signal.empty() || session.since_init.seconds() < most_seconds ? signal : "--max-seconds";
      },
      [&](const std::string& text) { session.note(text); });
  if (!saved_sums.empty()) checkpoints.writes_too(saved_sums);
  PhaseSeconds seconds;
  std::unique_ptr<ResultWriter> result;
  std::optional<KeySumsWriter> sums_file;
  SolveAids aids{.progress = session.progress, .checkpoints = &checkpoints, .memory = memory};
  if (!saved_sums.empty())
    aids.keep_sums = [&](Index, const KeySumWords& sums) {
      try {
        sums_file->write(sums);
      } catch (const std::exception&) {
        result->disk_has_failed();
        throw;
      }
    };
  if (given) aids.given_sums = [&](Index head, const KeySumWords& sums) { given->read(head, sums); };
  CoordinateWishes coordinates = coordinate_wishes(wishes);
  if (given) coordinates.given = given->coordinates();
  try {
    const auto measure = [&] {
      return measure_problem(comm, problem, coordinates, seconds, session.progress, checkpoints.control(),
                             memory);
    };
    std::optional<ProblemMeasurement> measurement;
    if (resume) measurement = checkpoints.resume(problem, coordinates, measure);
    if (!measurement) measurement = measure();
    if (given) given->check(*measurement, coordinates.negligible_score, problem.name());
    SolveOutcome outcome = solve(
        comm, problem, *measurement, wishes,
        [&](const std::vector<PlannedHead>& heads) -> RowSink {
          if (!saved_sums.empty())
            sums_file.emplace(comm, saved_sums, saved_sums + ".partial." + checkpoints.run(),
                              wishes.summed(problem.shape()), *measurement, wishes, heads);
          result = std::make_unique<ResultWriter>(comm, output, problem.description(),
                                                  wishes.output_precision, overwrite, checkpoints.run());
          checkpoints.begin(*measurement, *result);
          return
              [&](Index head, Range rows, const RowOutputs& outputs) { result->write(head, rows, outputs); };
        },
        seconds, aids);
    {
      session.progress.begin("check what is written", 0);
      const Timed timed(outcome.seconds.write);
      result->check_written();
    }
    facts.bytes_written = result->bytes_written();
    facts.resumed = checkpoints.resumed() != nullptr;
    facts.checkpoints = checkpoints.saves();
    facts.checkpoint_seconds = checkpoints.seconds();
    facts.total_seconds = session.since_init.seconds();
    const Json report = solve_report(comm, problem, *measurement, wishes, outcome, facts);
    lock.confirm();
    if (sums_file) sums_file->commit();
    result->commit(report, measurement->fingerprint(), checkpoints.solved_as());
    checkpoints.finish();
    if (line.given("report")) write_text(comm, line.text("report"), report.dump(2) + "\n");
    session.print(summary(report));
  } catch (const StoppedEarly& why) {
    throw StoppedEarly(output + ": stopped by " + why.what() + "; " + checkpoints.farewell(), stopped);
  } catch (const VoidWork& why) {
    checkpoints.discard();
    throw;
  }
  return done;
}

}  // namespace kronattn
