// exp of non-positive numbers, with a proven error: the weights of a softmax after its maximum
// is taken off.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "types.hpp"

namespace kronattn {

/// |exponential(x) - e^x| <= exponential_roundings * u * e^x for lowest <= x <= 0, u that of T; below, the
/// result is that of lowest.
///
/// x = m ln 2 + r with |r| <= 0.35. m ln 2 is subtracted in two parts, of which the first is exact; what r
/// loses is below u/2. The Taylor polynomial of degree 13 leaves 0.35^14 / 14! / e^-0.35 < u/20 in double,
/// that of degree 7 leaves 0.35^8 / 8! / e^-0.35 < u/5 in float. Horner's rule with fused or unfused steps
/// ends in 1 + r * q, |r q| <= 0.42: its last steps cost at most u + 2 * 0.42 u + (0.42)^2 u ... < 2.5 u
/// relatively to e^r >= 0.70, so below 3.6 u. Scaling by 2^m is exact.
inline constexpr double exponential_roundings = 4;

/// What it is made of, for the scalar form here and that of vectors (exact_kernel.cpp).
template <class T>
struct ExponentialSteps;

template <>
struct ExponentialSteps<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr double lowest = -708;
  static constexpr double log2e = 0x1.71547652b82fep0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 33 bits: m * ln2_high is exact for |m| < 2^20
  static constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double to_integer = 0x1.8p52;
  static constexpr double taylor[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
};

template <>
struct ExponentialSteps<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr float lowest = -87;
  static constexpr float log2e = 0x1.715476p0f;
  static constexpr float ln2_high = 0x1.62e4p-1f;  // 16 bits: m * ln2_high is exact for |m| < 2^8
  static constexpr float ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float to_integer = 0x1.8p23f;
  static constexpr float taylor[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
};

template <class T>
T exponential(T x) {
  using Steps = ExponentialSteps<T>;
  using Bits = typename Steps::Bits;
  const T clamped = std::max(x, Steps::lowest);
  const T shifted = clamped * Steps::log2e + Steps::to_integer;
  const T m = shifted - Steps::to_integer;
  const T r = (clamped - m * Steps::ln2_high) - m * Steps::ln2_low;
  T p = 0;
  for (T coefficient : Steps::taylor) p = p * r + coefficient;
  // shifted holds m in its low bits; moved to the exponent field they multiply by 2^m.
  const Bits exponent = std::bit_cast<Bits>(shifted) << Steps::mantissa_bits;
  return std::bit_cast<T>(std::bit_cast<Bits>(p) + exponent);
}

}  // namespace kronattn
