#include "head_solve.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include "aggregate_keys.hpp"
#include "degree_needs.hpp"
#include "exact_round.hpp"
#include "shared_sums.hpp"
#include "tiles.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// The sums of the keys of one head: what a checkpoint holds.
struct HeadSums {
  HeadSums(const ProblemShape& shape, const MonomialChoice& choice)
      : monomials(planned_monomials(shape.width, choice)) {
    modes.reserve(shape.keys.size());
    for (Index rows : shape.keys)
      modes.emplace_back(monomials.count(), rows, shape.sum_columns(), choice.single_from);
  }

  Monomials monomials;
  std::vector<KeyAggregate> modes;
  std::vector<Range> reduced;  // sums of a mode, (r, columns), that were shared out together
};

/// Round after round: those of the polynomial method, and what comes after which.
class HeadSolve {
 public:
  /// Collective.
  HeadSolve(const Communicator& comm, Problem& problem, SolveState& state,
            const ProblemMeasurement& measurement, const Wishes& wishes, const RowSink& sink,
            SolveOutcome& outcome, const SolveAids& aids)
      : run_(comm, problem, state, measurement, wishes, sink, outcome, aids),
        planned_(run_.planned.plan.monomials) {}

  /// Collective.
  void run() {
    const bool is_new = run_.round.keys.empty();
    if (is_new && run_.planned.plan.by_subsets) {
      std::optional<MissingRows> missing = sum_by_subsets(run_);
      if (missing && missing->count() == 0) return;
      if (missing) run_.round.rows = std::move(*missing);
    }
    if (is_new) {
      run_.round.keys.resize(run_.file_shape.keys.size());
      run_.round.exact = run_.planned.plan.method == Method::exact;
    } else {
      raise_plan(run_.planned, run_.round.raises, run_.shape);
      if (!run_.comm.root()) run_.round.missing = {};
    }
    if (!is_new) source_ = Source::checkpoint;
    if (is_new && run_.planned.plan.sums_are_given) take_given_sums();
    while (true) {
      run_.round.exact ? sum_exactly(run_) : evaluate_polynomials();
      source_ = Source::keys;
      if (run_.planned.plan.method == Method::exact || run_.planned.plan.degree_is_fixed) return;
      MissingRows missing = run_.gather_missing(run_.round.missing);
      if (missing.count() == 0) return;
      begin_round(std::move(missing));
    }
  }

  /// Collective: the sums of the keys, handed to whoever keeps them, and nothing else.
  void sum_keys_again() {
    run_.saves = false;  // the resumed run's checkpoint has more
    run_.round.keys.resize(run_.file_shape.keys.size());
    sum_keys();
  }

 private:
  /// Where a round's key sums come from. Those that were made before are on rank 0 alone.
  enum class Source { keys, checkpoint, file };

  /// All keys are in sums that another run has made.
  void take_given_sums() {
    source_ = Source::file;
    for (std::size_t m = 0; m < run_.round.keys.size(); ++m)
      run_.round.keys[m] = RowSet({0, run_.file_shape.keys[m]});
    if (run_.comm.root())
      run_.outcome.content.merge(run_.measurement.key_contents[static_cast<std::size_t>(run_.number)]);
  }

  /// Needs: the rows that missed the promise in the round that ends. Leaves: the next round, of those alone.
  void begin_round(MissingRows missing) {
    Method remedy = Method::exact;
    try {
      remedy = remedy_for(missing.count(), run_.planned.plan, planned_.degree, run_.shape, run_.wishes);
    } catch (const NoPlan& reason) {
      throw AgreedFailure(run_.problem.name() + ": " + reason.what());
    }
    run_.round.exact = remedy == Method::exact;
    if (run_.round.exact) {
      sums_.reset();
    } else {
      run_.memory.need(run_.comm,
                       run_.problem.name() + ": larger key sums for " + std::to_string(missing.count()) +
                           " rows that miss the promise",
                       raising_bytes());
      ++run_.round.raises;
      run_.planned.plan.monomials = larger(run_.planned.plan.monomials);
    }
    (run_.round.exact ? run_.outcome.rows_exact : run_.outcome.rows_raised) += missing.count();
    run_.round.rows = std::move(missing);
    run_.round.keys.assign(run_.file_shape.keys.size(), RowSet());
    run_.round.done = RowSet();
    run_.round.missing = {};
  }

