#include "exact_round.hpp"

#include <omp.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "key_tiles.hpp"
#include "subset_attention.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// How many of all rows come before a rank's, which follow each other among them.
Index rows_before(const RowSet& all, const RowSet& mine) {
  Index count = 0;
  if (mine.ranges().empty()) return count;
  for (Range range : all.ranges())
    count += std::max<Index>(0, std::min(range.end, mine.ranges().front().begin) - range.begin);
  return count;
}

class ExactRound {
 public:
  explicit ExactRound(HeadRun& run)
      : run_(run),
        tiles_(run.comm, run.problem, run.number, run.exact_coordinates, run.planned.plan.exact_arithmetic,
               run.outcome.seconds, keys_, run.blocks.kept_bytes),
        certificate_(run.file_shape, run.exact_coordinates, run.wishes.output_precision,
                     run.planned.plan.exact_arithmetic),
        tile_rows_(exact_query_tile_rows(run.file_shape.order())),
        row_flops_(2 * run.file_shape.tuples() *
                   static_cast<double>(run.file_shape.width + run.file_shape.value_width + 8)) {}

  /// Collective.
  void run() {
    RowSet begun = run_.round.done;
    go_on(begun);
    const std::vector<RowSet> mine = passes_of(begun.rest(run_.rows()));
    double rows = 0, tuples = 0;
    for (const Flight& flight : flights_) {
      rows += static_cast<double>(flight.rows.count());
      tuples += tiles_.tuples() - static_cast<double>(flight.tuples);
    }
    for (const RowSet& pass : mine) {
      rows += static_cast<double>(pass.count());
      tuples += tiles_.tuples();
    }
    run_.progress.begin("exact", static_cast<Index>(rows), tuples);
    while (!flights_.empty()) finish_first();
    for (const RowSet& pass : mine) {
      flights_.push_back(flight_of(pass));
      finish_first();
    }
  }

 private:
  /// Rows while keys pass by.
  struct Flight {
    RowSet rows;         // this rank's, by place in the round
    ContentSum queries;  // of what was read of them
    ExactAttention attention;
    Index tuples = 0;  // of key tiles that are behind
  };

  /// Collective.
  Flight flight_of(const RowSet& rows) {
    Matrix queries(rows.count(), run_.file_shape.width);
    ContentSum content;
    run_.comm.together([&] {
      Index first = 0;
      for (Range range : rows.ranges()) {
        queries.middleRows(first, range.size()) = run_.queries(range, content);
        first += range.size();
      }
    });
    return {rows, content, ExactAttention(run_.file_shape, run_.exact_coordinates, queries, tile_rows_)};
  }

  /// The sums of a flight, of which row `begin` of all that is in flight is the first.
  static SomeNumbers numbers_of(const Flight& flight, Index begin) {
    const Index numbers_a_row = flight.attention.numbers_of_a_row();
    SomeNumbers some{static_cast<std::uint64_t>(begin * numbers_a_row),
                     std::vector<double>(static_cast<std::size_t>(flight.rows.count() * numbers_a_row))};
    flight.attention.copy_sums(some.numbers.data());
    return some;
  }

  /// Collective: this rank's share of what a checkpoint has in flight, all of whose rows go into `begun`.
  /// Where it does not fit into memory it begins anew.
  void go_on(RowSet& begun) {
    const RowsInFlight all = std::exchange(run_.round.in_flight, {});
    const double of_a_rank = static_cast<double>(all.count()) / run_.comm.size();
    if (all.count() == 0 ||
        of_a_rank > static_cast<double>(run_.blocks.exact_rows) + run_.blocks.waiting_rows)
      return;
    std::vector<SomeNumbers> numbers;
    Index before = 0;  // rows of the flights before
    for (const RowsInFlight::Flight& flight : all.flights) {
      for (const RowSet& rows : passes_of(flight.rows)) {
        flights_.push_back(flight_of(rows));
        flights_.back().tuples = flight.tuples;
        numbers.push_back(numbers_of(flights_.back(), before + rows_before(flight.rows, rows)));
      }
      before += flight.rows.count();
      for (Range rows : flight.rows.ranges()) begun.add(rows);
    }
    const Index count = before * flights_.front().attention.numbers_of_a_row();
    run_.checkpoints->read_numbers(static_cast<std::uint64_t>(count), numbers);
    for (std::size_t i = 0; i < flights_.size(); ++i)
      flights_[i].attention.set_sums(numbers[i].numbers.data());
    tiles_.set_counted(all.counted);
    if (run_.comm.root()) keys_.merge(all.keys);
  }

