#include "exact_kernel.hpp"

#include <gtest/gtest.h>

#include "exponential.hpp"
#include "instruction_sets.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

struct Sums {
  Vector maximum;
  Matrix sums;
};

using Kernel = decltype(sum_tile);

Sums run(Kernel& kernel, const ConstTile& queries, const Matrix& keys, const Matrix& values) {
  Sums result{Vector(queries.rows()), Matrix(queries.rows(), values.cols())};
  kernel(queries.data(), queries.outerStride(), queries.rows(), keys.data(), values.data(), keys.rows(),
         keys.cols(), values.cols(), result.maximum.data(), result.sums.data());
  return result;
}

/// What both kernels may differ from the definition by, in units of sum_j e_j |V_jc|.
double allowed(double largest_score_terms, Index b, Index d) {
  const double score = 2 * gamma(static_cast<double>(d)) * largest_score_terms;
  return score + gamma(exponential_roundings + static_cast<double>(b) + 2) + 2 * unit_roundoff * score;
}

void expect_alike(const ConstTile& queries, const Matrix& keys, const Matrix& values) {
  const Sums fast = run(sum_tile, queries, keys, values),
             plain = run(sum_tile_plainly, queries, keys, values),
             sizes = run(sum_tile_plainly, queries, keys, values.cwiseAbs());
  for (Index i = 0; i < queries.rows(); ++i) {
    const double terms = (keys.cwiseAbs() * queries.row(i).cwiseAbs().transpose()).maxCoeff();
    EXPECT_LE(std::abs(fast.maximum(i) - plain.maximum(i)),
              2 * gamma(static_cast<double>(keys.cols())) * terms);
    const double bound =
        2 * allowed(terms, keys.rows(), keys.cols()) + 4 * unit_roundoff * terms;  // differences to maxima
    for (Index c = 0; c < values.cols(); ++c)
      EXPECT_LE(std::abs(fast.sums(i, c) - plain.sums(i, c)), bound * sizes.sums(i, c) + 1e-300)
          << "row " << i << ", column " << c << " of " << keys.rows() << " keys, d " << keys.cols();
  }
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
    const Sums all = run(sum_tile, queries, keys, values);
    for (Index i = 0; i < queries.rows(); ++i) {
      const Sums one = run(sum_tile, queries.row(i), keys, values);
      EXPECT_EQ(one.maximum(0), all.maximum(i));
      EXPECT_EQ(one.sums, all.sums.row(i));
    }
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

TEST(ExactKernel, ItsExponentialIsWithinTheDocumentedError) {
  testing::with_each_instruction_set([] {
    std::vector<double> arguments = {0.0, -708.0};
    testing::Uniform wide(1, -708, 0), narrow(2, -2, 0), tiny(3, -1e-8, 0);
    for (int t = 0; t < 200000; ++t) arguments.insert(arguments.end(), {wide(), narrow(), tiny()});
    for (int m = 0; m < 1021; ++m)  // the seams, where the remainder is largest
      for (double offset : {-1e-9, 0.0, 1e-9}) arguments.push_back(-(m + 0.5) * std::log(2.0) + offset);
    std::vector<double> results = arguments;
    exponentials(results.data(), static_cast<Index>(results.size()));
    double worst = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const long double exact = std::exp(static_cast<long double>(arguments[i]));
      worst = std::max(worst, static_cast<double>(std::abs(results[i] - exact) / exact / unit_roundoff));
    }
    EXPECT_LE(worst, exponential_roundings);
    EXPECT_EQ(results[0], 1.0);
    std::vector<double> far = {-1e300, -HUGE_VAL, -709};
    exponentials(far.data(), 3);
    for (double result : far) EXPECT_TRUE(result > 0 && result < 1e-300);
  });
}

}  // namespace
}  // namespace kronattn
