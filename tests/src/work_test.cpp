// Work is counted as it adds up, and the methods compare as they were measured.
#include "work.hpp"

#include <gtest/gtest.h>

namespace kronattn {
namespace {

TEST(Work, OfTheModesAddsUp) {
  const ProblemShape shape{1, 100, {2000, 3000}, 4, 3, 0.25}, first{1, 100, {2000}, 4, 3, 0.25},
      second{1, 100, {3000}, 4, 3, 0.25};
  EXPECT_DOUBLE_EQ(aggregate_flops(shape, 50), 2.0 * 5000 * 50 * 4);
  EXPECT_DOUBLE_EQ(aggregate_work(shape, 50), aggregate_work(first, 50) + aggregate_work(second, 50));
  EXPECT_GT(aggregate_work(shape, 50), aggregate_flops(shape, 50));
  EXPECT_DOUBLE_EQ(exact_work(shape, 100), 3000 * exact_work(first, 100));
  EXPECT_LT(counted_monomials(100, 400), 500);
  EXPECT_DOUBLE_EQ(counted_monomials(100, 400) + counted_monomials(400, 100),
                   500 + counted_monomials(0, 500));
  EXPECT_DOUBLE_EQ(evaluate_work(500, 4) - evaluate_work(500, 3), 2 * 500);
  // What a rank does for itself: the same for any number of rows above a thousand, the key sums of each mode.
  EXPECT_DOUBLE_EQ(own_work(shape, 60, 4, 9) - own_work(shape, 50, 4, 9),
                   2 * (own_work(first, 60, 4, 9) - own_work(first, 50, 4, 9)));
  ProblemShape longer = shape;
  longer.keys = {200000, 3000};
  EXPECT_DOUBLE_EQ(own_work(longer, 50, 4, 9), own_work(shape, 50, 4, 9));
  longer.queries = 500;
  EXPECT_GT(own_work(longer, 50, 4, 9), own_work(shape, 50, 4, 9));
}

/// The rows of Q and K from which the polynomial method is less work, at this rank and this mean of it over
/// rows.
Index break_even(Index order, Index width, double rank, double mean_rank, Index degree, double row_degree) {
  for (Index n = 10;; n += 10) {
    const ProblemShape shape{1,     n,     std::vector<Index>(static_cast<std::size_t>(order) - 1, n),
                             width, width, 1};
    const double rows = static_cast<double>(n);
    if (aggregate_work(shape, rank) + evaluate_work(rows * mean_rank, static_cast<double>(width) + 1) +
            own_work(shape, rank, degree, row_degree * row_degree) <
        exact_work(shape, rows))
      return n;
  }
}

TEST(Work, HasTheBreakEvenThatWasMeasured) {
  // tests/benchmarks/results/method_choice.md: rows from which the polynomial method was quicker.
  const auto expect_near = [](Index counted, double measured) {
    EXPECT_GT(static_cast<double>(counted), measured / 1.25);
    EXPECT_LT(static_cast<double>(counted), measured * 1.25);
  };
  expect_near(break_even(2, 4, 210, 131, 6, 5), 2635);
  expect_near(break_even(2, 8, 1287, 1062, 5, 4.7), 2042);
  expect_near(break_even(2, 16, 20349, 5650, 5, 4.2), 9847);
  expect_near(break_even(3, 4, 330, 247, 7, 6.3), 115);
  expect_near(break_even(3, 8, 3003, 2900, 6, 5.9), 129);
}

}  // namespace
}  // namespace kronattn
