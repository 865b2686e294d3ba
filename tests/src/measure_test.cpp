// What is measured of rows, by other roads: means in quadruple precision, norms and ranges by the definition.
#include "measure.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "norms.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

__extension__ using Quad = __float128;

Quad magnitude(Quad x) {
  return x < 0 ? -x : x;
}

Matrix uniform(std::uint64_t seed, Index rows, Index columns) {
  testing::Uniform random(seed, -1, 1);
  return Matrix::NullaryExpr(rows, columns, [&] { return random(); });
}

/// Means of a mode's columns, as measured, against those in quadruple precision.
void check_means(const Matrix& keys, const Vector& weights, double roundings) {
  ModeMeasurement mode(keys.cols(), 1);
  mode.absorb_keys(keys, weights, 2);
  Quad weight = 0;
  for (Index j = 0; j < keys.rows(); ++j) weight += weights.size() > 0 ? weights(j) : 1;
  EXPECT_NEAR(mode.weight() / static_cast<double>(weight), 1, 4 * unit_roundoff);
  for (Index l = 0; l < keys.cols(); ++l) {
    Quad sum = 0, size = 0;
    for (Index j = 0; j < keys.rows(); ++j) {
      const Quad term = Quad(keys(j, l)) * (weights.size() > 0 ? weights(j) : 1);
      sum += term;
      size += magnitude(term);
    }
    const Quad mean = sum / weight, error = magnitude(mode.key_sums.mean(l, mode.weight()) - mean);
    EXPECT_LE(static_cast<double>(error / (size / weight)),
              static_cast<double>(4 * unit_roundoff * magnitude(mean) / (size / weight)) +
                  roundings * unit_roundoff + 0x1p-60)
        << "column " << l;
  }
}

TEST(Measurement, MeansKeepWhatIsLeftWhenKeysCancel) {
  for (Index rows : {1, 7, 8, 511, 512, 1573}) {
    Matrix keys = uniform(11, rows, 3);
    for (Index j = 0; j < rows; ++j) keys(j, 1) = (j % 2 == 0 ? 1e15 : -1e15) + keys(j, 1);
    for (Index j = 0; j < rows; ++j) keys(j, 2) = 1 + 1e-9 * keys(j, 2);
    check_means(keys, Vector(), 0);
    check_means(keys, uniform(12, rows, 1).cwiseAbs(), 2);
  }
}

TEST(Measurement, MeansHoldWhereSumsOverflowOrProductsVanish) {
  const Matrix keys = uniform(13, 600, 2);
  for (int exponent : {1023, 900, 700, -700, -900, -1040}) {
    SCOPED_TRACE(exponent);
    Matrix scaled = keys;
    for (double& entry : scaled.reshaped()) entry = std::ldexp(entry, exponent);
    check_means(scaled, Vector(), 0);
    if (exponent > -1000) check_means(scaled, uniform(14, 600, 1).cwiseAbs(), 2);
  }
}

TEST(Norms, OfATileAreThoseOfItsRowsFromAbove) {
  for (Index k : {2, 3, 5, 9})
    for (int exponent : {0, 99, 101, 500, -99, -101, -500, -1060})
      for (bool alone : {true, false}) {  // or beside rows of other magnitudes
        SCOPED_TRACE(::testing::Message() << k << ' ' << exponent << ' ' << alone);
        Matrix rows = uniform(15, 40, 6);
        for (double& entry : rows.reshaped()) entry = std::ldexp(entry, exponent);
        rows.row(3).setZero();
        if (!alone) rows.row(4) = uniform(16, 1, 6);
        const Eigen::ArrayXd norms = hoelder_norms(rows.array(), k);
        long double largest = 0;
        for (Index i = 0; i < rows.rows(); ++i) {
          long double sum = 0;
          for (Index l = 0; l < rows.cols(); ++l)
            sum += std::pow(std::abs(static_cast<long double>(rows(i, l))), static_cast<long double>(k));
          const long double norm = std::pow(sum, 1.0L / static_cast<long double>(k));
          largest = std::max(largest, norm);
          ASSERT_GE(norms(i) * (1 + 0x1p-58L), norm);
          ASSERT_LE(norms(i), norm * (1 + 1e-13L) + 0x1p-1073L);
        }
        const double most = largest_hoelder_norm(rows.array(), k);
        EXPECT_GE(most * (1 + 0x1p-58L), largest);
        EXPECT_LE(most, largest * (1 + 1e-13L) + 0x1p-1073L);
      }
}

TEST(NonzeroRange, IsTheSameInAnyOrder) {
  Matrix rows = Matrix::Zero(6, 2);
  rows.col(0) << 0, 3, 0, 3, 3, 0;
  for (bool one : {true, false}) {
    if (!one) rows(4, 0) = 5, rows(5, 0) = 7;
    NonzeroRange whole(2);
    whole.absorb(rows);
    EXPECT_EQ(whole.one_value(), one);
    if (one) {
      EXPECT_EQ(whole.value(0), 3);
      EXPECT_EQ(whole.value(1), 0);
    }
    for (const std::vector<Index>& cuts : {std::vector<Index>{0, 1, 4, 6}, {0, 5, 6}, {0, 4, 5, 6}}) {
      NonzeroRange merged(2), grown(2);
      for (std::size_t i = cuts.size() - 1; i > 0; --i) {
        NonzeroRange part(2);
        part.absorb(rows.middleRows(cuts[i - 1], cuts[i] - cuts[i - 1]));
        merged.merge(part);
      }
      for (std::size_t i = 1; i < cuts.size(); ++i)
        grown.absorb(rows.middleRows(cuts[i - 1], cuts[i] - cuts[i - 1]));
      for (const NonzeroRange* range : {&merged, &grown}) {
        EXPECT_EQ(range->low, whole.low);
        EXPECT_EQ(range->high, whole.high);
      }
    }
  }
}

}  // namespace
}  // namespace kronattn
