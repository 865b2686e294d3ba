// The polynomial method from measurement to outputs, against the definition and against identities.
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <set>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

TEST(PolynomialAttention, IsTheDefinitionWithEachRowsPolynomialInExpsPlace) {
  testing::Uniform uniform(1, -1, 1.3);
  for (const std::vector<Index>& keys : {std::vector<Index>{1100}, {40, 70}, {7, 9, 11}, {3, 4, 5, 6}})
    for (Index degree : {0, 1, 3, 6}) {
      const Problem problem = testing::random_problem(keys, 17, 4, 3, uniform);
      const ProblemShape shape = problem.shape();
      const MeasuredHead head = testing::measure(problem);
      const double unit = score_unit(head);
      const PolynomialCertificate certificate(shape, Coordinates(head.changed, shape), unit,
                                              std::vector<double>(static_cast<std::size_t>(degree) + 1, 1),
                                              Precision::double_precision);
      RowChooser chooser(head.scores, certificate, unit, degree, GapBudget());
      const QueryTile tile(head, ScoreBounds(head.changed.modes, shape), shape, problem.queries);
      const RowOutputs outputs = testing::solve_polynomial(problem, degree);
      for (Index i = 0; i < problem.queries.rows(); ++i) {
        const RowPolynomial& polynomial = chooser.highest(tile.scores[static_cast<std::size_t>(i)]);
        const testing::Truth direct = testing::truth(problem, i, [&](long double score) {
          long double sum = 0;
          for (std::size_t m = polynomial.values.size(); m-- > 0;)
            sum = sum * (score / unit) + polynomial.values[m];
          return sum;
        });
        EXPECT_LE(testing::row_error(direct, outputs, i), 2e-13)
            << "order " << keys.size() + 1 << " degree " << degree;
      }
    }
}

TEST(KeySums, OfPartsThatAreDoneStayAsTheyAre) {
  const Problem problem = testing::random_problem({5000}, 5, 8, 40, testing::Uniform(4, -1, 1));
  const MeasuredHead head = testing::measure(problem);
  const Coordinates coordinates(head.changed, problem.shape());
  const Monomials monomials = Monomials::of_total_degree(8, 6);
  for (int threads : {1, 2}) {
    omp_set_num_threads(threads);
    KeyAggregate sums(monomials.count(), 5000, 41);
    const std::vector<Subtree> parts = sums.parts(monomials);
    ASSERT_GT(parts.size(), 3U);
    const auto read = [&](std::vector<double>& into, Index some) {
      for (Index p = 0; p < some; ++p)
        for (Range range : parts[static_cast<std::size_t>(p)].degrees)
          for (Index i = 41 * range.begin; i < 41 * range.end; ++i)
            into[static_cast<std::size_t>(i)] = sums(i / 41, i % 41);
    };
    std::vector<double> when_done(static_cast<std::size_t>(41 * monomials.count()));
    Index done = 0, calls = 0;
    sums.absorb(monomials, 0, problem.keys[0], problem.values[0], head.change, coordinates, 0,
                [&](Index some) {
                  EXPECT_GE(some, done);
                  if (some > done) read(when_done, some);
                  done = some;
                  ++calls;
                });
    EXPECT_GT(calls, 0);
    EXPECT_LE(done, static_cast<Index>(parts.size()));
    if (threads == 1) {
      EXPECT_EQ(done, static_cast<Index>(parts.size()));
    }
    std::vector<double> at_last(when_done.size());
    read(at_last, done);
    EXPECT_EQ(when_done, at_last);
  }
  omp_set_num_threads(2);
}

TEST(Subtrees, PartsUntilHoldAllMonomialsOfARange) {
  const Monomials monomials = Monomials::of_total_degree(5, 6);
  const std::vector<Subtree> parts = subtrees(monomials, 60);
  for (Index begin = 0; begin < monomials.count(); begin += 7)
    for (Index end : {begin + 1, std::min(begin + 40, monomials.count())}) {
      std::set<Index> held;
      Index until = 0;
      while (static_cast<Index>(held.size()) < end - begin) {
        for (Range range : parts[static_cast<std::size_t>(until)].degrees)
          for (Index a = std::max(begin, range.begin); a < std::min(end, range.end); ++a) held.insert(a);
        ++until;
      }
      EXPECT_EQ(parts_until(parts, {begin, end}), until);
    }
  EXPECT_EQ(parts_until(parts, {3, 3}), 0);
}

