// Which degree and which polynomial a row gets, before it is evaluated.
//
// A row needs W_0 / D, the share of its normaliser that its polynomial may be off by, below a budget. That is
// foreseen from the deviation of its scores and how far they can reach: with the Gauss nodes of the sampled
// scores, W_0 / N is about factor deviation^(2m) node_mean(m) / e^mean. The foresight proves nothing; the
// row's certificate does, afterwards. Polynomials are made for rounded (outwards) reaches and deviations, so
// that rows share them.
#pragma once

#include <unordered_map>
#include <vector>

#include "certificate.hpp"
#include "score_shape.hpp"

namespace kronattn {

/// The polynomial of one degree for scores within [centre - below, centre + above], of that deviation about
/// the centre.
RowPolynomial suited_polynomial(const ScoreShape& shape, Index degree, double centre, double below,
                                double above, double deviation, double unit);

/// W_0 / D as foreseen for such scores.
double foreseen_gap(const ScoreShape& shape, const RowPolynomial& polynomial, double centre,
                    double deviation);

/// What every row has to keep: at most so large an error_bound and log_error. Infinite where nothing was
/// promised.
struct Promise {
  double output = HUGE_VAL, log_normalizer = HUGE_VAL;

  bool kept(double error_bound, double log_error) const {
    return error_bound <= output && log_error <= log_normalizer;
  }
};

/// What W_0 / D may be for a promise to be kept, as foreseen.
struct GapBudget {
  double gap = 0;  // 0: none, every row takes the highest degree

  /// The rounding of the output is left out of it.
  static GapBudget of(const Coordinates& coordinates, const Promise& promise, Precision output_precision);
  /// A part is left for what the foresight misses: most rows that are foreseen to hold then do.
  GapBudget with_reserve() const { return {0.85 * gap}; }
  /// Where monomials are dropped, one half is for them.
  GapBudget half() const { return {gap / 2}; }
};

/// Chooses, and keeps what it made. Not to be shared by threads.
class RowChooser {
 public:
  /// Rows take a degree that is foreseen to keep the budget while the next lower one is not, or the highest.
  RowChooser(const ScoreShape& shape, const PolynomialCertificate& certificate, double unit,
             Index highest_degree, GapBudget budget);

  /// Valid until forget_if_many(), as is what highest() gives: the polynomial of the highest degree.
  const RowPolynomial& choose(const RowScores& scores);
  const RowPolynomial& highest(const RowScores& scores);
  /// Frees what was made if it has become much.
  void forget_if_many();

 private:
  /// What a polynomial is made for: scores within [centre - below, centre + above], of that deviation.
  struct Scores {
    double centre, below, above, deviation;
    bool operator==(const Scores&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Scores& scores) const;
  };
  using Made = std::unordered_map<Scores, RowPolynomial, Hash>;
  static Scores rounded(const RowScores& scores);
  RowPolynomial of_degree(Index degree, const Scores& scores) const;
  RowPolynomial made_for(const Scores& scores) const;

  const ScoreShape& shape_;
  const PolynomialCertificate& certificate_;
  double unit_;
  Index highest_degree_;
  GapBudget budget_;
  Made chosen_, highest_;
  /// Of chosen_, by hash, the last one: most rows find theirs here, without a division.
  std::vector<const Made::value_type*> recent_ = std::vector<const Made::value_type*>(4096);
};

/// Whether a polynomial is foreseen to keep a budget; a higher degree never rounds less.
enum class Foresight { holds, fails, rounding_breaks_it };
Foresight foresee_row(const ScoreShape& shape, const PolynomialCertificate& certificate,
                      const RowPolynomial& polynomial, double centre, double deviation, double box,
                      GapBudget budget);

}  // namespace kronattn
