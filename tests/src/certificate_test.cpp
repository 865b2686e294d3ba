// error_bound is never below the true error, on any row, and not far above it.
#include "certificate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "families.hpp"
#include "instruction_sets.hpp"

namespace kronattn {
namespace {

using testing::families;
using testing::Problem;
using testing::Uniform;
using testing::with_law;

const std::vector<std::vector<Index>> key_shapes = {{1}, {600}, {23, 31}, {8, 9, 10}, {4, 3, 5, 4}};

/// Checks every row of a solved problem; returns bound / error of the rows, where there is an error.
void check_rows(const Problem& problem, const RowOutputs& outputs, const std::string& name,
                std::vector<double>& ratios) {
  for (Index i = 0; i < problem.queries.rows(); ++i) {
    const testing::Truth truth = testing::truth(problem, i);
    const double error = testing::row_error(truth, outputs, i);
    // The long double reference itself is good to 1e-18 relatively.
    EXPECT_LE(error, outputs.error_bound(i) + 1e-17 * problem.promise()) << name << " row " << i;
    EXPECT_LE(std::abs(static_cast<double>(truth.log_normalizer - outputs.log_normalizer(i))),
              outputs.log_error(i) + 1e-17)
        << name << " row " << i;
    EXPECT_TRUE(std::isfinite(outputs.error_bound(i))) << name << " row " << i;
    EXPECT_FALSE(std::isnan(outputs.log_error(i))) << name << " row " << i;
    if (error > 0) ratios.push_back(outputs.error_bound(i) / error);
  }
}

using testing::median;

constexpr auto in_single = Precision::single_precision, in_double = Precision::double_precision;
const std::vector<ExactArithmetic> arithmetics = {
    {in_double, in_double}, {in_single, in_single}, {in_single, in_double}};

TEST(Certificate, HoldsOnEveryRowOfEveryFamilyAndDegree) {
  Index problems = 0;
  for (const auto& [name, family] : families()) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      for (const std::vector<Index>& keys : key_shapes)
        for (Index degree : {0, 1, 2, 3, 5, 8, 12}) {
          const Problem problem =
              family(seed * 1000 + static_cast<std::uint64_t>(degree), keys, 2 + degree % 3);
          check_rows(problem, testing::solve_polynomial(problem, degree), name, ratios);
          ++problems;
        }
    std::printf("%-26s bound / true error: median %9.3g, smallest %7.3f\n", name.c_str(), median(ratios),
                *std::min_element(ratios.begin(), ratios.end()));
  }
  EXPECT_GE(problems, 1000);
}

TEST(Certificate, HoldsWhereOutputsAreRoundedToSingle) {
  for (const auto& [name, family] : families())
    for (const std::vector<Index>& keys : key_shapes) {
      const Problem problem = family(77, keys, 3);
      RowOutputs outputs =
          testing::solve_polynomial(problem, 9, {.output_precision = Precision::single_precision});
      outputs.output = outputs.output.cast<float>().cast<double>();
      std::vector<double> ratios;
      check_rows(problem, outputs, name, ratios);
    }
}

/// Values aligned with the error of chosen rows: column c is the sign of e^s - P(s) of row c, summed over the
/// tuples of a first key.
Problem adversarial(Problem problem, Index degree) {
  const MeasuredHead head = testing::measure(problem);
  const ProblemShape shape = problem.shape();
  const double unit = score_unit(head);
  const PolynomialCertificate certificate(shape, Coordinates(head.changed, shape), unit,
                                          std::vector<double>(static_cast<std::size_t>(degree) + 1, 1),
                                          Precision::double_precision);
  RowChooser chooser(head.scores, certificate, unit, degree, GapBudget());
  const QueryTile tile(head, ScoreBounds(head.changed.modes, shape), shape, problem.queries);
  const Index columns = 6;
  for (Matrix& mode : problem.values) mode = Matrix::Ones(mode.rows(), columns);
  for (Index c = 0; c < columns; ++c) {
    const RowPolynomial& polynomial = chooser.highest(tile.scores[static_cast<std::size_t>(c)]);
    Vector sums = Vector::Zero(problem.keys[0].rows());
    testing::for_each_tuple(problem, c, [&](long double score, const std::vector<Index>& j) {
      long double p = 0;
      for (std::size_t m = polynomial.values.size(); m-- > 0;) p = p * (score / unit) + polynomial.values[m];
      sums(j[0]) += static_cast<double>(std::exp(score) - p);
    });
    for (Index j = 0; j < sums.size(); ++j) problem.values[0](j, c) = sums(j) < 0 ? -1 : 1;
  }
  return problem;
}

TEST(Certificate, IsNotPaddedWhereValuesAreAlignedWithTheError) {
  std::vector<double> order_two;
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    for (Index degree : {2, 3, 4, 5, 6}) {
      for (const std::vector<Index>& keys : {std::vector<Index>{400}, {20, 20}}) {
        const Problem problem =
            adversarial(testing::random_problem(keys, 12, 4, 1, Uniform(seed, -1.3, 1.3)), degree);
        const RowOutputs outputs = testing::solve_polynomial(problem, degree);
        std::vector<double> ratios;
        check_rows(problem, outputs, "adversarial", ratios);
        if (keys.size() == 1)
          for (Index i = 0; i < 6; ++i)
            order_two.push_back(outputs.error_bound(i) /
                                testing::row_error(testing::truth(problem, i), outputs, i));
      }
    }
  const double middle = median(order_two);
  std::printf("values aligned with the error, order 2: bound / true error: median %.3g, largest %.3g\n",
              middle, *std::max_element(order_two.begin(), order_two.end()));
  EXPECT_LE(middle, 16);
}

TEST(Certificate, HoldsInChangedCoordinates) {
  for (const auto& [name, family] : families()) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
      for (Index rows : {1, 2, 40, 600})
        for (double epsilon : {1e-3, 1e-6, 1e-11}) {
          const Problem problem = family(seed, {rows}, 2 + static_cast<Index>(seed));
          check_rows(problem, testing::solve_polynomial(problem, 9, {.change = true, .epsilon = epsilon}),
                     name, ratios);
        }
    std::printf("%-28s bound / true error: median %9.3g, smallest %7.3f\n", name.c_str(), median(ratios),
                *std::min_element(ratios.begin(), ratios.end()));
  }
}

