#include "work.hpp"

#include <algorithm>

namespace kronattn {

namespace {

/// In flops of the products, by measurement of one thread (EPYC: 87 Gflop/s of them, with 256 bits as with
/// 512).
struct Counted {
  double feature;           // forming a monomial of a row
  double sum;               // a key sum of a mode, from fixed point and into the product of the modes
  double head, sampled;     // a polynomial head; its sample, where there are 1,000 keys for it
  double degree_squared;    // planning, times g^2
  double of_a_row;          // 1,000 rows' polynomials, times the square of their degrees
  double late_row;          // a row written after the others
  double exact_flop;        // a flop of a tuple's products
  double exponential;       // a tuple's exp and bookkeeping
  double single_precision;  // in float, of both of these
  double single_scores;     // with scores alone in float
  double single_monomial;   // a monomial of the polynomial method in float
};

constexpr Counted counted = {.feature = 3.6,
                             .sum = 1170,
                             .head = 1.6e7,
                             .sampled = 1e8,
                             .degree_squared = 1e6,
                             .of_a_row = 6.3e6,
                             .late_row = 2.5e6,
                             .exact_flop = 0.96,
                             .exponential = 37,
                             .single_precision = 0.42,
                             .single_scores = 0.5,
                             .single_monomial = 0.5};

double key_rows(const ProblemShape& shape) {
  double rows = 0;
  for (Index keys : shape.keys) rows += static_cast<double>(keys);
  return rows;
}

double sum_columns(const ProblemShape& shape) {
  return static_cast<double>(shape.sum_columns());
}

}  // namespace

double aggregate_flops(const ProblemShape& shape, double rank) {
  return 2 * key_rows(shape) * rank * sum_columns(shape);
}

double evaluate_flops(const ProblemShape& shape, double rows, double rank) {
  return 2 * rows * rank * sum_columns(shape);
}

double key_sum_bytes(const ProblemShape& shape, double rank) {
  return 16 * rank * sum_columns(shape);
}

double counted_monomials(double in_double, double in_single) {
  return in_double + counted.single_monomial * in_single;
}

double aggregate_work(const ProblemShape& shape, double rank) {
  return aggregate_flops(shape, rank) + counted.feature * key_rows(shape) * rank;
}

double evaluate_work(double monomials, double columns) {
  return monomials * (2 * columns + counted.feature);
}

double exact_work(const ProblemShape& shape, double rows, ExactArithmetic arithmetic) {
  const double flops = 2 * static_cast<double>(shape.width + shape.value_width + 1);
  return rows * shape.tuples() * (counted.exact_flop * flops + counted.exponential) *
         (arithmetic.sums == Precision::single_precision     ? counted.single_precision
          : arithmetic.scores == Precision::single_precision ? counted.single_scores
                                                             : 1);
}

double own_work(const ProblemShape& shape, double rank, Index degree, double row_squares) {
  // The sample has about a thousand keys, and rows share some hundred polynomials: less of a smaller problem.
  const auto share = [](Index rows) { return std::min(1.0, static_cast<double>(rows) / 1000); };
  const Index keys = *std::max_element(shape.keys.begin(), shape.keys.end());
  const double sums = static_cast<double>(shape.modes()) * rank * sum_columns(shape);
  return counted.head + counted.sampled * share(keys) + counted.sum * sums +
         counted.degree_squared * static_cast<double>(degree * degree) +
         counted.of_a_row * share(shape.queries) * row_squares;
}

double late_work(double rows) {
  return counted.late_row * rows;
}

}  // namespace kronattn
