#include "cluster_model.hpp"

#include <gtest/gtest.h>

using namespace kronattn;

namespace {

/// One polynomial head of order 3: 1000 queries, 2000 and 3000 keys, d = 4, d_v = 3, rank 50.
const ProblemShape shape = {1, 1000, {2000, 3000}, 4, 3, 0.25};

PlannedHead polynomial_head() {
  PlannedHead head;
  head.estimate.rank = 50;
  head.estimate.flops = 6e9;
  head.estimate.own_flops = 2e8;
  return head;
}

}  // namespace

TEST(ClusterModel, ASumCostsNothingOnOneRankAndHalvesOnTwo) {
  const Network network = {1e-3, 100, 1};
  EXPECT_EQ(scatter_seconds(1000, 1, network), 0);
  EXPECT_DOUBLE_EQ(scatter_seconds(1000, 2, network), 1e-3 + 5);  // half of it out
  EXPECT_DOUBLE_EQ(scatter_seconds(1000, 4, network), 2e-3 + 7.5);
  EXPECT_DOUBLE_EQ(scatter_seconds(1000, 5, network), 3e-3 + 8);  // 5 ranks need a third step
}

TEST(ClusterModel, PartsAreThoseOfTheFormulas) {
  const Network network = {1e-3, 1e6, 1e4};
  const ClusterSeconds seconds = cluster_seconds(polynomial_head(), shape, 8, Rates{}, {4, 2, network});
  // The sums of two modes, and their products.
  EXPECT_DOUBLE_EQ(seconds.reduce,
                   2 * scatter_seconds(16 * 50 * 4, 4, network) + scatter_seconds(8 * 50 * 4, 4, network));
  // Q, then K and V of 5000 rows, read twice; O and two doubles a row, written and read.
  EXPECT_DOUBLE_EQ(seconds.files, 2 * (8 * (1000 * 4 + 5000 * 7) + 1000 * (8 * 3 + 16)) / 1e4);
  EXPECT_DOUBLE_EQ(seconds.total(), seconds.compute() + seconds.reduce + seconds.files);
}

TEST(ClusterModel, WhatARankDoesForItselfIsNotShared) {
  const Rates rates;
  const auto compute = [&](double ranks, double threads) {
    return cluster_seconds(polynomial_head(), shape, 8, rates, {ranks, threads, {}}).compute();
  };
  const double own = 2e8 / rates.polynomial;
  const double shared = 6e9 / rates.polynomial - own + 6000 * rates.row_seconds;
  EXPECT_NEAR(compute(1, 1), own + shared, 1e-12);
  EXPECT_NEAR(compute(8, 2), own + shared / 16, 1e-12);
}

TEST(ClusterModel, FromSomeNumberOfRanksOnTheReductionDominates) {
  const std::vector<PlannedHead> heads = {polynomial_head()};
  const Cluster cluster = {1, 1, {1e-2, 1e9, 1e9}};
  const double from = reduction_dominates_from(heads, shape, Rates{}, cluster);
  ASSERT_GT(from, 2);
  const auto excess = [&](double ranks) {
    const ClusterSeconds seconds = cluster_seconds(heads[0], shape, 8, Rates{}, {ranks, 1, cluster.network});
    return seconds.reduce - seconds.shared;
  };
  EXPECT_GT(excess(from), 0);
  EXPECT_LE(excess(from - 1), 0);
  // However long a rank takes for itself, that is not what more ranks are for.
  Rates slow;
  slow.polynomial = 1e6;
  const double late = reduction_dominates_from(heads, shape, slow, cluster);
  EXPECT_GT(late, from);
  EXPECT_GT(cluster_seconds(heads[0], shape, 8, slow, {late, 1, cluster.network}).own,
            cluster_seconds(heads[0], shape, 8, slow, {late, 1, cluster.network}).reduce);
  PlannedHead exact;  // sums nothing over the ranks
  exact.estimate.flops = exact.estimate.exact_flops = 1e20;
  EXPECT_EQ(reduction_dominates_from({exact}, shape, Rates{}, cluster), 0);
}