  /// Whether this round's sums are only of the monomials of the highest degree, and the others' are there.
  bool adds_a_degree() const {
    return run_.round.raises > 0 &&
           !raises_anew(run_.round.raises == 1 ? planned_ : run_.planned.plan.monomials);
  }

  /// The first monomial that this round sums up.
  Index first_new_monomial() const {
    return adds_a_degree() ? sums_->monomials.of_degree(run_.planned.plan.degree()).begin : 0;
  }

  /// The first monomial of which every rank has a share of its own.
  Index first_own_monomial() const { return source_ == Source::keys ? first_new_monomial() : 0; }

  /// Collective: what is done now, over all ranks, goes into a checkpoint.
  void save() { run_.save({}, shared(sum_words())); }

  KeySumWords sum_words() {
    KeySumWords words;
    for (KeyAggregate& mode : sums_->modes) words.push_back(mode.words(0));
    return words;
  }

  /// Collective: a round of the polynomial method: keys -> sums -> rows. Leaves this rank's rows that miss
  /// the promise.
  void evaluate_polynomials() {
    sum_keys();
    evaluate_rows();
    if (run_.round.rows) run_.deliver_late_rows();
  }

  /// Collective. Leaves: the sums of this round over all ranks, on each rank its share.
  void sum_keys() {
    run_.comm.together([&] { make_room_for_sums(); });
    run_.clear_new();
    aggregate();
    for (std::size_t m = 0; m < run_.round.keys.size(); ++m) {
      run_.round.keys[m] = RowSet({0, run_.file_shape.keys[m]});
      run_.new_keys[m] = RowSet();
    }
    run_.planned.estimate.rank = static_cast<double>(sums_->monomials.count());
    if (run_.aids.keep_sums && run_.round.is_first()) run_.aids.keep_sums(run_.number, sum_words());
  }

  void make_room_for_sums() {
    if (source_ != Source::keys || !sums_ || !adds_a_degree()) {
      sums_.reset();
      sums_.emplace(run_.shape, run_.planned.plan.monomials);
      if (source_ == Source::checkpoint) run_.checkpoints->read_sums(sum_words());
      if (source_ == Source::file) run_.aids.given_sums(run_.number, sum_words());
      return;
    }
    sums_->monomials.add_degree([](Index, Index) { return true; });
    for (KeyAggregate& mode : sums_->modes) mode.grow(sums_->monomials.count());
  }

  /// A piece of the sums of one mode, and how many parts of the monomials make it complete.
  struct Piece {
    std::size_t mode;
    Index parts;
    std::span<std::int64_t> words;
  };

  /// What ranks add up, in the order in which it gets complete.
  std::vector<Piece> pieces() {
    const Index first = first_own_monomial(), columns = run_.shape.sum_columns();
    const std::vector<Subtree> parts = sums_->modes.front().parts(sums_->monomials);
    std::vector<Piece> all;
    for (std::size_t m = 0; m < sums_->modes.size(); ++m) {
      const std::span<std::int64_t> words = sums_->modes[m].words(first);
      for (Range items : run_.comm.pieces(static_cast<Index>(words.size()) / 2)) {
        const Range monomials{first + items.begin / columns, first + (items.end + columns - 1) / columns};
        all.push_back({m, parts_until(parts, monomials),
                       words.subspan(static_cast<std::size_t>(2 * items.begin),
                                     static_cast<std::size_t>(2 * items.size()))});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const Piece& a, const Piece& b) {
      return std::pair(a.mode, a.parts) < std::pair(b.mode, b.parts);
    });
    return all;
  }