  /// Collective: what is done now, and what is in flight, goes into a checkpoint.
  void save() {
    if (!run_.is_saved() || flights_.empty()) return run_.save({}, {});
    RowsInFlight all{{}, tiles_.counted(), keys_.of_all(run_.comm)};
    std::vector<SomeNumbers> mine;
    for (const Flight& flight : flights_) {
      const RowSet rows = gather(run_.comm, flight.rows);
      mine.push_back(numbers_of(flight, all.count() + rows_before(rows, flight.rows)));
      all.flights.push_back({rows, flight.tuples});
    }
    const Index count = all.count() * flights_.front().attention.numbers_of_a_row();
    run_.save(std::move(all), shared(static_cast<std::uint64_t>(count), std::move(mine)));
  }

  /// Collective: the rest of the keys pass by the first flight, which is delivered.
  void finish_first() {
    Flight& flight = flights_.front();
    PhaseSeconds& seconds = run_.outcome.seconds;
    const double tuple_flops =
        row_flops_ / tiles_.tuples() * run_.comm.max(static_cast<double>(flight.rows.count()));
    const auto tuples_a_step =
        std::max<Index>(1, static_cast<Index>(step_flops / std::max(tuple_flops, 1.0)));
    RowOutputs outputs;
    {
      const auto elsewhere = [&] {
        return seconds.read + (run_.checkpoints != nullptr ? run_.checkpoints->seconds() : 0);
      };
      const double before = elsewhere();
      const Stopwatch watch;
      absorb_all(tiles_, run_.file_shape.modes(), flight.tuples, flight.attention, [&] {
        run_.progress.advance(1);
        if (++flight.tuples % tuples_a_step == 0) run_.control.meet(run_.comm, [&](bool) { save(); });
      });
      outputs = flight.attention.finish(certificate_);
      seconds.evaluate += watch.seconds() - (elsewhere() - before);
    }
    run_.comm.together([&] {
      Index first = 0;  // of the outputs
      for (Range range : flight.rows.ranges()) {
        run_.deliver_part(range, {0, range.size()}, outputs.part({first, first + range.size()}));
        run_.new_done.add(range);
        first += range.size();
      }
    });
    run_.outcome.content.merge(flight.queries);
    flights_.pop_front();
    if (run_.round.rows) {
      run_.deliver_late_rows();
    } else if (!run_.state.keys_counted) {
      run_.outcome.content.merge(keys_);
      run_.state.keys_counted = true;
    }
    run_.control.meet(run_.comm, [&](bool) { save(); });
  }

  /// Collective. This rank's share of some rows, cut into passes of whole tiles (but for the last row of
  /// all), as many on all ranks: of no more rows than fit, and than take a step for a tuple of key tiles.
  std::vector<RowSet> passes_of(const RowSet& rows) const {
    const RowSet share = rows.share(tile_rows_, run_.comm.size(), run_.comm.rank());
    const double of_a_step = step_flops * omp_get_max_threads() / (row_flops_ / tiles_.tuples());
    const auto most = static_cast<Index>(std::min(of_a_step, static_cast<double>(run_.blocks.exact_rows)));
    const Index rows_a_pass = tile_rows_ * std::max<Index>(omp_get_max_threads(), most / tile_rows_);
    std::vector<RowSet> passes;
    for (Range range : share.ranges())
      for (Index begin = range.begin; begin < range.end;) {
        if (passes.empty() || passes.back().count() >= rows_a_pass) passes.emplace_back();
        const Index end = std::min(range.end, begin + rows_a_pass - passes.back().count());
        passes.back().add({begin, end});
        begin = end;
      }
    passes.resize(static_cast<std::size_t>(run_.comm.max(static_cast<double>(passes.size()))));
    return passes;
  }

