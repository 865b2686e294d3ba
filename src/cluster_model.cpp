#include "cluster_model.hpp"

#include <cmath>

#include "work.hpp"

namespace kronattn {

double scatter_seconds(double bytes, double ranks, const Network& network) {
  return std::ceil(std::log2(ranks)) * network.latency + (ranks - 1) / ranks * bytes / network.bandwidth;
}

double reduction_seconds(const ProblemShape& shape, double rank, double ranks, const Network& network) {
  const double of_mode = key_sum_bytes(shape, rank);
  return static_cast<double>(shape.modes()) * scatter_seconds(of_mode, ranks, network) +
         scatter_seconds(of_mode / 2, ranks, network);
}

ClusterSeconds cluster_seconds(const PlannedHead& head, const ProblemShape& shape, double number_bytes,
                               const Rates& rates, const Cluster& cluster) {
  const Estimate& estimate = head.estimate;
  const auto columns = static_cast<double>(shape.value_width), queries = static_cast<double>(shape.queries);
  double keys = 0;
  for (Index rows : shape.keys) keys += static_cast<double>(rows);
  ClusterSeconds seconds;

  const bool polynomial = estimate.rank > 0;
  Estimate shared = estimate;
  shared.flops -= estimate.own_flops;
  seconds.own = estimate.own_flops / rates.polynomial;
  seconds.shared = predicted_seconds(shared, shape, rates, cluster.ranks * cluster.threads);

  if (polynomial) seconds.reduce = reduction_seconds(shape, estimate.rank, cluster.ranks, cluster.network);

  const double width = static_cast<double>(shape.width);
  const double read = number_bytes * (queries * width + keys * (width + columns));
  const double written = queries * (number_bytes * columns + 16);
  seconds.files = 2 * (read + written) / cluster.network.file_bandwidth;
  return seconds;
}

double reduction_dominates_from(const std::vector<PlannedHead>& heads, const ProblemShape& shape,
                                const Rates& rates, Cluster cluster) {
  const auto dominates = [&](double ranks) {
    cluster.ranks = ranks;
    double excess = 0;
    for (const PlannedHead& head : heads) {
      const ClusterSeconds seconds = cluster_seconds(head, shape, 8, rates, cluster);
      excess += seconds.reduce - seconds.shared;
    }
    return excess > 0;
  };
  double low = 1, high = 2;  // does not dominate, dominates
  while (!dominates(high)) {
    if (high > 1e9) return 0;
    low = high, high *= 2;
  }
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (dominates(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace kronattn
