#include "gap_maxip.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace kronattn {
namespace {

/// The largest product of a query with tuples of the other families, by trying all.
Vector largest_products(const PlantedFamilies& families) {
  const Range all{0, families.rows()};
  const Matrix queries = families.vectors(0, all);
  Vector largest = Vector::Zero(families.rows());
  for (Index i = 0; i < families.rows(); ++i) {
    std::set<std::vector<double>> products = {
        std::vector<double>(queries.row(i).begin(), queries.row(i).end())};
    for (Index family = 1; family < families.order(); ++family) {
      const Matrix vectors = families.vectors(family, all);
      std::set<std::vector<double>> longer;
      for (const std::vector<double>& product : products)
        for (Index j = 0; j < families.rows(); ++j) {
          std::vector<double> next = product;
          for (Index l = 0; l < families.dimension(); ++l) next[static_cast<std::size_t>(l)] *= vectors(j, l);
          longer.insert(next);
        }
      products = longer;
    }
    for (const std::vector<double>& product : products) {
      double sum = 0;
      for (double x : product) sum += x;
      largest(i) = std::max(largest(i), sum);
    }
  }
  return largest;
}

TEST(PlantedFamilies, HaveTheAnswersTheySay) {
  for (Index order : {2, 3, 4})
    for (Index dimension : {4, 7, 32, 41})
      for (std::uint64_t seed : {1, 2}) {
        const PlantedFamilies families(order, order == 2 ? 300 : 40, dimension, seed);
        const Vector largest = largest_products(families);
        const Vector planted = families.planted_queries({0, families.rows()});
        EXPECT_GT(planted.sum(), 0);
        EXPECT_LT(planted.sum(), static_cast<double>(families.rows()));
        for (Index i = 0; i < families.rows(); ++i) {
          if (planted(i) == 1)
            EXPECT_EQ(largest(i), static_cast<double>(families.product_yes()));
          else
            EXPECT_LE(largest(i), static_cast<double>(families.product_no()));
        }
      }
}

TEST(PlantedFamilies, DoNotGiveTheAnswerAwayByAQuerysOnes) {
  const PlantedFamilies families(3, 2000, 32, 1);
  const Vector ones = families.vectors(0, {0, 2000}).rowwise().sum();
  const Vector planted = families.planted_queries({0, 2000});
  Index decoys = 0;
  for (Index i = 0; i < 2000; ++i)
    if (planted(i) == 0 && ones(i) == static_cast<double>(families.product_yes())) ++decoys;
  EXPECT_NEAR(static_cast<double>(decoys), 500, 100);
  EXPECT_NEAR(planted.sum(), 500, 100);
}

TEST(PlantedFamilies, AreTheSameRowByRow) {
  const PlantedFamilies families(3, 1500, 16, 5);
  const Matrix all = families.vectors(1, {0, 1500});
  EXPECT_EQ(families.vectors(1, {1000, 1100}), all.middleRows(1000, 100));
  EXPECT_EQ(families.planted_queries({1020, 1030}), families.planted_queries({0, 1500}).segment(1020, 10));
  EXPECT_NE(all, families.vectors(2, {0, 1500}));
  EXPECT_NE(all, PlantedFamilies(3, 1500, 16, 6).vectors(1, {0, 1500}));
}

/// y_i by the definition, in long double.
std::vector<long double> outputs(const PlantedInstance& instance) {
  const ProblemShape shape = instance.shape();
  const Matrix queries = instance.queries({0, shape.queries});
  std::vector<long double> result;
  for (Index i = 0; i < shape.queries; ++i) {
    std::vector<std::pair<Matrix, double>> tuples = {{queries.row(i), 1}};  // products of columns, of values
    for (Index mode = 0; mode < shape.modes(); ++mode) {
      const Range rows{0, shape.keys[static_cast<std::size_t>(mode)]};
      const Matrix keys = instance.keys(mode, rows), values = instance.values(mode, rows);
      std::vector<std::pair<Matrix, double>> longer;
      for (const auto& [product, value] : tuples)
        for (Index j = 0; j < rows.end; ++j)
          longer.emplace_back(product.cwiseProduct(keys.row(j)), value * values(j, 0));
      tuples = longer;
    }
    long double sum = 0, normalizer = 0;
    for (const auto& [product, value] : tuples) {
      const long double weight = std::exp(static_cast<long double>(shape.scale * product.sum()));
      sum += weight * value;
      normalizer += weight;
    }
    result.push_back(sum / normalizer);
  }
  return result;
}

TEST(GapMaxip, OutputsKeepTheBoundsThatDecide) {
  for (Index order : {2, 3, 4, 5})
    for (auto reduction : {GapMaxip::Reduction::strengthened, GapMaxip::Reduction::original}) {
      const Index rows = order == 2 ? 200 : order == 3 ? 30 : order == 4 ? 8 : 4;
      const GapMaxip instance(PlantedFamilies(order, rows, 12, 3), reduction);
      const Vector truth = instance.truth({0, rows});
      const std::vector<long double> y = outputs(instance);
      for (Index i = 0; i < rows; ++i) {
        const auto output = static_cast<double>(y[static_cast<std::size_t>(i)]);
        if (truth(i) == 1)
          EXPECT_GE(output, instance.yes_at_least() * (1 - 1e-12));
        else
          EXPECT_LE(output, instance.no_at_most());
      }
      EXPECT_LT(instance.no_at_most(), instance.decide_above());
      EXPECT_LT(instance.decide_above(), instance.yes_at_least());
    }
}

TEST(GapMaxip, EntriesAreWithinTheBoundAndReachIt) {
  for (Index order : {2, 3, 6, 64})
    for (auto reduction : {GapMaxip::Reduction::strengthened, GapMaxip::Reduction::original}) {
      const GapMaxip instance(PlantedFamilies(order, 50, 16, 1), reduction);
      EXPECT_EQ(instance.queries({0, 50}).cwiseAbs().maxCoeff(), instance.bound());
      for (Index mode = 0; mode < order - 1; ++mode)
        EXPECT_LE(instance.keys(mode, {0, 100}).cwiseAbs().maxCoeff(), instance.bound());
      EXPECT_EQ(instance.keys(0, {40, 60}), instance.keys(0, {0, 100}).middleRows(40, 20));
    }
}

TEST(GapMaxip, TheBoundGrowsLikeTheRootOfTheLogarithm) {
  const auto bound = [](Index order, Index rows) {
    return GapMaxip(PlantedFamilies(order, rows, 32, 1), GapMaxip::Reduction::strengthened).bound();
  };
  for (Index order : {2, 3, 4})
    for (Index rows : {1000, 1000000}) {
      const double log_n = std::log(static_cast<double>(rows));
      const auto k = static_cast<double>(order);
      EXPECT_NEAR(std::pow(bound(order, rows), k), 64.0 / 12 * (2 * std::log(9) + (k - 1) * log_n), 1e-9);
    }
}

}  // namespace
}  // namespace kronattn
