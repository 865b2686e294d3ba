#include "plan.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

struct Planned {
  MeasuredHead head;
  ProblemShape shape;
  double promise;

  explicit Planned(const Problem& problem)
      : head(testing::measure(problem)), shape(problem.shape()), promise(problem.promise()) {}
  PlannedHead with(const Wishes& wishes) const { return make_plan(head, shape, promise, wishes); }
};

Wishes wish(double epsilon, Method method = Method::automatic) {
  Wishes wishes;
  wishes.epsilon = epsilon;
  wishes.method = method;
  return wishes;
}

const Problem& easy() {
  static const Problem problem = testing::random_problem({400}, 50, 4, 4, testing::Uniform(1, -1, 1));
  return problem;
}

TEST(Plan, ForeseesTheDegreeThatKeepsThePromise) {
  for (const std::vector<Index>& keys : {std::vector<Index>{400}, {40, 30}})
    for (double epsilon : {1e-2, 1e-4, 1e-6, 1e-9}) {
      const Problem problem = testing::random_problem(keys, 50, 4, 4, testing::Uniform(1, -1, 1));
      const auto [plan, estimate] = Planned(problem).with(wish(epsilon, Method::polynomial));
      EXPECT_EQ(plan.method, Method::polynomial);
      EXPECT_EQ(estimate.rank, binomial(static_cast<double>(4 + plan.degree()), 4));
      const auto misses = [&](Index degree) {
        const RowOutputs outputs = testing::solve_polynomial(problem, degree);
        return (outputs.error_bound.array() > epsilon * problem.promise() ||
                outputs.log_error.array() > epsilon)
            .count();
      };
      EXPECT_LE(misses(plan.degree()), 1) << epsilon;  // of 50: those would be seen to afterwards
      EXPECT_GE(misses(plan.degree() - 2), 1) << epsilon;
      EXPECT_LE(estimate.mean_row_rank, estimate.rank);
    }
}

TEST(Plan, HasTheHighestDegreesInSingleWhereThePromiseBearsTheirRoundings) {
  const Planned planned(easy());
  Index previous = 0;
  for (double epsilon : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12}) {
    Wishes wishes = wish(epsilon, Method::polynomial);
    const PlannedHead either = planned.with(wishes);
    wishes.arithmetic = Precision::single_precision;
    EXPECT_EQ(planned.with(wishes).plan.monomials.single_from, either.plan.monomials.single_from);
    wishes.arithmetic = Precision::double_precision;
    const PlannedHead in_double = planned.with(wishes);
    EXPECT_FALSE(in_double.plan.monomials.has_single());
    EXPECT_LE(either.estimate.flops, in_double.estimate.flops);
    const Index single_from = either.plan.monomials.single_from;
    EXPECT_GE(single_from, previous) << epsilon;  // the higher, the smaller the promise
    previous = single_from;
    const auto misses = [&](Index from) {
      const RowOutputs outputs =
          testing::solve_polynomial(easy(), either.plan.degree() + 2, {.single_from = from});
      return (outputs.error_bound.array() > epsilon * easy().promise()).count();
    };
    if (either.plan.monomials.has_single()) {
      EXPECT_EQ(misses(single_from), 0) << epsilon;
    }
    // A good deal lower, roundings alone would break it.
    if (single_from >= 3) {
      EXPECT_GT(misses(std::min(single_from, either.plan.degree()) - 3), 0) << epsilon;
    }
    const MonomialChoice next = larger(either.plan.monomials), later = larger(next);
    EXPECT_EQ(next.single_from, all_in_double);
    EXPECT_EQ(next.degree, either.plan.degree() + (either.plan.monomials.has_single() ? 0 : 1));
    EXPECT_EQ(later.single_from, all_in_double);
    EXPECT_EQ(later.degree, next.degree + 1);
    EXPECT_EQ(raises_anew(either.plan.monomials), either.plan.monomials.has_single());
  }
  EXPECT_EQ(planned.with(wish(1e-2, Method::polynomial)).plan.monomials.single_from, 0);
  EXPECT_GE(previous, 8);
  Wishes fixed;
  fixed.degree = 5;
  EXPECT_FALSE(planned.with(fixed).plan.monomials.has_single());
  fixed.arithmetic = Precision::single_precision;
  EXPECT_EQ(planned.with(fixed).plan.monomials.single_from, 0);
}

