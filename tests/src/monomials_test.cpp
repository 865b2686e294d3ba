#include "monomials.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "features.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

double power_product(const Monomials& monomials, Index a, const ConstTile& points, Index point) {
  double product = 1;
  const std::vector<Index> exponents = monomials.exponents(a);
  for (std::size_t l = 0; l < exponents.size(); ++l)
    product *= std::pow(points(static_cast<Index>(l), point), static_cast<double>(exponents[l]));
  return product;
}

TEST(Binomial, IsPascalsTriangle) {
  EXPECT_EQ(binomial(8 + 6, 6), 3003);
  EXPECT_EQ(binomial(0, 0), 1);
  for (double n = 1; n < 55; ++n)
    for (double k = 1; k < n; ++k)
      EXPECT_EQ(binomial(n, k), binomial(n - 1, k - 1) + binomial(n - 1, k)) << n << " " << k;
}

TEST(Monomials, AreAllDifferentAndAsManyAsTheBinomialSays) {
  for (Index d : {1, 2, 5})
    for (Index g : {0, 1, 4}) {
      const Monomials monomials = Monomials::of_total_degree(d, g);
      EXPECT_EQ(static_cast<double>(monomials.count()),
                binomial(static_cast<double>(d + g), static_cast<double>(g)));
      std::set<std::vector<Index>> seen;
      for (Index a = 0; a < monomials.count(); ++a) {
        const std::vector<Index> exponents = monomials.exponents(a);
        const Index degree = std::accumulate(exponents.begin(), exponents.end(), Index{0});
        EXPECT_TRUE(seen.insert(exponents).second);
        EXPECT_LE(monomials.of_degree(degree).begin, a);
        EXPECT_LT(a, monomials.of_degree(degree).end);
        if (a > 0) {
          EXPECT_EQ(monomials.power(a), exponents[static_cast<std::size_t>(monomials.axis(a))]);
        }
      }
    }
}

TEST(Monomials, KeepTheirNumbersWhenADegreeIsAdded) {
  Monomials grown = Monomials::of_total_degree(4, 3);
  const Monomials before = grown;
  grown.add_degree([](Index, Index) { return true; });
  for (Index a = 0; a < before.count(); ++a) EXPECT_EQ(before.exponents(a), grown.exponents(a));
  EXPECT_EQ(grown.count(), Monomials::of_total_degree(4, 4).count());
}

TEST(Monomials, TooManyForTheirNumbersIsAnError) {
  EXPECT_THROW(Monomials::of_total_degree(64, 20), std::length_error);
}

TEST(Monomials, WeightsMakeThePowerOfAScalarProduct) {
  testing::Uniform uniform(1, -1, 1);
  const Monomials monomials = Monomials::of_total_degree(3, 6);
  const Matrix points = testing::random_matrix(3, 2, uniform);  // x and y
  const Vector axis_weights = Vector::LinSpaced(3, -0.7, 1.3);
  const Vector weights = multinomial_weights(monomials, axis_weights);
  for (Index m = 0; m <= 6; ++m) {
    double sum = 0;
    const Range range = monomials.of_degree(m);
    for (Index a = range.begin; a < range.end; ++a)
      sum += weights(a) * power_product(monomials, a, points, 0) * power_product(monomials, a, points, 1);
    const double product = (axis_weights.array() * points.col(0).array() * points.col(1).array()).sum();
    EXPECT_NEAR(sum, std::pow(product, static_cast<double>(m)), 1e-14);
  }
}

TEST(Features, ArePowerProducts) {
  testing::Uniform uniform(2, -1.2, 1.2);
  for (const Monomials& monomials : {Monomials::of_total_degree(6, 5), Monomials::of_total_degree(1, 7)}) {
    const Matrix x = testing::random_matrix(monomials.variables(), 2, uniform);
    const Vector all = features(monomials, x.col(1));
    for (Index a = 0; a < monomials.count(); ++a)
      EXPECT_NEAR(all(a), power_product(monomials, a, x, 1), 1e-13);
  }
}

TEST(Monomials, ChosenAreThoseThatWeighEnough) {
  const Vector weights = (Vector(4) << 0.9, 0.5, 0.2, 0.05).finished();
  const Monomials all = Monomials::of_total_degree(4, 6);
  const Monomials chosen = Monomials::chosen(4, {6, 1e-4, weights}, 1e6);
  const auto weight = [&](const std::vector<Index>& exponents) {
    double product = 1;
    for (std::size_t l = 0; l < 4; ++l)
      for (Index i = 1; i <= exponents[l]; ++i)
        product *= weights(static_cast<Index>(l)) / static_cast<double>(i);
    return product;
  };
  std::set<std::vector<Index>> kept;
  for (Index a = 0; a < chosen.count(); ++a) kept.insert(chosen.exponents(a));
  EXPECT_EQ(static_cast<Index>(kept.size()), chosen.count());
  EXPECT_LT(chosen.count(), all.count());
  for (Index a = 0; a < all.count(); ++a)  // weights below 1: each parent weighs more than its child
    EXPECT_EQ(kept.count(all.exponents(a)) == 1, weight(all.exponents(a)) >= 1e-4);
  EXPECT_THROW(Monomials::chosen(4, {6, 1e-9, weights}, 20), std::length_error);
  EXPECT_THROW(Monomials::chosen(30, {9, 0, {}}, 1e6), std::length_error);
}

}  // namespace
}  // namespace kronattn
