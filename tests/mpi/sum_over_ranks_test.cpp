// The distributed solve in memory: the same bits as one process, at every number of ranks.
#include <algorithm>
#include <functional>

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
    if (fail_at_ && part.kind == fail_in_.kind && part.mode == fail_in_.mode && rows.begin <= *fail_at_ &&
        *fail_at_ < rows.end)
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
  void fail_at(Index row, Part part = {Part::queries, 0}) { fail_at_ = row, fail_in_ = part; }
  testing::Problem& data() { return problem_; }

 private:
  testing::Problem problem_;
  ProblemShape shape_;
  std::int64_t rows_read_ = 0;
  std::optional<Index> fail_at_;
  Part fail_in_ = {Part::queries, 0};
};

/// All rows of a solve, gathered on every rank.
RowOutputs solve_in_memory(const Communicator& comm, InMemory& problem, const Wishes& wishes,
                           SolveOutcome* outcome = nullptr) {
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, coordinate_wishes(wishes), seconds);
  const ProblemShape& shape = problem.shape();
  RowOutputs all(shape.queries, shape.value_width);
  all.output.setZero(), all.log_normalizer.setZero(), all.error_bound.setZero();
  const SolveOutcome done = solve(
      comm, problem, measurement, wishes,
      [&](const std::vector<PlannedHead>&) -> RowSink {
        return [&](Index, Range rows, const RowOutputs& part) {
          all.output.middleRows(rows.begin, rows.size()) = part.output;
          all.log_normalizer.segment(rows.begin, rows.size()) = part.log_normalizer;
          all.error_bound.segment(rows.begin, rows.size()) = part.error_bound;
        };
      },
      seconds);
  if (outcome != nullptr) *outcome = done;
  // Each row is 0 on all ranks but one, so the sums are exact.
  for (auto [data, size] : {std::pair(all.output.data(), all.output.size()),
                            std::pair(all.log_normalizer.data(), all.log_normalizer.size()),
                            std::pair(all.error_bound.data(), all.error_bound.size())})
    for (Index i = 0; i < size; ++i) data[i] = comm.add(data[i]);
  return all;
}

void expect_the_bits_of_one_process(const Communicator& comm, InMemory& problem, const Wishes& wishes,
                                    SolveOutcome* outcome = nullptr) {
  const RowOutputs distributed = solve_in_memory(comm, problem, wishes, outcome);
  const RowOutputs alone = solve_in_memory(Communicator(MPI_COMM_SELF), problem, wishes);
  EXPECT_EQ(distributed.output, alone.output);
  EXPECT_EQ(distributed.log_normalizer, alone.log_normalizer);
  EXPECT_EQ(distributed.error_bound, alone.error_bound);
}

TEST(DistributedSolve, HasTheBitsOfOneProcess) {
  const Communicator comm;
  testing::Uniform uniform(1, -1, 1);
  for (const std::vector<Index>& keys : {std::vector<Index>{2600}, {1, 600}, {700, 3}, {2, 3, 520}})
    for (Method method : {Method::polynomial, Method::exact})
      for (bool change : {true, false}) {
        InMemory problem(testing::random_problem(keys, 300, 3, 2, uniform));
        Wishes wishes;
        wishes.epsilon = 1e-5;
        wishes.method = method;
        wishes.change_coordinates = change;
        expect_the_bits_of_one_process(comm, problem, wishes);
      }
}

TEST(DistributedSolve, SumsManyMonomialsWhileSomeOfTheirSumsTravel) {
  const Communicator comm;
  const auto expect_the_bits = [&](const std::vector<Index>& keys, Index width, Index value_width,
                                   Index degree) {
    InMemory problem(testing::random_problem(keys, 260, width, value_width, testing::Uniform(3, -1, 1)));
    Wishes wishes;
    wishes.degree = degree;
    wishes.method = Method::polynomial;
    expect_the_bits_of_one_process(comm, problem, wishes);
  };
  EXPECT_EQ(comm.pieces(6188 * 33).size(), 2U);
  expect_the_bits({1500}, 12, 32, 5);
  expect_the_bits({700, 300}, 12, 32, 5);
  expect_the_bits({400000}, 4, 2, 8);  // of keys that are not all there in one step
  expect_the_bits({300000, 2000}, 4, 2, 8);
}

/// A few queries reach further than anything that the sample shows.
testing::Problem with_heavy_rows() {
  testing::Problem problem = testing::random_problem({1500}, 20000, 3, 2, testing::Uniform(11, -1, 1));
  for (Index i : {100, 101, 9000, 19999}) problem.queries.row(i) << 2.4, 2.6, -2;
  return problem;
}

