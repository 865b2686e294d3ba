// The monomial tree cut into parts whose sums fit a cache, and walked block by block.
//
// A part is a range of monomials of one degree, its roots, with all of their descendants, or alone where the
// descendants are too many for one part. Since the children of a range are a range (monomials.hpp), a part is
// one range a degree. Parts and blocks depend on the index set alone, so that the numbers formed from them
// don't depend on memory, ranks or threads; and within a degree parts and blocks come in the order of their
// monomials.
#pragma once

#include <algorithm>
#include <vector>

#include "monomials.hpp"
#include "types.hpp"

namespace kronattn {

struct Subtree {
  Index degree = 0;            // of the roots
  std::vector<Range> degrees;  // the part's monomials of degree, degree + 1, ...
  Index count = 0;             // of all of them

  Index highest_degree() const { return degree + static_cast<Index>(degrees.size()) - 1; }
  Range roots() const { return degrees.front(); }
  /// The part's number of the first monomial of degree m: parts number their monomials degree by degree.
  Index first_of(Index m) const {
    Index first = 0;
    for (Index lower = degree; lower < m; ++lower)
      first += degrees[static_cast<std::size_t>(lower - degree)].size();
    return first;
  }
};

/// All monomials in parts of at most `most` monomials, lower degrees first within each branch. Cost: O(parts
/// g).
std::vector<Subtree> subtrees(const Monomials& monomials, Index most);

/// How many parts, from the first one on, hold all of the monomials `range`.
Index parts_until(const std::vector<Subtree>& parts, Range range);

/// How many blocks of at most `block` monomials `walk` visits at each degree over all parts of at most `most`
/// monomials, from above: `counts` (g + 1) monomials of each degree. A part ends where two halves of a range
/// and what is below it come to more than `most`: there are at most r / most disjoint ones, each within
/// g (1 + log2 r) ranges that were halved.
std::vector<double> most_blocks(const std::vector<double>& counts, Index block, Index most);

/// Calls visit(begin, count) for `range` cut as evenly as can be into pieces of at most `most`.
template <class Visit>
void for_each_block(Range range, Index most, const Visit& visit) {
  const Index pieces = (range.size() + most - 1) / most;
  if (pieces == 0) return;
  const Index least = range.size() / pieces, rest = range.size() % pieces;
  for (Index begin = range.begin, owed = rest; begin < range.end; owed += rest) {
    const Index count = least + (owed >= pieces ? 1 : 0);
    if (owed >= pieces) owed -= pieces;
    visit(begin, count);
    begin += count;
  }
}

/// Walks a part depth first, down to `last_degree` at most: visit(degree, range, parents) for each block of
/// at most `most` monomials; `parents` is the block that theirs lie in, empty for the roots.
template <class Visit>
void walk(const Monomials& monomials, const Subtree& part, Index last_degree, Index most,
          const Visit& visit) {
  const Index last = std::min(last_degree, part.highest_degree());
  const auto descend = [&](const auto& self, Index degree, Range parents) -> void {
    if (degree > last) return;
    for_each_block(monomials.children(parents), most, [&](Index begin, Index count) {
      const Range block{begin, begin + count};
      visit(degree, block, parents);
      self(self, degree + 1, block);
    });
  };
  if (part.degree > last) return;
  for_each_block(part.roots(), most, [&](Index begin, Index count) {
    const Range block{begin, begin + count};
    visit(part.degree, block, Range{0, 0});
    descend(descend, part.degree + 1, block);
  });
}

}  // namespace kronattn
