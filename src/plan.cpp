#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "degree_needs.hpp"
#include "dropped_monomials.hpp"
#include "exp_polynomial.hpp"
#include "monomials.hpp"
#include "row_choice.hpp"
#include "subset_attention.hpp"
#include "text.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// What `auto` lets the key sums take on a rank. Fixed, because the choice of method decides bits.
constexpr double largest_automatic_memory = 16e9;

double polynomial_memory(const ProblemShape& shape, double rank) {
  const auto columns = static_cast<double>(shape.sum_columns());
  return static_cast<double>(shape.modes()) * key_sum_bytes(shape, rank) + rank * (8 * columns + 24);
}

/// Monomials of degree 0 to g, cumulated: what a row of degree g is evaluated with.
using RankOfDegree = std::vector<double>;

RankOfDegree total_degree_ranks(const ProblemShape& shape, Index degree) {
  RankOfDegree ranks;
  for (Index g = 0; g <= degree; ++g) ranks.push_back(total_degree_rank(shape, g));
  return ranks;
}

/// A polynomial head with these monomials: what it costs, rows above their degree summed exactly.
PlannedHead polynomial_head(PlannedHead head, const ProblemShape& shape, const ProblemShape& file_shape,
                            MonomialChoice choice, const RankOfDegree& ranks, const DegreeNeeds& needs) {
  Estimate& estimate = head.estimate;
  const auto counted = [&](Index degree) {
    const double all = ranks[static_cast<std::size_t>(degree)];
    if (choice.single_from > degree) return all;
    const double in_double =
        choice.single_from > 0 ? ranks[static_cast<std::size_t>(choice.single_from) - 1] : 0;
    return counted_monomials(in_double, all - in_double);
  };
  estimate.rank = ranks.back();
  estimate.rows_exact = needs.above(choice.degree);
  double monomials = estimate.rank * needs.beyond, work = counted(choice.degree) * needs.beyond;
  double squares = static_cast<double>(choice.degree * choice.degree) * needs.beyond;  // of the rows' degrees
  for (Index g = 0; g <= needs.highest(); ++g) {
    const Index own = std::min(g, choice.degree);
    monomials += needs.rows[static_cast<std::size_t>(g)] * ranks[static_cast<std::size_t>(own)];
    work += needs.rows[static_cast<std::size_t>(g)] * counted(own);
    squares += needs.rows[static_cast<std::size_t>(g)] * static_cast<double>(own * own);
  }
  estimate.mean_row_rank = monomials / static_cast<double>(shape.queries);
  // Where monomials are dropped, what they may come to is one column more of the evaluation.
  const Index columns = shape.sum_columns() + (choice.threshold > 0 ? 1 : 0);
  estimate.exact_flops = exact_work(file_shape, estimate.rows_exact, head.plan.exact_arithmetic);
  estimate.own_flops = own_work(shape, estimate.rank, choice.degree,
                                squares / std::max(1.0, static_cast<double>(shape.queries)));
  const double of_sums = head.plan.sums_are_given ? 0 : aggregate_work(shape, counted(choice.degree));
  estimate.flops = of_sums + evaluate_work(work, static_cast<double>(columns)) + estimate.own_flops +
                   late_work(estimate.rows_exact) + estimate.exact_flops;
  estimate.memory_bytes = polynomial_memory(shape, estimate.rank);
  head.plan.method = Method::polynomial;
  head.plan.monomials = std::move(choice);
  return head;
}

}  // namespace

ProblemShape Wishes::summed(ProblemShape shape) const {
  shape.second_moments = second_moments;
  return shape;
}

Promise Wishes::row_promise(double promise) const {
  return epsilon ? Promise{*epsilon * promise, *epsilon} : Promise{};
}

double predicted_seconds(const Estimate& estimate, const ProblemShape& shape, const Rates& rates,
                         double threads) {
  double rows = static_cast<double>(shape.queries);
  for (Index keys : shape.keys) rows += static_cast<double>(keys);
  const double polynomial = estimate.flops - estimate.exact_flops;
  return (polynomial / rates.polynomial + estimate.exact_flops / rates.exact +
          (polynomial > 0 ? rows * rates.row_seconds : 0)) /
         threads;
}

