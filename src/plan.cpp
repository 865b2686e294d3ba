#include "plan.hpp"

#include <cmath>

#include "exp_polynomial.hpp"
#include "monomials.hpp"
#include "text.hpp"

namespace kronattn {

namespace {

constexpr Index largest_degree = 200;
constexpr double largest_rank = 2147483646;  // monomials are numbered with 31 bits

/// An exp and the bookkeeping of its tuple, in flops of the polynomial method's products: fixed, since the
/// choice of method decides bits. Measured on an AVX2 machine: 4.4 ns a tuple at d = d_v = 8, where the
/// products run at 10 Gflop/s.
constexpr double flops_of_exp = 12;

/// Rounding breaks every promise long before: e^S leaves the range of double.
constexpr double largest_polynomial_score = 700;

/// What `auto` lets the key sums take on a rank. Fixed, because the choice of method decides bits.
constexpr double largest_automatic_memory = 16e9;

constexpr double nominal_flops_per_second = 1e10;  // of one thread, either method

double total_degree_rank(const ProblemShape& shape, Index degree) {
  return binomial(static_cast<double>(shape.width + degree), static_cast<double>(degree));
}

std::vector<double> monomials_per_degree(const ProblemShape& shape, Index degree) {
  std::vector<double> counts;
  for (Index m = 0; m <= degree; ++m)
    counts.push_back(binomial(static_cast<double>(shape.width + m - 1), static_cast<double>(m)));
  return counts;
}

double polynomial_memory(const ProblemShape& shape, double rank) {
  const auto columns = static_cast<double>(shape.value_width + 1);
  return rank * (columns * (16 * static_cast<double>(shape.modes()) + 8) + 24);
}

/// Everything the search for a degree needs, and what it found.
class DegreeSearch {
 public:
  DegreeSearch(const HeadMeasurement& head, const ProblemShape& shape, double promise, const Wishes& wishes)
      : head_(head), shape_(shape), coordinates_(head, shape), promise_(promise), wishes_(wishes) {}

  RowBound bound(Index degree) const {
    const ExpPolynomial polynomial = chebyshev_polynomial(degree, head_.queries.score_bound);
    const PolynomialCertificate certificate(shape_, coordinates_, polynomial,
                                            monomials_per_degree(shape_, degree), wishes_.output_precision);
    return certificate.worst_case(head_.queries.box_bound, head_.queries.smallest_mean);
  }

  RowBound exact_bound() const {
    return ExactCertificate(shape_, coordinates_, wishes_.output_precision)
        .worst_case(head_.queries.box_bound);
  }

  bool keeps_promise(const RowBound& bound) const {
    return bound.output <= *wishes_.epsilon * promise_ && bound.log_normalizer <= *wishes_.epsilon;
  }

  /// The smallest degree that keeps the promise, whatever its rank; -1 if rounding alone breaks it.
  Index smallest_degree() const {
    if (head_.queries.score_bound > largest_polynomial_score) return -1;
    for (Index degree = 0; degree <= largest_degree; ++degree)
      if (keeps_promise(bound(degree))) return degree;
    return -1;
  }

