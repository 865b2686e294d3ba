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
        walk(of.monomials_, query_tile_rows),
        points(of.shape_.width, query_tile_rows),
        ordered(of.shape_.width, query_tile_rows),
        moments(query_tile_rows, (of.monomials_.degree() + 1) * of.combined_.cols()),
        kept(query_tile_rows, of.monomials_.degree() + 1),
        dropped(static_cast<std::size_t>(of.monomials_.degree()) + 1) {}

  /// Moments of the rows `order` of the tile, whose degrees do not increase.
  void sum_moments(const std::vector<Index>& order, const std::vector<const RowPolynomial*>& polynomials) {
    const Index columns = of.combined_.cols();
    std::vector<Index> counts(
        static_cast<std::size_t>(polynomials[static_cast<std::size_t>(order[0])]->degree()) + 1);
    for (std::size_t at = 0; at < order.size(); ++at) {
      ordered.col(static_cast<Index>(at)) = points.col(order[at]);
      const RowPolynomial& polynomial = *polynomials[static_cast<std::size_t>(order[at])];
      for (Index m = 0; m <= polynomial.degree(); ++m) {
        ++counts[static_cast<std::size_t>(m)];
        evaluated += of.monomials_.of_degree(m).size();
      }
    }
    moments.topRows(counts[0]).setZero();
    kept.topRows(counts[0]).setZero();
    walk(ordered.leftCols(counts[0]), counts, [&](Index degree, Range block, const ConstTile& features) {
      moments.block(0, degree * columns, features.cols(), columns).noalias() +=
          features.transpose() * of.combined_.middleRows(block.begin, block.size());
      if (!of.dropped_.none())
        kept.col(degree).head(features.cols()).noalias() +=
            features.cwiseAbs().transpose() * of.dropped_.weights().segment(block.begin, block.size());
    });
  }

  /// Rows of the tile, each with its polynomial; returns those that miss the promise.
  std::vector<Index> evaluate(std::vector<Index> rows, const std::vector<const RowPolynomial*>& polynomials,
                              const std::vector<RowScores>& scores, Index first_row, RowOutputs& outputs) {
    const auto degree = [&](Index i) { return polynomials[static_cast<std::size_t>(i)]->degree(); };
    std::stable_sort(rows.begin(), rows.end(), [&](Index i, Index j) { return degree(i) > degree(j); });
    sum_moments(rows, polynomials);
    std::vector<Index> missing;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      const auto i = static_cast<std::size_t>(rows[at]);
      const Index row = first_row + rows[at];
      const auto in_order = static_cast<Index>(at);
      if (!of.dropped_.none())
        of.dropped_.finish(ordered.col(in_order).data(), ordered.cols(), kept.row(in_order).data(),
                           dropped.data());
      const RowBound bound =
          of.certificate_.finish(moments.row(in_order).data(), scores[i], *polynomials[i],
                                 of.dropped_.none() ? nullptr : dropped.data(),
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
  RowChooser chooser;
  FeatureWalk walk;
  Matrix points, ordered, moments, kept;
  std::vector<double> dropped;
  std::int64_t evaluated = 0;
};

QueryEvaluation::QueryEvaluation(const MeasuredHead& head, const ProblemShape& shape,
                                 const Coordinates& coordinates, const Monomials& monomials, Matrix combined,
                                 DroppedMonomials dropped, Precision output_precision, Promise promise,
                                 bool degree_is_fixed)
    : head_(head),
      shape_(shape),
      coordinates_(coordinates),
      monomials_(monomials),
      combined_(std::move(combined)),
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
  RowOutputs outputs(queries.rows(), combined_.cols() - 1);
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