  /// Collective. Needs: measurement and plan. Leaves: of the sums of this round over all ranks, on each rank
  /// its share. A reduction of 2 r (d_v + 1) integers a mode, which begins with those of the parts of the
  /// monomials, and of the modes, that the last keys have been added to.
  void aggregate() {
    std::vector<Piece> all;
    std::vector<std::span<std::int64_t>> words;
    run_.comm.together([&] {
      all = pieces();
      for (const Piece& piece : all) words.push_back(piece.words);
    });
    SharedSums sums(run_.comm, std::move(words), 2);
    add_keys([&](std::size_t mode, Index parts) {
      sums.complete(std::partition_point(all.begin(), all.end(),
                                         [&](const Piece& piece) {
                                           return std::pair(piece.mode, piece.parts) <=
                                                  std::pair(mode, parts);
                                         }) -
                    all.begin());
    });
    run_.progress.begin("reduce", 0);
    const Timed timed(run_.outcome.seconds.reduce);
    sums.finish();
    const Index columns = run_.shape.sum_columns(), first = first_own_monomial();
    if (first == 0) sums_->reduced.clear();
    sums_->reduced.push_back({first * columns, sums_->monomials.count() * columns});
  }

  /// Collective: each rank adds its share of the keys to its sums. Says `done(mode, parts)` all along: all of
  /// this rank's keys are in the sums of all earlier modes, and in those of so many parts of this one.
  void add_keys(const std::function<void(std::size_t, Index)>& done) {
    const Index first = first_new_monomial();
    const Index from_degree = adds_a_degree() ? run_.planned.plan.degree() : 0;
    const Index columns = run_.file_shape.width + run_.file_shape.value_width;
    const Index rows_a_step = step_rows(
        key_tile_rows, 8.0 * static_cast<double>(columns),
        2.0 * static_cast<double>((sums_->monomials.count() - first) * run_.file_shape.sum_columns()),
        run_.blocks.read_bytes);
    struct Step {
      std::size_t mode;
      Range rows;
      bool last;  // of its mode
    };
    std::vector<Step> steps;
    Index mine = 0;
    for (std::size_t m = 0; m < run_.round.keys.size(); ++m) {
      const RowSet share = run_.round.keys[m]
                               .rest(run_.file_shape.keys[m])
                               .share(key_tile_rows, run_.comm.size(), run_.comm.rank());
      mine += share.count();
      // Of about the same length: behind the last one the first sums travel.
      const Index rows_each = even_block_rows(share.count(), key_tile_rows, rows_a_step);
      for (Range rows : share.blocks(rows_each)) steps.push_back({m, rows, false});
      if (share.count() > 0) steps.back().last = true;
    }
    run_.progress.begin("aggregate", mine);
    run_.control.steps(
        run_.comm, static_cast<Index>(steps.size()),
        [&](Index i) {
          const Step& step = steps[static_cast<std::size_t>(i)];
          aggregate_step(step.mode, step.rows, from_degree,
                         [&](Index parts) { done(step.mode, step.last ? parts : 0); });
          run_.new_keys[step.mode].add(step.rows);
        },
        [&](bool) { save(); });
  }

  void aggregate_step(std::size_t mode, Range rows, Index from_degree, const PartsDone& done) {
    const auto m = static_cast<Index>(mode);
    Matrix keys, values;
    {
      const Timed timed(run_.outcome.seconds.read);
      keys = run_.problem.read({Part::keys, m}, run_.number, rows);
      values = run_.problem.read({Part::values, m}, run_.number, rows);
      if (!run_.round.rows) {  // else they have been counted already
        run_.outcome.content.add({Part::keys, m}, run_.number, rows, keys);
        run_.outcome.content.add({Part::values, m}, run_.number, rows, values);
      }
    }
    const Timed timed(run_.outcome.seconds.aggregate);
    sums_->modes[mode].absorb(sums_->monomials, from_degree, keys, values, run_.head.change, run_.coordinates,
                              m, done);
    run_.progress.advance(rows.size());
  }

