// The key side of the polynomial method: sums over the rows of one mode, U_m^T [V_m, 1].
//
//   sums(a, c) = sum_j keys_j^a values(j, c)        c = d_v: values are 1, the normaliser travels with the
//   moments
//
// The sums of all modes, multiplied entrywise, are all that the queries ever see of the keys: r (d_v + 1)
// numbers, whatever the number of keys. Source: mathematics.md B1, B3; AS24 section 4.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "coordinates.hpp"
#include "feature_kernels.hpp"
#include "fixed_point_sums.hpp"
#include "monomials.hpp"
#include "types.hpp"

namespace kronattn {

/// How many parts of the monomials, from the first one on, have all that a call adds to them.
using PartsDone = std::function<void(Index parts)>;

/// The key sums of one mode as they grow. Any order of tiles, split in any way over threads, ranks and runs,
/// gives the same bits, since tile sums are merged as integers.
class KeyAggregate {
 public:
  /// For `rows` rows in all (every rank's), r monomials and ProblemShape::sum_columns(): values, their
  /// squares where second moments are wanted, 1. `single_from` as in MonomialChoice.
  KeyAggregate(Index monomials, Index rows, Index columns, Index single_from = all_in_double);

  /// Adds rows, cut into tiles from the first one on: `keys` (rows, d) and `values` (rows, d_v) as they stand
  /// in the file, starting at a tile boundary. Only monomials of degree `from_degree` and up are summed. Uses
  /// all OpenMP threads, which share out pairs of tiles and parts of the monomials; beside the sums a thread
  /// holds those of one part. `done` is called again and again, by the calling thread, between what it does
  /// itself; it may read the sums of the parts that are done, and must not throw. Cost: 2 rows r (d_v + 1)
  /// flops.
  void absorb(const Monomials& monomials, Index from_degree, const ConstTile& keys, const ConstTile& values,
              const ChangeOfCoordinates& change, const Coordinates& coordinates, Index mode,
              const PartsDone& done = {});

  /// The parts that `absorb` takes the monomials in.
  std::vector<Subtree> parts(const Monomials& monomials) const {
    return subtrees(monomials, monomials_of_a_part(columns_));
  }

  /// Makes room for more monomials behind those that are there (a degree added).
  void grow(Index monomials) { sums_.grow(monomials * columns_); }

  /// What ranks add up, elementwise, to merge their sums of the monomials from `first` on.
  std::span<std::int64_t> words(Index first) {
    return std::span(sums_.words()).subspan(static_cast<std::size_t>(2 * first * columns_));
  }

  /// The sums as numbers, (r, d_v + 1) in scaled entries.
  double operator()(Index monomial, Index column) const { return sums_[monomial * columns_ + column]; }

  /// Roundings that a term of degree m goes through until its sum is read, key features included; relatively
  /// to rows * prod_l max|k_l|^a_l * max|v|. Source: mathematics.md E8, and the quantum of the fixed-point
  /// sums.
  /// `rows_per_weight` as in Coordinates: the number of rows that the quantum counts by, over the sum of the
  /// weights.
  static double roundings(Index degree, Index rows, double rows_per_weight);

  /// Those of them that are float's where the degree's features are.
  static double roundings_in_single(Index degree, Index rows);

 private:
  template <class T>
  void absorb_in(const Monomials& monomials, Range degrees, const ConstTile& keys, const ConstTile& values,
                 const ChangeOfCoordinates& change, const Coordinates& coordinates, Index mode,
                 const PartsDone& done);

  Index columns_, single_from_;
  FixedPointSums sums_;
};

/// Of G = weights * product over the modes of their sums, (r, d_v + 1), what a query's features are
/// multiplied with: the entries `some`, counted row by row. Others of `combined` stay.
void combine_modes(const std::vector<KeyAggregate>& modes, const Vector& weights, Range some,
                   Matrix& combined);

}  // namespace kronattn
