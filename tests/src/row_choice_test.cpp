// Polynomials of rows are those of a chooser that has seen nothing else, whatever came before and was
// forgotten.
#include "row_choice.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

TEST(RowChooser, ChoosesTheSameAfterAnyRowsAndAfterForgetting) {
  const testing::Problem problem = testing::random_problem({60}, 4, 2, 1, testing::Uniform(21, -1, 1));
  const ProblemShape shape = problem.shape();
  const MeasuredHead head = testing::measure(problem);
  const Coordinates coordinates(head.changed, shape);
  const PolynomialCertificate certificate(shape, coordinates, 1, {1, 2}, Precision::double_precision);
  const auto chooser = [&] { return RowChooser(head.scores, certificate, 1, 1, GapBudget()); };
  const auto row = [](Index i) {  // 60,000 different ones, more than are kept
    RowScores scores;
    scores.mean = 1e-3 * static_cast<double>(i % 60000) - 30;
    scores.deviation = 1e-3;
    scores.low = scores.mean - 0.01;
    scores.high = scores.mean + 0.01;
    scores.box = 31;
    return scores;
  };
  RowChooser long_lived = chooser();
  for (Index i = 0; i < 120000; ++i) {
    if (i % 384 == 0) long_lived.forget_if_many();
    const RowPolynomial& chosen = long_lived.choose(row(i));
    if (i % 997 != 0) continue;
    RowChooser fresh = chooser();
    const RowPolynomial& alone = fresh.choose(row(i));
    ASSERT_EQ(chosen.values, alone.values) << i;
    ASSERT_EQ(chosen.majorant, alone.majorant) << i;
  }
}

}  // namespace
}  // namespace kronattn
