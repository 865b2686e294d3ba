// One head on its way from the measurement to its rows: what rounds of every kind work with, and how what
// they have done is delivered and saved.
#pragma once

#include "checkpointing.hpp"
#include "coordinates.hpp"
#include "evaluate_queries.hpp"
#include "solve.hpp"

namespace kronattn {

/// A step, after which ranks meet, is at most a block to read and so many flops a thread: a second or so.
inline constexpr double step_flops = 1e10;

/// Rows of a step, in whole tiles: of so many bytes and flops each, and of so many bytes in all.
Index step_rows(Index tile_rows, double row_bytes, double row_flops, Index step_bytes);

/// What decides bits comes from measurement, plan and wishes.
struct HeadRun {
  /// Collective. Of head `state.head`.
  HeadRun(const Communicator& comm, Problem& problem, SolveState& state,
          const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
          SolveOutcome& outcome, const SolveAids& aids);

  /// This rank has done nothing of the round beside what `round` has.
  void clear_new();
  /// Rows of the round.
  Index rows() const { return round.rows ? round.rows->count() : shape.queries; }

  /// Reads rows again, after the measurement.
  Matrix read(Part part, Range rows, ContentSum& content);
  /// Queries of the round, by place; those that stand in the file go into `content`.
  Matrix queries(Range places, ContentSum& content);

  /// The outputs of the places that keep the promise go to the sink or on their way there, the others' rows
  /// into `missing`.
  void deliver_kept(Range places, const Matrix& query_rows, const RowOutputs& outputs, MissingRows& missing);
  /// The outputs of some of the places.
  void deliver_part(Range places, Range part, const RowOutputs& outputs);
  /// Collective: rows of a list that this rank has seen to go to the ranks that own them, which deliver them.
  void deliver_late_rows();

  /// Collective: the rows of all ranks that miss the promise, on all of them.
  MissingRows gather_missing(const MissingRows& mine) const;

  bool is_saved() const { return checkpoints != nullptr && saves; }
  /// Collective: what is done now, over all ranks, goes into a checkpoint, if there are any of this run.
  void save(RowsInFlight in_flight, const SharedWords& words);

  const Communicator& comm;
  Problem& problem;
  Index number;
  const ProblemMeasurement& measurement;
  const MeasuredHead& head;
  const ProblemShape file_shape, shape;
  const Wishes& wishes;
  Promise promise;
  const RowSink& sink;
  SolveOutcome& outcome;
  const SolveAids& aids;
  Progress& progress;
  Checkpointing* checkpoints;
  const RunControl& control;
  const RankMemory& memory;
  PlannedHead& planned;
  Blocks blocks;
  Coordinates exact_coordinates, coordinates;
  SolveState& state;
  Round& round;                  // of the state; `missing` is this rank's, all else is the same on all ranks
  std::vector<RowSet> new_keys;  // what this rank has done in this round, beside what `round` has
  RowSet new_done;
  bool saves = true;

 private:
  Index number_of(Index place) const;
  void deliver(Range rows, const RowOutputs& outputs);
  void deliver_later(Index row_number, const RowOutputs& outputs, Index row);
  RowSet add_gathered(const RowSet& known, const RowSet& mine) const;

  std::vector<double> late_;  // rows to be delivered: number, output, log normaliser, both bounds
};

}  // namespace kronattn
