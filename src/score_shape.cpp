#include "score_shape.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace kronattn {

namespace {

/// Scores that are looked at: of so many queries with so many key tuples.
constexpr Index most_queries = 64, most_tuples = 1024;

/// Key tuples of the sample: row t is the entrywise product of one sampled row of each mode.
struct Tuples {
  Matrix rows;     // (tuples, d)
  Vector weights;  // (tuples) their sum is 1

  explicit Tuples(const HeadSample& sample) {
    Index most = 0;
    for (const Matrix& mode : sample.keys) most = std::max(most, mode.rows());
    const Index count = std::min(most, most_tuples);
    rows = Matrix::Ones(count, sample.keys.front().cols());
    weights = Vector::Ones(count);
    const Index first_stride = std::max<Index>(1, most / count);
    Index stride = first_stride;  // each mode has steps of its own, so that pairs mix
    for (const Matrix& mode : sample.keys) {
      for (Index t = 0; t < count; ++t)
        rows.row(t) = rows.row(t).cwiseProduct(mode.row(t * stride % mode.rows()));
      stride = 2 * stride + 1;
    }
    for (Index t = 0; t < count && sample.weights.size() > 0; ++t)
      weights(t) = sample.weights(t * first_stride % sample.weights.size());
    weights /= weights.sum();
  }
};

/// At most `most` rows, evenly spread.
Matrix some_rows(const Matrix& rows, Index most) {
  const Index count = std::min(rows.rows(), most);
  Matrix some(count, rows.cols());
  for (Index i = 0; i < count; ++i) some.row(i) = rows.row(i * rows.rows() / count);
  return some;
}

/// Scores, each row shifted and scaled to mean 0 and deviation 1; rows whose scores are all alike are left
/// out.
struct Standardised {
  Matrix z;  // (rows, tuples), of which there are `rows`; what follows is not used
  Index rows = 0;
  Vector weights;  // (tuples) of a row's scores among all: their sum over all rows is 1

  Standardised(Matrix scores, const Vector& tuple_weights) : z(std::move(scores)) {
    for (Index i = 0; i < z.rows(); ++i) {
      const double mean = z.row(i).dot(tuple_weights);
      const double deviation = std::sqrt((z.row(i).array() - mean).square().matrix().dot(tuple_weights));
      if (deviation > 1e-12 * z.row(i).cwiseAbs().maxCoeff())
        z.row(rows++) = (z.row(i).array() - mean) / deviation;
    }
    weights = tuple_weights / static_cast<double>(std::max<Index>(rows, 1));
  }
};

/// The monic polynomials that are orthogonal over standardised scores, one after the other (Stieltjes).
class OrthogonalPolynomials {
 public:
  explicit OrthogonalPolynomials(const Standardised& scores)
      : scores_(scores),
        previous_(Matrix::Zero(scores.rows, scores.z.cols())),
        current_(Matrix::Ones(scores.rows, scores.z.cols())) {
    for (Index i = 0; i < scores.rows; ++i) take(i);
  }

  double norm() const { return norm_; }                             // the mean of the present one's square
  double centre() const { return norm_ > 0 ? first_ / norm_ : 0; }  // that of z times it, relatively

  /// p <- (z - centre) p - ratio p_before
  void next(double ratio) {
    const double centre = this->centre();
    norm_ = first_ = 0;
    Eigen::Array<double, 1, Eigen::Dynamic> row;
    for (Index i = 0; i < scores_.rows; ++i) {
      row = (scores_.z.row(i).array() - centre) * current_.row(i).array() - ratio * previous_.row(i).array();
      previous_.row(i) = current_.row(i);
      current_.row(i) = row;
      take(i);
    }
  }

 private:
  void take(Index i) {
    const auto squares = current_.row(i).array().square() * scores_.weights.transpose().array();
    norm_ += squares.sum();
    first_ += (squares * scores_.z.row(i).array()).sum();
  }

  const Standardised& scores_;
  Matrix previous_, current_;  // (rows, tuples)
  double norm_ = 0, first_ = 0;
};

}  // namespace

ScoreShape::ScoreShape(const HeadSample& sample, double scale)
    : mean_(Vector::Constant(sample.queries.cols(), scale)),
      products_(Matrix::Constant(sample.queries.cols(), sample.queries.cols(), scale * scale)),
      nodes_(1),
      node_means_{1} {
  for (const Matrix& mode : sample.keys) {
    Vector weights = sample.weights.size() > 0 ? sample.weights : Vector::Ones(mode.rows());
    weights /= std::max(weights.sum(), 1e-300);
    mean_ = mean_.cwiseProduct(mode.transpose() * weights);
    products_ = products_.cwiseProduct(Matrix(mode.transpose() * weights.asDiagonal() * mode));
  }
  const Tuples tuples(sample);
  const Standardised scores(scale * some_rows(sample.queries, most_queries) * tuples.rows.transpose(),
                            tuples.weights);
  // The recurrence coefficients' tridiagonal matrix has the Gauss nodes as eigenvalues (Golub and Welsch).
  OrthogonalPolynomials polynomial(scores);
  std::vector<double> diagonal, beside;
  for (Index m = 1; m <= most_nodes; ++m) {
    const double centre = polynomial.centre(), norm = polynomial.norm();
    polynomial.next(m == 1 ? 0 : beside.back() * beside.back());
    const double next_norm = polynomial.norm();
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
  }
}

ScoreShape::Spread ScoreShape::spread(const ConstColumnTile& queries) const {
  const ColumnTile products = queries.matrix() * products_;
  Spread spread{queries.matrix() * mean_, Eigen::ArrayXd::Zero(queries.rows())};
  for (Index l = 0; l < queries.cols(); ++l) spread.deviation += products.col(l) * queries.col(l);
  spread.deviation = (spread.deviation - spread.mean.square()).max(0.0).sqrt();
  return spread;
}

}  // namespace kronattn