 private:
  const HeadMeasurement& head_;
  const ProblemShape& shape_;
  Coordinates coordinates_;
  double promise_;
  const Wishes& wishes_;
};

Plan polynomial_plan(Plan plan, const ProblemShape& shape, Index degree, const RowBound& bound) {
  plan.method = Method::polynomial;
  plan.degree = degree;
  plan.rank = total_degree_rank(shape, degree);
  plan.worst_case = bound;
  plan.flops = aggregate_flops(shape, plan.rank) + evaluate_flops(shape, plan.rank);
  plan.memory_bytes = polynomial_memory(shape, plan.rank);
  return plan;
}

}  // namespace

double aggregate_flops(const ProblemShape& shape, double rank) {
  double rows = 0;
  for (Index keys : shape.keys) rows += static_cast<double>(keys);
  return 2 * rows * rank * static_cast<double>(shape.value_width + 1);
}

double evaluate_flops(const ProblemShape& shape, double rank) {
  return 2 * static_cast<double>(shape.queries) * rank * static_cast<double>(shape.value_width + 1);
}

double exact_flops(const ProblemShape& shape, double rows) {
  const auto d = static_cast<double>(shape.width), columns = static_cast<double>(shape.value_width + 1);
  return rows * shape.tuples() * (2 * d + 2 * columns + flops_of_exp);
}

double predicted_seconds(double flops, double threads) {
  return flops / (nominal_flops_per_second * threads);
}

Plan make_plan(const HeadMeasurement& head, const ProblemShape& shape, double promise, const Wishes& wishes) {
  if (!(head.queries.box_bound <= 1e290))
    throw NoPlan("scores reach " + short_number(head.queries.box_bound) + ", beyond what double can hold");

  Plan plan;
  plan.score_bound = head.queries.score_bound;
  const Index paper_degree_needed =
      paper_degree(paper_score_bound(head, shape), wishes.epsilon.value_or(1e-6));
  const auto k = static_cast<double>(shape.order());
  plan.paper_rank = paper_degree_needed < 0
                        ? HUGE_VAL
                        : binomial(k * static_cast<double>(paper_degree_needed + shape.width),
                                   k * static_cast<double>(paper_degree_needed));

  const DegreeSearch search(head, shape, promise, wishes);
  if (wishes.degree) {
    const double rank = *wishes.degree > largest_degree ? HUGE_VAL : total_degree_rank(shape, *wishes.degree);
    if (rank > largest_rank)
      throw NoPlan("degree " + std::to_string(*wishes.degree) + " has rank " + short_number(rank) +
                   "; need a rank below " + short_number(largest_rank) + " and a degree of at most " +
                   std::to_string(largest_degree));
    plan.reason = "degree " + std::to_string(*wishes.degree) + " was asked for";
    return polynomial_plan(std::move(plan), shape, *wishes.degree, search.bound(*wishes.degree));
  }

  const double epsilon = *wishes.epsilon;
  const RowBound exact_bound = search.exact_bound();
  const bool exact_keeps = search.keeps_promise(exact_bound);
  const double exact_work = exact_flops(shape, static_cast<double>(shape.queries));
  const auto exact_plan = [&](std::string reason) {
    if (!exact_keeps)
      throw NoPlan("epsilon " + short_number(epsilon) + " can't be promised: rounding alone may cost " +
                   short_number(promise > 0 ? exact_bound.output / promise : exact_bound.output) +
                   " of an output and " + short_number(exact_bound.log_normalizer) +
                   " of a log normalizer (scores up to " + short_number(head.queries.box_bound) +
                   ", output in " +
                   (wishes.output_precision == Precision::single_precision
                        ? "single precision); need a larger --epsilon or --output-precision double"
                        : "double precision); need a larger --epsilon"));
    plan.method = Method::exact;
    plan.reason = std::move(reason);
    plan.worst_case = exact_bound;
    plan.flops = exact_work;
    return plan;
  };
  if (wishes.method == Method::exact) return exact_plan("the exact method was asked for");

  const Index degree = search.smallest_degree();
  const double rank = degree < 0 ? HUGE_VAL : total_degree_rank(shape, degree);
  const double work = aggregate_flops(shape, rank) + evaluate_flops(shape, rank);
  const std::string at_degree = "degree " + std::to_string(degree) + " at rank " + short_number(rank);
  if (wishes.method == Method::polynomial) {
    if (degree < 0)
      throw NoPlan("epsilon " + short_number(epsilon) +
                   " can't be promised by the polynomial method: rounding in double " +
                   "precision breaks it at every degree up to " + std::to_string(largest_degree) +
                   " (scores up to " + short_number(plan.score_bound) +
                   "); need more precision, a larger --epsilon or " + "--method exact");
    if (rank > largest_rank)
      throw NoPlan("epsilon " + short_number(epsilon) + " needs " + at_degree + " and " +
                   short_number(polynomial_memory(shape, rank) / 1e9) +
                   " GB of memory per rank; need a rank below " + short_number(largest_rank) +
                   ", a larger --epsilon or --method exact");
    plan.reason = "the polynomial method was asked for; degree " + std::to_string(degree) +
                  " is the smallest that keeps the promise";
    return polynomial_plan(std::move(plan), shape, degree, search.bound(degree));
  }
  if (degree < 0) return exact_plan("rounding in double precision breaks the promise of every polynomial");
  if (polynomial_memory(shape, rank) > largest_automatic_memory && exact_keeps)
    return exact_plan(at_degree + " would take " + short_number(polynomial_memory(shape, rank) / 1e9) +
                      " GB a rank");
  if (rank > largest_rank || work >= exact_work)
    return exact_plan("exact takes " + short_number(exact_work) + " flops, " + at_degree + " would take " +
                      short_number(work));
  plan.reason =
      at_degree + " takes " + short_number(work) + " flops, exact would take " + short_number(exact_work);
  return polynomial_plan(std::move(plan), shape, degree, search.bound(degree));
}

}  // namespace kronattn
