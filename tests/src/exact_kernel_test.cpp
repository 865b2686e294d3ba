#include "exact_kernel.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <type_traits>

#include "exponential.hpp"
#include "instruction_sets.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

struct Sums {
  Vector maximum;
  Matrix sums;
};

template <class T, class U>
using Kernel = void(const double*, Index, Index, const T*, const U*, Index, Index, Index, double*, double*);

template <class T, class U>
Sums run(Kernel<T, U>& kernel, const ConstTile& queries, const Matrix& keys, const Matrix& values) {
  Sums result{Vector(queries.rows()), Matrix(queries.rows(), values.cols())};
  const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> k = keys.cast<T>();
  const Eigen::Matrix<U, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> v = values.cast<U>();
  kernel(queries.data(), queries.outerStride(), queries.rows(), k.data(), v.data(), keys.rows(), keys.cols(),
         values.cols(), result.maximum.data(), result.sums.data());
  return result;
}

template <class T>
constexpr double roundoff = std::is_same_v<T, float> ? 0x1p-24 : unit_roundoff;

/// What both kernels may differ from the definition by, in units of sum_j e_j |V_jc|.
template <class T, class U>
double allowed(double largest_score_terms, Index b, Index d) {
  const double u = roundoff<T>;
  const double score = 2.01 * u * static_cast<double>(d) * largest_score_terms;
  const Index summed = std::is_same_v<U, float> ? std::min(b, single_block) : b;
  return score + 1.01 * u * (exponential_roundings + 2) + 1.01 * roundoff<U> * static_cast<double>(summed) +
         2 * u * score;
}

template <class T, class U>
void expect_alike_in(const ConstTile& queries, const Matrix& keys, const Matrix& values) {
  const double u = roundoff<T>;
  const Sums fast = run<T, U>(sum_tile, queries, keys, values),
             plain = run<T, U>(sum_tile_plainly, queries, keys, values),
             sizes = run<T, U>(sum_tile_plainly, queries, keys, values.cwiseAbs());
  for (Index i = 0; i < queries.rows(); ++i) {
    const double terms = (keys.cwiseAbs() * queries.row(i).cwiseAbs().transpose()).maxCoeff();
    EXPECT_LE(std::abs(fast.maximum(i) - plain.maximum(i)),
              2.01 * u * static_cast<double>(keys.cols()) * terms);
    const double bound =
        2 * allowed<T, U>(terms, keys.rows(), keys.cols()) + 4 * u * terms;  // differences to maxima
    const double lost = std::is_same_v<T, float> ? 1e-36 : 1e-300;
    for (Index c = 0; c < values.cols(); ++c)
      EXPECT_LE(std::abs(fast.sums(i, c) - plain.sums(i, c)), std::expm1(bound) * sizes.sums(i, c) + lost)
          << "row " << i << ", column " << c << " of " << keys.rows() << " keys, d " << keys.cols();
  }
}

void expect_alike(const ConstTile& queries, const Matrix& keys, const Matrix& values) {
  expect_alike_in<double, double>(queries, keys, values);
  expect_alike_in<float, float>(queries, keys, values);
  expect_alike_in<float, double>(queries, keys, values);
}

TEST(ExactKernel, IsTheReferenceAtAllWidthsAndTails) {
  testing::with_each_instruction_set([] {
    testing::Uniform uniform(1, -1, 1);
    const auto random = [&](Index rows, Index columns) {
      return testing::random_matrix(rows, columns, [&] { return uniform(); });
    };
    for (Index d : {1, 2, 3, 8, 17, 64})
      for (Index columns : {1, 2, 7, 9, 11, 12, 13, 25, 65})
        expect_alike(random(19, d), random(77, d), random(77, columns));
    for (Index rows : {1, 2, 7, 8, 9, 16, 33})
      for (Index b : {1, 2, 7, 8, 9, 15, 512}) expect_alike(random(rows, 5), random(b, 5), random(b, 4));
  });
}

TEST(ExactKernel, IsTheReferenceForLargeScores) {
  testing::with_each_instruction_set([] {
    testing::Uniform uniform(2, -1, 1);
    for (double size : {30.0, 1e3, 1e8}) {
      const Matrix queries = testing::random_matrix(11, 4, [&] { return size * uniform(); });
      const Matrix keys = testing::random_matrix(100, 4, [&] { return uniform(); });
      expect_alike(queries, keys, testing::random_matrix(100, 3, [&] { return uniform(); }));
    }
  });
}

TEST(ExactKernel, GivesARowTheSameBitsWhoeverItsNeighboursAre) {
  testing::with_each_instruction_set([] {
    testing::Uniform uniform(3, -2, 2);
    const auto random = [&](Index rows, Index columns) {
      return testing::random_matrix(rows, columns, [&] { return uniform(); });
    };
    const Matrix queries = random(37, 6), keys = random(130, 6), values = random(130, 5);
    const auto check = [&]<class T, class U>(T, U) {
      const Sums all = run<T, U>(sum_tile, queries, keys, values);
      for (Index i = 0; i < queries.rows(); ++i) {
        const Sums one = run<T, U>(sum_tile, queries.row(i), keys, values);
        EXPECT_EQ(one.maximum(0), all.maximum(i));
        EXPECT_EQ(one.sums, all.sums.row(i));
      }
    };
    check(double{}, double{});
    check(float{}, float{});
    check(float{}, double{});
  });
}

TEST(ExactKernel, TakesRowsOutOfAWiderMatrix) {
  testing::with_each_instruction_set([] {
    testing::Uniform uniform(4, -1, 1);
    const auto random = [&](Index rows, Index columns) {
      return testing::random_matrix(rows, columns, [&] { return uniform(); });
    };
    const Matrix wide = random(10, 9);
    expect_alike(wide.leftCols(4), random(20, 4), random(20, 3));
  });
}

template <class T>
void check_exponential(double lowest, int seams) {
  std::vector<T> arguments = {T(0), static_cast<T>(lowest)};
  testing::Uniform wide(1, lowest, 0), narrow(2, -2, 0), tiny(3, -1e-8, 0);
  for (int t = 0; t < 200000; ++t)
    for (double x : {wide(), narrow(), tiny()}) arguments.push_back(static_cast<T>(x));
  for (int m = 0; m < seams; ++m)  // where the remainder is largest
    for (double offset : {-1e-9, 0.0, 1e-9})
      arguments.push_back(static_cast<T>(-(m + 0.5) * std::log(2.0) + offset));
  std::vector<T> results = arguments;
  exponentials(results.data(), static_cast<Index>(results.size()));
  double worst = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const long double exact = std::exp(static_cast<long double>(arguments[i]));
    for (T result : {results[i], exponential(arguments[i])})
      worst = std::max(worst, static_cast<double>(std::abs(result - exact) / exact / roundoff<T>));
  }
  EXPECT_LE(worst, exponential_roundings);
  EXPECT_EQ(results[0], 1.0);
  std::vector<T> far = {-std::numeric_limits<T>::max(), -std::numeric_limits<T>::infinity(),
                        static_cast<T>(lowest - 1)};
  exponentials(far.data(), 3);
  for (T result : far) EXPECT_TRUE(result > 0 && result < 1.01 * std::exp(lowest));
}

TEST(ExactKernel, ItsExponentialIsWithinTheDocumentedError) {
  testing::with_each_instruction_set([] {
    check_exponential<double>(-708, 1021);
    check_exponential<float>(-87, 125);
  });
}

}  // namespace
}  // namespace kronattn
