// The proven error of every output row, rounding included.
//
// Polynomial rows. With E_J = P(s_J) - e^(s_J), D the true normaliser and o^ any number, the identity
//     D (o - o^) = sum_J (e^(s_J) - P(s_J)) (V_J - o^)  +  (Y - o^ Y_0) (mathematics.md H1, E2)
// bounds the error by [T max(V_max - o^, o^ - V_min) + |Y - o^ Y_0|] / D_low, where
//     T = N sup|P - exp| on [-S, S]                                                              (E4)
//     D_low = max(N e^(mean score), Y_0 - T), from below                                         (E3, Jensen)
// and Y, Y_0 are known up to the rounding N sum_m gamma_(M_m) |c_m| sigma^m                      (E8).
// Whatever happens, an output clamped to [V_min, V_max] is off by at most max(V_max - o*, o* - V_min).
//
// Exact rows. Every weight is off by a factor e^(+-Delta), common to numerator and normaliser: by E1 that
// costs range * tanh(Delta / 2); the sums' own rounding is added.
//
// Everything is in scaled entries (coordinates.hpp) until the output is written.
#pragma once

#include <vector>

#include "coordinates.hpp"
#include "exp_polynomial.hpp"
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

  Vector lowest_, highest_;  // (d_v)
  int exponent_;
  double relative_, absolute_;  // rounding to the output's precision
};

class PolynomialCertificate {
 public:
  /// `monomials_per_degree` (g + 1): how many monomials of each degree are summed.
  PolynomialCertificate(const ProblemShape& shape, const Coordinates& coordinates,
                        const ExpPolynomial& polynomial, const std::vector<double>& monomials_per_degree,
                        Precision output_precision);

  /// Finishes a row. `moments` (g + 1, d_v + 1): sum_J (s/S)^m V_J, the last column for V = 1; `box` >=
  /// sigma, `mean` the mean score as computed by the formula of coordinates.hpp. Writes output (d_v) and the
  /// log normaliser. O(g d_v).
  RowBound finish(const double* moments, double box, double mean, double* output,
                  double& log_normalizer) const;

  /// A bound for every row with a box score of at most `box` and a mean score of at least `mean`, before
  /// anything is computed.
  RowBound worst_case(double box, double mean) const;

 private:
  /// sum_m gamma_(M_m) |c_m| (box / S)^m: rounding of a sum over all tuples, relative to N.
  double rounding(double box) const;
  double jensen(double box, double mean) const;  // N e^(mean score), from below

  OutputUnits units_;
  double tuples_;
  double mean_roundings_;  // in the mean score, relatively to the box score
  double scaling_slack_;   // 2^k
  double monomials_ = 0;
  ExpPolynomial polynomial_;
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