TEST(Plan, LeavesAFewHeavyRowsToTheExactMethod) {
  Problem problem = testing::random_problem({3000}, 5000, 8, 8, testing::Uniform(3, -1, 1));
  Planned light(problem);
  problem.queries.topRows(5) *= 3;
  Planned heavy(problem);
  heavy.shape.keys = light.shape.keys = {1000000};
  const PlannedHead planned = heavy.with(wish(1e-6));
  EXPECT_EQ(planned.plan.degree(), light.with(wish(1e-6)).plan.degree());
  EXPECT_GE(planned.estimate.rows_exact, 5);
  EXPECT_LE(planned.estimate.rows_exact, 50);
  EXPECT_GT(heavy.with(wish(1e-6, Method::polynomial)).plan.degree(), planned.plan.degree());
}

TEST(Plan, TakesTheCheaperMethodWhenItMayChoose) {
  Planned planned(easy());
  // 400 keys cost less than a thousand monomials.
  EXPECT_EQ(planned.with(wish(1e-9)).plan.method, Method::exact);
  planned.shape.queries = 1000000;
  planned.shape.keys = {1000000};
  // Sums over the keys are as measured; only the lengths differ, which is what the work depends on.
  EXPECT_EQ(planned.with(wish(1e-6)).plan.method, Method::polynomial);
}

TEST(Plan, SeesToMissingRowsByCounts) {
  ProblemShape shape{1, 100000, {100000}, 8, 8, 0.125};
  const Plan plan{Method::polynomial, {4, 0, {}}, false};
  EXPECT_EQ(remedy_for(3, plan, 4, shape, wish(1e-6)), Method::exact);
  EXPECT_EQ(remedy_for(90000, plan, 4, shape, wish(1e-6)), Method::polynomial);
  EXPECT_EQ(remedy_for(3, plan, 4, shape, wish(1e-6, Method::polynomial)), Method::polynomial);
  EXPECT_THROW(
      remedy_for(3, {Method::polynomial, {40, 0, {}}, false}, 4, shape, wish(1e-6, Method::polynomial)),
      NoPlan);
  EXPECT_EQ(remedy_for(90000, {Method::polynomial, {40, 0, {}}, false}, 4, shape, wish(1e-6)), Method::exact);
}

TEST(Plan, HasARankFarBelowThePapers) {
  const Estimate estimate = Planned(easy()).with(wish(1e-6, Method::polynomial)).estimate;
  EXPECT_LT(estimate.rank, estimate.paper_rank / 100);
}

TEST(Plan, FallsBackToTheExactMethodWhereNoPolynomialHolds) {
  Problem problem = easy();
  problem.scale = 60;
  EXPECT_EQ(Planned(problem).with(wish(1e-8)).plan.method, Method::exact);
}

TEST(Plan, OfThePolynomialMethodSaysWhatItWouldNeed) {
  Problem problem = easy();
  problem.scale = 100;
  try {
    Planned(problem).with(wish(1e-8, Method::polynomial));
    FAIL() << "a promise was made";
  } catch (const NoPlan& reason) {
    EXPECT_NE(std::string(reason.what()).find("precision"), std::string::npos) << reason.what();
  }
  Problem wide = testing::random_problem({40}, 5, 64, 2, testing::Uniform(2, -3.5, 3.5));
  try {
    Planned(wide).with(wish(1e-6, Method::polynomial));
    FAIL() << "a promise was made";
  } catch (const NoPlan& reason) {
    EXPECT_NE(std::string(reason.what()).find("rank"), std::string::npos) << reason.what();
    EXPECT_NE(std::string(reason.what()).find("memory"), std::string::npos) << reason.what();
  }
}

TEST(Plan, RefusesPromisesBelowRounding) {
  EXPECT_THROW(Planned(easy()).with(wish(1e-17)), NoPlan);
  Wishes single = wish(1e-9);
  single.output_precision = Precision::single_precision;
  EXPECT_THROW(Planned(easy()).with(single), NoPlan);
}

TEST(Plan, RefusesScoresBeyondDouble) {
  Problem problem = easy();
  problem.queries *= 1e200;
  problem.keys[0] *= 1e200;
  EXPECT_THROW(Planned(problem).with(wish(1e-3)), NoPlan);
}

TEST(Plan, OfZeroValuesKeepsTheLogNormalizersPromise) {
  Problem problem = easy();
  problem.values[0].setZero();
  const Plan plan = Planned(problem).with(wish(1e-6, Method::polynomial)).plan;
  const RowOutputs outputs = testing::solve_polynomial(problem, plan.degree());
  EXPECT_EQ(outputs.error_bound.maxCoeff(), 0);
  EXPECT_LE(outputs.log_error.maxCoeff(), 1e-6);
}

}  // namespace
}  // namespace kronattn
