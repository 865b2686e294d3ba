// Match_k: which tokens x_i of Z_M have k-1 others, repetitions allowed, with x_i + x_j1 + ... + x_jk-1 = 0
// mod M?
//
// One head of order k decides it, since cos(a_0 + ... + a_k-1) separates over the modes (mathematics.md D):
//     cos(sum_m a_m) = (2^(k-1) / k) sum_{t<k} (-1)^t prod_m cos(a_m - pi t / k).
// With phi_i = 2 pi x_i / M and d = k+1 columns,
//     Q_i = kappa ((-1)^t cos(phi_i - pi t/k))_t, kappa_b     K_j = kappa (cos(phi_j - pi t/k))_t, 0
// and one more key row in each mode, the blank 0, ..., 0, kappa_b; V = 1 for tokens and 0 for the blank, the
// same for all modes. Tuples of tokens score S cos(sum phi), that of blanks S - ln 4, mixed ones 0:
//     kappa^k = d S 2^(k-1) / k,   kappa_b^k = d (S - ln 4),   S = ln(16 (n+1)^(k-1)) / min(1, 1 - cos(2
//     pi/M)).
// With y = s / (s + e^S/4 + mixed), mixed < e^S/16: a match makes s >= e^S and y >= 1/(1.25 + 1/16) = 0.762;
// none makes s <= n^(k-1) e^(S cos(2 pi/M)) <= e^S/16 and y <= 0.2. (H1; M >= 2.)
//
// A relation may have another order than the head: a head of order 2 on tokens made for Match_3 (Sanford,
// Hsu, Telgarsky 2023: no head of order 2 of any reasonable size decides it).
//
// The tokens. They take few residues, so that about every second has a match at any n: a set of a residues,
// each taken by some token, with C(a + l - 2, l - 1) = M ln 2, l the relation's order; one fewer is tried,
// too, and of all sets drawn that with the share of matches nearest to 1/2 is taken. For l >= 3 no two
// residues of the set sum to 0, where M >= 3: in pairs there is nothing to be seen. For l = 2 half of the
// residues come with their negatives. Truth is counted: the residues that l-1 tokens sum to, by adding the
// set to itself.
#pragma once

#include "planted_instance.hpp"

namespace kronattn {

/// A sequence of tokens of Z_M, and which of them have a match.
class MatchTokens {
 public:
  /// relation >= 2: l; n >= 1; 2 <= M <= largest_modulus. Cost O(l a M).
  MatchTokens(Index relation, Index rows, Index modulus, std::uint64_t seed);

  Index relation() const { return relation_; }
  Index rows() const { return rows_; }
  Index modulus() const { return modulus_; }

  /// x_i, (rows).
  std::vector<Index> tokens(Range rows) const;
  /// 1 or 0, (rows).
  Vector matches(Range rows) const;

  static constexpr Index largest_modulus = 100000;

 private:
  Index relation_, rows_, modulus_;
  std::uint64_t seed_;
  std::vector<Index> residues_;  // (a), those of tokens
  std::vector<bool> has_match_;  // (M)
};

/// Which sums of `terms` >= 1 of these residues, repetitions allowed, there are: (M).
std::vector<bool> sums_of_residues(const std::vector<Index>& residues, Index modulus, Index terms);

class MatchInstance : public PlantedInstance {
 public:
  /// A head of order `order`.
  MatchInstance(Index order, MatchTokens tokens);

  ProblemShape shape() const override;
  Matrix queries(Range rows) const override;
  Matrix keys(Index mode, Range rows) const override;
  Matrix values(Index mode, Range rows) const override;
  Vector truth(Range rows) const override { return tokens_.matches(rows); }
  std::pair<std::string, Vector> tokens(Range rows) const override;
  double yes_at_least() const override { return 1 / (1.25 + 1.0 / 16); }
  double no_at_most() const override { return 0.2; }
  std::string name() const override { return "match"; }
  double bound() const override;
  std::vector<std::pair<std::string, double>> parameters() const override;

 private:
  /// kappa (cos(phi - pi t/k))_t of tokens, (rows, d); the last column is left alone.
  void add_waves(const std::vector<Index>& tokens, Matrix& data) const;

  Index order_;
  MatchTokens tokens_;
  double sharpness_, kappa_, blank_;  // S, kappa, kappa_b
};

}  // namespace kronattn
