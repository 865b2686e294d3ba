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

/// Of the first `count` monomials.
template <class T>
CombinedSums<T> sums_in(const Matrix& combined, const Vector& magnitudes, Index count) {
  const Index columns = combined.cols();
  return {columns, Eigen::Map<const Buffer<double>>(combined.data(), count * columns).cast<T>(),
          magnitudes.head(std::min(count, magnitudes.size())).array().cast<T>()};
}

}  // namespace

/// What one thread needs beside: buffers, and the polynomials it has made.
struct QueryEvaluation::Worker {
  explicit Worker(const QueryEvaluation& evaluation)
      : of(evaluation),
        chooser(of.head_.scores, of.certificate_, score_unit(of.head_), of.monomials_.degree(), of.budget_),
        points(of.shape_.width, query_tile_rows),
        in_double(of.shape_.width),
        in_single(of.single_from_ <= of.monomials_.degree() ? of.shape_.width : 0),
        moments(query_tile_rows * (of.monomials_.degree() + 1) * columns),
        kept(query_tile_rows * (of.monomials_.degree() + 1)),
        dropped_points(of.dropped_.none() ? 0 : lanes * of.shape_.width),
        dropped((of.monomials_.degree() + 1) * lanes) {
    if (lanes > most_lanes) throw std::logic_error("the kernel's groups of queries are too large");
    batch.lanes = lanes;
    if (!of.dropped_.none()) batch.dropped = dropped.data();
  }

  /// What the kernel of one precision works on: queries by its own groups.
  template <class T>
  struct Kernel {
    explicit Kernel(Index width) : points(query_tile_rows * width) {}
    const T* of_group(Index group, Index width) const { return points.data() + group * lanes * width; }

    const Index lanes = query_group_rows<T>();
    Buffer<T> points, buffer;  // [group][coordinate][row]
  };

  Moments moments_of(Index group) {
    const Index rows = group * lanes * (of.monomials_.degree() + 1);
    return {moments.data() + rows * columns, kept.data() + rows, lanes};
  }

  /// Row `place` of those that are evaluated; the last group is filled up with the last row.
  Index row_at(const std::vector<Index>& order, Index place) const {
    return order[std::min(static_cast<std::size_t>(place), order.size() - 1)];
  }

  /// Points of the rows `order` in whole groups.
  template <class T>
  void gather_points(const std::vector<Index>& order, Index rows, Kernel<T>& kernel) {
    const Index width = points.rows();
    for (Index first = 0; first < rows; first += kernel.lanes)
      for (Index l = 0; l < width; ++l)
        for (Index i = 0; i < kernel.lanes; ++i)
          kernel.points(first * width + l * kernel.lanes + i) =
              static_cast<T>(points(l, row_at(order, first + i)));
  }

  /// Adds the moments of the given degrees of one part to those of a group of rows.
  template <class T>
  void add_moments(const Subtree& part, Index group, const CombinedSums<T>& combined, Range degrees,
                   Kernel<T>& kernel) {
    if (degrees.size() <= 0) return;
    Moments to = moments_of(group);
    for (Index row = 0; row < lanes; row += kernel.lanes, to.sums += kernel.lanes, to.kept += kernel.lanes)
      evaluate_features(of.monomials_, part, combined,
                        kernel.of_group((group * lanes + row) / kernel.lanes, points.rows()), degrees, to,
                        kernel.buffer);
  }

  /// Moments of the rows `order` of the tile, by groups; `degrees` of the groups.
  void sum_moments(const std::vector<Index>& order, const std::vector<Index>& degrees) {
    const auto groups = static_cast<Index>(degrees.size());
    if (of.single_from_ > 0) gather_points(order, groups * lanes, in_double);
    if (in_single.points.size() > 0) gather_points(order, groups * lanes, in_single);
    for (Index group = 0; group < groups; ++group) {
      const Moments of_group = moments_of(group);
      const Index used = lanes * (degrees[static_cast<std::size_t>(group)] + 1);
      std::fill_n(of_group.sums, used * columns, 0.0);
      std::fill_n(of_group.kept, used, 0.0);
    }
    for (const Subtree& part : of.parts_)
      for (Index group = 0; group < groups; ++group) {
        const Index end = degrees[static_cast<std::size_t>(group)] + 1,
                    middle = std::min(of.single_from_, end);
        add_moments(part, group, of.combined_, {0, middle}, in_double);
        add_moments(part, group, of.combined_single_, {middle, end}, in_single);
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
      const Moments of_group = moments_of(static_cast<Index>(g));
      batch.moments = of_group.sums;
      for (Index lane = 0; lane < lanes; ++lane) {
        const auto i = static_cast<std::size_t>(at(std::min(first + lane, last)));
        batch.scores[static_cast<std::size_t>(lane)] = &scores[i];
        batch.polynomials[static_cast<std::size_t>(lane)] = polynomials[i];
      }
      if (!of.dropped_.none()) {
        for (Index l = 0; l < points.rows(); ++l)
          for (Index i = 0; i < lanes; ++i)
            dropped_points(l * lanes + i) = points(l, row_at(order, first + i));
        of.dropped_.finish(dropped_points.data(), of_group.kept, lanes, degrees[g], dropped.data());
      }
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
    const QueryTile tile(of.head_, of.bounds_, of.shape_, columns_of(queries));
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
  const Index columns = of.shape_.sum_columns();
  const Index lanes =  // of a group: where there is float, of its kernel's
      of.single_from_ <= of.monomials_.degree() ? query_group_rows<float>() : query_group_rows<double>();
  RowChooser chooser;
  Matrix points;  // (d, tile) one coordinate per row
  Kernel<double> in_double;
  Kernel<float> in_single;
  Buffer<double> moments, kept;            // [group][...][row]
  Buffer<double> dropped_points, dropped;  // of a group
  RowGroup batch;
  FinishedGroup finished;
  std::int64_t evaluated = 0;
};

QueryEvaluation::QueryEvaluation(const MeasuredHead& head, const ProblemShape& shape,
                                 const Coordinates& coordinates, const Monomials& monomials,
                                 const Matrix& combined, DroppedMonomials dropped, Precision output_precision,
                                 Promise promise, bool degree_is_fixed, Index single_from)
    : head_(head),
      shape_(shape),
      coordinates_(coordinates),
      monomials_(monomials),
      single_from_(single_from),
      parts_(subtrees(monomials, monomials_of_a_part(combined.cols()))),
      dropped_(std::move(dropped)),
      promise_(promise),
      bounds_(head.changed.modes, shape),
      certificate_(shape, coordinates, score_unit(head), monomials_per_degree(monomials), output_precision,
                   single_from),
      budget_(degree_is_fixed ? GapBudget()
                              : GapBudget::of(coordinates, promise, output_precision).with_reserve()) {
  if (!dropped_.none()) budget_ = budget_.half();
  const bool some_single = single_from <= monomials.degree();
  combined_ = sums_in<double>(combined, dropped_.weights(),
                              some_single ? monomials.of_degree(single_from).begin : monomials.count());
  if (some_single) combined_single_ = sums_in<float>(combined, dropped_.weights(), monomials.count());
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