TEST(Certificate, HoldsWithSecondMomentsAndIsNeverLargerForThem) {
  for (const auto& [name, family] : families()) {
    std::vector<double> ratios, gains;
    for (bool change : {false, true})
      for (const std::vector<Index>& keys : key_shapes)
        for (Index degree : {0, 2, 5, 8}) {
          const Problem problem = family(change ? 1 : 2, keys, 2 + degree % 3);
          testing::Settings settings{.change = change, .threshold = change ? 1e-3 : 0};
          const RowOutputs without = testing::solve_polynomial(problem, degree, settings);
          settings.second_moments = true;
          const RowOutputs with = testing::solve_polynomial(problem, degree, settings);
          check_rows(problem, with, name, ratios);
          for (Index i = 0; i < problem.queries.rows(); ++i) {
            // Sums of more columns are blocked otherwise: their roundings have other bounds.
            EXPECT_LE(with.error_bound(i), 1.01 * without.error_bound(i) + 1e-12 * problem.promise());
            if (with.error_bound(i) > 0) gains.push_back(without.error_bound(i) / with.error_bound(i));
          }
        }
    std::printf("%-28s bound / true error: median %9.3g, smallest %7.3f; gain: median %5.2f\n", name.c_str(),
                median(ratios), *std::min_element(ratios.begin(), ratios.end()), median(gains));
  }
}

