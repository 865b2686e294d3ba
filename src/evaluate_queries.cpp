#include "evaluate_queries.hpp"

#include <omp.h>

#include <algorithm>
#include <numeric>

#include "tiles.hpp"

namespace kronattn {

namespace {

std::vector<double> monomials_per_degree(const Monomials& monomials) {
  std::vector<double> counts;
  for (Index m = 0; m <= monomials.degree(); ++m)
    counts.push_back(static_cast<double>(monomials.of_degree(m).size()));
  return counts;
}

}  // namespace

/// What one thread needs beside: buffers, and the polynomials it has made.
struct QueryEvaluation::Worker {
  explicit Worker(const QueryEvaluation& evaluation)
      : of(evaluation),
        chooser(of.head_.scores, of.certificate_, score_unit(of.head_), of.monomials_.degree(), of.budget_),
        points(of.shape_.width, query_tile_rows),
        group_points(query_tile_rows * of.shape_.width),
        moments(query_tile_rows * (of.monomials_.degree() + 1) * of.combined_.columns),
        kept(query_tile_rows * (of.monomials_.degree() + 1)),
        row_moments((of.monomials_.degree() + 1) * of.combined_.columns),
        row_kept(of.monomials_.degree() + 1),
        dropped(static_cast<std::size_t>(of.monomials_.degree()) + 1) {}

  Index group_rows() const { return group_rows_; }
  Index moments_of_a_group() const {
    return group_rows() * (of.monomials_.degree() + 1) * of.combined_.columns;
  }
  double* kept_of(Index group) { return kept.data() + group * group_rows() * (of.monomials_.degree() + 1); }
  double* points_of(Index group) { return group_points.data() + group * group_rows() * points.rows(); }

  /// Moments of the rows `order` of the tile, by groups; `degrees` of the groups.
  void sum_moments(const std::vector<Index>& order, const std::vector<Index>& degrees) {
    const auto rows = static_cast<Index>(order.size());
    for (std::size_t g = 0; g < degrees.size(); ++g) {
      const auto group = static_cast<Index>(g);
      const Index first = group * group_rows();
      for (Index l = 0; l < points.rows(); ++l)
        for (Index i = 0; i < group_rows(); ++i)  // the last group is filled up with its last row
          points_of(group)[l * group_rows() + i] =
              points(l, order[static_cast<std::size_t>(std::min(first + i, rows - 1))]);
      const Index used = group_rows() * (degrees[g] + 1);
      std::fill_n(moments.data() + group * moments_of_a_group(), used * of.combined_.columns, 0.0);
      std::fill_n(kept_of(group), used, 0.0);
    }
    for (const Subtree& part : of.parts_)
      for (std::size_t g = 0; g < degrees.size(); ++g) {
        const auto group = static_cast<Index>(g);
        evaluate_features(of.monomials_, part, of.combined_, points_of(group), degrees[g],
                          moments.data() + group * moments_of_a_group(), kept_of(group), buffer);
      }
  }

  /// Rows of the tile, each with its polynomial; returns those that miss the promise.
  std::vector<Index> evaluate(std::vector<Index> rows, const std::vector<const RowPolynomial*>& polynomials,
                              const std::vector<RowScores>& scores, Index first_row, RowOutputs& outputs) {
    const auto degree = [&](Index i) { return polynomials[static_cast<std::size_t>(i)]->degree(); };
    std::stable_sort(rows.begin(), rows.end(), [&](Index i, Index j) { return degree(i) > degree(j); });
    std::vector<Index> degrees;
    for (std::size_t at = 0; at < rows.size(); at += static_cast<std::size_t>(group_rows()))
      degrees.push_back(degree(rows[at]));
    sum_moments(rows, degrees);
    std::vector<Index> missing;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      const auto i = static_cast<std::size_t>(rows[at]);
      const Index row = first_row + rows[at];
      const Index group = static_cast<Index>(at) / group_rows(), lane = static_cast<Index>(at) % group_rows();
      evaluated += of.monomials_.of_degree(degree(rows[at])).end;
      const double* from = moments.data() + group * moments_of_a_group() + lane;
      for (Index j = 0; j < (degree(rows[at]) + 1) * of.combined_.columns; ++j)
        row_moments(j) = from[j * group_rows()];
      if (!of.dropped_.none()) {
        for (Index m = 0; m <= degree(rows[at]); ++m) row_kept(m) = kept_of(group)[m * group_rows() + lane];
        of.dropped_.finish(points_of(group) + lane, group_rows(), row_kept.data(), degree(rows[at]),
                           dropped.data());
      }
      const RowBound bound = of.certificate_.finish(
          row_moments.data(), scores[i], *polynomials[i], of.dropped_.none() ? nullptr : dropped.data(),
          outputs.output.row(row).data(), outputs.log_normalizer(row));
      outputs.error_bound(row) = bound.output;
      outputs.log_error(row) = bound.log_normalizer;
      if (!of.promise_.kept(bound.output, bound.log_normalizer)) missing.push_back(rows[at]);
    }
    return missing;
  }

