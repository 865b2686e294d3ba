#include "norms.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace kronattn {

namespace {

/// Of sums of powers: no power overflows, and what vanishes is nothing beside the others.
bool is_ordinary(double sum) {
  return sum > 0x1p-800 && sum < 0x1p800;
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

namespace {

/// (b) sum_l |x_l|^k
Eigen::ArrayXd power_sums(const ConstColumnTile& rows, Index k) {
  Eigen::ArrayXd sums = Eigen::ArrayXd::Zero(rows.rows()), power;
  for (Index l = 0; l < rows.cols(); ++l) {
    if (k == 2) {
      sums += rows.col(l).square();
      continue;
    }
    power = rows.col(l).abs().cube();
    for (Index factor = 3; factor < k; ++factor) power *= rows.col(l).abs();
    sums += power;
  }
  return sums;
}

}  // namespace

Eigen::ArrayXd hoelder_norms(const ConstColumnTile& rows, Index k) {
  Eigen::ArrayXd norms = power_sums(rows, k);
  if (rows.rows() == 0) return norms;
  const double factor = slack(rows.cols(), k);
  if (k == 2 && is_ordinary(norms.minCoeff()) && is_ordinary(norms.maxCoeff())) return norms.sqrt() * factor;
  for (Index i = 0; i < rows.rows(); ++i) {
    if (is_ordinary(norms(i))) {
      norms(i) = root(norms(i), k) * factor;
    } else {
      const Vector row = rows.row(i).matrix();
      norms(i) = hoelder_norm(row.data(), rows.cols(), k);
    }
  }
  return norms;
}

double largest_hoelder_norm(const ConstColumnTile& rows, Index k) {
  if (rows.rows() == 0) return 0;
  // Where the largest sum is ordinary, those that are not are smaller.
  const double largest = power_sums(rows, k).maxCoeff();
  if (is_ordinary(largest)) return root(largest, k) * slack(rows.cols(), k);
  return hoelder_norms(rows, k).maxCoeff();
}

}  // namespace kronattn
