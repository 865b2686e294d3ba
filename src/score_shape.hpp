// What a small sample of a head says of its scores: how wide those of a row are, and of what shape.
//
// Nothing here is relied on by a proof: it only predicts, so that a degree can be planned, and proposes
// nodes, which may be any numbers (row_polynomial.hpp). Sources: mathematics.md H2, E9 (nodes), G2 (planning
// on a sample).
#pragma once

#include <vector>

#include "column_tile.hpp"
#include "types.hpp"

namespace kronattn {

/// Rows of one head, in the coordinates that are worked in: a few of Q and of each mode.
struct HeadSample {
  Matrix queries;            // (a few, d)
  std::vector<Matrix> keys;  // per mode (a few, d)
  Vector weights = {};       // order 2: of the keys (change_of_coordinates.hpp); all 1 where empty
};

class ScoreShape {
 public:
  ScoreShape() = default;
  /// `scale` of the scores. Cost O(samples d + samples_q samples_k most_nodes), a few milliseconds.
  ScoreShape(const HeadSample& sample, double scale);

  /// Mean and deviation of rows' scores over all key tuples, as the sample has them.
  struct Spread {
    Eigen::ArrayXd mean, deviation;  // (b)
  };
  /// Of the rows of `queries` (b, d). Cost 2 b d^2.
  Spread spread(const ConstColumnTile& queries) const;

  static constexpr Index most_nodes = 12;

  /// The Gauss nodes of the standardised scores ((s - mean) / deviation of the row): they make the mean of
  /// prod (z - x_j)^2 the least that m nodes can. m <= most_nodes; fewer than m may come back where the
  /// scores take few values.
  const std::vector<double>& nodes(Index m) const { return nodes_[static_cast<std::size_t>(m)]; }
  /// That mean.
  double node_mean(Index m) const { return node_means_[static_cast<std::size_t>(m)]; }

 private:
  Vector mean_;      // (d)    mean score of q is q . mean
  Matrix products_;  // (d, d) mean square score is q' products q
  std::vector<std::vector<double>> nodes_;
  std::vector<double> node_means_;
};

}  // namespace kronattn
