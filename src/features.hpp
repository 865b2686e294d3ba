// The features of one point, plainly: what the kernels (feature_kernels.hpp) are compared with, and what a
// handful of rows is looked at with.
#pragma once

#include "monomials.hpp"
#include "types.hpp"

namespace kronattn {

/// All monomials of `point` (d), (r). Cost r products.
inline Vector features(const Monomials& monomials, const Vector& point) {
  Vector all(monomials.count());
  all(0) = 1;
  for (Index a = 1; a < monomials.count(); ++a) all(a) = all(monomials.parent(a)) * point(monomials.axis(a));
  return all;
}

}  // namespace kronattn
