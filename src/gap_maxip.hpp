// Planted instances of Gap-MaxIP, and the two reductions that make attention out of them.
//
// Gap-MaxIP: k families of n vectors in {0,1}^d0. For each a of the first family, is there a tuple of the
// others with <a, b1, ..., bk-1> = sum_l a_l b1_l ... bk-1_l >= t, or have all of them at most r < t? With d0
// = C log n, n^(k - o(1)) operations are needed for it under SETH (Alman, Song: ICLR 2024).
//
// The families. S and S' are sets of t coordinates with |S and S'| = 2t - d0 <= r. A row is
//   background: entries 1 with probability 0.1, drawn again while it has more than r ones;
//   planted:    1 on S, 0 elsewhere; one row in each key family, a quarter of the queries;
//   a decoy:    1 on S'; a quarter of the queries, and one row in each key family but one.
// So the truth is a proof, not a search: a tuple that has a background row in it has a product of at most
// that row's ones, r; one with rows on both sets at most |S and S'| <= r; all on S' there is none; so the
// queries with a product of t are the planted ones. Planted queries and decoys are alike, and no k-1 modes
// tell them apart. r = d0/4 and t = (d0 + r)/2, rounded down.
//
// Strengthened (mathematics.md C2; at order 2 Haverbeck et al.): D = 2 d0 columns,
//   Q = kappa [a, 1],  K1 = kappa [b, -mu 1],  Km = kappa [b, 1],  n more rows of 0 in each mode;
//   V = 1 for the former rows of each mode, 0 for the latter ones.
// A tuple of vectors scores (kappa^k/D) (<a, b..> - theta), theta = mu d0; all others score 0, and they are W
// = (2^(k-1) - 1) n^(k-1). With y = s/(s + W), s the sum over the vectors' tuples,
//   kappa^k = D ln(rho^2 n^(k-1)) / (t - r),  theta = r + D ln(rho n^(k-1) / W) / kappa^k
// make  s >= e^((kappa^k/D)(t - theta)) = rho W         and y >= rho/(1 + rho) where there is a tuple,
//       s <= n^(k-1) e^((kappa^k/D)(r - theta)) = W/rho and y <= 1/(1 + rho) where there is none.
// Any error below 1/2 - 1/(1 + rho) decides.
//
// Original (mathematics.md C1; Alman, Song): Q = kappa [a, 1], Km = kappa [b, 0], n more rows kappa [0, 1] in
// each mode, V as above. The tuples of these score kappa^k d0/D = ln tau, no tuple more, mixed ones 0. So
// n^(k-1) tau <= D_i <= 2^k n^(k-1) tau, and
//   kappa^k = D ln(2 2^k n^(k-1)) / (t - r)
// makes  y >= e^((kappa^k/D)(t - d0)) / (2^k n^(k-1))  twice as large as  y <= e^((kappa^k/D)(r - d0)).
// Both are n^(-C): only a small error decides.
#pragma once

#include <random>

#include "planted_instance.hpp"

namespace kronattn {

/// The families.
class PlantedFamilies {
 public:
  /// order >= 2; n >= 2; d0 >= 4.
  PlantedFamilies(Index order, Index rows, Index dimension, std::uint64_t seed);

  Index order() const { return order_; }
  Index rows() const { return rows_; }                                   // n, of each family
  Index dimension() const { return dimension_; }                         // d0
  Index product_yes() const { return (dimension_ + product_no()) / 2; }  // t
  Index product_no() const { return dimension_ / 4; }                    // r

  /// Family 0 is the queries', m the keys' of mode m: (rows, d0) of 0 and 1.
  Matrix vectors(Index family, Range rows) const;
  /// Which queries are planted: 1 or 0, (rows).
  Vector planted_queries(Range rows) const;

  /// The share of ones that background rows are drawn with.
  static constexpr double density = 0.1;

 private:
  enum class Role { background, planted, decoy };
  /// Vectors and roles of a block of rows.
  std::vector<Role> block(Index family, Index number, Matrix& vectors) const;

  Index order_, rows_, dimension_;
  std::uint64_t seed_;
  std::vector<Index> planted_row_, decoy_row_;  // (k), -1: none
  std::vector<Index> coordinates_;              // S is the first t of them, S' the last t
};

class GapMaxip : public PlantedInstance {
 public:
  enum class Reduction { strengthened, original };

  GapMaxip(PlantedFamilies families, Reduction reduction);

  ProblemShape shape() const override;
  Matrix queries(Range rows) const override;
  Matrix keys(Index mode, Range rows) const override;
  Matrix values(Index mode, Range rows) const override;
  Vector truth(Range rows) const override { return families_.planted_queries(rows); }
  double yes_at_least() const override;
  double no_at_most() const override;
  double decide_above() const override;
  std::string name() const override;
  double bound() const override { return kappa_; }
  std::vector<std::pair<std::string, double>> parameters() const override;

  /// What y >= rho/(1 + rho) and y <= 1/(1 + rho) are.
  static constexpr double margin = 9;

 private:
  double log_yes() const;
  double log_no() const;
  double unit() const { return power_ / (2 * static_cast<double>(families_.dimension())); }  // kappa^k / D

  PlantedFamilies families_;
  Reduction reduction_;
  double log_tuples_;  // ln n^(k-1)
  double power_;       // kappa^k
  double kappa_;       // the bound of all entries
  double mu_ = 0;      // theta / d0
};

}  // namespace kronattn