  HeadRun& run_;
  ContentSum keys_;  // that this rank has read for the first time
  KeyTiles tiles_;
  ExactCertificate certificate_;
  Index tile_rows_;
  double row_flops_;
  std::deque<Flight> flights_;  // keys pass by the first one; others, from a checkpoint, wait
};

}  // namespace

void sum_exactly(HeadRun& run) {
  run.clear_new();
  ExactRound(run).run();
}

std::optional<MissingRows> sum_by_subsets(HeadRun& run) {
  const TwoValuedColumns columns = *two_valued_columns(run.head, run.file_shape.scale);
  const ContentSum content_before = run.outcome.content;
  const double row_bytes = 8.0 * static_cast<double>(run.file_shape.width + run.file_shape.value_width);
  const auto rows_a_step = [&](Index tile_rows) {
    return step_rows(tile_rows, row_bytes, row_bytes, run.blocks.read_bytes);
  };
  std::vector<SubsetKeySums> modes;
  bool alike = true;
  run.progress.begin("aggregate", 0);
  run.comm.together([&] {
    for (Index rows : run.file_shape.keys) modes.emplace_back(columns, rows, run.file_shape.value_width);
    for (Index m = 0; m < run.file_shape.modes(); ++m) {
      const auto mode = static_cast<std::size_t>(m);
      const RowSet share =
          RowSet({0, run.file_shape.keys[mode]}).share(key_tile_rows, run.comm.size(), run.comm.rank());
      for (Range rows : share.blocks(rows_a_step(key_tile_rows))) {
        const Matrix keys = run.read({Part::keys, m}, rows, run.outcome.content);
        const Matrix values = run.read({Part::values, m}, rows, run.outcome.content);
        const Timed timed(run.outcome.seconds.aggregate);
        alike = modes[mode].absorb(keys, values, run.exact_coordinates, m) && alike;
      }
    }
  });
  if (run.comm.max(alike ? 0 : 1) > 0) {
    run.outcome.content = content_before;
    return std::nullopt;
  }
  bool rounded = false;
  {
    const Timed timed(run.outcome.seconds.reduce);
    for (SubsetKeySums& mode : modes) {
      run.comm.sum(mode.words());
      rounded = run.comm.max(mode.rounded() ? 1 : 0) > 0 || rounded;
    }
  }
  MissingRows missing;
  run.comm.together([&] {
    std::optional<SubsetAttention> attention;
    {
      const Timed timed(run.outcome.seconds.evaluate);
      attention.emplace(columns, modes, rounded, run.head.file, run.exact_coordinates,
                        run.wishes.output_precision);
    }
    const RowSet share =
        RowSet({0, run.shape.queries}).share(query_tile_rows, run.comm.size(), run.comm.rank());
    run.progress.begin("evaluate", share.count());
    for (Range rows : share.blocks(rows_a_step(query_tile_rows))) {
      const Matrix queries = run.read({Part::queries}, rows, run.outcome.content);
      RowOutputs outputs;
      {
        const Timed timed(run.outcome.seconds.evaluate);
        outputs = attention->evaluate(queries);
      }
      run.deliver_kept(rows, queries, outputs, missing);
      run.progress.advance(rows.size());
    }
  });
  run.state.keys_counted = true;
  missing = run.gather_missing(missing);
  run.outcome.rows_exact += missing.count();
  return missing;
}

}  // namespace kronattn