TEST(Certificate, FollowsTheSpreadOfTheValuesWithSecondMoments) {
  // Uniform values of two modes: the root of their products' mean square is 1/3 (mathematics.md E11).
  Problem problem = testing::random_problem({60, 50}, 20, 4, 2, Uniform(7, -1, 1));
  for (Matrix& mode : problem.values) mode = testing::random_matrix(mode.rows(), 2, Uniform(8, -1, 1));
  const RowOutputs without = testing::solve_polynomial(problem, 4),
                   with = testing::solve_polynomial(problem, 4, {.second_moments = true});
  const Vector gains = without.error_bound.cwiseQuotient(with.error_bound);
  EXPECT_GT(gains.minCoeff(), 2);
  EXPECT_LT(gains.maxCoeff(), 4.5);
  // Of values +-1 there is nothing to gain.
  for (Matrix& mode : problem.values) mode = mode.array().sign();
  EXPECT_LT(testing::solve_polynomial(problem, 4)
                .error_bound
                .cwiseQuotient(testing::solve_polynomial(problem, 4, {.second_moments = true}).error_bound)
                .maxCoeff(),
            1.1);
}

TEST(Certificate, HoldsWhereColumnsAreMerged) {
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    for (const std::vector<Index>& keys : {std::vector<Index>{23, 31}, {8, 9, 10}})
      for (double epsilon : {0.0, 1e-4, 1e-11}) {
        Problem problem = with_law(seed, keys, 5, Uniform(seed, -1, 1.2));
        for (Matrix& mode : problem.keys) {
          mode.col(2) = mode.col(0) / 3;
          mode.col(4).setConstant(-0.7);
        }
        const RowOutputs outputs =
            testing::solve_polynomial(problem, 9, {.change = true, .epsilon = epsilon});
        check_rows(problem, outputs, "merged columns", ratios);
        EXPECT_LE(outputs.error_bound.maxCoeff(), std::max(epsilon, 1e-8) * problem.promise());
      }
}

TEST(Certificate, HoldsWhereMonomialsAreDropped) {
  Index loose = 0;
  for (const auto& [name, family] : families()) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      for (const std::vector<Index>& keys : key_shapes)
        for (double threshold : {1e-1, 1e-3, 1e-6})
          for (bool change : {false, true}) {
            const Problem problem = family(seed, keys, 2 + static_cast<Index>(seed));
            const RowOutputs outputs =
                testing::solve_polynomial(problem, 7, {.change = change, .threshold = threshold});
            check_rows(problem, outputs, name, ratios);
            loose += outputs.error_bound.maxCoeff() > 1e-3 * problem.promise();
          }
    std::printf("%-28s bound / true error: median %9.3g, smallest %7.3f\n", name.c_str(), median(ratios),
                *std::min_element(ratios.begin(), ratios.end()));
  }
  EXPECT_GT(loose, 100);  // thresholds that matter
}

TEST(Certificate, HoldsWhereMonomialsAreInSingle) {
  for (const auto& [name, family] : families()) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      for (const std::vector<Index>& keys : key_shapes)
        for (Index degree : {0, 1, 2, 3, 5, 8, 12})
          for (Index single_from : {Index{0}, Index{1}, degree / 2, degree}) {
            const Problem problem =
                family(seed * 1000 + static_cast<std::uint64_t>(degree), keys, 2 + degree % 3);
            testing::Settings settings{.single_from = single_from};
            if (seed == 2) settings.threshold = 1e-3;
            if (seed == 3) settings.change = settings.second_moments = true;
            check_rows(problem, testing::solve_polynomial(problem, degree, settings), name, ratios);
          }
    std::printf("%-28s bound / true error: median %9.3g, smallest %7.3f\n", name.c_str(), median(ratios),
                *std::min_element(ratios.begin(), ratios.end()));
  }
}

TEST(Certificate, FollowsTheRoundingsOfSingle) {
  // Degrees are high enough for all else to be small; of the lowest degree in float, the terms are a power of
  // the scores over a factorial.
  const Problem problem = testing::random_problem({3000}, 60, 6, 3, Uniform(12, -1, 1));
  const auto errors = [&](Index single_from) {
    const RowOutputs outputs = testing::solve_polynomial(problem, 10, {.single_from = single_from});
    std::vector<double> ratios;
    check_rows(problem, outputs, "in single from " + std::to_string(single_from), ratios);
    return std::pair(outputs.error_bound.maxCoeff() / problem.promise(), median(ratios));
  };
  testing::with_each_instruction_set([&] {  // they differ in lanes and blocks
    const auto [all, all_ratio] = errors(0);
    const auto [most, most_ratio] = errors(2);
    const auto [few, few_ratio] = errors(5);
    std::printf(
        "bounds in single from degree 0, 2, 5 on: %.3g, %.3g, %.3g; over the true error %.3g, %.3g, %.3g\n",
        all, most, few, all_ratio, most_ratio, few_ratio);
    EXPECT_GT(all, 1e-6);
    EXPECT_LT(all, 1e-4);
    EXPECT_LT(most, all / 2);
    EXPECT_LT(few, all / 100);
    EXPECT_LT(few, 1e-6);
  });
}

