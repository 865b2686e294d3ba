// What a row loses where its scores' powers are summed over some of the monomials only.
//
//   (s_iJ / unit)^m = sum over |a| = m of (m!/a!) prod_l (w_l q_il k_Jl / unit)^a_l
//
// Over all key tuples, the absolute values of the terms that are left out come to at most N times
//     dropped_m(i) = (sum_l x_l)^m  -  sum over the kept |a| = m of (m!/a!) x^a,
//     x_l = |w_l q_il| prod_modes (mean_j |k_jl|^m)^(1/m) / unit,
// since the mean of a product of powers is at most the product of the power means (Hoelder; modes are
// independent). The kept terms are the row's own features with their signs off: one more column of the
// evaluation. Source: mathematics.md E6 with the power means of the data in the box's place, F4.
#pragma once

#include <vector>

#include "measure.hpp"
#include "monomials.hpp"

namespace kronattn {

class DroppedMonomials {
 public:
  /// Nothing is dropped.
  DroppedMonomials() = default;

  /// For the kept `monomials` of queries in units of 2^exponents (Coordinates). `single_from` as in
  /// MonomialChoice. Cost O(g r).
  DroppedMonomials(const Monomials& monomials, const MeasuredHead& head, const ProblemShape& shape,
                   const std::vector<int>& query_exponents, Index single_from = all_in_double);

  bool none() const { return weights_.size() == 0; }

  /// (r) (m!/a!) times what multiplies |scaled query|^a in x^a, m = |a|.
  const Vector& weights() const { return weights_; }

  /// The kept terms of points (d, b), (g + 1, b). Cost b r.
  Matrix kept(const Monomials& monomials, const ConstTile& points) const;

  /// dropped_m, (degree + 1, b), from above, of scaled queries `points` (d, b) whose kept terms sum up to
  /// `kept` (degree + 1, b).
  void finish(const double* points, const double* kept, Index b, Index degree, double* dropped) const;

 private:
  Vector weights_;
  Matrix reach_;                 // (g + 1, d) x_l = |point_l| reach(m, l)
  std::vector<double> of_kept_;  // (g + 1) relative error of the kept sum
};

}  // namespace kronattn
