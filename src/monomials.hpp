// The monomials x^a of d variables over a downward-closed index set, degree by degree.
//
// Three facts are all this file is about:
//   1. x^a = x^parent(a) * x_axis(a), where parent(a) is a less one power of its last variable: r monomials,
//   r products;
//   2. <x, y>^m = sum over |a| = m of (m! / a!) x^a y^a;
//   3. in graded order, with the children of a monomial side by side and in the order of their parents, the
//   children
//      of a range of monomials are again a range. So a degree is added behind the lower ones without touching
//      them, a lower degree is a prefix, and any part of the tree is walked with a few short buffers
//      (features.hpp).
//
//   d   variables (head width)       r   monomials       g   degree
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "types.hpp"

namespace kronattn {

/// C(n, k) as a floating number: exact while it fits 53 bits, then within a few roundings; may be infinite.
double binomial(double n, double k);

/// A degree that no monomial has.
inline constexpr Index all_in_double = std::numeric_limits<Index>::max();

/// Which monomials: those of total degree up to `degree` that weigh at least `threshold`, where
/// weight(a) = prod_l axis_weights(l)^a_l / a_l!, and whose parents are in. All of them where threshold is 0.
/// And which of them are computed in float.
struct MonomialChoice {
  Index degree = 0;
  double threshold = 0;
  Vector axis_weights;                // (d), not used where threshold is 0
  Index single_from = all_in_double;  // from this degree on, features and their sums within a tile are float

  bool has_single() const { return single_from <= degree; }
};

class Monomials {
 public:
  /// The set {0} of the constant alone, in d variables.
  explicit Monomials(Index variables);

  /// All monomials of total degree at most g: r = C(d+g, g). Cost and memory O(r). Throws std::length_error
  /// where r does not fit 31 bits.
  static Monomials of_total_degree(Index variables, Index degree);

  /// A chosen set of at most `most` monomials; throws std::length_error where it would be larger.
  static Monomials chosen(Index variables, const MonomialChoice& choice, double most);

  /// Appends the monomials of the next degree for which keep(parent, axis) says yes; the caller sees to it
  /// that the set stays downward closed. Monomials already there keep their numbers.
  template <class Keep>
  void add_degree(Keep keep) {
    const Range top = of_degree(degree());
    for (Index a = top.begin; a < top.end; ++a) {
      first_child_[static_cast<std::size_t>(a)] = static_cast<std::int32_t>(count());
      for (Index l = axis(a); l < variables_; ++l)
        if (keep(a, l)) append(a, l);
    }
    close_degree();
  }

  Index variables() const { return variables_; }
  Index degree() const { return static_cast<Index>(degree_begin_.size()) - 2; }
  Index count() const { return static_cast<Index>(parent_.size()); }

  /// The monomials of total degree m, m <= degree().
  Range of_degree(Index m) const {
    return {degree_begin_[static_cast<std::size_t>(m)], degree_begin_[static_cast<std::size_t>(m) + 1]};
  }
  /// The children of the monomials in `range` (all of one degree): a range of the next degree.
  Range children(Range range) const {
    return {first_child_[static_cast<std::size_t>(range.begin)],
            first_child_[static_cast<std::size_t>(range.end)]};
  }

  Index parent(Index a) const { return parent_[static_cast<std::size_t>(a)]; }
  Index axis(Index a) const { return axis_[static_cast<std::size_t>(a)]; }
  /// The same of all monomials, (r).
  const std::int32_t* parents() const { return parent_.data(); }
  const std::int32_t* axes() const { return axis_.data(); }

  /// The power of x_axis(a) in monomial a (0 for the constant).
  Index power(Index a) const { return power_[static_cast<std::size_t>(a)]; }

  /// The exponents of monomial a, (d).
  std::vector<Index> exponents(Index a) const;

 private:
  void append(Index parent, Index axis);
  void close_degree();

  Index variables_;
  std::vector<Index> degree_begin_;        // (g + 2)
  std::vector<std::int32_t> first_child_;  // (r + 1)
  std::vector<std::int32_t> parent_, axis_, power_;
};

/// The constants of the expansion: weights(a) = (|a|! / a!) * prod_l axis_weights(l)^a_l, so that
/// sum over |a| = m of weights(a) x^a y^a = (sum_l axis_weights(l) x_l y_l)^m. At most 3 roundings a degree.
Vector multinomial_weights(const Monomials& monomials, const Vector& axis_weights);

}  // namespace kronattn
