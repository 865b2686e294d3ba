#include "score_shape.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace kronattn {

namespace {

/// Scores that are looked at: of so many queries with so many key tuples.
constexpr Index most_queries = 64, most_tuples = 1024;

/// Key tuples of the sample: row t is the entrywise product of one sampled row of each mode.
Matrix sampled_tuples(const std::vector<Matrix>& keys) {
  Index rows = 0;
  for (const Matrix& mode : keys) rows = std::max(rows, mode.rows());
  const Index count = std::min(rows, most_tuples);
  Matrix tuples = Matrix::Ones(count, keys.front().cols());
  Index stride = std::max<Index>(1, rows / count);  // each mode has steps of its own, so that pairs mix
  for (const Matrix& mode : keys) {
    for (Index t = 0; t < count; ++t)
      tuples.row(t) = tuples.row(t).cwiseProduct(mode.row(t * stride % mode.rows()));
    stride = 2 * stride + 1;
  }
  return tuples;
}

/// At most `most` rows, evenly spread.
Matrix some_rows(const Matrix& rows, Index most) {
  const Index count = std::min(rows.rows(), most);
  Matrix some(count, rows.cols());
  for (Index i = 0; i < count; ++i) some.row(i) = rows.row(i * rows.rows() / count);
  return some;
}

/// The scores of all sampled queries, each row shifted and scaled to mean 0 and deviation 1; rows whose scores are all
/// alike are left out.
std::vector<double> standardised(const Matrix& scores) {
  std::vector<double> all;
  const auto count = static_cast<double>(scores.cols());
  for (Index i = 0; i < scores.rows(); ++i) {
    const double mean = scores.row(i).mean();
    const double deviation = std::sqrt((scores.row(i).array() - mean).square().sum() / count);
    if (!(deviation > 1e-12 * scores.row(i).cwiseAbs().maxCoeff())) continue;
    for (Index t = 0; t < scores.cols(); ++t) all.push_back((scores(i, t) - mean) / deviation);
  }
  return all;
}

}  // namespace

ScoreShape::ScoreShape(const HeadSample& sample, double scale)
    : mean_(Vector::Constant(sample.queries.cols(), scale)),
      products_(Matrix::Constant(sample.queries.cols(), sample.queries.cols(), scale * scale)),
      nodes_(1),
      node_means_{1} {
  for (const Matrix& mode : sample.keys) {
    const auto rows = static_cast<double>(std::max<Index>(1, mode.rows()));
    mean_ = mean_.cwiseProduct(mode.colwise().sum().transpose()) / rows;
    products_ = products_.cwiseProduct(Matrix(mode.transpose() * mode)) / rows;
  }
  const std::vector<double> z =
      standardised(scale * some_rows(sample.queries, most_queries) * sampled_tuples(sample.keys).transpose());

  // Stieltjes: the polynomials that are orthogonal over the sample, monic, and with them the recurrence coefficients
  // whose tridiagonal matrix has the Gauss nodes as eigenvalues (Golub and Welsch).
  std::vector<double> previous(z.size(), 0), current(z.size(), 1), diagonal, beside;
  const auto count = static_cast<double>(z.size());
  double norm = 1;  // the mean of the square of the present polynomial
  for (Index m = 1; m <= most_nodes; ++m) {
    double weighted = 0;
    for (std::size_t t = 0; t < z.size(); ++t) weighted += z[t] * current[t] * current[t];
    const double centre = z.empty() ? 0 : weighted / count / norm;
    const double ratio = m == 1 ? 0 : beside.back() * beside.back();
    double next_norm = 0;
    for (std::size_t t = 0; t < z.size(); ++t) {
      const double next = (z[t] - centre) * current[t] - ratio * previous[t];
      previous[t] = current[t];
      current[t] = next;
      next_norm += next * next;
    }
    next_norm = z.empty() ? 0 : next_norm / count;
    diagonal.push_back(centre);
    const auto size = static_cast<Index>(diagonal.size());
    Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
    solver.computeFromTridiagonal(Eigen::Map<const Vector>(diagonal.data(), size),
                                  Eigen::Map<const Vector>(beside.data(), size - 1), Eigen::EigenvaluesOnly);
    const Vector& values = solver.eigenvalues();
    nodes_.emplace_back(values.data(), values.data() + size);
    node_means_.push_back(next_norm);
    if (!(next_norm > 1e-10 * norm)) {  // as many nodes as the scores have values: more would not help
      nodes_.resize(most_nodes + 1, nodes_.back());
      node_means_.resize(most_nodes + 1, next_norm);
      return;
    }
    beside.push_back(std::sqrt(next_norm / norm));
    norm = next_norm;
  }
}

std::vector<ScoreShape::Spread> ScoreShape::spread(const ConstTile& queries) const {
  const Vector means = queries * mean_;
  const Vector squares = (queries * products_).cwiseProduct(queries).rowwise().sum();
  std::vector<Spread> spreads;
  for (Index i = 0; i < queries.rows(); ++i)
    spreads.push_back({means(i), std::sqrt(std::max(0.0, squares(i) - means(i) * means(i)))});
  return spreads;
}

}  // namespace kronattn
