// Problems in memory, the truth about them, and the steps of a solve on one process, for tests.
#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "aggregate_keys.hpp"
#include "certificate.hpp"
#include "evaluate_queries.hpp"
#include "exact_attention.hpp"
#include "measure.hpp"
#include "plan.hpp"
#include "tiles.hpp"

namespace kronattn::testing {

/// One head.
struct Problem {
  Matrix queries;
  std::vector<Matrix> keys, values;
  double scale = 1;

  ProblemShape shape() const {
    ProblemShape shape{1, queries.rows(), {}, queries.cols(), values.front().cols(), scale};
    for (const Matrix& mode : keys) shape.keys.push_back(mode.rows());
    return shape;
  }
  double promise() const {
    double product = 1;
    for (const Matrix& mode : values) product *= mode.cwiseAbs().maxCoeff();
    return product;
  }
};

/// Calls visit(score, j) for all key tuples j of query row i, in long double, by the definition.
inline void for_each_tuple(const Problem& problem, Index i,
                           const std::function<void(long double, const std::vector<Index>&)>& visit) {
  std::vector<Index> j(problem.keys.size(), 0);
  while (true) {
    long double score = 0;
    for (Index l = 0; l < problem.queries.cols(); ++l) {
      long double product = static_cast<long double>(problem.scale) * problem.queries(i, l);
      for (std::size_t m = 0; m < j.size(); ++m) product *= problem.keys[m](j[m], l);
      score += product;
    }
    visit(score, j);
    std::size_t m = 0;
    while (m < j.size() && ++j[m] == problem.keys[m].rows()) j[m++] = 0;
    if (m == j.size()) return;
  }
}

inline long double value(const Problem& problem, const std::vector<Index>& j, Index column) {
  long double product = 1;
  for (std::size_t m = 0; m < j.size(); ++m) product *= problem.values[m](j[m], column);
  return product;
}

/// The truth about a row: outputs and log of the normaliser, with the weight of a score as a function of it
/// (exp unless said otherwise).
struct Truth {
  std::vector<long double> output;
  long double log_normalizer = 0;
};

inline Truth truth(const Problem& problem, Index i, const std::function<long double(long double)>& weight) {
  const Index columns = problem.values.front().cols();
  std::vector<long double> sums(static_cast<std::size_t>(columns), 0);
  long double normalizer = 0;
  for_each_tuple(problem, i, [&](long double score, const std::vector<Index>& j) {
    const long double w = weight(score);
    normalizer += w;
    for (Index c = 0; c < columns; ++c) sums[static_cast<std::size_t>(c)] += w * value(problem, j, c);
  });
  for (long double& sum : sums) sum /= normalizer;
  return {sums, std::log(normalizer)};
}

inline Truth truth(const Problem& problem, Index i) {
  long double maximum = -HUGE_VALL;
  for_each_tuple(problem, i,
                 [&](long double score, const std::vector<Index>&) { maximum = std::max(maximum, score); });
  Truth shifted = truth(problem, i, [&](long double score) { return std::exp(score - maximum); });
  shifted.log_normalizer += maximum;
  return shifted;
}

/// The largest error of a row.
inline double row_error(const Truth& truth, const RowOutputs& outputs, Index i) {
  long double error = 0;
  for (std::size_t c = 0; c < truth.output.size(); ++c)
    error = std::max(error, std::abs(truth.output[c] - outputs.output(i, static_cast<Index>(c))));
  return static_cast<double>(error);
}

/// Measured on one process; all rows are the sample.
inline MeasuredHead measure(const Problem& problem, bool change = false, double negligible_score = 1e-9) {
  const ProblemShape shape = problem.shape();
  MeasuredHead head({problem.queries, problem.keys}, shape, change, negligible_score);
  const ProblemShape changed_shape = head.changed_shape(shape);
  for (std::size_t m = 0; m < problem.keys.size(); ++m) {
    ModeMeasurement file(shape.width, shape.value_width), changed(changed_shape.width, shape.value_width);
    (head.change.none() ? file : changed).sum_powers(head.sample.keys[m]);
    file.absorb_keys(problem.keys[m], Vector(), shape.order());
    file.absorb_values(problem.values[m]);
    head.file.modes.push_back(file);
    if (!head.change.none()) {
      head.key_remainders.push_back(0);
      for (Index t = 0; t < tile_count(shape.keys[m], key_tile_rows); ++t) {
        const Range rows = tile_range(t, shape.keys[m], key_tile_rows);
        const MeasuredKeys keys =
            head.change.measured_keys(problem.keys[m].middleRows(rows.begin, rows.size()), m);
        changed.absorb_keys(keys.rows, keys.weights, shape.order());
        head.key_remainders.back() = std::max(head.key_remainders.back(), keys.remainder);
        head.key_dropped = std::max(head.key_dropped, keys.dropped);
      }
      changed.absorb_values(problem.values[m]);
    }
    head.changed.modes.push_back(head.change.none() ? file : changed);
  }
  const ScoreBounds file_bounds(head.file.modes, shape), bounds(head.changed.modes, changed_shape);
  head.file.queries = QueryMeasurement(shape.width);
  head.changed.queries = QueryMeasurement(changed_shape.width);
  head.file.queries.absorb(problem.queries, file_bounds.rows(problem.queries));
  for (Index t = 0; t < tile_count(shape.queries, query_tile_rows); ++t) {
    const Range rows = tile_range(t, shape.queries, query_tile_rows);
    const QueryTile tile(head, bounds, changed_shape, problem.queries.middleRows(rows.begin, rows.size()));
    head.changed.queries.absorb(tile.rows, tile.scores);
  }
  return head;
}

/// How a test solves by the polynomial method.
struct Settings {
  bool change = false;
  Precision output_precision = Precision::double_precision;
  double epsilon = 0;    // 0: every row takes the full degree; else rows take what they need
  double threshold = 0;  // monomials lighter than this are dropped
  double weight_of_box = 0.3;
  bool second_moments = false;
  Index single_from = all_in_double;
};

/// G (r, columns), all of it.
inline Matrix combined_sums(const std::vector<KeyAggregate>& modes, const Vector& weights, Index columns) {
  Matrix combined(weights.size(), columns);
  combine_modes(modes, weights, {0, combined.size()}, combined);
  return combined;
}

/// Sums and values at a total degree; rows that miss the promise stay as they are.
inline RowOutputs solve_polynomial(const Problem& problem, Index degree, const Settings& settings = {}) {
  const MeasuredHead head = measure(problem, settings.change, 0.02 * settings.epsilon);
  ProblemShape shape = head.changed_shape(problem.shape());
  shape.second_moments = settings.second_moments;
  const Coordinates coordinates(head.changed, shape);
  const Vector weights = coordinates.box * settings.weight_of_box;
  const Monomials monomials = Monomials::chosen(shape.width, {degree, settings.threshold, weights}, 1e7);
  std::vector<KeyAggregate> modes;
  for (std::size_t m = 0; m < problem.keys.size(); ++m) {
    modes.emplace_back(monomials.count(), shape.keys[m], shape.sum_columns(), settings.single_from);
    modes.back().absorb(monomials, 0, problem.keys[m], problem.values[m], head.change, coordinates,
                        static_cast<Index>(m));
  }
  Promise promise;
  if (settings.epsilon > 0) promise = {settings.epsilon * problem.promise(), settings.epsilon};
  QueryEvaluation evaluation(
      head, shape, coordinates, monomials,
      combined_sums(modes, multinomial_weights(monomials, coordinates.weights / score_unit(head)),
                    shape.sum_columns()),
      settings.threshold > 0
          ? DroppedMonomials(monomials, head, shape, coordinates.queries.exponents, settings.single_from)
          : DroppedMonomials(),
      settings.output_precision, promise, settings.epsilon == 0, settings.single_from);
  return evaluation.evaluate(problem.queries);
}

inline RowOutputs solve_exactly(const Problem& problem,
                                Precision output_precision = Precision::double_precision,
                                ExactArithmetic arithmetic = {}) {
  const ProblemShape shape = problem.shape();
  const Coordinates coordinates(measure(problem).file, shape);
  ExactAttention attention(shape, coordinates, problem.queries, exact_query_tile_rows(shape.order()));
  std::vector<const KeyTile*> held(problem.keys.size());
  const std::function<void(std::size_t)> pass = [&](std::size_t m) {
    for (Index t = 0; t < tile_count(shape.keys[m], key_tile_rows); ++t) {
      const Range rows = tile_range(t, shape.keys[m], key_tile_rows);
      const KeyTile tile(problem.keys[m].middleRows(rows.begin, rows.size()),
                         problem.values[m].middleRows(rows.begin, rows.size()), coordinates.keys[m],
                         coordinates.values[m], arithmetic);
      held[m] = &tile;
      if (m + 1 == held.size()) {
        attention.absorb(held);
      } else {
        pass(m + 1);
        attention.close_mode(static_cast<Index>(m) + 1);
      }
    }
  };
  pass(0);
  return attention.finish(ExactCertificate(shape, coordinates, output_precision, arithmetic));
}

/// Entries of any law.
inline Matrix random_matrix(Index rows, Index columns, const std::function<double()>& entry) {
  Matrix matrix(rows, columns);
  for (Index i = 0; i < rows; ++i)
    for (Index c = 0; c < columns; ++c) matrix(i, c) = entry();
  return matrix;
}

/// A problem of order k with entries of one law; the values follow the keys, so that outputs say something.
inline Problem random_problem(const std::vector<Index>& keys, Index queries, Index width, Index value_width,
                              const std::function<double()>& entry) {
  Problem problem;
  problem.scale = 1.0 / static_cast<double>(width);
  problem.queries = random_matrix(queries, width, entry);
  for (Index rows : keys) {
    problem.keys.push_back(random_matrix(rows, width, entry));
    Matrix values(rows, value_width);
    for (Index c = 0; c < value_width; ++c) values.col(c) = problem.keys.back().col(c % width);
    problem.values.push_back(values);
  }
  return problem;
}

/// Uniform in [low, high).
class Uniform {
 public:
  Uniform(std::uint64_t seed, double low, double high) : generator_(seed), distribution_(low, high) {}
  double operator()() { return distribution_(generator_); }

 private:
  std::mt19937_64 generator_;
  std::uniform_real_distribution<double> distribution_;
};

}  // namespace kronattn::testing
