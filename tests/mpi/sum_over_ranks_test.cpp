// The distributed solve in memory: the same bits as one process, at every number of ranks.
#include <algorithm>

#include "mpi_main.hpp"
#include "problems.hpp"
#include "solve.hpp"

namespace kronattn {
namespace {

/// A problem in memory, read like one in a file; counts what it was asked for.
class InMemory : public Problem {
 public:
  explicit InMemory(testing::Problem problem) : problem_(std::move(problem)), shape_(problem_.shape()) {}

  const ProblemShape& shape() const override { return shape_; }
  std::string name() const override { return "the problem"; }
  Precision precision() const override { return Precision::double_precision; }
  Matrix read(Part part, Index, Range rows) override {
    if (fail_at_ && part.kind == Part::queries && rows.begin <= *fail_at_ && *fail_at_ < rows.end)
      throw std::runtime_error("row " + std::to_string(*fail_at_) + " can't be read");
    const auto mode = static_cast<std::size_t>(part.mode);
    const Matrix& data = part.kind == Part::queries ? problem_.queries
                         : part.kind == Part::keys  ? problem_.keys[mode]
                                                    : problem_.values[mode];
    rows_read_ += rows.size();
    return data.middleRows(rows.begin, rows.size());
  }
  std::string entry_name(Part, Index, Index row, Index column) const override {
    return std::string("[") + std::to_string(row) + "," + std::to_string(column) + "]";
  }
  std::int64_t bytes_read() const override { return rows_read_; }
  void fail_at(Index row) { fail_at_ = row; }
  testing::Problem& data() { return problem_; }