  /// Collective. Needs: each rank's share of the sums. Leaves: what queries are multiplied with, on all
  /// ranks, each having multiplied its share.
  Matrix combined_sums() {
    const HeadSums& sums = *sums_;
    Matrix combined;
    run_.comm.together([&] {
      const Timed timed(run_.outcome.seconds.evaluate);
      combined.resize(sums.monomials.count(), run_.shape.sum_columns());
      const Vector weights =
          multinomial_weights(sums.monomials, run_.coordinates.weights / score_unit(run_.head));
      for (Range all : sums.reduced)
        for (Range share : run_.comm.shares(all.size()))
          combine_modes(sums.modes, weights, {all.begin + share.begin, all.begin + share.end}, combined);
    });
    const Timed timed(run_.outcome.seconds.reduce);
    for (Range all : sums.reduced) run_.comm.gather_shares(combined.data() + all.begin, all.size());
    return combined;
  }

  /// What the larger choice takes more: a degree, all of the monomials where they come anew, or where light
  /// ones are dropped, four times as many.
  double raising_bytes() const {
    const MonomialChoice& choice = run_.planned.plan.monomials;
    const double next = total_degree_rank(run_.shape, larger(choice).degree);
    const double rank = choice.threshold > 0  ? 3 * run_.planned.estimate.rank
                        : raises_anew(choice) ? next
                                              : next - run_.planned.estimate.rank;
    PlannedHead more = run_.planned;
    more.estimate.memory_bytes *= rank / std::max(run_.planned.estimate.rank, 1.0);
    more.estimate.rank = rank;
    const double copied = key_sum_bytes(run_.shape, run_.planned.estimate.rank);
    return head_bytes(run_.shape, more, run_.comm.size()) + copied + least_bytes_in_flight(run_.file_shape);
  }

  QueryEvaluation evaluation(const Matrix& combined) {
    const HeadSums& sums = *sums_;
    const Timed timed(run_.outcome.seconds.evaluate);
    const MonomialChoice& choice = run_.planned.plan.monomials;
    return QueryEvaluation(
        run_.head, run_.shape, run_.coordinates, sums.monomials, combined,
        choice.threshold > 0 ? DroppedMonomials(sums.monomials, run_.head, run_.shape,
                                                run_.coordinates.queries.exponents, choice.single_from)
                             : DroppedMonomials(),
        run_.wishes.output_precision, run_.promise, run_.planned.plan.degree_is_fixed, choice.single_from);
  }

  /// Collective. Needs: the sums over all ranks, in shares. Leaves: this rank's rows in the sink or on their
  /// way there, but for those that miss the promise.
  void evaluate_rows() {
    std::unique_ptr<QueryEvaluation> queries;
    {
      const Matrix combined = combined_sums();
      run_.comm.together([&] { queries.reset(new QueryEvaluation(evaluation(combined))); });
    }
    const RowSet share =
        run_.round.done.rest(run_.rows()).share(query_tile_rows, run_.comm.size(), run_.comm.rank());
    const std::vector<Range> blocks = share.blocks(
        step_rows(query_tile_rows, 8.0 * static_cast<double>(run_.file_shape.width + run_.shape.value_width),
                  2.0 * static_cast<double>(sums_->monomials.count() * run_.shape.sum_columns()),
                  run_.blocks.read_bytes));
    run_.progress.begin("evaluate", share.count());
    run_.control.steps(
        run_.comm, static_cast<Index>(blocks.size()),
        [&](Index i) {
          evaluate_step(*queries, blocks[static_cast<std::size_t>(i)]);
          run_.new_done.add(blocks[static_cast<std::size_t>(i)]);
        },
        [&](bool) { save(); });
  }

  /// Rows by place in the round.
  void evaluate_step(QueryEvaluation& queries, Range rows) {
    const Matrix query_rows = run_.queries(rows, run_.outcome.content);
    RowOutputs outputs;
    {
      const Timed timed(run_.outcome.seconds.evaluate);
      const std::int64_t before = queries.monomials_evaluated();
      outputs = queries.evaluate(query_rows);
      run_.outcome.monomials_evaluated += queries.monomials_evaluated() - before;
    }
    run_.deliver_kept(rows, query_rows, outputs, run_.round.missing);
    run_.progress.advance(rows.size());
  }

  HeadRun run_;
  MonomialChoice planned_;  // before any raise
  std::optional<HeadSums> sums_;
  Source source_ = Source::keys;  // of this round
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
