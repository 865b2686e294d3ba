#include "head_solve.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "aggregate_keys.hpp"
#include "checkpointing.hpp"
#include "degree_needs.hpp"
#include "key_tiles.hpp"
#include "subset_attention.hpp"
#include "text.hpp"
#include "tiles.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// A step, after which ranks meet, is at most a block to read and so many flops a thread: a second or so.
constexpr double step_flops = 1e10;

/// The larger one; what is not a number counts as infinite.
double worse(double known, double found) {
  return std::isnan(found) ? HUGE_VAL : std::max(known, found);
}

/// Rows of a step, in whole tiles: of so many bytes and flops each, and of so many bytes in all.
Index step_rows(Index tile_rows, double row_bytes, double row_flops, Index step_bytes) {
  const double rows =
      std::min(static_cast<double>(step_bytes) / row_bytes, step_flops * omp_get_max_threads() / row_flops);
  return tile_rows * std::max<Index>(1, static_cast<Index>(std::min(rows, 1e9)) / tile_rows);
}

/// How many of all rows come before a rank's, which follow each other among them.
Index rows_before(const RowSet& all, const RowSet& mine) {
  Index count = 0;
  if (mine.ranges().empty()) return count;
  for (Range range : all.ranges())
    count += std::max<Index>(0, std::min(range.end, mine.ranges().front().begin) - range.begin);
  return count;
}

/// The sums of the keys of one head: what a checkpoint holds.
struct HeadSums {
  HeadSums(const ProblemShape& shape, const MonomialChoice& choice)
      : monomials(planned_monomials(shape.width, choice)) {
    modes.reserve(shape.keys.size());
    for (Index rows : shape.keys) modes.emplace_back(monomials.count(), rows, shape.sum_columns());
  }

  Monomials monomials;
  std::vector<KeyAggregate> modes;
  std::vector<Range> reduced;  // sums of a mode, (r, d_v + 1), that were shared out together
};

/// One head on its way from the measurement to its rows. What decides bits comes from measurement, plan and
/// wishes.
class HeadSolve {
 public:
  HeadSolve(const Communicator& comm, Problem& problem, SolveState& state,
            const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
            SolveOutcome& outcome, const SolveAids& aids)
      : comm_(comm),
        problem_(problem),
        number_(state.head),
        measurement_(measurement),
        head_(measurement.heads[static_cast<std::size_t>(number_)]),
        file_shape_(wishes.summed(problem.shape())),
        shape_(head_.changed_shape(file_shape_)),
        wishes_(wishes),
        promise_(wishes.row_promise(measurement.promise)),
        sink_(sink),
        outcome_(outcome),
        aids_(aids),
        progress_(aids.progress),
        checkpoints_(aids.checkpoints),
        control_(checkpoints_ != nullptr ? checkpoints_->control() : RunControl::none()),
        memory_(aids.memory),
        planned_(outcome.heads[static_cast<std::size_t>(number_)]),
        planned_degree_(planned_.plan.degree()),
        exact_coordinates_(head_.file, file_shape_),
        coordinates_(head_.changed, shape_),
        state_(state),
        round_(state.round) {}

  /// Collective.
  void run() {
    blocks_ = blocks_within(memory_.left(comm_, head_bytes(shape_, planned_)), file_shape_);
    const bool is_new = round_.keys.empty();
    if (is_new && planned_.plan.by_subsets) {
      std::optional<MissingRows> missing = sum_by_subsets();
      if (missing && missing->count() == 0) return;
      if (missing) round_.rows = std::move(*missing);
    }
    if (is_new) {
      round_.keys.resize(file_shape_.keys.size());
      round_.exact = planned_.plan.method == Method::exact;
    } else {
      raise_plan(planned_, round_.raises, shape_);
      if (!comm_.root()) round_.missing = {};
    }
    if (!is_new) source_ = Source::checkpoint;
    if (is_new && planned_.plan.sums_are_given) take_given_sums();
    while (true) {
      round_.exact ? sum_exactly() : evaluate_polynomials();
      source_ = Source::keys;
      if (planned_.plan.method == Method::exact || planned_.plan.degree_is_fixed) return;
      MissingRows missing = gather_missing(round_.missing);
      if (missing.count() == 0) return;
      begin_round(std::move(missing));
    }
  }