TEST(Certificate, InSingleHoldsForEntriesOfAnySize) {
  std::vector<double> ratios;
  testing::with_each_instruction_set([&] {
    for (double size : {1e-30, 1e-12, 1.0, 1e12, 1e30})
      for (const std::vector<Index>& keys : {std::vector<Index>{600}, {23, 31}})
        for (double spread : {1.0, 1e-9, 1e-25}) {
          Problem problem = testing::random_problem(keys, 20, 3, 2, Uniform(5, -1, 1));
          problem.queries *= size;  // and keys the other way: the scores are the same
          problem.queries.col(1) *= spread;
          problem.queries.row(7) *= spread;
          problem.keys[0] /= size;
          for (Index j = 0; j < keys[0]; j += 2) problem.keys[0].row(j) *= spread;
          problem.values[0] *= size;
          problem.values[0].row(0) *= spread;
          for (Index single_from : {0, 2, 6})
            check_rows(problem, testing::solve_polynomial(problem, 6, {.single_from = single_from}),
                       "entries of any size", ratios);
        }
  });
  EXPECT_GT(ratios.size(), 500U);
}

TEST(Certificate, OfTheExactMethodIsCoveredByItsWorstCase) {
  for (const auto& [name, family] : families())
    for (const std::vector<Index>& keys : key_shapes) {
      const Problem problem = family(5, keys, 3);
      const ProblemShape shape = problem.shape();
      const HeadMeasurement head = testing::measure(problem).file;
      for (ExactArithmetic arithmetic : arithmetics) {
        const RowBound exact =
            ExactCertificate(shape, Coordinates(head, shape), Precision::double_precision, arithmetic)
                .worst_case(head.queries.box_bound);
        const RowOutputs outputs = testing::solve_exactly(problem, Precision::double_precision, arithmetic);
        EXPECT_LE(outputs.error_bound.maxCoeff(), exact.output) << name;
        EXPECT_LE(outputs.log_error.maxCoeff(), exact.log_normalizer) << name;
      }
    }
}

TEST(Certificate, OfTheExactMethodHoldsInEveryArithmetic) {
  for (const ExactArithmetic arithmetic : arithmetics) {
    const std::string words =
        std::string(kronattn::name(arithmetic.scores)) + " and " + kronattn::name(arithmetic.sums);
    for (const auto& [name, family] : families()) {
      std::vector<double> ratios;
      double largest = 0;
      for (std::uint64_t seed = 1; seed <= 6; ++seed)
        for (const std::vector<Index>& keys : key_shapes) {
          const Problem problem = family(seed, keys, 2 + static_cast<Index>(seed) % 4);
          const RowOutputs outputs = testing::solve_exactly(problem, Precision::double_precision, arithmetic);
          check_rows(problem, outputs, name + " in " + words, ratios);
          largest = std::max(largest, outputs.error_bound.maxCoeff() / problem.promise());
        }
      std::printf("%-17s %-28s bound / true error: median %9.3g, smallest %7.3f; largest bound %.3g\n",
                  words.c_str(), name.c_str(), median(ratios),
                  *std::min_element(ratios.begin(), ratios.end()), largest);
      if (name == "uniform") {
        EXPECT_LE(largest,
                  arithmetic.scores == in_double ? 1e-11 : 1e-4);  // no float's rounding adds up over keys
      }
    }
  }
}

