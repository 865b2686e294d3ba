#include "head_solve.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "aggregate_keys.hpp"
#include "degree_needs.hpp"
#include "key_tiles.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// The larger one; what is not a number counts as infinite.
double worse(double known, double found) {
  return std::isnan(found) ? HUGE_VAL : std::max(known, found);
}

/// Rows that missed the promise at the degree of the key sums: their numbers, and what stands in the file of
/// them.
struct MissingRows {
  std::vector<Index> numbers;
  std::vector<double> entries;  // (rows, d)

  Index count() const { return static_cast<Index>(numbers.size()); }
  Matrix queries(Range rows, Index width) const {
    return Eigen::Map<const Matrix>(entries.data() + rows.begin * width, rows.size(), width);
  }
  void add(Index number, const double* query, Index width) {
    numbers.push_back(number);
    entries.insert(entries.end(), query, query + width);
  }
};

/// Collective: the missing rows of all ranks, by number, since ranks own ascending ranges of rows.
MissingRows gather(const Communicator& comm, const MissingRows& mine) {
  MissingRows all;
  for (double number : comm.gather(std::vector<double>(mine.numbers.begin(), mine.numbers.end())))
    all.numbers.push_back(static_cast<Index>(number));
  all.entries = comm.gather(mine.entries);
  return all;
}

/// The sums of the keys of one head: what a checkpoint would hold.
struct HeadSums {
  HeadSums(const ProblemShape& shape, const MonomialChoice& choice)
      : monomials(planned_monomials(shape.width, choice)) {
    modes.reserve(shape.keys.size());
    for (Index rows : shape.keys) modes.emplace_back(monomials.count(), rows, shape.value_width);
  }

  Monomials monomials;
  std::vector<KeyAggregate> modes;
};

/// One head on its way from the measurement to its rows. What decides bits comes from measurement, plan and
/// wishes.
class HeadSolve {
 public:
  HeadSolve(const Communicator& comm, Problem& problem, Index number, const ProblemMeasurement& measurement,
            const Wishes& wishes, const RowSink& sink, SolveOutcome& outcome, Progress& progress,
            const RankMemory& memory)
      : comm_(comm),
        problem_(problem),
        number_(number),
        head_(measurement.heads[static_cast<std::size_t>(number)]),
        file_shape_(problem.shape()),
        shape_(head_.changed_shape(file_shape_)),
        wishes_(wishes),
        promise_(wishes.row_promise(measurement.promise)),
        sink_(sink),
        outcome_(outcome),
        progress_(progress),
        memory_(memory),
        planned_(outcome.heads[static_cast<std::size_t>(number)]),
        exact_coordinates_(head_.file, file_shape_),
        coordinates_(head_.changed, shape_) {}

  /// Collective.
  void run() {
    blocks_ = blocks_within(memory_.left(comm_, head_bytes(shape_, planned_)), file_shape_);
    if (planned_.plan.method == Method::exact) {
      const Range mine = share_of_rows(file_shape_.queries, exact_tile_rows(), comm_.size(), comm_.rank());
      sum_exactly(
          mine.size(), outcome_.content,
          [&](Range rows) {
            return read({Part::queries}, {mine.begin + rows.begin, mine.begin + rows.end});
          },
          [&](Range rows, const RowOutputs& outputs) {
            comm_.together([&] {
              if (rows.size() > 0) deliver({mine.begin + rows.begin, mine.begin + rows.end}, outputs);
            });
          });
      return;
    }
    run_polynomial();
  }

 private:
  Index exact_tile_rows() const { return exact_query_tile_rows(file_shape_.order()); }

  /// Reads rows again, after the measurement.
  Matrix read(Part part, Range rows) {
    const Timed timed(outcome_.seconds.read);
    Matrix data = problem_.read(part, number_, rows);
    outcome_.content.add(part, number_, rows, data);
    return data;
  }

  void deliver(Range rows, const RowOutputs& outputs) {
    for (Index i = 0; i < rows.size(); ++i) {
      outcome_.largest_error_bound = worse(outcome_.largest_error_bound, outputs.error_bound(i));
      outcome_.largest_log_error = worse(outcome_.largest_log_error, outputs.log_error(i));
    }
    const Timed timed(outcome_.seconds.write);
    sink_(number_, rows, outputs);
  }

