#include "random_rows.hpp"

#include <cmath>
#include <numbers>

namespace kronattn {

namespace {

/// Box and Muller.
double normal(std::mt19937_64& generator) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform_number(generator)));
  return radius * std::cos(2 * std::numbers::pi * uniform_number(generator));
}

double entry(Distribution distribution, double bound, std::mt19937_64& generator) {
  switch (distribution) {
    case Distribution::uniform:
      return bound * (2 * uniform_number(generator) - 1);
    case Distribution::positive:
      return bound * uniform_number(generator);
    case Distribution::gaussian: {
      double x = bound / 3 * normal(generator);
      while (std::abs(x) > bound) x = bound / 3 * normal(generator);
      return x;
    }
    case Distribution::sphere:
      break;
  }
  return normal(generator);
}

}  // namespace

std::mt19937_64 block_generator(std::uint64_t seed, Index dataset, Index head, Index block) {
  std::seed_seq sequence{static_cast<std::uint32_t>(seed),    static_cast<std::uint32_t>(seed >> 32),
                         static_cast<std::uint32_t>(dataset), static_cast<std::uint32_t>(head),
                         static_cast<std::uint32_t>(block),   static_cast<std::uint32_t>(block >> 32)};
  return std::mt19937_64(sequence);
}

double uniform_number(std::mt19937_64& generator) {
  return static_cast<double>(generator() >> 11) * 0x1p-53;
}

Index uniform_index(Index count, std::mt19937_64& generator) {
  return std::min(count - 1, static_cast<Index>(uniform_number(generator) * static_cast<double>(count)));
}

Matrix random_block(Distribution distribution, double bound, std::uint64_t seed, Index dataset, Index head,
                    Index block, Index rows, Index width) {
  std::mt19937_64 generator = block_generator(seed, dataset, head, block);
  Matrix data(rows, width);
  for (Index i = 0; i < rows; ++i) {
    for (Index l = 0; l < width; ++l) data(i, l) = entry(distribution, bound, generator);
    if (distribution == Distribution::sphere) {
      double squares = 0;
      for (Index l = 0; l < width; ++l) squares += data(i, l) * data(i, l);
      for (Index l = 0; l < width; ++l)
        data(i, l) = std::min(bound, std::max(-bound, data(i, l) * (bound / std::sqrt(squares))));
    }
  }
  return data;
}

}  // namespace kronattn
