// Exact attention of two-valued columns (two_valued.hpp): sums over 2^g sets stand for all key tuples, at
// every order, in time O(n d + 2^g g (d_v + 1) k).
//
// Let x, y_m in {0,1}^g be the sets of a query and of its keys, and beta_l the score of group l. The weight
// of a key tuple is prod_l e^(beta_l x_l z_l), z_l = y_1l ... y_k-1,l: it depends on the sets alone, and
//     e^(beta_l x_l z_l) = 1 + (e^beta_l - 1) x_l z_l
// makes it an exact factorisation of rank 2^g (mathematics.md F9): sum over sets T of prod over l in T of
// (e^beta_l - 1) times 1[T in x] prod_m 1[T in y_m]. Where beta_l < 0 its terms cancel. So a group is one of
// two kinds:
//     beta_l >= 0   an entry of a table stands for the keys that have l and those that may have it or not;
//     modes are
//                   multiplied entrywise, and a query without l takes the latter, one with l adds e^beta_l -
//                   1 times the former;
//     beta_l < 0    an entry stands for the keys that have l and those that have not. Of two modes P and H,
//     the pairs
//                   that both have l are P1 H1, the others P0 (H0 + H1) + P1 H0; a query without l takes
//                   both, one with l the latter plus e^beta_l times the former.
// With H_m(y, c) = sum over the keys of mode m whose set is y of V_m[., c], the last column for V = 1, that
// leads to Y(x, c) = sum over all key tuples of weight times value for every x, and only ever adds and
// multiplies what is not negative where the values are not. Outputs are Y(x, c) / Y(x, d_v). Two modes cost 3
// products for 2 entries in each group of the second kind, so there may be few of these at order 3 and up.
//
// The certificate. Let |V| <= 1 (scaled) and all arithmetic be long double, u = 2^-64. Every term of Y(x, c)
// carries at most M roundings on its way, relatively to the same term for |V|:
//     of H_m: 2 for its reading; 1 addition a group; between two modes a product, 2 additions a group of the
//     second kind; of a query's step: a product and an addition a group; of the factors, 8 for exp and expm1
//     themselves, and those in beta_l times at most 1 + |beta_l| (|beta e^beta / (e^beta - 1)| <= 1 + |beta|;
//     of e^beta, |beta|).
// And each value of H_m lost at most the quantum of the fixed-point sums, rows 2^-80, nothing where all were
// multiples of it; over the modes eta = sum_m rows_m 2^-80 (1 + eta) relatively to the term for V = 1. So,
// with gamma = gamma_M + eta,
//     |Y^(x, d_v) - Y| <= gamma_M Y,   |Y^(x, c) - Y| <= gamma_M |Y| + eta Y(x, d_v) where the values of
//     column c
//                                      have one sign in each mode, gamma Y(x, d_v) otherwise,
// and the quotient's error follows. No score and no query makes it worse.
#pragma once

#include <vector>

#include "certificate.hpp"
#include "coordinates.hpp"
#include "evaluate_queries.hpp"
#include "fixed_point_sums.hpp"
#include "two_valued.hpp"
#include "types.hpp"

namespace kronattn {

/// H_m of one mode as it grows: 2^g (d_v + 1) fixed-point sums, the same bits in any order of rows.
class SubsetKeySums {
 public:
  SubsetKeySums(const TwoValuedColumns& columns, Index rows, Index value_width);

  /// Adds rows: `keys` (rows, d) and `values` (rows, d_v) as they stand in the file. False where a row is not
  /// of the columns; then the sums are of no use.
  bool absorb(const ConstTile& keys, const ConstTile& values, const Coordinates& coordinates, Index mode);

  /// What ranks add up, elementwise.
  std::vector<std::int64_t>& words() { return sums_.words(); }

  /// In scaled values; correct up to a rounding of long double and the quantum.
  long double operator()(std::size_t subset, Index column) const;
  Index rows() const { return rows_; }
  /// Whether a value that this rank absorbed was not a multiple of the quantum.
  bool rounded() const { return rounded_; }

 private:
  const TwoValuedColumns& columns_;
  Index rows_, value_columns_;
  FixedPointSums sums_;
  int exponent_;  // of the words' lowest bit
  bool rounded_ = false;
};

class SubsetAttention {
 public:
  /// The sums of all modes over all ranks; `rounded`: whether any rank's values were. `columns` must outlive
  /// this.
  SubsetAttention(const TwoValuedColumns& columns, const std::vector<SubsetKeySums>& modes, bool rounded,
                  const HeadMeasurement& head, const Coordinates& coordinates, Precision output_precision);

  /// Looks up rows: `queries` (rows, d) as they stand in the file. Those whose set the columns don't describe
  /// get no bound. O(rows (d + d_v)).
  RowOutputs evaluate(const ConstTile& queries) const;

 private:
  RowBound finish(std::uint32_t subset, double* output, double& log_normalizer) const;

  const TwoValuedColumns& columns_;
  OutputUnits units_;
  std::vector<bool> one_signed_;   // (d_v) whether a column's values have one sign in each mode
  std::vector<long double> sums_;  // (2^g, d_v + 1) Y
  double gamma_ = 0, eta_ = 0;
};

/// Work of the sums over sets in flops of the polynomial method's products that take as long, and memory.
double subset_flops(const ProblemShape& shape, const TwoValuedColumns& columns);
double subset_memory(const ProblemShape& shape, const TwoValuedColumns& columns);

}  // namespace kronattn
