// exp of many non-positive numbers at once, with a proven error: the weights of a softmax after its maximum
// is taken off.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "types.hpp"

namespace kronattn {

/// |exponential(x) - e^x| <= exponential_roundings * u * e^x for -708 <= x <= 0; below, the result is that of
/// -708.
///
/// x = m ln 2 + r with |r| <= 0.35. m ln 2 is subtracted in two parts, of which the first is exact; what r
/// loses is below u/4. The Taylor polynomial of degree 13 leaves 0.35^14 / 14! / e^-0.35 < u/20. Horner's
/// rule with fused or unfused steps ends in 1 + r * q, |r q| <= 0.42: its last steps cost at most u + 2 *
/// 0.42 u + (0.42)^2 u ... < 2.5 u relatively to e^r >= 0.70, so below 3.6 u. Scaling by 2^m is exact.
inline constexpr double exponential_roundings = 4;

inline double exponential(double x) {
  constexpr double log2e = 0x1.71547652b82fep0;
  constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 33 bits: m * ln2_high is exact for |m| < 2^20
  constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  constexpr double to_integer = 0x1.8p52;
  const double clamped = std::max(x, -708.0);
  const double shifted = clamped * log2e + to_integer;
  const double m = shifted - to_integer;
  const double r = (clamped - m * ln2_high) - m * ln2_low;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1;
  p = p * r + 1;
  // shifted holds m in its low bits; moved to the exponent field they multiply by 2^m.
  const auto exponent = std::bit_cast<std::uint64_t>(shifted) << 52;
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(p) + exponent);
}

/// values[i] = exp(values[i] - maximum), values[i] <= maximum. One rounding more, of the difference.
inline void exponential_below(double* values, Index count, double maximum) {
#pragma omp simd
  for (Index i = 0; i < count; ++i) values[i] = exponential(values[i] - maximum);
}

}  // namespace kronattn