void expect_right(const testing::Problem& problem, const RowOutputs& outputs, double epsilon) {
  EXPECT_LE(outputs.error_bound.maxCoeff(), epsilon * problem.promise());
  for (Index i : {0, 100, 101, 5000, 9000, 19999})
    EXPECT_LE(testing::row_error(testing::truth(problem, i), outputs, i), outputs.error_bound(i)) << i;
}

TEST(DistributedSolve, SeesToRowsThatMissThePromise) {
  const Communicator comm;
  for (Method method : {Method::automatic, Method::polynomial}) {
    InMemory problem(with_heavy_rows());
    Wishes wishes;
    wishes.epsilon = 1e-8;
    wishes.method = method;
    SolveOutcome outcome;
    expect_the_bits_of_one_process(comm, problem, wishes, &outcome);
    expect_right(problem.data(), solve_in_memory(comm, problem, wishes), 1e-8);
    EXPECT_EQ(outcome.rows_exact >= 4, method == Method::automatic);
    EXPECT_TRUE(outcome.rows_exact == 0 || method == Method::automatic);
  }
}

TEST(DistributedSolve, RaisesTheDegreeWhereThePlanWasTooLow) {
  const Communicator comm;
  // Keys that no sample shows: most are alike, a few between the sampled blocks are not.
  testing::Problem data = testing::random_problem({40000}, 600, 2, 1, testing::Uniform(12, -1, 1));
  data.keys[0] *= 0.2;
  for (Index j = 300; j < 40000; j += 626) data.keys[0].row(j) *= 5;
  InMemory problem(data);
  Wishes wishes;
  wishes.epsilon = 1e-7;
  wishes.method = Method::polynomial;
  SolveOutcome outcome;
  expect_the_bits_of_one_process(comm, problem, wishes, &outcome);
  EXPECT_GT(outcome.rows_raised, 0);
  EXPECT_LE(solve_in_memory(comm, problem, wishes).error_bound.maxCoeff(), 1e-7 * data.promise());
}

TEST(DistributedSolve, DropsLightMonomialsOfUnevenCoordinates) {
  const Communicator comm;
  for (const std::vector<Index>& keys : {std::vector<Index>{3000}, {1500, 900}})
    for (bool misled : {false, true}) {
      testing::Problem data = testing::random_problem(keys, 1500, 8, 16, testing::Uniform(14, -1, 1));
      for (Index l = 0; l < 8; ++l) {
        data.queries.col(l) /= static_cast<double>((l + 1) * (l + 1));
        for (Matrix& mode : data.keys) mode.col(l) /= static_cast<double>(l + 1);
      }
      data.scale = 1;
      if (misled) data.queries.middleRows(60, 30) *= 2;  // not in the sample
      InMemory problem(data);
      Wishes wishes;
      wishes.epsilon = 1e-6;
      wishes.method = Method::polynomial;
      SolveOutcome outcome;
      expect_the_bits_of_one_process(comm, problem, wishes, &outcome);
      EXPECT_GT(outcome.heads[0].plan.monomials.threshold, 0);
      EXPECT_LT(outcome.heads[0].estimate.rank,
                0.5 * binomial(8 + static_cast<double>(outcome.heads[0].plan.degree()), 8));
      EXPECT_EQ(outcome.rows_raised > 0, misled);
      EXPECT_LE(solve_in_memory(comm, problem, wishes).error_bound.maxCoeff(), 1e-6 * data.promise());
    }
}

