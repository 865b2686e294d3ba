// A run that can be taken up again: what is saved while it goes, found by the next run, and removed at the
// end.
//
//   NAME.partial.<run>                  rows, as they are finished
//   NAME.partial.<run>.checkpoint1, 2   by turns: what else is done (solve_state.hpp), the measurement, the
//   key sums
//
// A checkpoint is one file of rank 0's. Key sums are brought together for it word by word, so it does not
// matter how many ranks there were: the next run's rank 0 takes them all, and the others begin with nothing.
// Rows are brought to disk first; a checkpoint holds the sum of their checksums, and is believed only if they
// read back like that.
//
// Which run belongs to which problem: size and time of the problem's file if they are the same, else its
// whole content. Rows that are read again are compared with the first pass in any case, at the end
// (ContentSum).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint_file.hpp"
#include "clock.hpp"
#include "communicator.hpp"
#include "measure_problem.hpp"
#include "problem_file.hpp"
#include "run_control.hpp"
#include "solve_state.hpp"

namespace kronattn {

class ResultWriter;

/// What bits depend on beside the problem and the wishes: the program and the kind of CPU.
nlohmann::json maker_json();
/// What a run is, as far as bits go: the wishes, the shape of the problem.
nlohmann::json identity_json(const Wishes& wishes, const ProblemDescription& problem);
/// Size and time of change of a file, on this process alone.
nlohmann::json file_stamp(const std::string& path);

/// The first thing in which two identities differ: "epsilon is 1e-06 there and 1e-08 here". Empty if nothing
/// does.
std::string difference(const nlohmann::json& there, const nlohmann::json& here);

/// Names of what earlier runs to this output have left beside it, on this process alone.
std::vector<std::string> leftovers(const std::string& output);

class Checkpointing {
 public:
  /// Tells what a user should know though nothing failed.
  using Note = std::function<void(const std::string&)>;

  /// Collective. `interval`: seconds between two checkpoints; they come less often where they would take more
  /// than a fiftieth of the time. 0: at every step, whatever it takes. `stop` as in RunControl.
  Checkpointing(const Communicator& comm, std::string output, const ProblemFile& problem,
                const Wishes& wishes, double interval, std::function<std::string()> stop, Note note);

  const RunControl& control() const { return control_; }
  /// Of this run: what its files are called by.
  const std::string& run() const { return run_; }

  /// Collective. Looks for the newest checkpoint that can be believed and belongs to this run. Throws
  /// AgreedFailure where there are only such as belong to others. `measure`: collective, the measurement;
  /// called where a checkpoint can't be told otherwise. Leaves a measurement if it was made or found.
  std::optional<ProblemMeasurement> resume(ProblemFile& problem, const CoordinateWishes& wishes,
                                           const std::function<ProblemMeasurement()>& measure);

  /// What is gone on from, or nothing.
  const SolveState* resumed() const { return resumed_ ? &*resumed_ : nullptr; }
  /// The key sums of it, all of them; on rank 0, others leave `modes` as they are. Throws TornCheckpoint.
  void read_sums(const KeySumWords& modes);
  /// Collective: of the numbers beside it, of which there must be `count`, each rank gets those that `mine`
  /// stands for. Throws AgreedFailure.
  void read_numbers(std::uint64_t count, std::vector<SomeNumbers>& mine);

  /// Collective: the measurement is made and rows will be written to `result`, which outlives this. Brings
  /// the rows of the resumed run there.
  void begin(const ProblemMeasurement& measurement, ResultWriter& result);

  /// Collective. Saves `state`, which is that of all ranks, and key sums or numbers beside it. What can't be
  /// saved is noted, and the run goes on.
  void save(const SolveState& state, const SharedWords& words);

  /// What stands in the result beside its fingerprint, on rank 0: the identity and the stamp of the problem's
  /// file.
  nlohmann::json solved_as() const { return {{"identity", identity_}, {"stamp", stamp_}}; }

  /// What a run that stops now says about going on.
  std::string farewell() const;

  /// Another file that the run writes, which is called FILE.partial.<run> until it is complete: left behind
  /// by a killed run, it is removed with its other files.
  void writes_too(const std::string& file) { also_.push_back(file); }

  /// Collective: the result is there; this run's files and those of the run it went on from are removed.
  void finish();
  /// Collective: what was done is void; this run's checkpoints are removed.
  void discard();

  /// Seconds that saving took on this rank so far, and how often.
  double seconds() const { return seconds_; }
  Index saves() const { return saves_; }

 private:
  struct Found;
  std::string partial(const std::string& run) const { return output_ + ".partial." + run; }
  std::vector<Found> candidates(std::string& foreign) const;
  bool rows_are_there(const Found& found, const ProblemFile& problem) const;
  void remove_files(const std::vector<std::string>& runs) const;
  std::string write(const nlohmann::json& header, const SharedWords& words);

  const Communicator& comm_;
  std::string output_, problem_path_, run_;
  std::vector<std::string> also_;
  ProblemDescription problem_;
  Precision output_precision_;
  nlohmann::json identity_, stamp_, measurement_;  // rank 0 has the last two
  double interval_;
  Note note_;
  RunControl control_;
  Stopwatch clock_;
  double due_;
  std::optional<SolveState> resumed_;
  std::optional<CheckpointReader> reader_;  // rank 0's
  std::string resumed_run_;
  std::vector<std::string> ancestors_;  // runs that the resumed one went on from
  ResultWriter* result_ = nullptr;
  Index saves_ = 0;
  double seconds_ = 0;
  std::string trouble_;  // why the last checkpoint could not be saved
};

}  // namespace kronattn
