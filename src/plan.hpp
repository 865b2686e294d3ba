// Which method, at which degree, keeps the promise at the least work.
//
// Everything that decides bits is decided here, from what was measured and what was asked for: no clocks, no
// ranks, no threads. Sources: mathematics.md B2-B4, E4.
#pragma once

#include <optional>
#include <string>

#include "certificate.hpp"
#include "measure.hpp"
#include "types.hpp"

namespace kronattn {

enum class Method { automatic, polynomial, exact };

/// What a solve was asked for.
struct Wishes {
  std::optional<double> epsilon;  // the promise, none if only a degree was asked for
  Method method = Method::automatic;
  std::optional<Index> degree;  // exactly this total degree
  Precision output_precision = Precision::double_precision;
};

/// What will be done for one head.
struct Plan {
  Method method = Method::exact;  // polynomial or exact
  std::string reason;
  Index degree = 0;         // of the polynomial method
  double rank = 0;          // r = C(d+g, g), 0 for exact
  double paper_rank = 0;    // C(k(g+d), kg) at the papers' degree; may be infinite
  double score_bound = 0;   // S
  RowBound worst_case;      // no row's bound will exceed it
  double flops = 0;         // of the method chosen, all ranks together
  double memory_bytes = 0;  // per rank, beside the rows in flight
};

/// A promise that can't be kept, or a problem beyond double: what() says why and what it would need.
class NoPlan : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `promise`: the product over the modes of max|V_m|, over all heads, which epsilon is relative to. Throws
/// NoPlan.
Plan make_plan(const HeadMeasurement& head, const ProblemShape& shape, double promise, const Wishes& wishes);

/// Useful flops of the key sums of all modes, and of the evaluation: 2 n r (d_v + 1) each.
double aggregate_flops(const ProblemShape& shape, double rank);
double evaluate_flops(const ProblemShape& shape, double rank);

/// Work of the exact method for `rows` query rows, an exp counted as the flops that take as long.
double exact_flops(const ProblemShape& shape, double rows);

/// Rough seconds for `flops` on `threads` threads in all: a nominal rate, no measurement of this machine.
double predicted_seconds(double flops, double threads);

}  // namespace kronattn
