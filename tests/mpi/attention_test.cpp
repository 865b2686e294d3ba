// Attention of matrices in memory: the bits of a problem file, however the rows are spread over the ranks.
#include "attention.hpp"

#include <algorithm>

#include "mpi_main.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "problems.hpp"
#include "redistribute.hpp"
#include "scratch.hpp"
#include "solve.hpp"

namespace kronattn {
namespace {

/// How rows are spread over the ranks.
enum class Spread { evenly, all_on_the_last, more_and_more };

Range rows_of_rank(const Communicator& comm, Index rows, Spread spread) {
  const Index p = comm.size(), r = comm.rank();
  if (spread == Spread::evenly) return share(rows, p, r);
  if (spread == Spread::all_on_the_last) return {r == p - 1 ? 0 : rows, rows};
  const Index unit = rows / (p * p);  // rank r begins at r^2 units: shares of 1, 3, 5, ...
  return {r * r * unit, r + 1 == p ? rows : (r + 1) * (r + 1) * unit};
}

Matrix own_rows(const Communicator& comm, const Matrix& whole, Spread spread) {
  const Range mine = rows_of_rank(comm, whole.rows(), spread);
  return mine.size() == 0 ? Matrix() : Matrix(whole.middleRows(mine.begin, mine.size()));
}

AttentionInput own_share(const Communicator& comm, const testing::Problem& problem, Spread spread) {
  AttentionInput input;
  input.queries = own_rows(comm, problem.queries, spread);
  for (const Matrix& keys : problem.keys) input.keys.push_back(own_rows(comm, keys, spread));
  for (const Matrix& values : problem.values) input.values.push_back(own_rows(comm, values, spread));
  input.scale = problem.scale;
  return input;
}

/// All rows on every rank. Each row is 0 on all ranks but one, so the sums are exact.
RowOutputs gather(const Communicator& comm, RowOutputs all) {
  for (auto [data, size] : {std::pair(all.output.data(), all.output.size()),
                            std::pair(all.log_normalizer.data(), all.log_normalizer.size()),
                            std::pair(all.error_bound.data(), all.error_bound.size())})
    for (Index i = 0; i < size; ++i) data[i] = comm.add(data[i]);
  return all;
}

RowOutputs zeros(const ProblemShape& shape) {
  RowOutputs all(shape.queries, shape.value_width);
  all.output.setZero(), all.log_normalizer.setZero(), all.error_bound.setZero();
  return all;
}

RowOutputs solve_in_memory(const Communicator& comm, const testing::Problem& problem, const Wishes& wishes,
                           Spread spread) {
  const Attention mine = attention(comm, own_share(comm, problem, spread), wishes);
  const Range rows = rows_of_rank(comm, problem.queries.rows(), spread);
  EXPECT_EQ(mine.output.rows(), rows.size());
  RowOutputs all = zeros(problem.shape());
  all.output.middleRows(rows.begin, rows.size()) = mine.output;
  all.log_normalizer.segment(rows.begin, rows.size()) = mine.log_normalizer;
  all.error_bound.segment(rows.begin, rows.size()) = mine.error_bound;
  return gather(comm, std::move(all));
}

/// Rank 0 writes, all ranks solve what they read.
RowOutputs solve_from_file(const Communicator& comm, const testing::Problem& problem, const Wishes& wishes) {
  const Scratch scratch(comm);
  std::vector<std::pair<std::string, const Matrix*>> parts = {{part_name({Part::queries}), &problem.queries}};
  for (std::size_t m = 0; m < problem.keys.size(); ++m) {
    const auto mode = static_cast<Index>(m);
    parts.emplace_back(part_name({Part::keys, mode}), &problem.keys[m]);
    parts.emplace_back(part_name({Part::values, mode}), &problem.values[m]);
  }
  std::vector<DatasetPlan> datasets;
  for (const auto& [name, data] : parts) datasets.push_back({name, {data->rows(), data->cols()}});
  {
    OutputFile file(comm, scratch / "problem.h5", datasets, false);
    if (comm.root())
      for (std::size_t dataset = 0; dataset < parts.size(); ++dataset)
        file.write(dataset, 0, {0, parts[dataset].second->rows()}, parts[dataset].second->data());
    file.check_written();
    file.commit({{"scale", problem.scale}});
  }
  ProblemFile file(comm, scratch / "problem.h5", std::nullopt);
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, file, coordinate_wishes(wishes), seconds);
  RowOutputs all = zeros(file.shape());
  const auto into_memory = [&](const std::vector<PlannedHead>&) -> RowSink {
    return [&](Index, Range rows, const RowOutputs& part) {
      all.output.middleRows(rows.begin, rows.size()) = part.output;
      all.log_normalizer.segment(rows.begin, rows.size()) = part.log_normalizer;
      all.error_bound.segment(rows.begin, rows.size()) = part.error_bound;
    };
  };
  solve(comm, file, measurement, wishes, into_memory, seconds);
  return gather(comm, std::move(all));
}

Wishes promise(double epsilon, Method method = Method::automatic) {
  Wishes wishes;
  wishes.epsilon = epsilon;
  wishes.method = method;
  return wishes;
}

void expect_same_bits(const RowOutputs& found, const RowOutputs& expected) {
  EXPECT_EQ(found.output, expected.output);
  EXPECT_EQ(found.log_normalizer, expected.log_normalizer);
  EXPECT_EQ(found.error_bound, expected.error_bound);
}

TEST(Attention, HasTheBitsOfAProblemFile) {
  const Communicator comm;
  testing::Uniform uniform(1, -1, 1);
  for (const std::vector<Index>& keys : {std::vector<Index>{2600}, {1, 600}, {2, 3, 520}}) {
    testing::Problem problem = testing::random_problem(keys, 1300, 3, 2, uniform);
    problem.scale = -0.7;
    for (Method method : {Method::polynomial, Method::exact}) {
      const RowOutputs expected = solve_from_file(comm, problem, promise(1e-5, method));
      for (Spread spread : {Spread::evenly, Spread::all_on_the_last, Spread::more_and_more})
        expect_same_bits(solve_in_memory(comm, problem, promise(1e-5, method), spread), expected);
    }
  }
}

TEST(Attention, BringsRowsHomeThatOtherRanksFinish) {
  const Communicator comm;
  // A few queries reach further than any sample shows. They are raised in degree or summed exactly later,
  // shared out over the ranks anew: the first rank gets the last rows, too.
  testing::Problem problem = testing::random_problem({1500}, 20000, 3, 2, testing::Uniform(11, -1, 1));
  for (Index i : {100, 101, 9000, 19999}) problem.queries.row(i) << 2.4, 2.6, -2;
  for (Method method : {Method::automatic, Method::polynomial}) {
    const RowOutputs expected = solve_from_file(comm, problem, promise(1e-8, method));
    for (Spread spread : {Spread::evenly, Spread::all_on_the_last})
      expect_same_bits(solve_in_memory(comm, problem, promise(1e-8, method), spread), expected);
  }
}

TEST(Attention, IsTheDefinitionWithinItsBound) {
  const Communicator comm;
  testing::Problem problem = testing::random_problem({40, 9}, 21, 3, 2, testing::Uniform(2, -1, 1));
  AttentionInput input = own_share(comm, problem, Spread::evenly);
  input.scale.reset();  // 1/d
  const Attention mine = attention(comm, input, promise(1e-4));
  const Range rows = rows_of_rank(comm, 21, Spread::evenly);
  for (Index i = 0; i < rows.size(); ++i) {
    const testing::Truth truth = testing::truth(problem, rows.begin + i);
    for (Index c = 0; c < 2; ++c)
      EXPECT_LE(std::abs(truth.output[static_cast<std::size_t>(c)] - mine.output(i, c)), mine.error_bound(i));
    EXPECT_LE(std::abs(truth.log_normalizer - mine.log_normalizer(i)), 1e-4);
    EXPECT_LE(mine.error_bound(i), 1e-4 * problem.promise());
  }
}

TEST(Attention, OfNoQueriesIsEmpty) {
  const Communicator comm;
  testing::Problem problem = testing::random_problem({5}, 3, 2, 4, testing::Uniform(3, -1, 1));
  AttentionInput input = own_share(comm, problem, Spread::evenly);
  input.queries = Matrix();
  const Attention nothing = attention(comm, input, promise(1e-4));
  EXPECT_EQ(nothing.output.rows(), 0);
  EXPECT_EQ(nothing.output.cols(), 4);
  EXPECT_EQ(nothing.log_normalizer.size(), 0);
  EXPECT_EQ(nothing.error_bound.size(), 0);
}

TEST(Attention, RunsOnAPartOfTheRanks) {
  const Communicator world;
  MPI_Comm half = MPI_COMM_NULL;
  MPI_Comm_split(world.handle(), world.rank() % 2, 0, &half);
  {
    const Communicator comm(half);
    const testing::Problem problem =
        testing::random_problem({600 + 100 * (world.rank() % 2)}, 140, 2, 1, testing::Uniform(4, -1, 1));
    const RowOutputs found = solve_in_memory(comm, problem, promise(1e-3), Spread::more_and_more);
    EXPECT_LE(testing::row_error(testing::truth(problem, 139), found, 139), found.error_bound(139));
  }
  MPI_Comm_free(&half);
}

/// The words with which all ranks leave after the last rank's share was spoilt.
std::string failure_of(const std::function<void(AttentionInput&)>& spoil, Wishes wishes = promise(1e-3)) {
  const Communicator comm;
  const testing::Problem problem = testing::random_problem({40, 12}, 20, 3, 2, testing::Uniform(5, -1, 1));
  AttentionInput input = own_share(comm, problem, Spread::evenly);
  if (comm.rank() == comm.size() - 1) spoil(input);
  try {
    attention(comm, input, wishes);
  } catch (const AgreedFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(Attention, SaysOnAllRanksWhatDoesNotFit) {
  const int last = Communicator().size() - 1;
  const std::string on_last = " on rank " + std::to_string(last);
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.keys.clear(), input.values.clear(); }),
            "attention: there are no keys; need a matrix for each mode");
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.values.pop_back(); }),
            "attention: 2 matrices of keys and 1 of values; need one each per mode");
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.queries = Matrix::Zero(2, 5); }),
            "attention: " + std::string(last == 0 ? "K1" : "Q") +
                " has 3 columns on rank 0, others have 5; "
                "the widths must agree");
  const Index values = 12 / (last + 1);
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.values[1].conservativeResize(1, 2); }),
            "attention: V2 has 1 rows" + on_last + ", K2 has " + std::to_string(values) +
                "; need a value for each key");
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.scale = std::nan(""); }),
            "attention: the scale is nan; need a finite number");
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.keys[0].bottomRows(1)(0, 1) = -HUGE_VAL; }),
            "attention: K1[39,1] is -inf; entries must be finite");
}

TEST(Attention, NeedsTheSameOfAllRanks) {
  if (Communicator().size() == 1) return;
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.scale = 0.5; }),
            "attention: the scale is 0.333 on one rank and 0.5 on another; need the same on all");
  EXPECT_EQ(failure_of([](AttentionInput& input) { input.keys.pop_back(), input.values.pop_back(); }),
            "attention: the number of modes is 1 on one rank and 2 on another; need the same on all");
  const bool root = Communicator().root();
  EXPECT_EQ(failure_of([](AttentionInput&) {}, promise(root ? 1e-3 : 1e-4)),
            "attention: epsilon (0: none) is 0.0001 on one rank and 0.001 on another; need the same on all");
}

TEST(Attention, NeedsAPromiseOrADegree) {
  EXPECT_EQ(failure_of([](AttentionInput&) {}, Wishes()),
            "attention: neither an epsilon nor a degree is given; need one");
  EXPECT_EQ(failure_of([](AttentionInput&) {}, promise(1)),
            "attention: epsilon is 1; need a number above 0 and below 1");
  Wishes degree;
  degree.degree = 3;
  EXPECT_EQ(failure_of([](AttentionInput&) {}, degree), "no failure");
}

}  // namespace
}  // namespace kronattn
