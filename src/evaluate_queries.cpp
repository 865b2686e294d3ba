#include "evaluate_queries.hpp"

#include <omp.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

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
        dropped((of.monomials_.degree() + 1) * lanes) {
    if (lanes > most_lanes) throw std::logic_error("the kernel's groups of queries are too large");
    batch.lanes = lanes;
    if (!of.dropped_.none()) batch.dropped = dropped.data();
  }

  Index moments_of_a_group() const { return lanes * (of.monomials_.degree() + 1) * of.combined_.columns; }
  double* kept_of(Index group) { return kept.data() + group * lanes * (of.monomials_.degree() + 1); }
  double* points_of(Index group) { return group_points.data() + group * lanes * points.rows(); }

  /// Moments of the rows `order` of the tile, by groups; `degrees` of the groups.
  void sum_moments(const std::vector<Index>& order, const std::vector<Index>& degrees) {
    const auto rows = static_cast<Index>(order.size());
    for (std::size_t g = 0; g < degrees.size(); ++g) {
      const auto group = static_cast<Index>(g);
      const Index first = group * lanes;
      for (Index l = 0; l < points.rows(); ++l)
        for (Index i = 0; i < lanes; ++i)  // the last group is filled up with its last row
          points_of(group)[l * lanes + i] =
              points(l, order[static_cast<std::size_t>(std::min(first + i, rows - 1))]);
      const Index used = lanes * (degrees[g] + 1);
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
  std::vector<Index> evaluate(const std::vector<Index>& rows,
                              const std::vector<const RowPolynomial*>& polynomials,
                              const std::vector<RowScores>& scores, Index first_row, RowOutputs& outputs) {
    const std::vector<Index> order = by_degree(rows, polynomials);
    const auto at = [&](Index place) { return order[static_cast<std::size_t>(place)]; };
    const auto last = static_cast<Index>(order.size()) - 1;
    std::vector<Index> degrees;
    for (Index place = 0; place <= last; place += lanes)
      degrees.push_back(polynomials[static_cast<std::size_t>(at(place))]->degree());
    sum_moments(order, degrees);
    std::vector<Index> missing;
    for (std::size_t g = 0; g < degrees.size(); ++g) {
      const Index first = static_cast<Index>(g) * lanes;
      batch.degree = degrees[g];
      batch.moments = moments.data() + static_cast<Index>(g) * moments_of_a_group();
      for (Index lane = 0; lane < lanes; ++lane) {
        const auto i = static_cast<std::size_t>(at(std::min(first + lane, last)));
        batch.scores[static_cast<std::size_t>(lane)] = &scores[i];
        batch.polynomials[static_cast<std::size_t>(lane)] = polynomials[i];
      }
      if (!of.dropped_.none())
        of.dropped_.finish(points_of(static_cast<Index>(g)), kept_of(static_cast<Index>(g)), lanes,
                           degrees[g], dropped.data());
      of.certificate_.finish(batch, finished);
      for (Index place = first; place <= std::min(first + lanes - 1, last); ++place)
        if (!deliver(place - first, first_row + at(place), outputs)) missing.push_back(at(place));
    }
    return missing;
  }

  /// Writes one lane of what is finished; whether it keeps the promise.
  bool deliver(Index lane, Index row, RowOutputs& outputs) {
    const auto i = static_cast<std::size_t>(lane);
    evaluated += of.monomials_.of_degree(batch.polynomials[i]->degree()).end;
    double* output = outputs.output.row(row).data();
    for (Index c = 0; c < outputs.output.cols(); ++c) output[c] = finished.output(c * lanes + lane);
    outputs.log_normalizer(row) = finished.log_normalizer[i];
    outputs.error_bound(row) = finished.error_bound[i];
    outputs.log_error(row) = finished.log_error[i];
    return of.promise_.kept(finished.error_bound[i], finished.log_error[i]);
  }

  /// The rows, those of the highest degree first.
  std::vector<Index> by_degree(const std::vector<Index>& rows,
                               const std::vector<const RowPolynomial*>& polynomials) const {
    std::vector<std::size_t> ends(static_cast<std::size_t>(of.monomials_.degree()) + 2, 0);
    const auto place = [&](Index i) {  // of the row's degree among the degrees, the highest first
      return static_cast<std::size_t>(of.monomials_.degree() -
                                      polynomials[static_cast<std::size_t>(i)]->degree());
    };
    for (Index i : rows) ++ends[place(i) + 1];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    std::vector<Index> order(rows.size());
    for (Index i : rows) order[ends[place(i)]++] = i;
    return order;
  }

  void operator()(Range rows, const ConstTile& queries, RowOutputs& outputs) {
    const QueryTile tile(of.head_, of.bounds_, of.shape_, queries);
    of.coordinates_.queries.transpose_into(tile.rows, points.leftCols(rows.size()));
    std::vector<const RowPolynomial*> polynomials;
    chooser.forget_if_many();
    for (const RowScores& scores : tile.scores) polynomials.push_back(&chooser.choose(scores));
    std::vector<Index> all(tile.scores.size());
    std::iota(all.begin(), all.end(), Index{0});
    std::vector<Index> missing = evaluate(all, polynomials, tile.scores, rows.begin, outputs);
    std::erase_if(missing, [&](Index i) {
      return polynomials[static_cast<std::size_t>(i)]->degree() == of.monomials_.degree();
    });
    if (missing.empty()) return;
    for (Index i : missing)
      polynomials[static_cast<std::size_t>(i)] = &chooser.highest(tile.scores[static_cast<std::size_t>(i)]);
    evaluate(missing, polynomials, tile.scores, rows.begin, outputs);
  }

  const QueryEvaluation& of;
  const Index lanes = query_group_rows<double>();
  RowChooser chooser;
  Matrix points;                               // (d, tile) one coordinate per row
  Buffer<double> group_points, moments, kept;  // [group][...][row]
  Buffer<double> dropped, buffer;
  RowGroup batch;
  FinishedGroup finished;
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
  RowOutputs outputs(queries.rows(), shape_.value_width);
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
