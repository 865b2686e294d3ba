#include "norms.hpp"

#include <algorithm>
#include <cmath>

namespace kronattn {

double hoelder_norm(const double* x, Index d, Index k) {
  double largest = 0;
  for (Index l = 0; l < d; ++l) largest = std::max(largest, std::abs(x[l]));
  if (largest == 0) return 0;
  int exponent = 0;
  // Powers of what is neither huge nor tiny need no other unit.
  if (!(largest > 0x1p-100 && largest < 0x1p100 && k <= 8)) std::frexp(largest, &exponent);
  const double first = std::ldexp(1.0, -exponent / 2), second = std::ldexp(1.0, -exponent - (-exponent / 2));
  double sum = 0;
  for (Index l = 0; l < d; ++l) {
    const double scaled = std::abs(x[l]) * first * second;
    double power = scaled;
    for (Index i = 1; i < k; ++i) power *= scaled;
    sum += power;
  }
  const double root = k == 2   ? std::sqrt(sum)
                      : k == 3 ? std::cbrt(sum)
                               : std::pow(sum, 1.0 / static_cast<double>(k));
  // Below the normal numbers a relative slack does nothing: one step up always counts.
  return std::nextafter(std::ldexp(root * (1 + 4 * gamma(static_cast<double>(d + 2 * k + 8))), exponent),
                        HUGE_VAL);
}

}  // namespace kronattn
