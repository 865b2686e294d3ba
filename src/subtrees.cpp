#include "subtrees.hpp"

#include <cmath>
#include <numeric>

namespace kronattn {

namespace {

/// The roots with everything below them, or as much of it as there is before `most` is exceeded.
Subtree descendants(const Monomials& monomials, Index degree, Range roots, Index most) {
  Subtree part{degree, {}, 0};
  for (Index m = degree; m <= monomials.degree() && roots.size() > 0 && part.count <= most; ++m) {
    part.degrees.push_back(roots);
    part.count += roots.size();
    if (m < monomials.degree()) roots = monomials.children(roots);
  }
  return part;
}

void split(const Monomials& monomials, Index degree, Range roots, Index most, std::vector<Subtree>& parts) {
  if (roots.size() == 0) return;
  Subtree all = descendants(monomials, degree, roots, most);
  if (all.count <= most) {
    parts.push_back(std::move(all));
  } else if (roots.size() == 1) {
    parts.push_back({degree, {roots}, 1});
    split(monomials, degree + 1, monomials.children(roots), most, parts);
  } else {
    const Index middle = roots.begin + roots.size() / 2;
    split(monomials, degree, {roots.begin, middle}, most, parts);
    split(monomials, degree, {middle, roots.end}, most, parts);
  }
}

}  // namespace

std::vector<Subtree> subtrees(const Monomials& monomials, Index most) {
  std::vector<Subtree> parts;
  split(monomials, 0, monomials.of_degree(0), most, parts);
  return parts;
}

Index parts_until(const std::vector<Subtree>& parts, Range range) {
  for (std::size_t p = parts.size(); p > 0; --p)
    for (Range some : parts[p - 1].degrees)
      if (some.begin < range.end && range.begin < some.end) return static_cast<Index>(p);
  return 0;
}

std::vector<double> most_blocks(const std::vector<double>& counts, Index block, Index most) {
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double parts =
      all <= static_cast<double>(most)
          ? 1
          : 2 * all / static_cast<double>(most) * static_cast<double>(counts.size()) * (1 + std::log2(all));
  std::vector<double> blocks;
  double above = parts;  // each block of parents starts a block of children, each part one of roots
  for (double count : counts) {
    above += std::ceil(count / static_cast<double>(block));
    blocks.push_back(std::min(count, above));
  }
  return blocks;
}

}  // namespace kronattn