namespace {

/// Coordinates whose weights differ less than this are alike: nearly all monomials are needed.
constexpr double uneven_weights = 3;

/// The search for light monomials: thresholds from 1e-2 down in steps of 4, on so many rows of the sample.
constexpr int most_threshold_steps = 30;
constexpr double largest_chosen_rank = 3e6;
constexpr Index most_sampled_rows = 64;

/// Everything that is weighed for one head.
class Planning {
 public:
  Planning(const MeasuredHead& head, const ProblemShape& shape, double promise, const Wishes& wishes)
      : head_(head),
        file_shape_(shape),
        shape_(head.changed_shape(shape)),
        coordinates_(head.changed, shape_),
        promise_(promise),
        wishes_(wishes),
        two_valued_(two_valued_columns(head, shape.scale)),
        exact_bound_(exact_bound({})) {
    choose_exact_arithmetic();
    planned_.estimate.score_bound = head.changed.queries.score_bound;
    const Index g = paper_degree(paper_score_bound(head.file, shape), wishes.epsilon.value_or(1e-6));
    const auto k = static_cast<double>(shape.order());
    planned_.estimate.paper_rank =
        g < 0 ? HUGE_VAL : binomial(k * static_cast<double>(g + shape.width), k * static_cast<double>(g));
  }

  PlannedHead fixed_degree() {
    const Index degree = *wishes_.degree;
    const double rank = degree > largest_degree ? HUGE_VAL : total_degree_rank(shape_, degree);
    if (rank > largest_rank)
      throw NoPlan("degree " + std::to_string(degree) + " has rank " + short_number(rank) +
                   "; need a rank below " + short_number(largest_rank) + " and a degree of at most " +
                   std::to_string(largest_degree));
    planned_.plan.degree_is_fixed = true;
    const Index single_from = wishes_.arithmetic == Precision::single_precision ? 0 : all_in_double;
    PlannedHead head = of_total_degree(degree, all_rows_of(degree), single_from);
    head.estimate.reason = at_degree(head.plan) + " was asked for";
    return head;
  }

  PlannedHead exact(std::string reason) {
    if (!exact_keeps())
      throw NoPlan(
          "epsilon " + short_number(*wishes_.epsilon) + " can't be promised: rounding alone may cost " +
          short_number(promise_ > 0 ? exact_bound_.output / promise_ : exact_bound_.output) +
          " of an output and " + short_number(exact_bound_.log_normalizer) +
          " of a log normalizer (scores up to " + short_number(head_.file.queries.box_bound) +
          ", output in " + std::string(name(wishes_.output_precision)) + " precision, arithmetic in " +
          name(planned_.plan.exact_arithmetic.scores) + "); need a larger --epsilon" +
          (wishes_.output_precision == Precision::single_precision ? " or --output-precision double"
           : planned_.plan.exact_arithmetic.scores == Precision::single_precision ? " or --precision double"
                                                                                  : ""));
    planned_.plan.method = Method::exact;
    planned_.plan.by_subsets = by_subsets();
    planned_.estimate.reason = std::move(reason);
    if (by_subsets())
      planned_.estimate.reason +=
          "; all columns take two values, so 2^" + std::to_string(two_valued_->count()) +
          " sums over sets of them stand for " + short_number(file_shape_.tuples()) + " key tuples";
    planned_.estimate.flops = planned_.estimate.exact_flops = without_polynomials();
    if (by_subsets()) planned_.estimate.memory_bytes = subset_memory(file_shape_, *two_valued_);
    return planned_;
  }

