// The proven error of every output row, rounding included.
//
// Polynomial rows. With P the row's polynomial, |P(s) - e^s| <= W(s) on its scores (row_polynomial.hpp), D
// the true normaliser and o^ any number, the identity
//     D (o - o^) = sum_J (e^(s_J) - P(s_J)) (V_J - o^)  +  (Y - o^ Y_0) (mathematics.md H1, E2)
// bounds the error by [sum_J W(s_J) |V_J - o^| + |Y - o^ Y_0|] / D_low. With W_0 = sum W(s_J), W_V = sum
// W(s_J) V_J, both read off the row's moments, the first sum is at most the smaller one of
//     W_0 max(V_max - o^, o^ - V_min)                                                                    (E2)
//     [(o^ - V_min)(V_max W_0 - W_V) + (V_max - o^)(W_V - V_min W_0)] / (V_max - V_min) (E10)
// the latter for o^ in [V_min, V_max], by the chord of |V - o^|; where sums of squares of values are there,
// too,
//     sqrt(W_0 (W_VV - 2 o^ W_V + o^^2 W_0)) (E11)
// by Cauchy and Schwarz; and
//     D_low = max(N e^(mean score), Y_0 - W_0), from below                                               (E3,
//     Jensen)
// All of these sums are known up to the rounding N sum_m gamma_(M_m) |coefficient_m| sigma^m (E8). Of degrees
// in float, gamma counts its roundings, too, by power means of the keys (Coordinates::power_share). Where
// monomials were left out of the sums, sum_J s^m V_J is known up to N dropped_m (dropped_monomials.hpp): that
// counts like rounding.
// Whatever happens, an output clamped to [V_min, V_max] is off by at most max(V_max - o*, o* - V_min). Where
// the coordinates were changed, every score is off by at most delta, which costs range * tanh(delta / 2)
// (E1).
//
// Exact rows. Every weight is off by a factor e^(+-Delta), common to numerator and normaliser: by E1 that
// costs range * tanh(Delta / 2); the sums' own rounding is added. Where scores, weights and the sums of a
// block of keys are in float, that is most of both.
//
// Everything is in scaled entries (coordinates.hpp) until the output is written.
#pragma once

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <vector>

#include "coordinates.hpp"
#include "measure.hpp"
#include "monomials.hpp"
#include "row_polynomial.hpp"
#include "types.hpp"

namespace kronattn {

/// What a row's output may be off by: the largest error over its columns, in the units of the output; and the
/// error of the log of the normaliser.
struct RowBound {
  double output = 0;
  double log_normalizer = 0;
};

/// Covers the rounding of the certificate's own arithmetic: a few dozen operations on non-negative numbers.
inline constexpr double own_rounding = 1 + 1e-13;

/// One column of the output, from scaled numbers into the file's units: clamped, multiplied by a power of two
/// and rounded to the precision that is written. Shared by all methods.
struct OutputColumn {
  double lowest, highest;      // scaled range of the values
  std::array<double, 3> unit;  // powers of two, whose product may be no double
  double relative, absolute;   // rounding to the output's precision

  /// For scaled `quotients` (rows), which may be nan, that are off by at most `errors` (rows), which may be
  /// nan or infinite: writes the clamped outputs (rows) in the file's units, and raises `bounds` (rows) to
  /// what these are off by at most.
  void finish(const double* quotients, const double* errors, Index rows, double* outputs,
              double* bounds) const;
};

/// All columns.
class OutputUnits {
 public:
  OutputUnits(const Coordinates& coordinates, Precision output_precision);

  Index columns() const { return lowest_.size(); }  // d_v
  OutputColumn column(Index c) const { return {lowest_(c), highest_(c), unit_, relative_, absolute_}; }

 private:
  Vector lowest_, highest_;  // (d_v)
  std::array<double, 3> unit_;
  double relative_, absolute_;
};

/// Query rows that are evaluated and finished together, one lane each.
inline constexpr Index most_lanes = 48;
using Lanes = std::array<double, most_lanes>;

/// A group as the kernel leaves it.
struct RowGroup {
  Index lanes = 0;
  Index degree = 0;                 // of the moments: no polynomial has a higher one
  const double* moments = nullptr;  // [degree][column][lane] sum_J (s/unit)^m V_J, the last column for V = 1;
                                    // with second moments those of V_J^2 between them
  const double* dropped = nullptr;  // [degree][lane] N of it bounds what sum_J |s/unit|^m misses; or nullptr
  std::array<const RowScores*, most_lanes> scores{};
  std::array<const RowPolynomial*, most_lanes> polynomials{};
};

/// Of one polynomial of each row, P or W.
struct PolynomialSums {
  Vector sums;    // [column][lane] sum_J P(s_J) V_J
  Lanes error{};  // of any of these, for |V_J| <= 1
};

/// What is written of it, and the sums on the way there.
struct FinishedGroup {
  Vector output;  // [column][lane]
  Lanes log_normalizer{}, error_bound{}, log_error{};
  PolynomialSums values, gaps;
};

class PolynomialCertificate {
 public:
  /// Powers of the scores are in units of `unit`. `monomials_per_degree` (g + 1): how many of each degree are
  /// summed. `single_from` as in MonomialChoice.
  PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates, double unit,
                        const std::vector<double>& monomials_per_degree, Precision output_precision,
                        Index single_from = all_in_double);

  /// Finishes the rows of a group. Cost O(lanes g d_v).
  void finish(const RowGroup& group, FinishedGroup& finished) const;

  /// Rounding of the sum of a polynomial over all tuples, relative to N: sum_m gamma_(M_m) |coefficient_m|
  /// (box / unit)^m.
  double rounding(const std::vector<double>& coefficients, double box) const;

 private:
  void sum_up(const RowGroup& group, std::vector<double> RowPolynomial::*polynomial,
              PolynomialSums& all) const;
  double jensen(const RowScores& scores) const;  // N e^(mean score), from below

  OutputUnits units_;
  Index columns_;  // of the moments: V, V^2 with second moments, 1
  double tuples_, unit_;
  double log_weight_;      // of the power of two that was taken off the key weights
  double mean_roundings_;  // in the mean score, relatively to the box score
  /// (g + 1) gamma_(M_m), of what a coefficient is multiplied with; and what underflow adds a unit of it.
  std::vector<double> roundings_, underflows_;
};

class ExactCertificate {
 public:
  /// `arithmetic`: of scores, weights and sums within a block of keys (exact_kernel.hpp).
  ExactCertificate(const ProblemShape& shape, const Coordinates& coordinates, Precision output_precision,
                   ExactArithmetic arithmetic);

  /// Finishes a row. `sums` (d_v + 1): sum_J e^(s_J - maximum) V_J, the last column for V = 1. Writes output
  /// (d_v) and the log normaliser.
  RowBound finish(const double* sums, double maximum, double box, double* output,
                  double& log_normalizer) const;

  RowBound worst_case(double box) const;

 private:
  RowBound scaled(double box) const;  // relative to max|V| = 1, range 2; and of the log of the sum

  OutputUnits units_;
  Index width_;
  double tuples_, score_roundings_, exponentials_, sum_roundings_;
  ExactArithmetic arithmetic_;
};

}  // namespace kronattn
