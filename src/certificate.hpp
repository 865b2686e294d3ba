// The proven error of every output row, rounding included.
//
// Polynomial rows. With P the row's polynomial, |P(s) - e^s| <= W(s) on its scores (row_polynomial.hpp), D
// the true normaliser and o^ any number, the identity
//     D (o - o^) = sum_J (e^(s_J) - P(s_J)) (V_J - o^)  +  (Y - o^ Y_0) (mathematics.md H1, E2)
// bounds the error by [sum_J W(s_J) |V_J - o^| + |Y - o^ Y_0|] / D_low. With W_0 = sum W(s_J), W_V = sum
// W(s_J) V_J, both read off the row's moments, the first sum is at most the smaller one of
//     W_0 max(V_max - o^, o^ - V_min)                                                                    (E2)
//     [(o^ - V_min)(V_max W_0 - W_V) + (V_max - o^)(W_V - V_min W_0)] / (V_max - V_min) (E10)
// the latter for o^ in [V_min, V_max], by the chord of |V - o^|; and
//     D_low = max(N e^(mean score), Y_0 - W_0), from below                                               (E3,
//     Jensen)
// All of these sums are known up to the rounding N sum_m gamma_(M_m) |coefficient_m| sigma^m (E8). Where
// monomials were left out of the sums, sum_J s^m V_J is known up to N dropped_m (dropped_monomials.hpp): that
// counts like rounding.
// Whatever happens, an output clamped to [V_min, V_max] is off by at most max(V_max - o*, o* - V_min). Where
// the coordinates were changed, every score is off by at most delta, which costs range * tanh(delta / 2)
// (E1).
//
// Exact rows. Every weight is off by a factor e^(+-Delta), common to numerator and normaliser: by E1 that
// costs range * tanh(Delta / 2); the sums' own rounding is added.
//
// Everything is in scaled entries (coordinates.hpp) until the output is written.
#pragma once

#include <vector>

#include "coordinates.hpp"
#include "measure.hpp"
#include "row_polynomial.hpp"
#include "types.hpp"

namespace kronattn {

enum class Precision { single_precision, double_precision };

/// What a row's output may be off by: the largest error over its columns, in the units of the output; and the
/// error of the log of the normaliser.
struct RowBound {
  double output = 0;
  double log_normalizer = 0;
};

/// Turns scaled outputs into the file's units: clamps, multiplies by a power of two and rounds to the
/// precision that is written. Shared by both methods.
class OutputUnits {
 public:
  OutputUnits(const Coordinates& coordinates, Precision output_precision);

  const Vector& lowest() const { return lowest_; }
  const Vector& highest() const { return highest_; }

  /// The clamped output of column c in the file's units, for the scaled quotient `quotient` (may be nan).
  double value(double quotient, Index column) const;

  /// The bound in the file's units, where the scaled quotient is off by at most `error` (may be nan or
  /// infinite).
  double error(double quotient, Index column, double error) const;

 private:
  double clamp(double quotient, Index column) const;
  double in_units(double scaled) const;

  Vector lowest_, highest_;  // (d_v)
  int exponent_;
  double unit_;                 // 2^exponent, 0 where that is not a double
  double relative_, absolute_;  // rounding to the output's precision
};

class PolynomialCertificate {
 public:
  /// Powers of the scores are in units of `unit`. `monomials_per_degree` (g + 1): how many of each degree are
  /// summed.
  PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates, double unit,
                        const std::vector<double>& monomials_per_degree, Precision output_precision);

  /// Finishes a row. `moments` (degree of the polynomial + 1, d_v + 1): sum_J (s/unit)^m V_J, the last column
  /// for V =
  /// 1. Writes output (d_v) and the log normaliser. O(g d_v).
  /// `dropped` (degree of the polynomial + 1): N dropped_m bounds what is missing from sum_J |s/unit|^m;
  /// nullptr: nothing.
  RowBound finish(const double* moments, const RowScores& scores, const RowPolynomial& polynomial,
                  const double* dropped, double* output, double& log_normalizer) const;

  /// Rounding of the sum of a polynomial over all tuples, relative to N: sum_m gamma_(M_m) |coefficient_m|
  /// (box / unit)^m.
  double rounding(const std::vector<double>& coefficients, double box) const;

 private:
  double jensen(const RowScores& scores) const;  // N e^(mean score), from below

  OutputUnits units_;
  double tuples_, unit_;
  double log_weight_;      // of the power of two that was taken off the key weights
  double mean_roundings_;  // in the mean score, relatively to the box score
  double largest_weight_;  // what a term of one degree less can be multiplied with on its way
  double monomials_ = 0;
  std::vector<double> roundings_;  // M_m
};

class ExactCertificate {
 public:
  ExactCertificate(const ProblemShape& shape, const Coordinates& coordinates, Precision output_precision);

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
};

}  // namespace kronattn