TEST(Certificate, OfTheExactMethodHoldsForScoresAndEntriesOfAnySize) {
  std::vector<double> ratios;
  for (const ExactArithmetic arithmetic : arithmetics)
    for (int exponent : {-300, -140, -126, -60, 0, 60, 130, 300})
      for (double scale : {1e-30, 1e-3, 1.0, 30.0, 1e3, 1e5}) {
        Problem problem = testing::random_problem({70, 9}, 8, 4, 3, Uniform(9, -1, 1));
        problem.scale = scale;
        problem.queries *= std::ldexp(1.0, exponent);
        problem.keys[0] *= std::ldexp(1.0, -exponent);
        problem.keys[0].col(1) *= 1e-42;  // below what float has, beside the others
        problem.queries.col(2) *= 1e-42;
        problem.values[1] *= std::ldexp(1.0, exponent);
        problem.values[1].col(2) *= 1e-44;
        check_rows(problem, testing::solve_exactly(problem, Precision::double_precision, arithmetic), "size",
                   ratios);
      }
}

/// Values aligned with the error of the weights of a row: where roundings all add up.
TEST(Certificate, OfTheExactMethodInSingleIsNotPadded) {
  for (const ExactArithmetic arithmetic : {ExactArithmetic{in_single, in_double}, {in_single, in_single}}) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Problem problem = testing::random_problem({30}, 1, 4, 1, Uniform(seed, 0.2, 1));
      problem.scale = 4;
      // The error of each weight by itself: of the values' unit vectors.
      Vector signs(30);
      for (Index j = 0; j < 30; ++j) {
        Problem alone = problem;
        alone.values[0].setZero();
        alone.values[0](j, 0) = 1;
        const RowOutputs outputs = testing::solve_exactly(alone, Precision::double_precision, arithmetic);
        const testing::Truth truth = testing::truth(alone, 0);
        signs(j) = outputs.output(0, 0) < static_cast<double>(truth.output[0]) ? -1 : 1;
      }
      problem.values[0].col(0) = signs;
      check_rows(problem, testing::solve_exactly(problem, Precision::double_precision, arithmetic), "aligned",
                 ratios);
    }
    EXPECT_LE(median(ratios), arithmetic.sums == in_double ? 80 : 200);
  }
}

/// Both methods, every row, at a few degrees.
void check_both(const Problem& problem, const std::string& name) {
  std::vector<double> ratios;
  for (Index degree : {0, 2, 8, 12})
    check_rows(problem, testing::solve_polynomial(problem, degree), name, ratios);
  for (ExactArithmetic arithmetic : arithmetics)
    check_rows(problem, testing::solve_exactly(problem, Precision::double_precision, arithmetic), name,
               ratios);
}

Matrix matrix(Index rows, Index columns, std::initializer_list<double> entries) {
  Matrix made(rows, columns);
  std::copy(entries.begin(), entries.end(), made.data());
  return made;
}

TEST(Certificate, HoldsAtTheEdgesOfTheRangeOfDouble) {
  // Scores of order one from subnormal keys: a relative slack is lost in the rounding of their norms.
  check_both({matrix(2, 2, {1e300, 1e300, -1e300, -1e300}),
              {matrix(2, 2, {5e-324, 5e-324, -5e-324, -5e-324})},
              {matrix(2, 1, {1, -1})},
              3e23},
             "subnormal keys");
  // A coordinate that is zero in one mode and huge in the others.
  check_both({matrix(2, 2, {1, 1.7e308, 0.5, 0}),
              {matrix(3, 2, {1, 0, -1, 0, 0.3, 0})},
              {matrix(3, 1, {1, -1, 0.2})},
              1},
             "zero key column");
  check_both({matrix(1, 2, {1, 1e200}),
              {matrix(2, 2, {1, 1e200, -1, 0}), matrix(2, 2, {0.5, 0, 1, 0})},
              {matrix(2, 1, {1, -1}), matrix(2, 1, {1, 0.5})},
              1},
             "zero column at order 3");
  // Columns of values so different that the small one vanishes when the mode is scaled by its largest value.
  check_both({matrix(2, 1, {1, -1}),
              {matrix(3, 1, {1, 0, -1})},
              {matrix(3, 2, {1e300, 1e-100, 1e300, 2e-100, 1e300, 5e-100})},
              1},
             "a tiny value column");
}

