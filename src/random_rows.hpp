// Rows of synthetic problems: a function of seed, dataset, head and row number alone, whoever generates them.
#pragma once

#include <cstdint>

#include "types.hpp"

namespace kronattn {

enum class Distribution {
  uniform,   // entries uniform in [-B, B]
  gaussian,  // entries normal with deviation B/3, those outside [-B, B] drawn again
  sphere,    // rows uniform on the sphere of radius B
  positive,  // entries uniform in [0, B]
};

/// Rows are drawn in blocks of this many, each from a generator of its own.
inline constexpr Index random_block_rows = 1024;

/// Block `block` of dataset `dataset` of head `head`: (rows, width), rows <= random_block_rows.
Matrix random_block(Distribution distribution, double bound, std::uint64_t seed, Index dataset, Index head,
                    Index block, Index rows, Index width);

}  // namespace kronattn
