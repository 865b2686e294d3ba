#include "fixed_point_sums.hpp"

#include <bit>
#include <cmath>

namespace kronattn {

namespace {

__extension__ using Wide = __int128;

/// The weight of the lowest bit of an exact sum: 2^-1074 as a 64-bit mantissa reaches down to 2^-1137.
constexpr int lowest_exponent = -1152;

}  // namespace

FixedPointSums::FixedPointSums(Index size, double bound) : words_(static_cast<std::size_t>(2 * size), 0) {
  int exponent = 0;
  std::frexp(bound, &exponent);
  to_high_ = std::ldexp(1.0, 50 - exponent);
  from_high_ = std::ldexp(1.0, exponent - 50);
}

void FixedPointSums::add(Index first, const double* terms, Index count) {
  std::int64_t* words = words_.data() + 2 * first;
  const auto zero = std::bit_cast<std::int64_t>(round_to_integer);
  for (Index t = 0; t < count; ++t) {
    const double scaled = terms[t] * to_high_;
    const double high = scaled + round_to_integer;
    const double rest = scaled - (high - round_to_integer);  // exact, |rest| <= 1/2
    const double low = rest * low_per_high + round_to_integer;
    words[2 * t] += std::bit_cast<std::int64_t>(high) - zero;
    words[2 * t + 1] += std::bit_cast<std::int64_t>(low) - zero;
  }
}

void FixedPointSums::merge(Index first, const std::uint64_t* high, const std::uint64_t* low, Index count,
                           std::int64_t terms) {
  std::int64_t* words = words_.data() + 2 * first;
  const std::uint64_t bias =
      std::bit_cast<std::uint64_t>(round_to_integer) * static_cast<std::uint64_t>(terms);
  for (Index i = 0; i < count; ++i) {
    words[2 * i] += static_cast<std::int64_t>(high[i] - bias);
    words[2 * i + 1] += static_cast<std::int64_t>(low[i] - bias);
  }
}

void FixedPointSums::grow(Index size) {
  words_.resize(static_cast<std::size_t>(2 * size), 0);
}

double FixedPointSums::operator[](Index index) const {
  const std::int64_t* word = words_.data() + 2 * index;
  return (static_cast<double>(word[0]) + static_cast<double>(word[1]) * 0x1p-30) * from_high_;
}

void ExactSums::add(Index index, long double term) {
  if (term == 0) return;
  int exponent = 0;
  const long double fraction = std::frexp(std::abs(term), &exponent);
  const auto mantissa = static_cast<Wide>(static_cast<std::uint64_t>(std::ldexp(fraction, 64)));
  const int lowest = exponent - 64 - lowest_exponent;
  const std::int64_t sign = term < 0 ? -1 : 1;
  std::int64_t* digit = digits_.data() + index * digits_each + lowest / 32;
  for (Wide rest = mantissa << (lowest % 32); rest != 0; rest >>= 32)
    *digit++ += sign * static_cast<std::int64_t>(rest & 0xffffffff);
}

void ExactSums::merge(const ExactSums& other) {
  for (std::size_t i = 0; i < digits_.size(); ++i) digits_[i] += other.digits_[i];
}

long double ExactSums::mean(Index index, double count) const {
  std::vector<std::int64_t> carried(digits_.begin() + index * digits_each,
                                    digits_.begin() + (index + 1) * digits_each);
  bool negative = false;
  const auto carry = [&] {
    for (std::size_t i = 0; i + 1 < carried.size(); ++i) {
      std::int64_t over = carried[i] >> 32;
      carried[i] -= over * (std::int64_t{1} << 32);
      carried[i + 1] += over;
    }
  };
  carry();
  if (carried.back() < 0) {
    negative = true;
    for (std::int64_t& digit : carried) digit = -digit;
    carry();
  }
  long double sum = 0;
  for (std::size_t i = carried.size(); i-- > 0;)
    sum += std::ldexp(static_cast<long double>(carried[i]), static_cast<int>(32 * i) + lowest_exponent);
  return (negative ? -sum : sum) / static_cast<long double>(count);
}

}  // namespace kronattn
