// Walks the monomial tree over a tile of points and hands out the features block by block.
//
// An n x r matrix of features never exists, nor does a tile x r one: the children of a block of monomials are
// a range again, so the walk goes down the tree with one short buffer per degree and calls `visit` for each
// block it forms. Blocks depend on the index set alone, so the numbers formed from a block don't depend on
// memory, ranks or threads.
//
//   points     (d, b)   one coordinate per row: a feature is a row of products over the tile's b points
//   features   (block, b)
#pragma once

#include <algorithm>
#include <vector>

#include "monomials.hpp"
#include "types.hpp"

namespace kronattn {

/// Monomials formed together.
inline constexpr Index monomial_block = 64;

class FeatureWalk {
 public:
  /// Buffers for tiles of up to `max_points` points: (degree + 1) * monomial_block * max_points numbers.
  FeatureWalk(const Monomials& monomials, Index max_points)
      : monomials_(monomials), levels_(static_cast<std::size_t>(monomials.degree()) + 1) {
    for (Matrix& level : levels_) level.resize(monomial_block, max_points);
  }

  /// Calls visit(degree, range, features) for every block of monomials up to total degree `degree`;
  /// features(a - range.begin, i) is monomial a of point i. Parents come before children. Cost: b r products.
  template <class Visit>
  void operator()(const ConstTile& points, Index degree, Visit visit) {
    (*this)(points, std::vector<Index>(static_cast<std::size_t>(degree) + 1, points.cols()), visit);
  }

  /// The same for points that end at different degrees: of degree m only the first counts[m] points are
  /// taken; counts (at most g + 1 of them) do not increase.
  template <class Visit>
  void operator()(const ConstTile& points, const std::vector<Index>& counts, Visit visit) {
    levels_[0].row(0).head(counts[0]).setOnes();
    visit(Index{0}, Range{0, 1}, block(0, Range{0, 1}, counts[0]));
    descend(points, Range{0, 1}, 1, counts, visit);
  }

 private:
  ConstTile block(Index level, Range range, Index points) const {
    return levels_[static_cast<std::size_t>(level)].topLeftCorner(range.size(), points);
  }

  template <class Visit>
  void descend(const ConstTile& points, Range parents, std::size_t level, const std::vector<Index>& counts,
               Visit& visit) {
    if (level >= counts.size() || counts[level] == 0) return;
    const Range children = monomials_.children(parents);
    const Matrix& above = levels_[level - 1];
    Matrix& here = levels_[level];
    const Index b = counts[level];
    for (Index begin = children.begin; begin < children.end; begin += monomial_block) {
      const Range range{begin, std::min(children.end, begin + monomial_block)};
      for (Index a = range.begin; a < range.end; ++a)
        here.row(a - range.begin).head(b) = above.row(monomials_.parent(a) - parents.begin)
                                                .head(b)
                                                .cwiseProduct(points.row(monomials_.axis(a)).head(b));
      visit(static_cast<Index>(level), range, block(static_cast<Index>(level), range, b));
      descend(points, range, level + 1, counts, visit);
    }
  }

  const Monomials& monomials_;
  std::vector<Matrix> levels_;  // one buffer per degree
};

}  // namespace kronattn
