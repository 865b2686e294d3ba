// Which method, at which degree, keeps the promise at the least work.
//
// Everything that decides bits is decided here, from what was measured and what was asked for: no clocks, no
// ranks, no threads. The degree is foreseen (row_choice.hpp) from the deviations of all rows' scores and the
// shape of a sample's; whether a row keeps the promise is known when it has been evaluated. Sources:
// mathematics.md B2-B4, G2, H3.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "certificate.hpp"
#include "evaluate_queries.hpp"
#include "measure.hpp"
#include "types.hpp"

namespace kronattn {

enum class Method { automatic, polynomial, exact };

/// Key sums that need not be made: of an earlier run with the same keys and values.
struct GivenSums {
  std::string name, identity;         // of the file; what two files of different content differ in
  std::vector<MonomialChoice> heads;  // of each head
};

/// What a solve was asked for.
struct Wishes {
  std::optional<double> epsilon;  // the promise, none if only a degree was asked for
  Method method = Method::automatic;
  std::optional<Index> degree;  // exactly this total degree
  Precision output_precision = Precision::double_precision;
  /// None: whichever is quicker and keeps the promise. Single lets the polynomial method have double for the
  /// monomials whose roundings in float would break the promise (mathematics.md, E8 in float32).
  std::optional<Precision> arithmetic;
  bool change_coordinates = true;
  bool second_moments = false;
  std::optional<GivenSums> sums;

  /// The problem with the sums that are wished for.
  ProblemShape summed(ProblemShape shape) const;

  /// `promise`: the product over the modes of max|V_m|, over all heads, which epsilon is relative to.
  Promise row_promise(double promise) const;
  /// What a change of coordinates may add to a score.
  double negligible_score() const { return 0.02 * epsilon.value_or(1e-12); }
};

/// What will be done for one head: all that decides bits.
struct Plan {
  Method method = Method::exact;          // polynomial or exact
  MonomialChoice monomials;               // of the key sums; rows take no higher degree
  bool degree_is_fixed = false;           // every row takes exactly it
  bool sums_are_given = false;            // and need not be made
  ExactArithmetic exact_arithmetic = {};  // of rows that are summed exactly
  bool by_subsets = false;  // exact: sums over sets of columns stand for tuples (subset_attention.hpp)

  Index degree() const { return monomials.degree; }
};

/// Why, and what it will cost: only printed.
struct Estimate {
  std::string reason;
  double rank = 0;           // r, C(d+g, g) where nothing is dropped, 0 for exact
  double mean_row_rank = 0;  // monomials evaluated per row
  double rows_exact = 0;     // of a polynomial head, foreseen to be summed exactly
  double paper_rank = 0;     // C(k(g+d), kg) at the papers' degree; may be infinite
  double score_bound = 0;    // S
  double flops = 0;          // all ranks together
  double exact_flops = 0;    // of these, by the exact method
  double own_flops = 0;      // of these, what every rank does for itself
  double memory_bytes = 0;   // per rank, beside the rows in flight
};

struct PlannedHead {
  Plan plan;
  Estimate estimate;
};

/// A promise that can't be kept, or a problem beyond double: what() says why and what it would need.
class NoPlan : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The monomials of a plan. Throws NoPlan where they are more than can be.
Monomials planned_monomials(Index width, const MonomialChoice& choice);

/// What rows that miss the promise are evaluated with next: the same monomials, all in double, where some
/// were not; then a degree more, and where lighter monomials are dropped, fewer of them.
MonomialChoice larger(const MonomialChoice& choice);

/// Whether the sums of the larger choice are made anew: those that are there are of other monomials, or
/// some of them in float.
bool raises_anew(const MonomialChoice& choice);

/// Chooses method and degree from the spreads of all rows' scores. `promise` as in Wishes. Throws NoPlan.
PlannedHead make_plan(const MeasuredHead& head, const ProblemShape& shape, double promise,
                      const Wishes& wishes);

/// The same where sums of these monomials are there already: no others are made for a start.
PlannedHead plan_with_sums(const MeasuredHead& head, const ProblemShape& shape, double promise,
                           const Wishes& wishes, const MonomialChoice& monomials);

/// What becomes of rows that missed the promise: they are summed exactly, or by the larger choice of
/// monomials; whichever takes fewer flops, of what the wishes allow. Throws NoPlan where neither can be done.
/// `shape` is that of the changed coordinates.
Method remedy_for(std::int64_t rows, const Plan& plan, Index planned_degree, const ProblemShape& shape,
                  const Wishes& wishes);

/// What a thread of a machine does in a second. Only seconds are predicted from it; nothing is decided.
struct Rates {
  double polynomial = 1e10, exact = 2e10;  // flops a second, as counted above
  double row_seconds = 5e-7;               // of a row by the polynomial method, beside its flops
};

/// Rough seconds of computing on `threads` threads in all.
double predicted_seconds(const Estimate& estimate, const ProblemShape& shape, const Rates& rates,
                         double threads);

}  // namespace kronattn