  /// By sums that are there, unless so many rows are foreseen to miss the promise that `auto` has a cheaper
  /// way.
  PlannedHead with_given_sums(const MonomialChoice& choice) {
    if (wishes_.degree && (choice.threshold > 0 || choice.degree != *wishes_.degree))
      throw NoPlan(wishes_.sums->name + " has sums of degree " + std::to_string(choice.degree) +
                   (choice.threshold > 0 ? " without light monomials" : "") + "; degree " +
                   std::to_string(*wishes_.degree) + " was asked for");
    if (choice.has_single() && wishes_.arithmetic == Precision::double_precision)
      throw NoPlan(wishes_.sums->name + " has sums in single precision; double was asked for");
    PlannedHead begun = planned_;
    begun.plan.degree_is_fixed = wishes_.degree.has_value();
    begun.plan.sums_are_given = true;
    const DegreeNeeds needs =
        wishes_.degree ? all_rows_of(choice.degree)
                       : foresee_degrees((choice.threshold > 0 ? budget().half() : budget()).with_reserve(),
                                         choice.single_from);
    PlannedHead head = polynomial_head(begun, shape_, file_shape_, choice, ranks_of(choice), needs);
    head.estimate.reason = "the sums of degree " + std::to_string(choice.degree) + " at rank " +
                           short_number(head.estimate.rank) + " are there, in " + wishes_.sums->name;
    if (wishes_.method != Method::automatic || wishes_.degree || head.estimate.rows_exact == 0) return head;
    PlannedHead other = cheapest();
    if (other.estimate.flops >= head.estimate.flops) return head;
    other.estimate.reason += "; with " + wishes_.sums->name + " " + short_number(head.estimate.rows_exact) +
                             " rows would miss the promise";
    return other;
  }

  PlannedHead polynomial() {
    const DegreeNeeds needs = foresee_degrees(budget().with_reserve());
    if (needs.beyond > 0)
      throw NoPlan(
          "epsilon " + short_number(*wishes_.epsilon) +
          " can't be promised by the polynomial method: rounding in double precision breaks it at every "
          "degree up to " +
          std::to_string(largest_degree) + " (scores up to " + short_number(planned_.estimate.score_bound) +
          without_rounding() + "); need more precision, a larger --epsilon or --method exact");
    const Index degree = needs.highest();
    const double rank = total_degree_rank(shape_, degree);
    if (std::optional<PlannedHead> lighter =
            with_dropped_monomials(of_total_degree(degree, needs).estimate.flops)) {
      PlannedHead head = with_single(*std::move(lighter), budget().with_reserve());
      head.estimate.reason =
          "the polynomial method was asked for; " + at_degree(head.plan) + " without " +
          short_number(total_degree_rank(shape_, head.plan.degree()) - head.estimate.rank) +
          " light monomials is foreseen to keep the promise";
      return head;
    }
    if (rank > largest_rank)
      throw NoPlan("epsilon " + short_number(*wishes_.epsilon) + " needs " + at(degree) + " and " +
                   short_number(polynomial_memory(shape_, rank) / 1e9) +
                   " GB of memory per rank; need a rank below " + short_number(largest_rank) +
                   ", a larger --epsilon or --method exact");
    PlannedHead head = with_single(of_total_degree(degree, needs), budget().with_reserve());
    head.estimate.reason = "the polynomial method was asked for; " + at_degree(head.plan) +
                           " is the smallest that is foreseen to keep the promise";
    return head;
  }

  /// The cheapest way, rows above a degree summed exactly where that is cheaper than the next degree for all
  /// keys.
  PlannedHead cheapest() {
    const DegreeNeeds needs = foresee_degrees(budget());
    std::optional<PlannedHead> best;
    for (Index degree = 0; degree <= needs.highest(); ++degree) {
      if (needs.above(degree) > 0 && !exact_keeps()) continue;
      if (2 * needs.above(degree) > static_cast<double>(shape_.queries))
        continue;  // that is the exact method
      const double rank = total_degree_rank(shape_, degree);
      if (rank > largest_rank || polynomial_memory(shape_, rank) > largest_automatic_memory) break;
      PlannedHead head = of_total_degree(degree, needs);
      if (!best || head.estimate.flops < best->estimate.flops) best = std::move(head);
    }
    if (std::optional<PlannedHead> lighter = with_dropped_monomials(best ? best->estimate.flops : HUGE_VAL))
      best = std::move(lighter);
    if (best) {
      best = with_single(*std::move(best), budget());
      const std::string polynomial = at_degree(best->plan) + " at rank " + short_number(best->estimate.rank) +
                                     (best->plan.monomials.threshold > 0 ? ", light monomials dropped," : "");
      if (best->estimate.flops >= without_polynomials() && exact_keeps())
        return exact("exact takes " + short_number(without_polynomials()) + " flops, " + polynomial +
                     " would take " + short_number(best->estimate.flops));
      best->estimate.reason = polynomial + " takes " + short_number(best->estimate.flops) +
                              " flops, exact would take " + short_number(without_polynomials());
      return *best;
    }
    if (needs.beyond > 0) return exact("rounding in double precision breaks the promise of every polynomial");
    const double rank = total_degree_rank(shape_, needs.highest());
    return exact(at(needs.highest()) + " would take " + short_number(polynomial_memory(shape_, rank) / 1e9) +
                 " GB a rank");
  }

