// Rows of a tile, column after column: arithmetic on all rows at once is that of vectors.
#pragma once

#include <algorithm>

#include "types.hpp"

namespace kronattn {

using ColumnTile = Eigen::ArrayXXd;
/// Some rows and columns of one. What lies row after row is copied.
using ConstColumnTile = Eigen::Ref<const ColumnTile, 0, Eigen::OuterStride<>>;

/// Rows (b, d) that lie one after the other, as columns.
inline ColumnTile columns_of(const ConstTile& rows) {
  constexpr Index together = 8;  // lie in the first-level cache, however wide they are
  ColumnTile columns(rows.rows(), rows.cols());
  for (Index first = 0; first < rows.rows(); first += together) {
    const Index last = std::min(first + together, rows.rows());
    for (Index l = 0; l < rows.cols(); ++l)
      for (Index i = first; i < last; ++i) columns(i, l) = rows(i, l);
  }
  return columns;
}

}  // namespace kronattn
