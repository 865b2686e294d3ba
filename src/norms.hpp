// Norms from above, of any finite numbers.
#pragma once

#include "column_tile.hpp"

namespace kronattn {

/// (sum_l |x_l|^k)^(1/k) of x (d), rounded up; scaled by a power of two so that no power over- or underflows.
double hoelder_norm(const double* x, Index d, Index k);

/// (b) Of every row of a tile (b, d).
Eigen::ArrayXd hoelder_norms(const ConstColumnTile& rows, Index k);

/// The largest of them.
double largest_hoelder_norm(const ConstColumnTile& rows, Index k);

}  // namespace kronattn
