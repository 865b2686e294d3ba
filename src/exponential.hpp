// exp of non-positive numbers, with a proven error: the weights of a softmax after its maximum
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

/// What it is made of, for the scalar form here and that of vectors (exact_kernel.cpp).
struct ExponentialSteps {
  static constexpr double lowest = -708;
  static constexpr double log2e = 0x1.71547652b82fep0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 33 bits: m * ln2_high is exact for |m| < 2^20
  static constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double to_integer = 0x1.8p52;
  static constexpr double taylor[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
};

inline double exponential(double x) {
  using Steps = ExponentialSteps;
  const double clamped = std::max(x, Steps::lowest);
  const double shifted = clamped * Steps::log2e + Steps::to_integer;
  const double m = shifted - Steps::to_integer;
  const double r = (clamped - m * Steps::ln2_high) - m * Steps::ln2_low;
  double p = 0;
  for (double coefficient : Steps::taylor) p = p * r + coefficient;
  // shifted holds m in its low bits; moved to the exponent field they multiply by 2^m.
  const auto exponent = std::bit_cast<std::uint64_t>(shifted) << 52;
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(p) + exponent);
}

}  // namespace kronattn
