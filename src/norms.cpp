#include "norms.hpp"

#include <algorithm>
#include <cmath>

namespace kronattn {

double hoelder_norm(const double* x, Index d, Index k) {
  double largest = 0;
  for (Index l = 0; l < d; ++l) largest = std::max(largest, std::abs(x[l]));
  if (largest == 0) return 0;
  // Powers of what is neither huge nor tiny need no other unit.
  const bool ordinary = largest > 0x1p-100 && largest < 0x1p100 && k <= 8;
  int exponent = 0;
  double first = 1, second = 1;
  if (!ordinary) {
    std::frexp(largest, &exponent);
    first = std::ldexp(1.0, -exponent / 2);
    second = std::ldexp(1.0, -exponent - (-exponent / 2));
  }
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
  const double above = root * (1 + 4 * gamma(static_cast<double>(d + 2 * k + 8)));
  // Below the normal numbers a relative slack does nothing: one step up always counts.
  return std::nextafter(ordinary ? above : std::ldexp(above, exponent), HUGE_VAL);
}

}  // namespace kronattn