 private:
  DegreeNeeds all_rows_of(Index degree) const {
    DegreeNeeds all;
    all.rows.assign(static_cast<std::size_t>(degree) + 1, 0);
    all.rows.back() = static_cast<double>(shape_.queries);
    return all;
  }
  bool exact_keeps() const {
    return wishes_.row_promise(promise_).kept(exact_bound_.output, exact_bound_.log_normalizer);
  }
  RowBound exact_bound(ExactArithmetic arithmetic) const {
    return ExactCertificate(file_shape_, Coordinates(head_.file, file_shape_), wishes_.output_precision,
                            arithmetic)
        .worst_case(head_.file.queries.box_bound);
  }
  /// The quickest that keeps the promise, of those that are wished for. Who asks for the exact method and no
  /// precision wants all digits; where it is only the cheapest way, the promise is enough.
  void choose_exact_arithmetic() {
    constexpr auto single = Precision::single_precision, both = Precision::double_precision;
    if (wishes_.arithmetic ? *wishes_.arithmetic == both
                           : wishes_.method != Method::automatic || !wishes_.epsilon)
      return;
    for (const ExactArithmetic arithmetic :
         {ExactArithmetic{single, single}, ExactArithmetic{single, both}}) {
      const RowBound bound = exact_bound(arithmetic);
      const bool kept = wishes_.row_promise(promise_).kept(bound.output, bound.log_normalizer);
      if (!kept && !(wishes_.arithmetic && arithmetic.sums == both))
        continue;  // that one is said not to keep it
      planned_.plan.exact_arithmetic = arithmetic;
      exact_bound_ = bound;
      return;
    }
  }
  double tuple_work() const {
    return exact_work(file_shape_, static_cast<double>(shape_.queries), planned_.plan.exact_arithmetic);
  }
  bool by_subsets() const {
    return two_valued_ && subset_flops(file_shape_, *two_valued_) < tuple_work() &&
           subset_memory(file_shape_, *two_valued_) <= largest_automatic_memory;
  }
  double without_polynomials() const {
    return by_subsets() ? subset_flops(file_shape_, *two_valued_) : tuple_work();
  }
  static std::string at_degree(const Plan& plan) {
    const MonomialChoice& choice = plan.monomials;
    const std::string degree = "degree " + std::to_string(choice.degree);
    if (!choice.has_single()) return degree;
    if (choice.single_from == 0) return degree + " in single precision";
    return degree + ", in single precision from " + std::to_string(choice.single_from) + " on,";
  }
  std::string at(Index degree) const {
    return "degree " + std::to_string(degree) + " at rank " + short_number(total_degree_rank(shape_, degree));
  }
  /// What the promise would take if only rounding were not: E_g(S) <= (epsilon / 2) e^-S is enough for any
  /// scores.
  std::string without_rounding() const {
    const Index degree = paper_degree(planned_.estimate.score_bound, *wishes_.epsilon);
    return degree < 0 ? "" : "; without rounding " + at(degree) + " would do";
  }
  PlannedHead of_total_degree(Index degree, const DegreeNeeds& needs,
                              Index single_from = all_in_double) const {
    return polynomial_head(planned_, shape_, file_shape_, {degree, 0, {}, single_from},
                           total_degree_ranks(shape_, degree), needs);
  }

  RankOfDegree ranks_of(const MonomialChoice& choice) const {
    if (choice.threshold == 0) return total_degree_ranks(shape_, choice.degree);
    const Monomials monomials = planned_monomials(shape_.width, choice);
    RankOfDegree ranks;
    for (Index g = 0; g <= choice.degree; ++g)
      ranks.push_back(static_cast<double>(monomials.of_degree(std::min(g, monomials.degree())).end));
    return ranks;
  }

