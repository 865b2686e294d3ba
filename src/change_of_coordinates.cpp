#include "change_of_coordinates.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace kronattn {

namespace {

constexpr Index widest = 256;

/// Second moments keep their square roots to this: smaller directions are noise.
constexpr double floor_of_moments = 1e-14;

/// Where the coordinates matter alike, turning them only makes boxes larger.
constexpr double even_coordinates = 4;

struct Roots {
  Eigen::MatrixXd root, inverse;  // C^(1/2), C^(-1/2)

  explicit Roots(const Eigen::MatrixXd& moments) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(moments);
    const double least = floor_of_moments * std::max(solver.eigenvalues().maxCoeff(), 1e-290);
    const Vector values = solver.eigenvalues().cwiseMax(least).cwiseSqrt();
    root = solver.eigenvectors() * values.asDiagonal() * solver.eigenvectors().transpose();
    inverse = solver.eigenvectors() * values.cwiseInverse().asDiagonal() * solver.eigenvectors().transpose();
  }
};

bool tame(const Matrix& rows) {
  const double largest = rows.size() > 0 ? rows.cwiseAbs().maxCoeff() : 0;
  return largest == 0 || (largest > 1e-60 && largest < 1e60);
}

/// Norms of the last columns of each row.
Vector norms_from(const Matrix& rows, Index first) {
  return rows.rightCols(rows.cols() - first).rowwise().norm();
}

}  // namespace

ChangeOfCoordinates::ChangeOfCoordinates(const HeadSample& sample, double scale, double negligible) {
  const Matrix &queries = sample.queries, &keys = sample.keys.front();
  const Index d = keys.cols();
  if (d > widest || !tame(queries) || !tame(keys) || queries.rows() == 0) return;
  scale_ = scale;
  centre_ = keys.colwise().mean();
  const Matrix centred = keys.rowwise() - centre_.transpose();
  const Roots key_roots(centred.transpose() * centred / static_cast<double>(keys.rows()));
  const Eigen::MatrixXd query_moments = queries.transpose() * queries / static_cast<double>(queries.rows());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(key_roots.root * query_moments * key_roots.root);
  // Largest first: L^2, the squares of what a coordinate adds to the root mean square of the scores.
  const Vector squares = solver.eigenvalues().reverse();
  const double least = std::max(squares(0), 1e-290) * floor_of_moments * floor_of_moments;
  const Vector roots = squares.cwiseMax(least).array().sqrt().sqrt();  // L^(1/2)
  const Eigen::MatrixXd turn = solver.eigenvectors().rowwise().reverse();
  basis_ = key_roots.root * turn * roots.cwiseInverse().asDiagonal();
  inverse_ = roots.asDiagonal() * turn.transpose() * key_roots.inverse;
  kept_ = d;
  basis_norm_ = basis_.norm();

  const Matrix new_queries = queries * basis_, new_keys = centred * inverse_.transpose();
  const auto share_of_the_rest = [&](Index kept) {
    return std::abs(scale) * norms_from(new_queries, kept).maxCoeff() * norms_from(new_keys, kept).maxCoeff();
  };
  while (kept_ > 1 && share_of_the_rest(kept_ - 1) <= negligible / 4) --kept_;
  if (kept_ == d && roots(0) <= std::sqrt(even_coordinates) * roots(d - 1)) {
    basis_ = inverse_ = Matrix::Identity(d, d);
    basis_norm_ = std::sqrt(static_cast<double>(d));
  }
}

ChangedKeys ChangeOfCoordinates::keys(const ConstTile& rows) const {
  const Matrix centred = rows.rowwise() - centre_.transpose();
  const Matrix all = centred * inverse_.transpose();
  const Matrix remainders = centred - all * basis_.transpose();
  const double rounding = gamma(static_cast<double>(rows.cols() + 8));
  ChangedKeys changed;
  changed.rows = all.leftCols(kept_);
  for (Index j = 0; j < rows.rows(); ++j)
    changed.remainder = std::max(changed.remainder, remainders.row(j).norm() * (1 + rounding) +
                                                        rounding * (2 * centred.row(j).norm() +
                                                                    basis_norm_ * all.row(j).norm()));
  if (kept_ < all.cols()) changed.dropped = norms_from(all, kept_).maxCoeff() * (1 + rounding);
  return changed;
}

ChangedQueries ChangeOfCoordinates::queries(const ConstTile& rows) const {
  const Matrix all = rows * basis_;
  const double rounding = gamma(static_cast<double>(rows.cols() + 8));
  ChangedQueries changed;
  changed.rows = all.leftCols(kept_);
  changed.norm = rows.rowwise().norm() * (1 + rounding);
  changed.rounding = changed.norm * (rounding * basis_norm_);
  changed.dropped = norms_from(all, kept_) * (1 + rounding) +
                    changed.rounding * std::sqrt(static_cast<double>(all.cols() - kept_));
  changed.shift = scale_ * (rows * centre_);
  changed.shift_error = changed.norm * (centre_.norm() * std::abs(scale_) * rounding);
  return changed;
}

}  // namespace kronattn