TEST(Certificate, HoldsForOrdinaryRowsBesideAHugeOne) {
  // Queries are scaled by the largest of all rows: the powers of an ordinary row then underflow.
  const Problem one = {matrix(4, 1, {2e16, 0.5, 0.9, 2.5}),
                       {matrix(4, 1, {1, -1, 0.7, 0.3})},
                       {matrix(4, 1, {1, 1, -1, 0.5})},
                       1};
  std::vector<double> ratios;
  check_rows(one, testing::solve_polynomial(one, 20), "degree 20", ratios);
  for (double huge : {1e34, 1e58, 1e90, 1e164}) {
    Problem two = testing::random_problem({40}, 8, 3, 2, Uniform(5, -1, 1));
    two.keys[0].leftCols(2).setOnes();
    two.queries.row(7) << huge, -huge, 0;  // its scores are 0
    for (Index degree : {2, 6, 10}) {
      check_rows(two, testing::solve_polynomial(two, degree), "cancelling", ratios);
      check_rows(two, testing::solve_polynomial(two, degree, {.change = true, .epsilon = 1e-6}), "cancelling",
                 ratios);
    }
  }
  for (double score : {664.0, 700.0, 709.0, 711.0}) {
    Problem large = testing::random_problem({30}, 8, 2, 1, Uniform(6, 0.99, 1));
    large.scale = score / 2;
    check_rows(large, testing::solve_polynomial(large, 4), "large scores", ratios);
  }
}

TEST(Certificate, HoldsForTinyRowsUnderAHugeScale) {
  Problem problem = testing::random_problem({50}, 20, 2, 1, Uniform(7, -1, 1));
  problem.queries *= 0x1p-540;
  problem.queries.row(0) *= 0x1p345;
  problem.keys[0].array() += 1e5;
  problem.scale = 0x1p540;
  std::vector<double> ratios;
  for (bool change : {false, true})
    check_rows(problem, testing::solve_polynomial(problem, 6, {.change = change, .epsilon = 1e-9}), "tiny",
               ratios);
}

TEST(Certificate, SurvivesOutputsAtTheLargestDouble) {
  Problem problem = testing::random_problem({7, 5}, 40, 2, 1, Uniform(3, -1, 1));
  problem.values[0].setConstant(std::numeric_limits<double>::max());
  problem.values[1].setOnes();
  for (const RowOutputs& outputs : {testing::solve_polynomial(problem, 6), testing::solve_exactly(problem)}) {
    EXPECT_TRUE(outputs.output.allFinite());
    EXPECT_GE(outputs.error_bound.minCoeff(), std::numeric_limits<double>::max() * 1e-17);
  }
}

TEST(Certificate, HoldsAtOrdersWhosePartialProductsLeaveTheRange) {
  Problem problem;
  problem.queries = matrix(2, 1, {1, -1});
  for (int m = 0; m < 34; ++m) {
    problem.keys.push_back(matrix(1, 1, {m < 17 ? 1e-308 : 1e308}));
    problem.values.push_back(matrix(1, 1, {1}));
  }
  problem.keys.back() = matrix(2, 1, {1e308, -1e308});
  problem.values.back() = matrix(2, 1, {1, -1});
  const HeadMeasurement head = testing::measure(problem).file;
  EXPECT_GE(head.queries.score_bound, 0.99);
  EXPECT_GE(head.queries.box_bound, 0.99);
}

TEST(Certificate, SaysTheRangeWhereThePolynomialIsWorthless) {
  Problem problem = testing::random_problem({300}, 10, 3, 2, Uniform(9, -1, 1));
  for (double scale : {40.0, 900.0, 1e5}) {
    problem.scale = scale;
    const RowOutputs outputs = testing::solve_polynomial(problem, 3);
    std::vector<double> ratios;
    check_rows(problem, outputs, "worthless", ratios);
    EXPECT_TRUE(outputs.output.allFinite());
    EXPECT_LE(outputs.error_bound.maxCoeff(), 2.0 + 1e-9);
  }
}

}  // namespace
}  // namespace kronattn
