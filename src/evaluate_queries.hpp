// The query side of the polynomial method: features of the queries times the combined key sums, degree by
// degree.
//
//   moments(i, m, c) = sum_J (s_iJ / unit)^m V_Jc     from  sum over |a| = m of q_i^a G(a, c)
//
// The degrees are kept apart: it costs no flops, and each row can have a polynomial of its own, stop at a
// lower degree than the sums hold, and read its certificate off the same moments. Inside a tile rows are
// sorted by their degree, so that the kernel's groups of rows end at about the degree that each of theirs
// needs; tiles are cut by row number. A row's bits don't depend on its neighbours. Source: mathematics.md B1,
// B3, E5 (row-wise degree), H2.
#pragma once

#include <memory>
#include <vector>

#include "certificate.hpp"
#include "coordinates.hpp"
#include "dropped_monomials.hpp"
#include "feature_kernels.hpp"
#include "monomials.hpp"
#include "row_choice.hpp"
#include "types.hpp"

namespace kronattn {

/// What a solve writes of a range of query rows.
struct RowOutputs {
  RowOutputs() = default;
  RowOutputs(Index rows, Index value_width)
      : output(rows, value_width), log_normalizer(rows), error_bound(rows), log_error(rows) {}

  RowOutputs part(Range rows) const { return some(Eigen::seqN(rows.begin, rows.size())); }
  RowOutputs rows(const std::vector<Index>& places) const { return some(places); }

  Matrix output;          // (rows, d_v)
  Vector log_normalizer;  // (rows)
  Vector error_bound;     // (rows)
  Vector log_error;       // (rows) bound of the error of log_normalizer

 private:
  template <class Places>
  RowOutputs some(const Places& places) const {
    RowOutputs chosen;
    chosen.output = output(places, Eigen::all);
    chosen.log_normalizer = log_normalizer(places);
    chosen.error_bound = error_bound(places);
    chosen.log_error = log_error(places);
    return chosen;
  }
};

/// The query side of one head: all that rows are evaluated with.
class QueryEvaluation {
 public:
  /// `combined`: G (r, d_v + 1). What is given by reference must outlive this. Rows take the degree that they
  /// need for the promise (RowChooser), or, with the degree fixed, the highest. `single_from` as in
  /// MonomialChoice.
  QueryEvaluation(const MeasuredHead& head, const ProblemShape& shape, const Coordinates& coordinates,
                  const Monomials& monomials, const Matrix& combined, DroppedMonomials dropped,
                  Precision output_precision, Promise promise, bool degree_is_fixed,
                  Index single_from = all_in_double);
  ~QueryEvaluation();

  /// Evaluates rows, cut into tiles from the first one on: `queries` (rows, d) as they stand in the file,
  /// starting at a tile boundary. Rows that miss the promise at the degree that was foreseen for them are
  /// evaluated again at the highest one. Uses all OpenMP threads. Cost: 2 rows r (d_v + 1) flops, r the
  /// monomials of a row's degree.
  RowOutputs evaluate(const ConstTile& queries);

  /// Monomials evaluated so far, summed over rows.
  std::int64_t monomials_evaluated() const;

 private:
  struct Worker;

  const MeasuredHead& head_;
  const ProblemShape& shape_;
  const Coordinates& coordinates_;
  const Monomials& monomials_;
  Index single_from_;
  CombinedSums<double> combined_;        // of lower degrees than that
  CombinedSums<float> combined_single_;  // of the others
  std::vector<Subtree> parts_;
  DroppedMonomials dropped_;
  Promise promise_;
  ScoreBounds bounds_;
  PolynomialCertificate certificate_;
  GapBudget budget_;
  std::vector<std::unique_ptr<Worker>> workers_;  // one a thread, kept for the polynomials they have made
};

}  // namespace kronattn
