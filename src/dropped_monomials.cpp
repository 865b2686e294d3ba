#include "dropped_monomials.hpp"

#include <algorithm>
#include <cmath>

#include "feature_kernels.hpp"
#include "features.hpp"

namespace kronattn {

DroppedMonomials::DroppedMonomials(const Monomials& monomials, const MeasuredHead& head,
                                   const ProblemShape& shape, const std::vector<int>& query_exponents,
                                   Index single_from)
    : weights_(monomials.count()), reach_(monomials.degree() + 1, monomials.variables()) {
  weights_(0) = 1;
  reach_.row(0).setOnes();
  std::vector<double> counts;
  for (Index m = 0; m <= monomials.degree(); ++m)
    counts.push_back(static_cast<double>(monomials.of_degree(m).size()));
  const std::vector<double> blocks =
      most_blocks(counts, least_query_block, monomials_of_a_part(shape.sum_columns()));
  of_kept_.push_back(0);
  for (Index m = 1; m <= monomials.degree(); ++m) {
    for (Index l = 0; l < monomials.variables(); ++l) {
      long double reach = std::abs(static_cast<long double>(shape.scale)) / score_unit(head);
      for (const ModeMeasurement& mode : head.changed.modes) reach *= mode.power_mean(l, m);
      reach = std::ldexp(reach, query_exponents[static_cast<std::size_t>(l)]);
      reach_(m, l) = std::nextafter(static_cast<double>(reach), HUGE_VAL);
    }
    const Range range = monomials.of_degree(m);
    // A degree's weights multiply up along the parents, of every lower degree, with this degree's reach.
    Vector all = multinomial_weights(monomials, reach_.row(m).transpose());
    weights_.segment(range.begin, range.size()) = all.segment(range.begin, range.size());
    // In float: a point's entries, the product of m of them, what multiplies it.
    const double single = m >= single_from ? gamma_single(static_cast<double>(2 * m)) : 0;
    of_kept_.push_back(
        gamma(static_cast<double>(5 * m + most_query_block + 2) + blocks[static_cast<std::size_t>(m)]) +
        single / (1 - single) * (1 + 1e-10));
  }
}

Matrix DroppedMonomials::kept(const Monomials& monomials, const ConstTile& points) const {
  Matrix sums(monomials.degree() + 1, points.cols());
  for (Index i = 0; i < points.cols(); ++i) {
    const Vector terms = features(monomials, points.col(i)).cwiseAbs().cwiseProduct(weights_);
    for (Index m = 0; m <= monomials.degree(); ++m) {
      const Range range = monomials.of_degree(m);
      sums(m, i) = terms.segment(range.begin, range.size()).sum();
    }
  }
  return sums;
}

void DroppedMonomials::finish(const double* points, const double* kept, Index b, Index degree,
                              double* dropped) const {
  Eigen::ArrayXd sums(b), all(b);
  std::fill_n(dropped, b, 0.0);
  for (Index m = 1; m <= degree; ++m) {
    sums.setZero();
    for (Index l = 0; l < reach_.cols(); ++l)
      for (Index i = 0; i < b; ++i) sums(i) += std::abs(points[l * b + i]) * reach_(m, l);
    all = sums;
    for (Index power = 1; power < m; ++power) all *= sums;
    const double of_all = gamma(static_cast<double>(m * (reach_.cols() + 4) + 8));
    const double of_kept = of_kept_[static_cast<std::size_t>(m)];
    for (Index i = 0; i < b; ++i) {
      const double known = kept[m * b + i];
      dropped[m * b + i] = std::max(0.0, all(i) - known) + (of_all * all(i) + of_kept * known) * (1 + 1e-10);
    }
  }
}

}  // namespace kronattn