  /// Collective: rows of `numbers` that this rank has seen to go to the ranks that own them, which deliver
  /// them.
  void deliver_to_owners(const std::vector<Index>& numbers, const RowOutputs& outputs) {
    const Index d_v = shape_.value_width;
    std::vector<double> packed;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto row = static_cast<Index>(i);
      packed.push_back(static_cast<double>(numbers[i]));
      packed.insert(packed.end(), outputs.output.row(row).data(), outputs.output.row(row).data() + d_v);
      packed.insert(packed.end(),
                    {outputs.log_normalizer(row), outputs.error_bound(row), outputs.log_error(row)});
    }
    packed = comm_.gather(packed);
    const Range mine = share_of_rows(shape_.queries, query_tile_rows, comm_.size(), comm_.rank());
    comm_.together([&] {
      RowOutputs one(1, d_v);
      for (const double* row = packed.data(); row < packed.data() + packed.size(); row += d_v + 4) {
        const auto number = static_cast<Index>(row[0]);
        if (number < mine.begin || number >= mine.end) continue;
        std::copy_n(row + 1, d_v, one.output.data());
        one.log_normalizer(0) = row[d_v + 1], one.error_bound(0) = row[d_v + 2],
        one.log_error(0) = row[d_v + 3];
        deliver({number, number + 1}, one);
      }
    });
  }

  /// Collective. Measurement -> sums -> rows; rows that miss the promise are seen to afterwards.
  void run_polynomial() {
    const Index planned_degree = planned_.plan.degree();
    std::optional<HeadSums> sums;
    comm_.together([&] {
      sums.emplace(shape_, planned_.plan.monomials);
      aggregate(*sums, 0, outcome_.content);
    });
    sum_over_ranks(*sums, 0);
    MissingRows missing;
    comm_.together([&] { missing = evaluate_all(*sums); });
    if (planned_.plan.degree_is_fixed) return;
    missing = gather(comm_, missing);
    while (missing.count() > 0) {
      Method remedy = Method::exact;
      try {
        remedy = remedy_for(missing.count(), planned_.plan, planned_degree, shape_, wishes_);
      } catch (const NoPlan& reason) {
        throw AgreedFailure(problem_.name() + ": " + reason.what());
      }
      if (remedy == Method::polynomial)
        memory_.need(comm_,
                     problem_.name() + ": raising the degree for " + std::to_string(missing.count()) +
                         " rows that miss the promise",
                     raising_bytes());
      missing = remedy == Method::exact ? sum_missing_exactly(missing) : raise_degree(sums, missing);
    }
  }

  /// Collective in its failures. Needs: measurement and plan. Leaves: this rank's share of the key sums of
  /// the monomials of degree `from_degree` and up, unreduced.
  void aggregate(HeadSums& sums, Index from_degree, ContentSum& content) {
    Index mine = 0;
    for (Index rows : file_shape_.keys)
      mine += share_of_rows(rows, key_tile_rows, comm_.size(), comm_.rank()).size();
    progress_.begin("aggregate", mine);
    for (Index m = 0; m < file_shape_.modes(); ++m) {
      const auto mode = static_cast<std::size_t>(m);
      for (Range rows : my_blocks(comm_, file_shape_.keys[mode], file_shape_.width + file_shape_.value_width,
                                  key_tile_rows, blocks_.read_bytes)) {
        Matrix keys, values;
        {
          const Timed timed(outcome_.seconds.read);
          keys = problem_.read({Part::keys, m}, number_, rows);
          values = problem_.read({Part::values, m}, number_, rows);
          content.add({Part::keys, m}, number_, rows, keys);
          content.add({Part::values, m}, number_, rows, values);
        }
        const Timed timed(outcome_.seconds.aggregate);
        sums.modes[mode].absorb(sums.monomials, from_degree, keys, values, head_.change, coordinates_, m);
        progress_.advance(rows.size());
      }
    }
  }

  /// Collective: one allreduce of 2 r (d_v + 1) integers a mode, r the monomials from `first` on. Leaves:
  /// their sums over all ranks, on all ranks.
  void sum_over_ranks(HeadSums& sums, Index first) {
    progress_.begin("reduce", 0);
    const Timed timed(outcome_.seconds.reduce);
    for (KeyAggregate& mode : sums.modes) comm_.sum(mode.words(first));
  }

  /// What the next degree takes more, or where the sums are made anew, four times as many monomials.
  double raising_bytes() const {
    const bool anew = planned_.plan.monomials.threshold > 0;
    const double rank = anew ? 3 * planned_.estimate.rank
                             : total_degree_rank(shape_, planned_.plan.degree() + 1) - planned_.estimate.rank;
    PlannedHead more = planned_;
    more.estimate.memory_bytes *= rank / std::max(planned_.estimate.rank, 1.0);
    more.estimate.rank = rank;
    const double copied = 16 * planned_.estimate.rank * static_cast<double>(shape_.value_width + 1);
    return head_bytes(shape_, more) + copied + least_bytes_in_flight(file_shape_);
  }

  QueryEvaluation evaluation(const HeadSums& sums) {
    const Timed timed(outcome_.seconds.evaluate);
    Matrix combined = combine_modes(
        sums.modes, multinomial_weights(sums.monomials, coordinates_.weights / score_unit(head_)),
        shape_.value_width + 1);
    const bool drops = planned_.plan.monomials.threshold > 0;
    return QueryEvaluation(
        head_, shape_, coordinates_, sums.monomials, std::move(combined),
        drops ? DroppedMonomials(sums.monomials, head_, shape_, coordinates_.queries.exponents)
              : DroppedMonomials(),
        wishes_.output_precision, promise_, planned_.plan.degree_is_fixed);
  }

  /// Collective in its failures. Needs: the sums over all ranks. Leaves: this rank's rows in the sink, but
  /// for those that it returns.
  MissingRows evaluate_all(const HeadSums& sums) {
    QueryEvaluation queries = evaluation(sums);
    progress_.begin("evaluate",
                    share_of_rows(shape_.queries, query_tile_rows, comm_.size(), comm_.rank()).size());
    MissingRows missing;
    for (Range rows : my_blocks(comm_, shape_.queries, file_shape_.width + shape_.value_width,
                                query_tile_rows, blocks_.read_bytes)) {
      const Matrix query_rows = read({Part::queries}, rows);
      RowOutputs outputs;
      {
        const Timed timed(outcome_.seconds.evaluate);
        outputs = queries.evaluate(query_rows);
      }
      Index begin = 0;  // of the rows that are not delivered yet
      for (Index i = 0; i <= rows.size(); ++i) {
        const bool misses = i < rows.size() && !planned_.plan.degree_is_fixed &&
                            !promise_.kept(outputs.error_bound(i), outputs.log_error(i));
        if (!misses && i < rows.size()) continue;
        if (begin < i) deliver({rows.begin + begin, rows.begin + i}, outputs.part({begin, i}));
        if (misses) missing.add(rows.begin + i, query_rows.row(i).data(), query_rows.cols());
        begin = i + 1;
      }
      progress_.advance(rows.size());
    }
    outcome_.monomials_evaluated += queries.monomials_evaluated();
    return missing;
  }

  /// Collective. More monomials for `missing` rows; returns those that still miss the promise. A whole degree
  /// is added to the sums that are there; where monomials are dropped, the sums of fewer dropped ones are
  /// made anew.
  MissingRows raise_degree(std::optional<HeadSums>& sums, const MissingRows& missing) {
    MonomialChoice& choice = planned_.plan.monomials;
    choice = larger(choice);
    const bool anew = choice.threshold > 0;
    ContentSum seen_before;
    comm_.together([&] {
      if (anew) {
        sums.reset();
        sums.emplace(shape_, choice);
      } else {
        sums->monomials.add_degree([](Index, Index) { return true; });
        for (KeyAggregate& mode : sums->modes) mode.grow(sums->monomials.count());
      }
      aggregate(*sums, anew ? 0 : choice.degree, seen_before);
    });
    sum_over_ranks(*sums, anew ? 0 : sums->monomials.of_degree(choice.degree).begin);
    planned_.estimate.rank = static_cast<double>(sums->monomials.count());
    outcome_.rows_raised += missing.count();
    MissingRows still;
    std::vector<Index> kept;
    RowOutputs outputs;
    comm_.together([&] {
      QueryEvaluation queries = evaluation(*sums);
      const Range mine = share_of_rows(missing.count(), query_tile_rows, comm_.size(), comm_.rank());
      if (mine.size() == 0) return;
      const Timed timed(outcome_.seconds.evaluate);
      const Matrix mine_rows = missing.queries(mine, file_shape_.width);
      const RowOutputs all = queries.evaluate(mine_rows);
      outcome_.monomials_evaluated += queries.monomials_evaluated();
      std::vector<Index> places;
      for (Index i = 0; i < mine.size(); ++i) {
        const Index number = missing.numbers[static_cast<std::size_t>(mine.begin + i)];
        if (promise_.kept(all.error_bound(i), all.log_error(i)))
          kept.push_back(number), places.push_back(i);
        else
          still.add(number, mine_rows.row(i).data(), mine_rows.cols());
      }
      outputs = all.rows(places);
    });
    deliver_to_owners(kept, outputs);
    return gather(comm_, still);
  }

  /// Collective.
  MissingRows sum_missing_exactly(const MissingRows& missing) {
    const Range mine = share_of_rows(missing.count(), exact_tile_rows(), comm_.size(), comm_.rank());
    ContentSum seen_before;
    sum_exactly(
        mine.size(), seen_before,
        [&](Range rows) {
          return missing.queries({mine.begin + rows.begin, mine.begin + rows.end}, file_shape_.width);
        },
        [&](Range rows, const RowOutputs& outputs) {
          const auto first = missing.numbers.begin() + mine.begin;
          deliver_to_owners({first + rows.begin, first + rows.end}, outputs);
        });
    outcome_.rows_exact += missing.count();
    return {};
  }

  /// Collective. The exact method for `count` rows of this rank, `queries(range)` of them, in passes over all
  /// keys; deliver_rows is called collectively.
  template <class Queries, class Deliver>
  void sum_exactly(Index count, ContentSum& content, Queries queries, Deliver deliver_rows) {
    PhaseSeconds& seconds = outcome_.seconds;
    const ExactCertificate certificate(file_shape_, exact_coordinates_, wishes_.output_precision);
    KeyTiles tiles(comm_, problem_, number_, exact_coordinates_, seconds, content, blocks_.kept_bytes);
    const auto passes =
        static_cast<Index>(comm_.max(static_cast<double>(tile_count(count, blocks_.exact_rows))));
    progress_.begin("exact", count, static_cast<double>(passes) * tiles.tuples());
    for (Index pass = 0; pass < passes; ++pass) {
      const Range rows{std::min(count, pass * blocks_.exact_rows),
                       std::min(count, (pass + 1) * blocks_.exact_rows)};
      Matrix query_rows;
      comm_.together([&] { query_rows = queries(rows); });
      RowOutputs outputs;
      {
        const double read_before = seconds.read;
        const Stopwatch watch;
        ExactAttention attention(file_shape_, exact_coordinates_, query_rows, exact_tile_rows());
        absorb_all(tiles, file_shape_.modes(), attention, progress_);
        outputs = attention.finish(certificate);
        seconds.evaluate += watch.seconds() - (seconds.read - read_before);
      }
      deliver_rows(rows, outputs);
    }
  }

  const Communicator& comm_;
  Problem& problem_;
  Index number_;
  const MeasuredHead& head_;
  const ProblemShape file_shape_, shape_;
  const Wishes& wishes_;
  Promise promise_;
  const RowSink& sink_;
  SolveOutcome& outcome_;
  Progress& progress_;
  const RankMemory& memory_;
  Blocks blocks_;
  PlannedHead& planned_;
  Coordinates exact_coordinates_, coordinates_;
};

}  // namespace

void solve_head(const Communicator& comm, Problem& problem, Index head, const ProblemMeasurement& measurement,
                const Wishes& wishes, const RowSink& sink, SolveOutcome& outcome, Progress& progress,
                const RankMemory& memory) {
  HeadSolve(comm, problem, head, measurement, wishes, sink, outcome, progress, memory).run();
}

}  // namespace kronattn
