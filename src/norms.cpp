#include "norms.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace kronattn {

namespace {

/// Powers of what is neither huge nor tiny need no other unit.
bool is_ordinary(double largest, Index k) {
  return largest > 0x1p-100 && largest < 0x1p100 && k <= 8;
}

double root(double sum, Index k) {
  return k == 2 ? std::sqrt(sum) : k == 3 ? std::cbrt(sum) : std::pow(sum, 1.0 / static_cast<double>(k));
}

double slack(Index d, Index k) {
  return 1 + 4 * gamma(static_cast<double>(d + 2 * k + 8));
}

}  // namespace

double hoelder_norm(const double* x, Index d, Index k) {
  double largest = 0;
  for (Index l = 0; l < d; ++l) largest = std::max(largest, std::abs(x[l]));
  if (largest == 0) return 0;
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double first = std::ldexp(1.0, -exponent / 2);
  const double second = std::ldexp(1.0, -exponent - (-exponent / 2));
  double sum = 0;
  for (Index l = 0; l < d; ++l) {
    const double scaled = std::abs(x[l]) * first * second;
    double power = scaled;
    for (Index i = 1; i < k; ++i) power *= scaled;
    sum += power;
  }
  const double norm = std::ldexp(root(sum, k) * slack(d, k), exponent);
  // Below the normal numbers a relative slack does nothing: one step up always counts.
  return norm < DBL_MIN ? std::nextafter(norm, HUGE_VAL) : norm;
}

Vector hoelder_norms(const ConstTile& rows, Index k) {
  const Index b = rows.rows(), d = rows.cols();
  const Eigen::ArrayXXd columns = rows;  // lanes are rows
  Eigen::ArrayXd largest = Eigen::ArrayXd::Zero(b), sum = largest, size, power;
  for (Index l = 0; l < d; ++l) {
    size = columns.col(l).abs();
    largest = largest.max(size);
    power = size * size;
    for (Index factor = 2; factor < k; ++factor) power *= size;
    sum += power;
  }
  Vector norms(b);
  for (Index i = 0; i < b; ++i)
    norms(i) =
        is_ordinary(largest(i), k) ? root(sum(i), k) * slack(d, k) : hoelder_norm(rows.row(i).data(), d, k);
  return norms;
}

}  // namespace kronattn
