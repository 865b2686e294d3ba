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

namespace {

struct PowerSums {
  Eigen::ArrayXd largest, sum;  // (b) max_l |x_l|, sum_l |x_l|^k

  PowerSums(const ColumnTile& rows, Index k)
      : largest(Eigen::ArrayXd::Zero(rows.rows())), sum(Eigen::ArrayXd::Zero(rows.rows())) {
    Eigen::ArrayXd size, power;
    for (Index l = 0; l < rows.cols(); ++l) {
      size = rows.col(l).abs();
      largest = largest.max(size);
      power = size * size;
      for (Index factor = 2; factor < k; ++factor) power *= size;
      sum += power;
    }
  }

  double norm(Index i, const ColumnTile& rows, Index k) const {
    if (is_ordinary(largest(i), k)) return root(sum(i), k) * slack(rows.cols(), k);
    const Vector row = rows.row(i).matrix();
    return hoelder_norm(row.data(), rows.cols(), k);
  }
};

}  // namespace

Eigen::ArrayXd hoelder_norms(const ColumnTile& rows, Index k) {
  const PowerSums sums(rows, k);
  if (k == 2 && rows.rows() > 0 && is_ordinary(sums.largest.minCoeff(), k) &&
      is_ordinary(sums.largest.maxCoeff(), k))
    return sums.sum.sqrt() * slack(rows.cols(), k);
  Eigen::ArrayXd norms(rows.rows());
  for (Index i = 0; i < rows.rows(); ++i) norms(i) = sums.norm(i, rows, k);
  return norms;
}

double largest_hoelder_norm(const ColumnTile& rows, Index k) {
  if (rows.rows() == 0) return 0;
  const PowerSums sums(rows, k);
  // Where the largest entry is ordinary, rows that are not are small, and their sums with them.
  if (is_ordinary(sums.largest.maxCoeff(), k)) return root(sums.sum.maxCoeff(), k) * slack(rows.cols(), k);
  return hoelder_norms(rows, k).maxCoeff();
}

}  // namespace kronattn