  void operator()(Range rows, const ConstTile& queries, RowOutputs& outputs) {
    const QueryTile tile(of.head_, of.bounds_, of.shape_, queries);
    of.coordinates_.queries.transpose_into(tile.rows, points.leftCols(rows.size()));
    std::vector<const RowPolynomial*> polynomials, highest;
    chooser.forget_if_many();
    for (const RowScores& scores : tile.scores) {
      const RowChooser::Choice& choice = chooser.choose(scores);
      polynomials.push_back(&choice.polynomial);
      highest.push_back(&choice.highest);
    }
    std::vector<Index> all(tile.scores.size());
    std::iota(all.begin(), all.end(), Index{0});
    std::vector<Index> missing = evaluate(all, polynomials, tile.scores, rows.begin, outputs);
    std::erase_if(missing, [&](Index i) {
      return polynomials[static_cast<std::size_t>(i)]->degree() == of.monomials_.degree();
    });
    if (!missing.empty()) evaluate(missing, highest, tile.scores, rows.begin, outputs);
  }

  const QueryEvaluation& of;
  const Index group_rows_ = query_group_rows<double>();
  RowChooser chooser;
  Matrix points;                               // (d, tile) one coordinate per row
  Buffer<double> group_points, moments, kept;  // [group][...][row]
  Buffer<double> row_moments, row_kept, buffer;
  std::vector<double> dropped;
  std::int64_t evaluated = 0;
};

QueryEvaluation::QueryEvaluation(const MeasuredHead& head, const ProblemShape& shape,
                                 const Coordinates& coordinates, const Monomials& monomials,
                                 const Matrix& combined, DroppedMonomials dropped, Precision output_precision,
                                 Promise promise, bool degree_is_fixed)
    : head_(head),
      shape_(shape),
      coordinates_(coordinates),
      monomials_(monomials),
      combined_{combined.cols(), Eigen::Map<const Buffer<double>>(combined.data(), combined.size()),
                dropped.weights()},
      parts_(subtrees(monomials, monomials_of_a_part(combined.cols()))),
      dropped_(std::move(dropped)),
      promise_(promise),
      bounds_(head.changed.modes, shape),
      certificate_(shape, coordinates, score_unit(head), monomials_per_degree(monomials), output_precision),
      budget_(degree_is_fixed ? GapBudget()
                              : GapBudget::of(coordinates, promise, output_precision).with_reserve()) {
  if (!dropped_.none()) budget_ = budget_.half();
}

QueryEvaluation::~QueryEvaluation() = default;

RowOutputs QueryEvaluation::evaluate(const ConstTile& queries) {
  const Index tiles = tile_count(queries.rows(), query_tile_rows);
  RowOutputs outputs(queries.rows(), combined_.columns - 1);
  while (workers_.size() < static_cast<std::size_t>(omp_get_max_threads()))
    workers_.push_back(std::make_unique<Worker>(*this));
#pragma omp parallel
  {
    Worker& worker = *workers_[static_cast<std::size_t>(omp_get_thread_num())];
#pragma omp for schedule(dynamic)
    for (Index tile = 0; tile < tiles; ++tile) {
      const Range rows = tile_range(tile, queries.rows(), query_tile_rows);
      worker(rows, queries.middleRows(rows.begin, rows.size()), outputs);
    }
  }
  return outputs;
}

std::int64_t QueryEvaluation::monomials_evaluated() const {
  std::int64_t all = 0;
  for (const auto& worker : workers_) all += worker->evaluated;
  return all;
}

}  // namespace kronattn
