#include "plan.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

using testing::Problem;

struct Planned {
  HeadMeasurement head;
  ProblemShape shape;
  double promise;

  explicit Planned(const Problem& problem)
      : head(testing::measure(problem)), shape(problem.shape()), promise(problem.promise()) {}
  Plan with(const Wishes& wishes) const { return make_plan(head, shape, promise, wishes); }
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

TEST(Plan, TakesTheSmallestDegreeThatKeepsThePromise) {
  const Planned planned(easy());
  for (double epsilon : {1e-2, 1e-4, 1e-6, 1e-9}) {
    const Plan plan = planned.with(wish(epsilon, Method::polynomial));
    EXPECT_EQ(plan.method, Method::polynomial);
    EXPECT_EQ(plan.rank, binomial(static_cast<double>(4 + plan.degree), 4));
    EXPECT_LE(plan.worst_case.output, epsilon * planned.promise);
    EXPECT_LE(testing::solve_polynomial(easy(), plan.degree).error_bound.maxCoeff(),
              epsilon * planned.promise);
    Wishes lower;
    lower.degree = plan.degree - 1;
    const RowBound below = planned.with(lower).worst_case;
    EXPECT_TRUE(below.output > epsilon * planned.promise || below.log_normalizer > epsilon);
  }
}

TEST(Plan, TakesTheCheaperMethodWhenItMayChoose) {
  Planned planned(easy());
  EXPECT_EQ(planned.with(wish(1e-9)).method, Method::exact);  // 400 keys cost less than a thousand monomials
  planned.shape.queries = 1000000;
  planned.shape.keys = {1000000};
  // Sums over the keys are as measured; only the lengths differ, which is what the work depends on.
  EXPECT_EQ(planned.with(wish(1e-6)).method, Method::polynomial);
}

TEST(Plan, HasARankFarBelowThePapers) {
  const Plan plan = Planned(easy()).with(wish(1e-6, Method::polynomial));
  EXPECT_LT(plan.rank, plan.paper_rank / 100);
}

TEST(Plan, FallsBackToTheExactMethodWhereNoPolynomialHolds) {
  Problem problem = easy();
  problem.scale = 60;
  EXPECT_EQ(Planned(problem).with(wish(1e-8)).method, Method::exact);
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
  Problem wide = testing::random_problem({40}, 5, 64, 2, testing::Uniform(2, -1.5, 1.5));
  try {
    Planned(wide).with(wish(1e-9, Method::polynomial));
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

TEST(Plan, OfZeroValuesPromisesZero) {
  Problem problem = easy();
  problem.values[0].setZero();
  const Plan plan = Planned(problem).with(wish(1e-6, Method::polynomial));
  EXPECT_EQ(plan.worst_case.output, 0);
}

}  // namespace
}  // namespace kronattn