  /// The same with the monomials of the highest degrees, which have most of the work and the smallest terms,
  /// in float, from the degree on that makes it least work. Rows that take more than the plan's degree then
  /// are left to the exact method, where it may be. `budget`: where no monomials are dropped.
  PlannedHead with_single(PlannedHead head, GapBudget budget) const {
    constexpr Index degrees_in_single = 4;
    if (wishes_.arithmetic == Precision::double_precision) return head;
    MonomialChoice choice = head.plan.monomials;
    if (choice.threshold > 0) budget = this->budget().half().with_reserve();
    const RankOfDegree ranks = ranks_of(choice);
    const double highest =
        static_cast<double>(wishes_.method == Method::automatic && exact_keeps() ? shape_.queries / 2 : 0);
    for (Index m = choice.degree; m >= 0 && m > choice.degree - degrees_in_single; --m) {
      const DegreeNeeds needs = foresee_degrees(budget, m);
      if (needs.above(choice.degree) > std::max(highest, head.estimate.rows_exact)) break;
      choice.single_from = m;
      PlannedHead single = polynomial_head(planned_, shape_, file_shape_, choice, ranks, needs);
      if (single.estimate.flops < head.estimate.flops) head = std::move(single);
    }
    return head;
  }

  /// The cheapest way with light monomials dropped, if it is well below `flops`. Half of the budget is
  /// theirs.
  std::optional<PlannedHead> with_dropped_monomials(double flops) const {
    const Vector weights = axis_weights();
    std::optional<PlannedHead> best;
    if (!weights.allFinite() || head_.sample.queries.rows() == 0 ||
        weights.maxCoeff() < uneven_weights * weights.minCoeff())
      return best;
    const DegreeNeeds needs = foresee_degrees(budget().half().with_reserve());
    if (needs.beyond > 0 && !exact_keeps()) return best;
    for (Index degree = needs.highest(); degree <= needs.highest() + 1; ++degree) {
      double threshold = 1e-2;
      for (int step = 0; step < most_threshold_steps; ++step, threshold /= 4) {
        const MonomialChoice choice{degree, threshold, weights};
        try {
          const Monomials monomials = Monomials::chosen(shape_.width, choice, largest_chosen_rank);
          RankOfDegree ranks;
          for (Index g = 0; g <= degree; ++g)
            ranks.push_back(static_cast<double>(monomials.of_degree(g).end));
          PlannedHead head = polynomial_head(planned_, shape_, file_shape_, choice, ranks, needs);
          if (head.estimate.flops > 0.9 * flops) break;
          if (!sample_holds(monomials)) continue;
          flops = head.estimate.flops;
          best = std::move(head);
        } catch (const std::length_error&) {
        }
        break;
      }
    }
    return best;
  }

  /// b_l: what coordinate l adds to the scores, about.
  Vector axis_weights() const {
    Vector weights = head_.sample.queries.array().square().colwise().mean().sqrt();
    for (Index l = 0; l < weights.size(); ++l) {
      weights(l) *= std::abs(shape_.scale);
      for (const ModeMeasurement& mode : head_.changed.modes)
        weights(l) *= static_cast<double>(mode.power_mean(l, 4));
    }
    return weights;
  }

  /// Whether what is dropped stays within half of the budget on the rows of the sample.
  bool sample_holds(const Monomials& monomials) const {
    const DroppedMonomials dropped(monomials, head_, shape_, coordinates_.queries.exponents);
    const Index rows = std::min<Index>(head_.sample.queries.rows(), most_sampled_rows);
    Matrix queries(rows, shape_.width), points(shape_.width, rows);
    for (Index i = 0; i < rows; ++i)
      queries.row(i) = head_.sample.queries.row(i * head_.sample.queries.rows() / rows);
    coordinates_.queries.transpose_into(queries, points);
    const Matrix kept = dropped.kept(monomials, points);
    const ScoreShape::Spread spread = head_.scores.spread(queries);
    const std::vector<RowScores> scores = ScoreBounds(head_.changed.modes, shape_).rows(queries);
    Matrix lost(monomials.degree() + 1, rows);
    dropped.finish(points.data(), kept.data(), rows, monomials.degree(), lost.data());
    for (Index i = 0; i < rows; ++i) {
      const double mean = spread.mean(i), deviation = spread.deviation(i);
      const RowScores& row = scores[static_cast<std::size_t>(i)];
      const RowPolynomial polynomial =
          suited_polynomial(head_.scores, monomials.degree(), mean, mean - row.low, row.high - mean,
                            deviation, score_unit(head_));
      double sum = 0;
      for (Index m = 0; m < lost.rows(); ++m)
        sum += std::abs(polynomial.values[static_cast<std::size_t>(m)]) * lost(m, i);
      if (!(2 * sum * std::exp(-mean) <= budget().half().with_reserve().gap)) return false;
    }
    return true;
  }