TEST(PolynomialAttention, InChangedCoordinatesIsTheSameAttention) {
  Problem problem = testing::random_problem({900}, 200, 6, 3, testing::Uniform(8, -1, 1));
  problem.keys[0].rowwise() += Eigen::RowVectorXd::LinSpaced(6, -3, 5);            // off centre
  for (Matrix* side : {&problem.queries, &problem.keys[0]}) side->col(2) *= 1e-2;  // uneven
  problem.scale = 0.1;
  const RowOutputs exact = testing::solve_exactly(problem);
  const RowOutputs outputs = testing::solve_polynomial(problem, 10, {.change = true, .epsilon = 1e-9});
  EXPECT_LE((outputs.output - exact.output).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_LE((outputs.log_normalizer - exact.log_normalizer).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_LE(outputs.error_bound.maxCoeff(), 1e-9 * problem.promise());
}

TEST(PolynomialAttention, EvaluatesRowsToTheDegreeTheyNeed) {
  Problem problem = testing::random_problem({800}, 600, 4, 2, testing::Uniform(9, -1, 1));
  for (Index i = 0; i < 600; i += 2) problem.queries.row(i) *= 0.05;
  const MeasuredHead head = testing::measure(problem);
  const ProblemShape shape = problem.shape();
  const Coordinates coordinates(head.changed, shape);
  const Monomials monomials = Monomials::of_total_degree(4, 8);
  std::vector<KeyAggregate> modes;
  modes.emplace_back(monomials.count(), 800, shape.sum_columns());
  modes[0].absorb(monomials, 0, problem.keys[0], problem.values[0], head.change, coordinates, 0);
  const Promise promise{1e-7 * problem.promise(), 1e-7};
  QueryEvaluation evaluation(
      head, shape, coordinates, monomials,
      testing::combined_sums(modes, multinomial_weights(monomials, coordinates.weights / score_unit(head)),
                             3),
      DroppedMonomials(), Precision::double_precision, promise, false);
  const RowOutputs outputs = evaluation.evaluate(problem.queries);
  EXPECT_LT(evaluation.monomials_evaluated(), 360 * monomials.count());  // of 600
  for (Index i = 0; i < 600; ++i) {
    EXPECT_TRUE(promise.kept(outputs.error_bound(i), outputs.log_error(i))) << i;
    EXPECT_LE(testing::row_error(testing::truth(problem, i), outputs, i), outputs.error_bound(i)) << i;
  }
}

TEST(PolynomialAttention, InSingleFromADegreeOnIsTheSameBelowIt) {
  const Problem problem = testing::random_problem({1300, 40}, 1, 4, 2, testing::Uniform(11, -1, 1));
  const ProblemShape shape = problem.shape();
  const MeasuredHead head = testing::measure(problem);
  const Coordinates coordinates(head.changed, shape);
  const Monomials monomials = Monomials::of_total_degree(4, 6);
  const auto sums_from = [&](Index single_from, int threads, Index block) {
    omp_set_num_threads(threads);
    KeyAggregate sums(monomials.count(), 1300, 3, single_from);
    for (Index begin = 0; begin < 1300; begin += block) {
      const Index rows = std::min(block, 1300 - begin);
      sums.absorb(monomials, 0, problem.keys[0].middleRows(begin, rows),
                  problem.values[0].middleRows(begin, rows), head.change, coordinates, 0);
    }
    omp_set_num_threads(2);
    return sums;
  };
  KeyAggregate in_double = sums_from(all_in_double, 1, 1300), mixed = sums_from(4, 1, 1300),
               in_blocks = sums_from(4, 2, 512);
  EXPECT_TRUE(std::ranges::equal(mixed.words(0), in_blocks.words(0)));
  double largest = 0;
  for (Index a = 0; a < monomials.count(); ++a)
    for (Index c = 0; c < 3; ++c) {
      const double off = std::abs(mixed(a, c) - in_double(a, c));
      if (a < monomials.of_degree(4).begin) {
        EXPECT_EQ(off, 0) << a;
      } else {
        largest = std::max(largest, off);
      }
    }
  EXPECT_GT(largest, 1e-9);
  EXPECT_LT(largest, 1300 * 4e-6);
}

TEST(PolynomialAttention, TakesADegreeInAfterwards) {
  Problem problem = testing::random_problem({700, 90}, 1, 3, 2, testing::Uniform(10, -1, 1));
  const ProblemShape shape = problem.shape();
  const MeasuredHead head = testing::measure(problem);
  const Coordinates coordinates(head.changed, shape);
  const Monomials whole = Monomials::of_total_degree(3, 5);
  Monomials grown = Monomials::of_total_degree(3, 4);
  KeyAggregate at_once(whole.count(), 700, 3), later(grown.count(), 700, 3);
  const auto absorb = [&](KeyAggregate& sums, const Monomials& monomials, Index from) {
    sums.absorb(monomials, from, problem.keys[0], problem.values[0], head.change, coordinates, 0);
  };
  absorb(at_once, whole, 0);
  absorb(later, grown, 0);
  grown.add_degree([](Index, Index) { return true; });
  later.grow(grown.count());
  absorb(later, grown, 5);
  EXPECT_TRUE(std::ranges::equal(later.words(0), at_once.words(0)));
}

TEST(PolynomialAttention, OfOrderThreeWithOnesIsOrderTwo) {
  testing::Uniform uniform(2, -1, 1);
  Problem two = testing::random_problem({800}, 150, 5, 4, uniform);
  Problem three = two;
  three.keys.push_back(Matrix::Ones(1, 5));
  three.values.push_back(Matrix::Ones(1, 4));
  // Reaches of scores are bounded by other norms, so the polynomials differ; both are as good as exp here.
  const RowOutputs a = testing::solve_polynomial(two, 11), b = testing::solve_polynomial(three, 11);
  EXPECT_LE((a.output - b.output).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_LE((a.log_normalizer - b.log_normalizer).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(PolynomialAttention, OfConstantValuesIsThatConstant) {
  testing::Uniform uniform(3, -1, 1);
  Problem problem = testing::random_problem({300, 200}, 40, 4, 2, uniform);
  problem.values[0].setConstant(-7.5);
  problem.values[1].setConstant(1e5);
  const RowOutputs outputs = testing::solve_polynomial(problem, 4);
  EXPECT_LE((outputs.output.array() / -7.5e5 - 1).abs().maxCoeff(), 1e-15);
}

TEST(PolynomialAttention, DoesNotCareForTheOrderOfKeys) {
  testing::Uniform uniform(4, -1, 1);
  const Problem problem = testing::random_problem({1500}, 60, 4, 4, uniform);
  Problem shuffled = problem;
  for (Index j = 0; j < 1500; ++j) {
    const Index other = (j * 707 + 13) % 1500;
    shuffled.keys[0].row(other) = problem.keys[0].row(j);
    shuffled.values[0].row(other) = problem.values[0].row(j);
  }
  // The sample, and with it the rows' polynomials, may be others; all are as good as exp here.
  const RowOutputs a = testing::solve_polynomial(problem, 12), b = testing::solve_polynomial(shuffled, 12);
  EXPECT_LE((a.output - b.output).cwiseAbs().maxCoeff(), 1e-13);
}

TEST(PolynomialAttention, TakesShortWideAndSingleShapes) {
  testing::Uniform uniform(5, -1, 1);
  for (const auto& [keys, queries, width, value_width] :
       {std::tuple<std::vector<Index>, Index, Index, Index>{{1}, 1, 1, 1},
        {{2, 700}, 3, 1, 5},
        {{513}, 129, 9, 1}}) {
    const Problem problem = testing::random_problem(keys, queries, width, value_width, uniform);
    const RowOutputs outputs = testing::solve_polynomial(problem, 8);
    for (Index i = 0; i < queries; ++i)
      EXPECT_LE(testing::row_error(testing::truth(problem, i), outputs, i), outputs.error_bound(i));
    EXPECT_LE(outputs.error_bound.maxCoeff(), 1e-4);
  }
}

TEST(PolynomialAttention, SurvivesModesScaledAgainstEachOther) {
  testing::Uniform uniform(6, 0.25, 1);
  const Problem problem = testing::random_problem({60, 50}, 20, 3, 3, uniform);
  Problem scaled = problem;
  scaled.queries *= 0x1p150;
  scaled.keys[0] *= 0x1p-300;
  scaled.keys[1] *= 0x1p150;
  const RowOutputs a = testing::solve_polynomial(problem, 4), b = testing::solve_polynomial(scaled, 4);
  EXPECT_EQ(a.output, b.output);
}

}  // namespace
}  // namespace kronattn