  /// Collective: the sums of the keys, handed to whoever keeps them, and nothing else.
  void sum_keys_again() {
    saves_ = false;  // the resumed run's checkpoint has more
    blocks_ = blocks_within(memory_.left(comm_, head_bytes(shape_, planned_)), file_shape_);
    round_.keys.resize(file_shape_.keys.size());
    sum_keys();
  }

 private:
  /// Where a round's key sums come from. Those that were made before are on rank 0 alone.
  enum class Source { keys, checkpoint, file };

  /// All keys are in sums that another run has made.
  void take_given_sums() {
    source_ = Source::file;
    for (std::size_t m = 0; m < round_.keys.size(); ++m) round_.keys[m] = RowSet({0, file_shape_.keys[m]});
    if (comm_.root()) outcome_.content.merge(measurement_.key_contents[static_cast<std::size_t>(number_)]);
  }

  /// Reads rows again, after the measurement.
  Matrix read(Part part, Range rows, ContentSum& content) {
    const Timed timed(outcome_.seconds.read);
    Matrix data = problem_.read(part, number_, rows);
    content.add(part, number_, rows, data);
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

  /// A row of a list, which another rank may own: it is delivered at the next point where the ranks meet.
  void deliver_later(Index number, const RowOutputs& outputs, Index row) {
    late_.push_back(static_cast<double>(number));
    late_.insert(late_.end(), outputs.output.row(row).data(),
                 outputs.output.row(row).data() + shape_.value_width);
    late_.insert(late_.end(),
                 {outputs.log_normalizer(row), outputs.error_bound(row), outputs.log_error(row)});
  }

  /// Collective: rows that this rank has seen to go to the ranks that own them, which deliver them.
  void deliver_late_rows() {
    const Index d_v = shape_.value_width;
    const std::vector<double> packed = comm_.gather(late_);
    late_.clear();
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

  /// Collective: the rows of all ranks that miss the promise, on all of them.
  MissingRows gather_missing(const MissingRows& mine) const {
    const auto rows = static_cast<double>(comm_.sum(std::int64_t{mine.count()}));
    memory_.need(comm_,
                 problem_.name() + ": keeping the " + short_number(rows) + " rows that miss the promise",
                 3 * 8 * rows * static_cast<double>(file_shape_.width + 1));
    return gather(comm_, mine, file_shape_.width);
  }

  /// Needs: the rows that missed the promise in the round that ends. Leaves: the next round, of those alone.
  void begin_round(MissingRows missing) {
    Method remedy = Method::exact;
    try {
      remedy = remedy_for(missing.count(), planned_.plan, planned_degree_, shape_, wishes_);
    } catch (const NoPlan& reason) {
      throw AgreedFailure(problem_.name() + ": " + reason.what());
    }
    round_.exact = remedy == Method::exact;
    if (round_.exact) {
      sums_.reset();
    } else {
      memory_.need(comm_,
                   problem_.name() + ": raising the degree for " + std::to_string(missing.count()) +
                       " rows that miss the promise",
                   raising_bytes());
      ++round_.raises;
      planned_.plan.monomials = larger(planned_.plan.monomials);
    }
    (round_.exact ? outcome_.rows_exact : outcome_.rows_raised) += missing.count();
    round_.rows = std::move(missing);
    round_.keys.assign(file_shape_.keys.size(), RowSet());
    round_.done = RowSet();
    round_.missing = {};
  }

  /// Whether this round's sums are only of the monomials of the highest degree, and the others' are there.
  bool adds_a_degree() const { return round_.raises > 0 && planned_.plan.monomials.threshold == 0; }

  /// The first monomial that this round sums up.
  Index first_new_monomial() const {
    return adds_a_degree() ? sums_->monomials.of_degree(planned_.plan.degree()).begin : 0;
  }

  /// The first monomial of which every rank has a share of its own.
  Index first_own_monomial() const { return source_ == Source::keys ? first_new_monomial() : 0; }

  Index round_rows() const { return round_.rows ? round_.rows->count() : shape_.queries; }

  /// Rows of the exact method while keys pass by.
  struct Flight {
    RowSet rows;         // this rank's, by place in the round
    ContentSum queries;  // of what was read of them
    ExactAttention attention;
    Index tuples = 0;  // of key tiles that are behind
  };

  using Flights = std::deque<Flight>;  // keys pass by the first one; others, from a checkpoint, wait

  /// What is in flight now.
  struct InFlight {
    const Flights& flights;
    const KeyTiles& tiles;
    const ContentSum& keys;  // that this rank has read for the first time
  };

  /// Collective: what is done now, over all ranks, goes into a checkpoint.
  void save() {
    if (checkpoints_ != nullptr && saves_) save_all({}, shared(sum_words()));
  }
  /// Collective: likewise, with what is in flight.
  void save(const InFlight& now) {
    if (checkpoints_ == nullptr || !saves_) return;
    RowsInFlight all{{}, now.tiles.counted(), over_ranks(now.keys)};
    std::vector<SomeNumbers> mine;
    for (const Flight& flight : now.flights) {
      const RowSet rows = gather(comm_, flight.rows);
      const Index begin = all.count() + rows_before(rows, flight.rows);
      mine.push_back(numbers_of(flight, begin));
      all.flights.push_back({rows, flight.tuples});
    }
    const Index numbers = all.count() * now.flights.front().attention.numbers_of_a_row();
    save_all(std::move(all), shared(static_cast<std::uint64_t>(numbers), std::move(mine)));
  }

  /// The sums of a flight, of which row `begin` of all that is in flight is the first.
  static SomeNumbers numbers_of(const Flight& flight, Index begin) {
    const Index numbers_a_row = flight.attention.numbers_of_a_row();
    SomeNumbers some{static_cast<std::uint64_t>(begin * numbers_a_row),
                     std::vector<double>(static_cast<std::size_t>(flight.rows.count() * numbers_a_row))};
    flight.attention.copy_sums(some.numbers.data());
    return some;
  }

  void save_all(RowsInFlight in_flight, const SharedWords& words) {
    if (round_.rows) deliver_late_rows();
    SolveState all = state_;
    for (std::size_t m = 0; m < all.round.keys.size(); ++m)
      all.round.keys[m] = add_gathered(round_.keys[m], new_keys_[m]);
    all.round.done = add_gathered(round_.done, new_done_);
    all.round.missing = gather(comm_, round_.missing, file_shape_.width);
    all.round.in_flight = std::move(in_flight);
    all.figures = outcome_;
    all.figures.largest_error_bound = comm_.max(outcome_.largest_error_bound);
    all.figures.largest_log_error = comm_.max(outcome_.largest_log_error);
    all.figures.rows_exact = static_cast<std::int64_t>(comm_.max(static_cast<double>(outcome_.rows_exact)));
    all.figures.rows_raised = static_cast<std::int64_t>(comm_.max(static_cast<double>(outcome_.rows_raised)));
    all.figures.monomials_evaluated = comm_.sum(outcome_.monomials_evaluated);
    all.figures.content = over_ranks(outcome_.content);
    checkpoints_->save(all, words);
  }

  ContentSum over_ranks(const ContentSum& content) const {
    std::vector<std::int64_t> halves = content.halves();
    comm_.sum(halves);
    return ContentSum(halves);
  }

  RowSet add_gathered(const RowSet& known, const RowSet& mine) {
    RowSet all = known;
    const RowSet gathered = gather(comm_, mine);
    for (Range rows : gathered.ranges()) all.add(rows);
    return all;
  }

  KeySumWords sum_words() {
    KeySumWords words;
    if (round_.exact || !sums_) return words;
    for (KeyAggregate& mode : sums_->modes) words.push_back(mode.words(0));
    return words;
  }

  /// Collective: a round of the polynomial method: keys -> sums -> rows. Leaves this rank's rows that miss
  /// the promise.
  void evaluate_polynomials() {
    sum_keys();
    evaluate_rows();
    if (round_.rows) deliver_late_rows();
  }

  /// Collective. Leaves: the sums of this round over all ranks, on each rank its share.
  void sum_keys() {
    comm_.together([&] { make_room_for_sums(); });
    new_keys_.assign(file_shape_.keys.size(), RowSet());
    new_done_ = RowSet();
    const Index first = first_own_monomial();
    aggregate(first_new_monomial());
    sum_over_ranks(first);
    for (std::size_t m = 0; m < round_.keys.size(); ++m) {
      round_.keys[m] = RowSet({0, file_shape_.keys[m]});
      new_keys_[m] = RowSet();
    }
    planned_.estimate.rank = static_cast<double>(sums_->monomials.count());
    if (aids_.keep_sums && round_.is_first()) aids_.keep_sums(number_, sum_words());
  }

  void make_room_for_sums() {
    if (source_ != Source::keys || !sums_ || !adds_a_degree()) {
      sums_.reset();
      sums_.emplace(shape_, planned_.plan.monomials);
      if (source_ == Source::checkpoint) checkpoints_->read_sums(sum_words());
      if (source_ == Source::file) aids_.given_sums(number_, sum_words());
      return;
    }
    sums_->monomials.add_degree([](Index, Index) { return true; });
    for (KeyAggregate& mode : sums_->modes) mode.grow(sums_->monomials.count());
  }

  /// Collective. Needs: measurement and plan. Leaves: this rank's share of the key sums of the monomials from
  /// `first` on, unreduced.
  void aggregate(Index first) {
    const Index from_degree = adds_a_degree() ? planned_.plan.degree() : 0;
    const Index columns = file_shape_.width + file_shape_.value_width;
    const Index rows_a_step =
        step_rows(key_tile_rows, 8.0 * static_cast<double>(columns),
                  2.0 * static_cast<double>((sums_->monomials.count() - first) * file_shape_.sum_columns()),
                  blocks_.read_bytes);
    struct Step {
      std::size_t mode;
      Range rows;
    };
    std::vector<Step> steps;
    Index mine = 0;
    for (std::size_t m = 0; m < round_.keys.size(); ++m) {
      const RowSet share =
          round_.keys[m].rest(file_shape_.keys[m]).share(key_tile_rows, comm_.size(), comm_.rank());
      mine += share.count();
      for (Range rows : share.blocks(rows_a_step)) steps.push_back({m, rows});
    }
    progress_.begin("aggregate", mine);
    control_.steps(
        comm_, static_cast<Index>(steps.size()),
        [&](Index i) {
          const auto [m, rows] = steps[static_cast<std::size_t>(i)];
          aggregate_step(m, rows, from_degree);
          new_keys_[m].add(rows);
        },
        [&](bool) { save(); });
  }

  void aggregate_step(std::size_t mode, Range rows, Index from_degree) {
    const auto m = static_cast<Index>(mode);
    Matrix keys, values;
    {
      const Timed timed(outcome_.seconds.read);
      keys = problem_.read({Part::keys, m}, number_, rows);
      values = problem_.read({Part::values, m}, number_, rows);
      if (!round_.rows) {  // else they have been counted already
        outcome_.content.add({Part::keys, m}, number_, rows, keys);
        outcome_.content.add({Part::values, m}, number_, rows, values);
      }
    }
    const Timed timed(outcome_.seconds.aggregate);
    sums_->modes[mode].absorb(sums_->monomials, from_degree, keys, values, head_.change, coordinates_, m);
    progress_.advance(rows.size());
  }

  /// Collective: a reduction of 2 r (d_v + 1) integers a mode, r the monomials from `first` on. Leaves: on
  /// each rank its share of the sums over all ranks.
  void sum_over_ranks(Index first) {
    progress_.begin("reduce", 0);
    const Timed timed(outcome_.seconds.reduce);
    for (KeyAggregate& mode : sums_->modes) comm_.sum_shares(mode.words(first), 2);
    if (first == 0) sums_->reduced.clear();
    const Index columns = shape_.sum_columns();
    sums_->reduced.push_back({first * columns, sums_->monomials.count() * columns});
  }

  /// Collective. Needs: each rank's share of the sums. Leaves: what queries are multiplied with, on all
  /// ranks, each having multiplied its share.
  Matrix combined_sums() {
    const HeadSums& sums = *sums_;
    Matrix combined;
    comm_.together([&] {
      const Timed timed(outcome_.seconds.evaluate);
      combined.resize(sums.monomials.count(), shape_.sum_columns());
      const Vector weights = multinomial_weights(sums.monomials, coordinates_.weights / score_unit(head_));
      for (Range all : sums.reduced)
        for (Range share : comm_.shares(all.size()))
          combine_modes(sums.modes, weights, {all.begin + share.begin, all.begin + share.end}, combined);
    });
    const Timed timed(outcome_.seconds.reduce);
    for (Range all : sums.reduced) comm_.gather_shares(combined.data() + all.begin, all.size());
    return combined;
  }

  /// What the next degree takes more, or where the sums are made anew, four times as many monomials.
  double raising_bytes() const {
    const bool anew = planned_.plan.monomials.threshold > 0;
    const double rank = anew ? 3 * planned_.estimate.rank
                             : total_degree_rank(shape_, planned_.plan.degree() + 1) - planned_.estimate.rank;
    PlannedHead more = planned_;
    more.estimate.memory_bytes *= rank / std::max(planned_.estimate.rank, 1.0);
    more.estimate.rank = rank;
    const double copied = key_sum_bytes(shape_, planned_.estimate.rank);
    return head_bytes(shape_, more) + copied + least_bytes_in_flight(file_shape_);
  }

  QueryEvaluation evaluation(const Matrix& combined) {
    const HeadSums& sums = *sums_;
    const Timed timed(outcome_.seconds.evaluate);
    const bool drops = planned_.plan.monomials.threshold > 0;
    return QueryEvaluation(
        head_, shape_, coordinates_, sums.monomials, combined,
        drops ? DroppedMonomials(sums.monomials, head_, shape_, coordinates_.queries.exponents)
              : DroppedMonomials(),
        wishes_.output_precision, promise_, planned_.plan.degree_is_fixed);
  }

  /// Collective. Needs: the sums over all ranks, in shares. Leaves: this rank's rows in the sink or on their
  /// way there, but for those that miss the promise.
  void evaluate_rows() {
    std::unique_ptr<QueryEvaluation> queries;
    {
      const Matrix combined = combined_sums();
      comm_.together([&] { queries.reset(new QueryEvaluation(evaluation(combined))); });
    }
    const RowSet share = round_.done.rest(round_rows()).share(query_tile_rows, comm_.size(), comm_.rank());
    const std::vector<Range> blocks = share.blocks(step_rows(
        query_tile_rows, 8.0 * static_cast<double>(file_shape_.width + shape_.value_width),
        2.0 * static_cast<double>(sums_->monomials.count() * shape_.sum_columns()), blocks_.read_bytes));
    progress_.begin("evaluate", share.count());
    control_.steps(
        comm_, static_cast<Index>(blocks.size()),
        [&](Index i) {
          evaluate_step(*queries, blocks[static_cast<std::size_t>(i)]);
          new_done_.add(blocks[static_cast<std::size_t>(i)]);
        },
        [&](bool) { save(); });
  }

  /// Rows by place in the round.
  void evaluate_step(QueryEvaluation& queries, Range rows) {
    const Matrix query_rows = round_.rows ? round_.rows->queries(rows, file_shape_.width)
                                          : read({Part::queries}, rows, outcome_.content);
    RowOutputs outputs;
    {
      const Timed timed(outcome_.seconds.evaluate);
      const std::int64_t before = queries.monomials_evaluated();
      outputs = queries.evaluate(query_rows);
      outcome_.monomials_evaluated += queries.monomials_evaluated() - before;
    }
    deliver_kept(rows, query_rows, outputs, round_.missing);
    progress_.advance(rows.size());
  }

  /// The outputs of the round's rows `rows` that keep the promise go to the sink or on their way there, the
  /// others' rows into `missing`.
  void deliver_kept(Range rows, const Matrix& query_rows, const RowOutputs& outputs, MissingRows& missing) {
    Index begin = 0;  // of the rows that are not delivered yet
    for (Index i = 0; i <= rows.size(); ++i) {
      const bool misses = i < rows.size() && !planned_.plan.degree_is_fixed &&
                          !promise_.kept(outputs.error_bound(i), outputs.log_error(i));
      if (!misses && i < rows.size()) continue;
      deliver_part(rows, {begin, i}, outputs);
      if (misses) missing.add(number_of(rows.begin + i), query_rows.row(i).data(), query_rows.cols());
      begin = i + 1;
    }
  }

  Index number_of(Index place) const {
    return round_.rows ? round_.rows->numbers[static_cast<std::size_t>(place)] : place;
  }

  /// Some of the outputs of the round's rows `rows`.
  void deliver_part(Range rows, Range part, const RowOutputs& outputs) {
    if (part.size() == 0) return;
    if (!round_.rows) return deliver({rows.begin + part.begin, rows.begin + part.end}, outputs.part(part));
    for (Index i = part.begin; i < part.end; ++i) deliver_later(number_of(rows.begin + i), outputs, i);
  }

  /// Collective. The exact method by sums over sets of columns, in linear time and in one go: nothing of it
  /// goes into a checkpoint. Leaves this rank's rows in the sink; returns those that miss the promise, of all
  /// ranks, or nothing where keys are not what a sample showed of them, and then nothing is done.
  std::optional<MissingRows> sum_by_subsets() {
    const TwoValuedColumns columns = *two_valued_columns(head_, file_shape_.scale);
    const ContentSum content_before = outcome_.content;
    const double row_bytes = 8.0 * static_cast<double>(file_shape_.width + file_shape_.value_width);
    const auto rows_a_step = [&](Index tile_rows) {
      return step_rows(tile_rows, row_bytes, row_bytes, blocks_.read_bytes);
    };
    std::vector<SubsetKeySums> modes;
    bool alike = true;
    progress_.begin("aggregate", 0);
    comm_.together([&] {
      for (Index rows : file_shape_.keys) modes.emplace_back(columns, rows, file_shape_.value_width);
      for (Index m = 0; m < file_shape_.modes(); ++m) {
        const auto mode = static_cast<std::size_t>(m);
        const RowSet share =
            RowSet({0, file_shape_.keys[mode]}).share(key_tile_rows, comm_.size(), comm_.rank());
        for (Range rows : share.blocks(rows_a_step(key_tile_rows))) {
          const Matrix keys = read({Part::keys, m}, rows, outcome_.content);
          const Matrix values = read({Part::values, m}, rows, outcome_.content);
          const Timed timed(outcome_.seconds.aggregate);
          alike = modes[mode].absorb(keys, values, exact_coordinates_, m) && alike;
        }
      }
    });
    if (comm_.max(alike ? 0 : 1) > 0) {
      outcome_.content = content_before;
      return std::nullopt;
    }
    bool rounded = false;
    {
      const Timed timed(outcome_.seconds.reduce);
      for (SubsetKeySums& mode : modes) {
        comm_.sum(mode.words());
        rounded = comm_.max(mode.rounded() ? 1 : 0) > 0 || rounded;
      }
    }
    MissingRows missing;
    comm_.together([&] {
      std::optional<SubsetAttention> attention;
      {
        const Timed timed(outcome_.seconds.evaluate);
        attention.emplace(columns, modes, rounded, head_.file, exact_coordinates_, wishes_.output_precision);
      }
      const RowSet share = RowSet({0, shape_.queries}).share(query_tile_rows, comm_.size(), comm_.rank());
      progress_.begin("evaluate", share.count());
      for (Range rows : share.blocks(rows_a_step(query_tile_rows))) {
        const Matrix queries = read({Part::queries}, rows, outcome_.content);
        RowOutputs outputs;
        {
          const Timed timed(outcome_.seconds.evaluate);
          outputs = attention->evaluate(queries);
        }
        deliver_kept(rows, queries, outputs, missing);
        progress_.advance(rows.size());
      }
    });
    state_.keys_counted = true;
    missing = gather_missing(missing);
    outcome_.rows_exact += missing.count();
    return missing;
  }

  /// Collective: a round of the exact method, in passes over all keys.
  void sum_exactly() {
    new_keys_.assign(file_shape_.keys.size(), RowSet());
    new_done_ = RowSet();
    ContentSum keys;
    KeyTiles tiles(comm_, problem_, number_, exact_coordinates_, planned_.plan.exact_arithmetic,
                   outcome_.seconds, keys, blocks_.kept_bytes);
    RowSet begun = round_.done;
    Flights flights = resumed_flights(tiles, keys, begun);
    const std::vector<RowSet> mine = passes_of(begun.rest(round_rows()), tiles);
    double rows = 0, tuples = 0;
    for (const Flight& flight : flights) {
      rows += static_cast<double>(flight.rows.count());
      tuples += tiles.tuples() - static_cast<double>(flight.tuples);
    }
    for (const RowSet& pass : mine) {
      rows += static_cast<double>(pass.count());
      tuples += tiles.tuples();
    }
    progress_.begin("exact", static_cast<Index>(rows), tuples);
    while (!flights.empty()) finish_first(flights, tiles, keys);
    for (const RowSet& pass : mine) {
      flights.push_back(begin_flight(pass));
      finish_first(flights, tiles, keys);
    }
  }

  /// Collective.
  Flight begin_flight(const RowSet& rows) {
    Matrix query_rows;
    ContentSum content;
    comm_.together([&] { query_rows = queries_of(rows, content); });
    return {rows, content,
            ExactAttention(file_shape_, exact_coordinates_, query_rows,
                           exact_query_tile_rows(file_shape_.order()))};
  }

  /// Collective: what a checkpoint has in flight, this rank's share of it; all of its rows go into `begun`.
  /// Where it does not fit into memory it begins anew.
  Flights resumed_flights(KeyTiles& tiles, ContentSum& keys, RowSet& begun) {
    const RowsInFlight all = std::exchange(round_.in_flight, {});
    const auto of_a_rank = static_cast<double>(all.count()) / comm_.size();
    if (all.count() == 0 || of_a_rank > static_cast<double>(blocks_.exact_rows) + blocks_.waiting_rows)
      return {};
    Flights flights;
    std::vector<SomeNumbers> numbers;
    Index before = 0;  // rows of the flights before
    for (const RowsInFlight::Flight& flight : all.flights) {
      for (const RowSet& rows : passes_of(flight.rows, tiles)) {
        flights.push_back(begin_flight(rows));
        flights.back().tuples = flight.tuples;
        numbers.push_back(numbers_of(flights.back(), before + rows_before(flight.rows, rows)));
      }
      before += flight.rows.count();
      for (Range rows : flight.rows.ranges()) begun.add(rows);
    }
    const auto count = static_cast<std::uint64_t>(before * flights.front().attention.numbers_of_a_row());
    checkpoints_->read_numbers(count, numbers);
    for (std::size_t i = 0; i < flights.size(); ++i) flights[i].attention.set_sums(numbers[i].numbers.data());
    tiles.set_counted(all.counted);
    if (comm_.root()) keys.merge(all.keys);
    return flights;
  }

  double row_flops() const {
    return 2 * file_shape_.tuples() * static_cast<double>(file_shape_.width + file_shape_.value_width + 8);
  }

  /// Collective: the rest of the keys pass by the first flight, which is delivered.
  void finish_first(Flights& flights, KeyTiles& tiles, const ContentSum& keys) {
    Flight& flight = flights.front();
    PhaseSeconds& seconds = outcome_.seconds;
    const double tuple_flops =
        row_flops() / tiles.tuples() * comm_.max(static_cast<double>(flight.rows.count()));
    const auto tuples_a_step =
        std::max<Index>(1, static_cast<Index>(step_flops / std::max(tuple_flops, 1.0)));
    RowOutputs outputs;
    {
      const auto elsewhere = [&] {
        return seconds.read + (checkpoints_ != nullptr ? checkpoints_->seconds() : 0);
      };
      const double before = elsewhere();
      const Stopwatch watch;
      absorb_all(tiles, file_shape_.modes(), flight.tuples, flight.attention, [&] {
        progress_.advance(1);
        if (++flight.tuples % tuples_a_step == 0)
          control_.meet(comm_, [&](bool) { save({flights, tiles, keys}); });
      });
      outputs = flight.attention.finish(ExactCertificate(
          file_shape_, exact_coordinates_, wishes_.output_precision, planned_.plan.exact_arithmetic));
      seconds.evaluate += watch.seconds() - (elsewhere() - before);
    }
    comm_.together([&] {
      Index first = 0;  // of the outputs
      for (Range range : flight.rows.ranges()) {
        deliver_part(range, {0, range.size()}, outputs.part({first, first + range.size()}));
        new_done_.add(range);
        first += range.size();
      }
    });
    outcome_.content.merge(flight.queries);
    flights.pop_front();
    if (round_.rows) deliver_late_rows();
    if (!round_.rows && !state_.keys_counted) {
      outcome_.content.merge(keys);
      state_.keys_counted = true;
    }
    control_.meet(comm_, [&](bool) { flights.empty() ? save() : save({flights, tiles, keys}); });
  }

  /// Collective. This rank's share of some rows, cut into passes of whole tiles (but for the last row of
  /// all), as many on all ranks: of no more rows than fit, and than take a step for a tuple of key tiles.
  std::vector<RowSet> passes_of(const RowSet& rows, const KeyTiles& tiles) const {
    const Index tile_rows = exact_query_tile_rows(file_shape_.order());
    const RowSet share = rows.share(tile_rows, comm_.size(), comm_.rank());
    const double of_a_step = step_flops * omp_get_max_threads() / (row_flops() / tiles.tuples());
    const auto most = static_cast<Index>(std::min(of_a_step, static_cast<double>(blocks_.exact_rows)));
    const Index rows_a_pass = tile_rows * std::max<Index>(omp_get_max_threads(), most / tile_rows);
    std::vector<RowSet> passes;
    for (Range range : share.ranges())
      for (Index begin = range.begin; begin < range.end;) {
        if (passes.empty() || passes.back().count() >= rows_a_pass) passes.emplace_back();
        const Index end = std::min(range.end, begin + rows_a_pass - passes.back().count());
        passes.back().add({begin, end});
        begin = end;
      }
    passes.resize(static_cast<std::size_t>(comm_.max(static_cast<double>(passes.size()))));
    return passes;
  }

  /// The queries of some places of the round, one range after the other.
  Matrix queries_of(const RowSet& rows, ContentSum& content) {
    Matrix queries(rows.count(), file_shape_.width);
    Index first = 0;
    for (Range range : rows.ranges()) {
      queries.middleRows(first, range.size()) = round_.rows ? round_.rows->queries(range, file_shape_.width)
                                                            : read({Part::queries}, range, content);
      first += range.size();
    }
    return queries;
  }

  const Communicator& comm_;
  Problem& problem_;
  Index number_;
  const ProblemMeasurement& measurement_;
  const MeasuredHead& head_;
  const ProblemShape file_shape_, shape_;
  const Wishes& wishes_;
  Promise promise_;
  const RowSink& sink_;
  SolveOutcome& outcome_;
  const SolveAids& aids_;
  Progress& progress_;
  Checkpointing* checkpoints_;
  const RunControl& control_;
  const RankMemory& memory_;
  Blocks blocks_;
  PlannedHead& planned_;
  Index planned_degree_;
  Coordinates exact_coordinates_, coordinates_;
  SolveState& state_;
  Round& round_;                  // of the state; `missing` is this rank's, all else is the same on all ranks
  std::vector<RowSet> new_keys_;  // what this rank has done in this round, beside what `round_` has
  RowSet new_done_;
  std::optional<HeadSums> sums_;
  std::vector<double> late_;      // rows to be delivered: number, output, log normaliser, both bounds
  Source source_ = Source::keys;  // of this round
  bool saves_ = true;
};

}  // namespace

void raise_plan(PlannedHead& planned, Index raises, const ProblemShape& shape) {
  if (raises == 0) return;
  for (Index i = 0; i < raises; ++i) planned.plan.monomials = larger(planned.plan.monomials);
  planned.estimate.rank = static_cast<double>(planned_monomials(shape.width, planned.plan.monomials).count());
}

void solve_head(const Communicator& comm, Problem& problem, SolveState& state,
                const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
                SolveOutcome& outcome, const SolveAids& aids) {
  HeadSolve(comm, problem, state, measurement, wishes, sink, outcome, aids).run();
}

void sum_head_keys(const Communicator& comm, Problem& problem, Index number,
                   const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
                   SolveOutcome& outcome, const SolveAids& aids) {
  SolveState state;
  state.head = number;
  SolveOutcome apart;  // its figures and content are not this solve's
  apart.heads = outcome.heads;
  apart.seconds = outcome.seconds;
  HeadSolve(comm, problem, state, measurement, wishes, sink, apart, aids).sum_keys_again();
  outcome.seconds = apart.seconds;
}

}  // namespace kronattn