  GapBudget budget() const {
    return GapBudget::of(coordinates_, wishes_.row_promise(promise_), wishes_.output_precision);
  }
  DegreeNeeds foresee_degrees(GapBudget budget, Index single_from = all_in_double) const {
    return foresee(head_, shape_, coordinates_, budget, wishes_.output_precision, single_from);
  }

  const MeasuredHead& head_;
  const ProblemShape& file_shape_;
  const ProblemShape shape_;
  const Coordinates coordinates_;
  double promise_;
  const Wishes& wishes_;
  const std::optional<TwoValuedColumns> two_valued_;
  RowBound exact_bound_;
  PlannedHead planned_;
};

/// What planning can begin with.
void need_scores_in_range(const MeasuredHead& head) {
  if (!(head.file.queries.box_bound <= 1e290))
    throw NoPlan("scores reach " + short_number(head.file.queries.box_bound) +
                 ", beyond what double can hold");
}

/// The degree is raised this often before it is clear that something else is wrong.
constexpr Index most_raises = 6;

}  // namespace

PlannedHead plan_with_sums(const MeasuredHead& head, const ProblemShape& shape, double promise,
                           const Wishes& wishes, const MonomialChoice& monomials) {
  need_scores_in_range(head);
  return Planning(head, shape, promise, wishes).with_given_sums(monomials);
}

PlannedHead make_plan(const MeasuredHead& head, const ProblemShape& shape, double promise,
                      const Wishes& wishes) {
  need_scores_in_range(head);
  Planning planning(head, shape, promise, wishes);
  if (wishes.degree) return planning.fixed_degree();
  switch (wishes.method) {
    case Method::exact:
      return planning.exact("the exact method was asked for");
    case Method::polynomial:
      return planning.polynomial();
    case Method::automatic:
      break;
  }
  return planning.cheapest();
}

Monomials planned_monomials(Index width, const MonomialChoice& choice) {
  try {
    return Monomials::chosen(width, choice, largest_rank);
  } catch (const std::length_error&) {
    throw NoPlan("degree " + std::to_string(choice.degree) + " has more than " + short_number(largest_rank) +
                 " monomials");
  }
}

MonomialChoice larger(const MonomialChoice& choice) {
  if (choice.has_single()) return {choice.degree, choice.threshold, choice.axis_weights};
  return {choice.degree + 1, choice.threshold / 16, choice.axis_weights};
}

bool raises_anew(const MonomialChoice& choice) {
  return choice.threshold > 0 || choice.has_single();
}

Method remedy_for(std::int64_t rows, const Plan& plan, Index planned_degree, const ProblemShape& shape,
                  const Wishes& wishes) {
  // Where monomials are dropped a degree more makes the sums anew, of as many monomials as there may be.
  const bool drops = plan.monomials.threshold > 0;
  const double next_rank =
      drops ? (plan.monomials.has_single() ? 1 : 4) *
                  static_cast<double>(planned_monomials(shape.width, plan.monomials).count())
            : total_degree_rank(shape, larger(plan.monomials).degree);
  const bool can_raise = plan.degree() < planned_degree + most_raises && next_rank <= largest_rank &&
                         (wishes.method == Method::polynomial ||
                          polynomial_memory(shape, next_rank) <= largest_automatic_memory);
  const auto count = static_cast<double>(rows);
  const double more_monomials =
      raises_anew(plan.monomials) ? next_rank : next_rank - total_degree_rank(shape, plan.degree());
  const double raise =
      aggregate_work(shape, more_monomials) +
      evaluate_work(count * next_rank, static_cast<double>(shape.sum_columns() + (drops ? 1 : 0)));
  if (wishes.method == Method::automatic &&
      (!can_raise || exact_work(shape, count, plan.exact_arithmetic) <= raise))
    return Method::exact;
  if (!can_raise)
    throw NoPlan(std::to_string(rows) + " rows miss the promise at degree " + std::to_string(plan.degree()) +
                 "; need a larger --epsilon or --method auto");
  return Method::polynomial;
}

}  // namespace kronattn