 private:
  testing::Problem problem_;
  ProblemShape shape_;
  std::int64_t rows_read_ = 0;
  std::optional<Index> fail_at_;
};

/// All rows of a solve, gathered on every rank.
RowOutputs solve_in_memory(const Communicator& comm, InMemory& problem, const Wishes& wishes) {
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, seconds);
  const ProblemShape& shape = problem.shape();
  RowOutputs all(shape.queries, shape.value_width);
  all.output.setZero(), all.log_normalizer.setZero(), all.error_bound.setZero();
  solve(
      comm, problem, measurement, wishes,
      [&](const std::vector<Plan>&) -> RowSink {
        return [&](Index, Range rows, const RowOutputs& part) {
          all.output.middleRows(rows.begin, rows.size()) = part.output;
          all.log_normalizer.segment(rows.begin, rows.size()) = part.log_normalizer;
          all.error_bound.segment(rows.begin, rows.size()) = part.error_bound;
        };
      },
      seconds);
  // Each row is 0 on all ranks but one, so the sums are exact.
  for (auto [data, size] : {std::pair(all.output.data(), all.output.size()),
                            std::pair(all.log_normalizer.data(), all.log_normalizer.size()),
                            std::pair(all.error_bound.data(), all.error_bound.size())})
    for (Index i = 0; i < size; ++i) data[i] = comm.add(data[i]);
  return all;
}

TEST(DistributedSolve, HasTheBitsOfOneProcess) {
  const Communicator comm;
  testing::Uniform uniform(1, -1, 1);
  for (const std::vector<Index>& keys : {std::vector<Index>{2600}, {1, 600}, {700, 3}, {2, 3, 520}})
    for (Method method : {Method::polynomial, Method::exact}) {
      InMemory problem(testing::random_problem(keys, 300, 3, 2, uniform));
      Wishes wishes;
      wishes.epsilon = 1e-5;
      wishes.method = method;
      const RowOutputs distributed = solve_in_memory(comm, problem, wishes);
      const ProblemShape& shape = problem.shape();
      RowOutputs alone;
      if (method == Method::exact) {
        alone = testing::solve_exactly(problem.data());
      } else {
        const Plan plan =
            make_plan(testing::measure(problem.data()), shape, problem.data().promise(), wishes);
        alone = testing::solve_polynomial(problem.data(), plan.degree);
      }
      EXPECT_EQ(distributed.output, alone.output);
      EXPECT_EQ(distributed.log_normalizer, alone.log_normalizer);
      EXPECT_EQ(distributed.error_bound, alone.error_bound);
    }
}

TEST(DistributedSolve, WorksWithFewerRowsThanRanks) {
  const Communicator comm;
  InMemory problem(testing::random_problem({1, 2}, 1, 1, 1, testing::Uniform(2, -1, 1)));
  for (Method method : {Method::polynomial, Method::exact}) {
    Wishes wishes;
    wishes.epsilon = 1e-6;
    wishes.method = method;
    const RowOutputs outputs = solve_in_memory(comm, problem, wishes);
    EXPECT_LE(testing::row_error(testing::truth(problem.data(), 0), outputs, 0), outputs.error_bound(0));
    EXPECT_LE(outputs.error_bound(0), 1e-6);
  }
}

TEST(DistributedSolve, MeasuresTheSameAtAnyNumberOfRanks) {
  const Communicator comm;
  InMemory problem(testing::random_problem({3000, 1700}, 2900, 4, 3, testing::Uniform(3, -1, 2)));
  PhaseSeconds seconds;
  const ProblemMeasurement measured = measure_problem(comm, problem, seconds);
  const HeadMeasurement alone = testing::measure(problem.data());
  const QueryMeasurement& queries = measured.heads[0].queries;
  EXPECT_EQ(queries.smallest_mean, alone.queries.smallest_mean);
  EXPECT_EQ(queries.score_bound, alone.queries.score_bound);
  EXPECT_EQ(queries.box_bound, alone.queries.box_bound);
  EXPECT_EQ(queries.largest, alone.queries.largest);
  for (std::size_t m = 0; m < 2; ++m) {
    EXPECT_EQ(measured.heads[0].modes[m].key_sums.mean(2, 7), alone.modes[m].key_sums.mean(2, 7));
    EXPECT_EQ(measured.heads[0].modes[m].value_min, alone.modes[m].value_min);
  }
  const Communicator self(MPI_COMM_SELF);
  const std::string fingerprint = measure_problem(self, problem, seconds).fingerprint();
  EXPECT_EQ(measured.fingerprint(), fingerprint);
  problem.data().values[1](1699, 2) += 1e-9;
  EXPECT_NE(measure_problem(comm, problem, seconds).fingerprint(), fingerprint);
}

TEST(DistributedSolve, AnUnreadableRowEndsAllRanksInTheSameWords) {
  const Communicator comm;
  InMemory problem(testing::random_problem({600}, 2000, 2, 1, testing::Uniform(4, -1, 1)));
  for (Index row : {0, 1999}) {
    problem.fail_at(row);
    Wishes wishes;
    wishes.epsilon = 1e-3;
    try {
      solve_in_memory(comm, problem, wishes);
      FAIL() << "the row was read";
    } catch (const AgreedFailure& failure) {
      EXPECT_EQ(std::string(failure.what()), "row " + std::to_string(row) + " can't be read");
    }
  }
}

TEST(DistributedSolve, NoticesAProblemThatChangedSinceItWasMeasured) {
  const Communicator comm;
  for (Method method : {Method::polynomial, Method::exact})
    for (int part : {0, 1, 2}) {
      InMemory problem(testing::random_problem({700, 30}, 300, 2, 1, testing::Uniform(7, -1, 1)));
      PhaseSeconds seconds;
      const ProblemMeasurement measurement = measure_problem(comm, problem, seconds);
      testing::Problem& data = problem.data();
      Matrix& changed = part == 0 ? data.queries : part == 1 ? data.keys[1] : data.values[0];
      changed(changed.rows() - 1, 0) *= 1 - 1e-12;
      Wishes wishes;
      wishes.epsilon = 1e-4;
      wishes.method = method;
      const auto discard = [](const std::vector<Plan>&) -> RowSink {
        return [](Index, Range, const RowOutputs&) {};
      };
      try {
        solve(comm, problem, measurement, wishes, discard, seconds);
        FAIL() << "the change went unnoticed";
      } catch (const AgreedFailure& failure) {
        EXPECT_NE(std::string(failure.what()).find("changed while"), std::string::npos) << failure.what();
      }
    }
}

TEST(DistributedSolve, NamesAnEntryThatIsNotFinite) {
  const Communicator comm;
  InMemory problem(testing::random_problem({1300}, 10, 2, 1, testing::Uniform(5, -1, 1)));
  problem.data().keys[0](1205, 1) = std::nan("");
  PhaseSeconds seconds;
  try {
    measure_problem(comm, problem, seconds);
    FAIL() << "nan passed";
  } catch (const AgreedFailure& failure) {
    EXPECT_EQ(std::string(failure.what()), "[1205,1] is nan; entries must be finite");
  }
}

TEST(DistributedSolve, ReadsEachRowOnceAPassAndEvenly) {
  const Communicator comm;
  const Index n = 512 * 12;
  InMemory problem(testing::random_problem({n}, n, 2, 1, testing::Uniform(6, -1, 1)));
  PhaseSeconds seconds;
  measure_problem(comm, problem, seconds);
  EXPECT_EQ(comm.sum(problem.bytes_read()), 3 * n);
  EXPECT_EQ(problem.bytes_read(), 3 * n / comm.size());
}

}  // namespace
}  // namespace kronattn
