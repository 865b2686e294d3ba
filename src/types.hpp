// The types every file shares: signed lengths, row-major matrices, and the shape of a problem.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kronattn {

using Index = std::ptrdiff_t;

using Vector = Eigen::VectorXd;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Tile = Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>;
using ConstTile = Eigen::Ref<const Matrix, 0, Eigen::OuterStride<>>;

/// Of arithmetic, or of numbers in a file.
enum class Precision { single_precision, double_precision };
inline const char* name(Precision precision) {
  return precision == Precision::single_precision ? "single" : "double";
}

/// Of the exact method: of scores and their exponentials, and of values and sums of a few keys.
struct ExactArithmetic {
  Precision scores = Precision::double_precision, sums = Precision::double_precision;
  bool operator==(const ExactArithmetic&) const = default;
};

/// Half the distance from 1 to the next double: every operation is exact up to a factor 1 + delta, |delta| <=
/// u.
inline constexpr double unit_roundoff = 0x1p-53;

/// gamma_n = n u / (1 - n u): what n roundings in a row can add, relatively (Higham). Infinite where the
/// bound ends.
inline double gamma(double roundings) {
  const double product = roundings * unit_roundoff;
  return product < 0.5 ? product / (1 - product) * (1 + 4 * unit_roundoff) : HUGE_VAL;
}

/// Likewise for float.
inline constexpr double unit_roundoff_single = 0x1p-24;
inline double gamma_single(double roundings) {
  const double product = roundings * unit_roundoff_single;
  return product < 0.5 ? product / (1 - product) * (1 + 4 * unit_roundoff) : HUGE_VAL;
}

/// A half-open range of rows, tiles or monomials.
struct Range {
  Index begin = 0, end = 0;
  Index size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// Order k attention: n query rows, and k-1 key/value modes of n_m rows each; heads are independent problems.
struct ProblemShape {
  Index heads = 1;
  Index queries = 0;            // n, per head
  std::vector<Index> keys;      // n_m, per head
  Index width = 0;              // d
  Index value_width = 0;        // d_v
  double scale = 0;             // of the scores; 1/d unless given
  bool second_moments = false;  // the polynomial method sums squares of values, too (certificate.hpp, E11)

  /// Columns of its sums: of V, V^2 where second moments are wanted, and 1.
  Index sum_columns() const { return (second_moments ? 2 : 1) * value_width + 1; }
  Index modes() const { return static_cast<Index>(keys.size()); }
  Index order() const { return modes() + 1; }  // k

  /// N, the number of key tuples; a floating number because it may exceed any integer.
  double tuples() const {
    double product = 1;
    for (Index rows : keys) product *= static_cast<double>(rows);
    return product;
  }
};

}  // namespace kronattn