TEST(DistributedSolve, KeepsTheFilesCoordinatesWhereTheSampleMisled) {
  const Communicator comm;
  testing::Problem data = testing::random_problem({40000}, 300, 3, 1, testing::Uniform(13, -1, 1));
  const Matrix plane = data.keys[0].leftCols(1) * (Matrix(1, 3) << 1, 2, 3).finished();
  data.keys[0].leftCols(3) = 0.2 * plane;  // one coordinate, as far as the sample shows
  data.keys[0](310, 1) = 0.9;
  InMemory problem(data);
  PhaseSeconds seconds;
  const CoordinateWishes wishes{true, 1e-9, {}};
  EXPECT_TRUE(measure_problem(comm, problem, wishes, seconds).heads[0].change.none());
  problem.data().keys[0](310, 1) = problem.data().keys[0](310, 0) * 2;
  EXPECT_EQ(measure_problem(comm, problem, wishes, seconds).heads[0].change.width(3), 1);
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
  const ProblemMeasurement measured = measure_problem(comm, problem, {}, seconds);
  const HeadMeasurement alone = testing::measure(problem.data()).file;
  const QueryMeasurement& queries = measured.heads[0].file.queries;
  EXPECT_EQ(queries.score_bound, alone.queries.score_bound);
  EXPECT_EQ(queries.box_bound, alone.queries.box_bound);
  EXPECT_EQ(queries.largest, alone.queries.largest);
  for (std::size_t m = 0; m < 2; ++m) {
    EXPECT_EQ(measured.heads[0].file.modes[m].key_sums.mean(2, 7), alone.modes[m].key_sums.mean(2, 7));
    EXPECT_EQ(measured.heads[0].file.modes[m].value_min, alone.modes[m].value_min);
  }
  const Communicator self(MPI_COMM_SELF);
  const std::string fingerprint = measure_problem(self, problem, {}, seconds).fingerprint();
  EXPECT_EQ(measured.fingerprint(), fingerprint);
  problem.data().values[1](1699, 2) += 1e-9;
  EXPECT_NE(measure_problem(comm, problem, {}, seconds).fingerprint(), fingerprint);
}

/// `work` ends on all ranks since `row` can't be read on one.
void expect_unreadable(const Communicator& comm, Index row, const std::function<void()>& work) {
  try {
    work();
    FAIL() << "the row was read";
  } catch (const AgreedFailure& failure) {
    EXPECT_EQ(std::string(failure.what()), "row " + std::to_string(row) + " can't be read");
  }
  EXPECT_EQ(comm.sum(std::int64_t{1}), comm.size());
}

TEST(DistributedSolve, AnUnreadableRowEndsAllRanksInTheSameWords) {
  const Communicator comm;
  InMemory problem(testing::random_problem({600}, 2000, 2, 1, testing::Uniform(4, -1, 1)));
  for (Index row : {0, 1999}) {
    problem.fail_at(row);
    Wishes wishes;
    wishes.epsilon = 1e-3;
    expect_unreadable(comm, row, [&] { solve_in_memory(comm, problem, wishes); });
  }
}

TEST(DistributedSolve, EndsOnAllRanksWhereOneFailsWhileSumsTravel) {
  const Communicator comm;
  InMemory problem(testing::random_problem({2000, 2000}, 30, 4, 2, testing::Uniform(5, -1, 1)));
  Wishes wishes;
  wishes.degree = 8;
  wishes.method = Method::polynomial;
  for (Index row : {0, 1999}) {
    problem.fail_at(-1);
    PhaseSeconds seconds;
    const ProblemMeasurement measurement = measure_problem(comm, problem, coordinate_wishes(wishes), seconds);
    problem.fail_at(row, {Part::keys, 1});  // the sums of the first mode are complete
    const auto no_sink = [](const std::vector<PlannedHead>&) -> RowSink {
      return [](Index, Range, const RowOutputs&) {};
    };
    expect_unreadable(comm, row, [&] { solve(comm, problem, measurement, wishes, no_sink, seconds); });
  }
}

TEST(DistributedSolve, NoticesAProblemThatChangedSinceItWasMeasured) {
  const Communicator comm;
  for (Method method : {Method::polynomial, Method::exact})
    for (int part : {0, 1, 2}) {
      InMemory problem(testing::random_problem({700, 30}, 300, 2, 1, testing::Uniform(7, -1, 1)));
      PhaseSeconds seconds;
      const ProblemMeasurement measurement = measure_problem(comm, problem, {}, seconds);
      testing::Problem& data = problem.data();
      Matrix& changed = part == 0 ? data.queries : part == 1 ? data.keys[1] : data.values[0];
      changed(changed.rows() - 1, 0) *= 1 - 1e-12;
      Wishes wishes;
      wishes.epsilon = 1e-4;
      wishes.method = method;
      const auto discard = [](const std::vector<PlannedHead>&) -> RowSink {
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
    measure_problem(comm, problem, {}, seconds);
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
  measure_problem(comm, problem, {}, seconds);
  // The sample: 256 queries, 4096 keys, by those who own them.
  EXPECT_EQ(comm.sum(problem.bytes_read()), 3 * n + 256 + 4096);
  EXPECT_NEAR(static_cast<double>(problem.bytes_read()),
              static_cast<double>(3 * n + 256 + 4096) / comm.size(), 64);
}

}  // namespace
}  // namespace kronattn
