// Rows of synthetic problems: a function of seed, dataset, head and row number alone, whoever generates them.
#pragma once

#include <cstdint>
#include <random>

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

/// The generator of a block: a function of these numbers alone.
std::mt19937_64 block_generator(std::uint64_t seed, Index dataset, Index head, Index block);

/// Uniform in [0, 1), from the upper 53 bits: the same on every platform, unlike the standard's
/// distributions.
double uniform_number(std::mt19937_64& generator);

/// Uniform in 0, ..., count - 1.
Index uniform_index(Index count, std::mt19937_64& generator);

/// Block `block` of dataset `dataset` of head `head`: (rows, width), rows <= random_block_rows.
Matrix random_block(Distribution distribution, double bound, std::uint64_t seed, Index dataset, Index head,
                    Index block, Index rows, Index width);

}  // namespace kronattn
