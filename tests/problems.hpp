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
#include "exp_polynomial.hpp"
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

inline HeadMeasurement measure(const Problem& problem) {
  const ProblemShape shape = problem.shape();
  HeadMeasurement head;
  for (std::size_t m = 0; m < problem.keys.size(); ++m) {
    head.modes.emplace_back(shape.width, shape.value_width);
    head.modes.back().absorb(problem.keys[m], problem.values[m], shape.order());
  }
  head.queries = QueryMeasurement(shape.width);
  head.queries.absorb(problem.queries, ScoreBounds(head.modes, shape), shape.order());
  return head;
}

inline RowOutputs solve_polynomial(const Problem& problem, Index degree,
                                   Precision output_precision = Precision::double_precision) {
  const ProblemShape shape = problem.shape();
  const HeadMeasurement head = measure(problem);
  const Coordinates coordinates(head, shape);
  const ExpPolynomial polynomial = chebyshev_polynomial(degree, head.queries.score_bound);
  const Monomials monomials = Monomials::of_total_degree(shape.width, degree);
  std::vector<double> counts;
  for (Index m = 0; m <= degree; ++m) counts.push_back(static_cast<double>(monomials.of_degree(m).size()));
  std::vector<KeyAggregate> modes;
  for (std::size_t m = 0; m < problem.keys.size(); ++m) {
    modes.emplace_back(monomials.count(), shape.keys[m], shape.value_width);
    modes.back().absorb(monomials, problem.keys[m], problem.values[m], coordinates.keys[m],
                        coordinates.values[m]);
  }
  const Matrix combined =
      combine_modes(modes, multinomial_weights(monomials, coordinates.weights / polynomial.score_bound),
                    shape.value_width + 1);
  return evaluate_queries(monomials, combined, coordinates,
                          PolynomialCertificate(shape, coordinates, polynomial, counts, output_precision),
                          problem.queries);
}

inline RowOutputs solve_exactly(const Problem& problem,
                                Precision output_precision = Precision::double_precision) {
  const ProblemShape shape = problem.shape();
  const HeadMeasurement head = measure(problem);
  const Coordinates coordinates(head, shape);
  ExactAttention attention(shape, coordinates, problem.queries, exact_query_tile_rows(shape.order()));
  std::vector<const KeyTile*> held(problem.keys.size());
  const std::function<void(std::size_t)> pass = [&](std::size_t m) {
    for (Index t = 0; t < tile_count(shape.keys[m], key_tile_rows); ++t) {
      const Range rows = tile_range(t, shape.keys[m], key_tile_rows);
      const KeyTile tile(problem.keys[m].middleRows(rows.begin, rows.size()),
                         problem.values[m].middleRows(rows.begin, rows.size()), coordinates.keys[m],
                         coordinates.values[m]);
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
  return attention.finish(ExactCertificate(shape, coordinates, output_precision));
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
