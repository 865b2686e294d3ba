#include "change_of_coordinates.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "norms.hpp"

namespace kronattn {

namespace {

constexpr Index widest = 256;

/// Second moments keep their square roots to this: smaller directions are noise.
constexpr double floor_of_moments = 1e-10;

/// Where the coordinates matter alike, turning them only makes boxes larger.
constexpr double even_coordinates = 4;

/// Queries are centred where this share of their mean square is that of their mean, and the weights stay
/// within e^+-20.
constexpr double worth_centring = 0.1, largest_exponent = 20;

constexpr double furthest_exponent = 100, useless = 1e300;

/// What underflow can add to a coordinate or a remainder.
constexpr double smallest_error = 0x1p-1000;

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

/// Numbers whose products and squares are far from the ends of double.
constexpr double smallest_tame = 1e-60;

bool tame(const Matrix& rows) {
  const double largest = rows.size() > 0 ? rows.cwiseAbs().maxCoeff() : 0;
  return largest == 0 || (largest > smallest_tame && largest < 1 / smallest_tame);
}

/// Norms of the last columns of each row, from above.
Eigen::ArrayXd norms_from(const ConstColumnTile& rows, Index first) {
  if (first == rows.cols()) return Eigen::ArrayXd::Zero(rows.rows());
  return hoelder_norms(rows.rightCols(rows.cols() - first), 2);
}

}  // namespace

ChangeOfCoordinates::ChangeOfCoordinates(const HeadSample& sample, double scale, double negligible) {
  const Matrix &queries = sample.queries, &keys = sample.keys.front();
  const Index d = keys.cols();
  if (d > widest || !tame(queries) || !tame(keys) || queries.rows() == 0) return;
  if (!(std::abs(scale) > smallest_tame && std::abs(scale) < 1 / smallest_tame)) return;
  scale_ = scale;
  Vector query_mean = queries.colwise().mean();
  Vector weights = Vector::Ones(keys.rows());
  const auto exponents = [&] { return Vector(scale * (keys * query_mean)); };
  const bool centred_queries = query_mean.squaredNorm() > worth_centring * queries.squaredNorm() /
                                                              static_cast<double>(queries.rows()) &&
                               exponents().maxCoeff() - exponents().minCoeff() < 2 * largest_exponent;
  if (centred_queries)
    weights = (exponents().array() - exponents().maxCoeff()).exp();
  else
    query_mean.setZero();
  weights /= weights.sum();

  centre_ = keys.transpose() * weights;
  const Matrix centred = keys.rowwise() - centre_.transpose();
  const Matrix spread_queries = queries.rowwise() - query_mean.transpose();
  const Roots key_roots(centred.transpose() * weights.asDiagonal() * centred);
  const Eigen::MatrixXd query_moments =
      spread_queries.transpose() * spread_queries / static_cast<double>(queries.rows());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(key_roots.root * query_moments *
                                                              key_roots.root);
  // Largest first: L^2, the squares of what a coordinate adds to the root mean square of the scores.
  const Vector squares = solver.eigenvalues().reverse();
  const double least = std::max(squares(0), 1e-290) * floor_of_moments * floor_of_moments;
  const Vector roots = squares.cwiseMax(least).array().sqrt().sqrt();  // L^(1/2)
  const Eigen::MatrixXd turn = solver.eigenvectors().rowwise().reverse();
  basis_ = key_roots.root * turn * roots.cwiseInverse().asDiagonal();
  inverse_ = roots.asDiagonal() * turn.transpose() * key_roots.inverse;
  kept_ = d;

  const ColumnTile new_queries = spread_queries * basis_, new_keys = centred * inverse_.transpose();
  const auto share_of_the_rest = [&](Index kept) {
    return std::abs(scale) * norms_from(new_queries, kept).maxCoeff() * norms_from(new_keys, kept).maxCoeff();
  };
  while (kept_ > 1 && share_of_the_rest(kept_ - 1) <= negligible / 4) --kept_;
  if (kept_ == d && roots(0) <= std::sqrt(even_coordinates) * roots(d - 1)) {
    basis_ = inverse_ = Matrix::Identity(d, d);
    turned_ = false;
  }
  column_norms_ = basis_.colwise().norm();
  if (centred_queries) {
    query_centre_ = (basis_.transpose() * query_mean).head(kept_);
    reference_ = (scale * (centred * inverse_.transpose()).leftCols(kept_) * query_centre_).maxCoeff();
  }
}

namespace {

/// Whether column `column` of a mode is alpha times column `into` (1 where that is -1), as far as the sample
/// shows.
bool proportional(const Matrix& keys, Index column, Index into, double& alpha, double& size) {
  const auto x = keys.col(column);
  Index at = 0;
  size = x.cwiseAbs().maxCoeff(&at);
  if (size == 0) return false;  // weightless: dropped, not merged
  alpha = into < 0 ? x(at) : x(at) / keys(at, into);
  const double rest =
      into < 0 ? (x.array() - alpha).abs().maxCoeff() : (x - alpha * keys.col(into)).cwiseAbs().maxCoeff();
  return std::isfinite(alpha) && rest <= 16 * unit_roundoff * size;
}

}  // namespace

ChangeOfCoordinates ChangeOfCoordinates::merging(const HeadSample& sample, double scale) {
  const Index d = sample.queries.cols();
  if (d > widest || !tame(sample.queries) || !std::all_of(sample.keys.begin(), sample.keys.end(), tame))
    return {};
  ChangeOfCoordinates change;
  change.scale_ = scale;
  for (Index l = 0; l < d; ++l) {
    const auto merges_into = [&](Index into) {
      Merged merged{l, into, {}, {}};
      for (const Matrix& keys : sample.keys) {
        double alpha = 0, size = 0;
        if (!proportional(keys, l, into, alpha, size)) return false;
        merged.alpha.push_back(alpha);
        merged.size.push_back(size);
      }
      change.merged_.push_back(merged);
      return true;
    };
    if (!merges_into(-1) && std::none_of(change.columns_.begin(), change.columns_.end(), merges_into))
      change.columns_.push_back(l);
  }
  if (change.merged_.empty() || change.columns_.empty()) return {};
  change.kept_ = static_cast<Index>(change.columns_.size());
  change.basis_ = Matrix::Zero(d, change.kept_);
  change.centre_ = Vector::Zero(d);
  const auto place = [&](Index column) {
    return std::find(change.columns_.begin(), change.columns_.end(), column) - change.columns_.begin();
  };
  for (Index column : change.columns_) change.basis_(column, place(column)) = 1;
  for (const Merged& merged : change.merged_) {
    double product = 1;
    for (double alpha : merged.alpha) product *= alpha;
    (merged.into < 0 ? change.centre_(merged.column) : change.basis_(merged.column, place(merged.into))) =
        product;
  }
  change.column_norms_ = change.basis_.colwise().norm();
  return change;
}

double ChangeOfCoordinates::remainder(const std::vector<double>& remainders,
                                      const std::vector<Vector>& largest) const {
  if (columns_.empty()) return remainders.front();
  double squares = 0;
  for (const Merged& merged : merged_) {
    // prod k_l - prod alpha k_r, one factor after the other; and the rounding of the product of the alphas.
    double sum = 0, all = gamma(static_cast<double>(remainders.size() + 2));
    for (std::size_t m = 0; m < remainders.size(); ++m)
      all *= largest[m](merged.column) + remainders[m] * merged.size[m];
    for (std::size_t m = 0; m < remainders.size(); ++m) {
      double product = remainders[m] * merged.size[m];
      for (std::size_t other = 0; other < remainders.size(); ++other)
        if (other != m) product *= largest[other](merged.column) + remainders[other] * merged.size[other];
      sum += product;
    }
    squares += (sum + all) * (sum + all);
  }
  return std::sqrt(squares) * (1 + 1e-12);
}

double ChangeOfCoordinates::weight_error(const Vector& largest_keys) const {
  if (!weighs_keys()) return 0;
  const double exponent =
      std::abs(scale_) * query_centre_.cwiseAbs().dot(largest_keys) + std::abs(reference_);
  return exponent * gamma(static_cast<double>(kept_ + 6)) + 8 * unit_roundoff;  // exp itself is right to 2 u
}

/// Keys on their way at order 2.
struct ChangeOfCoordinates::MovedKeys {
  MovedKeys(const ChangeOfCoordinates& change, const ConstColumnTile& rows)
      : centred(rows.rowwise() - change.centre_.transpose().array()),
        sizes(Eigen::ArrayXd::Zero(rows.rows())) {
    if (change.turned_) all = centred.matrix() * change.inverse_.transpose();
    const ColumnTile& moved = coordinates(change);
    for (Index l = 0; l < moved.cols(); ++l) sizes += moved.col(l).abs() * change.column_norms_(l);
    changed.rows = moved.leftCols(change.kept_);
    Eigen::ArrayXd exponents = Eigen::ArrayXd::Zero(rows.rows());
    if (change.weighs_keys()) {
      for (Index l = 0; l < change.kept_; ++l) exponents += changed.rows.col(l) * change.query_centre_(l);
      exponents = change.scale_ * exponents - change.reference_;
    }
    const auto near = (sizes <= useless) && (exponents.abs() <= furthest_exponent);
    stray = !near.all();
    for (Index j = 0; j < rows.rows() && stray; ++j) {
      if (near(j)) continue;
      changed.rows.row(j).setZero();
      exponents(j) = 0;
    }
    if (change.weighs_keys()) changed.weights = exponents.exp();
  }

