#include "head_run.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "text.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// The larger one; what is not a number counts as infinite.
double worse(double known, double found) {
  return std::isnan(found) ? HUGE_VAL : std::max(known, found);
}

}  // namespace

Index step_rows(Index tile_rows, double row_bytes, double row_flops, Index step_bytes) {
  const double rows =
      std::min(static_cast<double>(step_bytes) / row_bytes, step_flops * omp_get_max_threads() / row_flops);
  return tile_rows * std::max<Index>(1, static_cast<Index>(std::min(rows, 1e9)) / tile_rows);
}

HeadRun::HeadRun(const Communicator& ranks, Problem& of, SolveState& solve_state,
                 const ProblemMeasurement& measured, const Wishes& wished, const RowSink& rows_to,
                 SolveOutcome& result, const SolveAids& with)
    : comm(ranks),
      problem(of),
      number(solve_state.head),
      measurement(measured),
      head(measurement.heads[static_cast<std::size_t>(number)]),
      file_shape(wished.summed(problem.shape())),
      shape(head.changed_shape(file_shape)),
      wishes(wished),
      promise(wishes.row_promise(measurement.promise)),
      sink(rows_to),
      outcome(result),
      aids(with),
      progress(aids.progress),
      checkpoints(aids.checkpoints),
      control(checkpoints != nullptr ? checkpoints->control() : RunControl::none()),
      memory(aids.memory),
      planned(outcome.heads[static_cast<std::size_t>(number)]),
      blocks(blocks_within(memory.left(comm, head_bytes(shape, planned, comm.size())), file_shape)),
      exact_coordinates(head.file, file_shape),
      coordinates(head.changed, shape),
      state(solve_state),
      round(state.round) {}

void HeadRun::clear_new() {
  new_keys.assign(file_shape.keys.size(), RowSet());
  new_done = RowSet();
}

Matrix HeadRun::read(Part part, Range rows, ContentSum& content) {
  const Timed timed(outcome.seconds.read);
  Matrix data = problem.read(part, number, rows);
  content.add(part, number, rows, data);
  return data;
}

Matrix HeadRun::queries(Range places, ContentSum& content) {
  return round.rows ? round.rows->queries(places, file_shape.width) : read({Part::queries}, places, content);
}

Index HeadRun::number_of(Index place) const {
  return round.rows ? round.rows->numbers[static_cast<std::size_t>(place)] : place;
}

void HeadRun::deliver(Range rows, const RowOutputs& outputs) {
  for (Index i = 0; i < rows.size(); ++i) {
    outcome.largest_error_bound = worse(outcome.largest_error_bound, outputs.error_bound(i));
    outcome.largest_log_error = worse(outcome.largest_log_error, outputs.log_error(i));
  }
  const Timed timed(outcome.seconds.write);
  sink(number, rows, outputs);
}

void HeadRun::deliver_later(Index row_number, const RowOutputs& outputs, Index row) {
  late_.push_back(static_cast<double>(row_number));
  late_.insert(late_.end(), outputs.output.row(row).data(),
               outputs.output.row(row).data() + shape.value_width);
  late_.insert(late_.end(), {outputs.log_normalizer(row), outputs.error_bound(row), outputs.log_error(row)});
}

void HeadRun::deliver_late_rows() {
  const Index d_v = shape.value_width;
  const std::vector<double> packed = comm.gather(late_);
  late_.clear();
  const Range mine = share_of_rows(shape.queries, query_tile_rows, comm.size(), comm.rank());
  comm.together([&] {
    RowOutputs one(1, d_v);
    for (const double* row = packed.data(); row < packed.data() + packed.size(); row += d_v + 4) {
      const auto row_number = static_cast<Index>(row[0]);
      if (row_number < mine.begin || row_number >= mine.end) continue;
      std::copy_n(row + 1, d_v, one.output.data());
      one.log_normalizer(0) = row[d_v + 1], one.error_bound(0) = row[d_v + 2],
      one.log_error(0) = row[d_v + 3];
      deliver({row_number, row_number + 1}, one);
    }
  });
}

void HeadRun::deliver_part(Range places, Range part, const RowOutputs& outputs) {
  if (part.size() == 0) return;
  if (!round.rows) return deliver({places.begin + part.begin, places.begin + part.end}, outputs.part(part));
  for (Index i = part.begin; i < part.end; ++i) deliver_later(number_of(places.begin + i), outputs, i);
}

void HeadRun::deliver_kept(Range places, const Matrix& query_rows, const RowOutputs& outputs,
                           MissingRows& missing) {
  Index begin = 0;  // of the rows that are not delivered yet
  for (Index i = 0; i <= places.size(); ++i) {
    const bool misses = i < places.size() && !planned.plan.degree_is_fixed &&
                        !promise.kept(outputs.error_bound(i), outputs.log_error(i));
    if (!misses && i < places.size()) continue;
    deliver_part(places, {begin, i}, outputs);
    if (misses) missing.add(number_of(places.begin + i), query_rows.row(i).data(), query_rows.cols());
    begin = i + 1;
  }
}

MissingRows HeadRun::gather_missing(const MissingRows& mine) const {
  const auto rows = static_cast<double>(comm.sum(std::int64_t{mine.count()}));
  memory.need(comm, problem.name() + ": keeping the " + short_number(rows) + " rows that miss the promise",
              3 * 8 * rows * static_cast<double>(file_shape.width + 1));
  return gather(comm, mine, file_shape.width);
}

RowSet HeadRun::add_gathered(const RowSet& known, const RowSet& mine) const {
  RowSet all = known;
  const RowSet gathered = gather(comm, mine);
  for (Range rows : gathered.ranges()) all.add(rows);
  return all;
}

void HeadRun::save(RowsInFlight in_flight, const SharedWords& words) {
  if (!is_saved()) return;
  if (round.rows) deliver_late_rows();
  SolveState all = state;
  for (std::size_t m = 0; m < all.round.keys.size(); ++m)
    all.round.keys[m] = add_gathered(round.keys[m], new_keys[m]);
  all.round.done = add_gathered(round.done, new_done);
  all.round.missing = gather(comm, round.missing, file_shape.width);
  all.round.in_flight = std::move(in_flight);
  all.figures = outcome;
  all.figures.largest_error_bound = comm.max(outcome.largest_error_bound);
  all.figures.largest_log_error = comm.max(outcome.largest_log_error);
  all.figures.rows_exact = static_cast<std::int64_t>(comm.max(static_cast<double>(outcome.rows_exact)));
  all.figures.rows_raised = static_cast<std::int64_t>(comm.max(static_cast<double>(outcome.rows_raised)));
  all.figures.monomials_evaluated = comm.sum(outcome.monomials_evaluated);
  all.figures.content = outcome.content.of_all(comm);
  checkpoints->save(all, words);
}

}  // namespace kronattn