  /// (b, d) k' before any is dropped.
  const ColumnTile& coordinates(const ChangeOfCoordinates& change) const {
    return change.turned_ ? all : centred;
  }

  ColumnTile centred;    // (b, d) k - c
  ColumnTile all;        // (b, d) k', where that is another matrix
  Eigen::ArrayXd sizes;  // (b) of B k', from above up to rounding
  ChangedKeys changed;
  /// A key so far from the sample that it makes the change useless: it is told, and not worked with.
  bool stray = false;
};

ChangedKeys ChangeOfCoordinates::keys(const ConstColumnTile& rows) const {
  if (!columns_.empty()) return {rows(Eigen::all, columns_), {}};
  return MovedKeys(*this, rows).changed;
}

MeasuredKeys ChangeOfCoordinates::measured_keys(const ConstColumnTile& rows, std::size_t mode) const {
  if (!columns_.empty()) {
    MeasuredKeys chosen{keys(rows)};
    for (const Merged& merged : merged_)
      for (Index j = 0; j < rows.rows(); ++j) {
        const double like = merged.alpha[mode] * (merged.into < 0 ? 1 : rows(j, merged.into));
        const double rest = std::abs(rows(j, merged.column) - like) + 2 * unit_roundoff * std::abs(like);
        chosen.remainder = std::max(chosen.remainder, rest / merged.size[mode] * (1 + 4 * unit_roundoff));
      }
    return chosen;
  }
  MovedKeys moved(*this, rows);
  MeasuredKeys measured{std::move(moved.changed)};
  if (moved.stray) {
    measured.remainder = measured.dropped = useless;
    return measured;
  }
  const double rounding = gamma(static_cast<double>(rows.cols() + 8));
  Eigen::ArrayXd errors = smallest_error + rounding * (2 * norms_from(moved.centred, 0) + moved.sizes);
  if (turned_) {
    moved.centred.matrix() -= moved.all.matrix() * basis_.transpose();
    errors += norms_from(moved.centred, 0) * (1 + rounding);
  }
  measured.remainder = errors.maxCoeff();
  measured.dropped = norms_from(moved.coordinates(*this), kept_).maxCoeff();
  return measured;
}

ChangedQueries ChangeOfCoordinates::queries(const ConstColumnTile& rows) const {
  ColumnTile all = rows;
  if (turned_) all = rows.matrix() * basis_;
  const double rounding = gamma(static_cast<double>(rows.cols() + 8));
  ChangedQueries changed;
  changed.norm = norms_from(rows, 0);
  changed.rounding = changed.norm * (rounding * column_norms_.head(kept_).maxCoeff()) + smallest_error;
  if (weighs_keys()) changed.rounding = 2 * changed.rounding + rounding * query_centre_.cwiseAbs().maxCoeff();
  changed.dropped = norms_from(all, kept_) +
                    changed.norm * (rounding * column_norms_.tail(all.cols() - kept_).norm()) +
                    smallest_error;
  changed.shift = Eigen::ArrayXd::Zero(rows.rows());
  for (Index l = 0; l < rows.cols(); ++l) changed.shift += rows.col(l) * centre_(l);
  changed.shift = scale_ * changed.shift + reference_;
  changed.shift_error = changed.norm * (centre_.norm() * std::abs(scale_) * rounding) +
                        (rounding * std::abs(reference_) + std::abs(scale_) * smallest_error);
  changed.rows = kept_ == all.cols() ? std::move(all) : ColumnTile(all.leftCols(kept_));
  if (weighs_keys()) changed.rows.rowwise() -= query_centre_.transpose().array();
  return changed;
}

}  // namespace kronattn
