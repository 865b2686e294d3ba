#include "solve.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "key_tiles.hpp"
#include "text.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// Rows that the exact method keeps in flight on one rank while all keys pass by.
constexpr Index exact_rows_in_flight = 16384;

/// Reads rows again, after the measurement.
Matrix read_again(Problem& problem, Part part, Index head, Range rows, SolveOutcome& outcome) {
  const Timed timed(outcome.seconds.read);
  Matrix data = problem.read(part, head, rows);
  outcome.content.add(part, head, rows, data);
  return data;
}

/// The larger one; what is not a number counts as infinite.
double worse(double known, double found) {
  return std::isnan(found) ? HUGE_VAL : std::max(known, found);
}

void deliver(const RowSink& sink, Index head, Range rows, const RowOutputs& outputs, SolveOutcome& outcome) {
  for (Index i = 0; i < rows.size(); ++i) {
    outcome.largest_error_bound = worse(outcome.largest_error_bound, outputs.error_bound(i));
    outcome.largest_log_error = worse(outcome.largest_log_error, outputs.log_error(i));
  }
  const Timed timed(outcome.seconds.write);
  sink(head, rows, outputs);
}

}  // namespace

std::vector<Plan> plan_heads(const ProblemMeasurement& measurement, const ProblemShape& shape,
                             const Wishes& wishes, const std::string& problem) {
  const double largest_output = wishes.output_precision == Precision::single_precision ? FLT_MAX : DBL_MAX;
  if (measurement.promise > largest_output)
    throw AgreedFailure(problem + ": outputs may reach " + short_number(measurement.promise) +
                        "; need at most " + short_number(largest_output) +
                        ", the largest number of the output's precision");
  std::vector<Plan> plans;
  try {
    for (const HeadMeasurement& head : measurement.heads) {
      if (shape.queries == 0) {
        plans.emplace_back();
        plans.back().reason = "there are no queries";
      } else {
        plans.push_back(make_plan(head, shape, measurement.promise, wishes));
      }
    }
  } catch (const NoPlan& reason) {
    throw AgreedFailure(problem + ": " + reason.what());
  }
  return plans;
}

HeadSums::HeadSums(const ProblemShape& shape, const Plan& plan)
    : monomials(Monomials::of_total_degree(shape.width, plan.degree)) {
  modes.reserve(shape.keys.size());
  for (Index rows : shape.keys) modes.emplace_back(monomials.count(), rows, shape.value_width);
}

void aggregate_head(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
                    HeadSums& sums, SolveOutcome& outcome, Progress& progress) {
  const ProblemShape& shape = problem.shape();
  Index my_rows = 0;
  for (Index rows : shape.keys)
    my_rows += share_of_rows(rows, key_tile_rows, comm.size(), comm.rank()).size();
  progress.begin("aggregate", my_rows);
  for (Index m = 0; m < shape.modes(); ++m) {
    const auto mode = static_cast<std::size_t>(m);
    for (Range rows : my_blocks(comm, shape.keys[mode], shape.width + shape.value_width, key_tile_rows)) {
      const Matrix keys = read_again(problem, {Part::keys, m}, head, rows, outcome);
      const Matrix values = read_again(problem, {Part::values, m}, head, rows, outcome);
      const Timed timed(outcome.seconds.aggregate);
      sums.modes[mode].absorb(sums.monomials, keys, values, coordinates.keys[mode], coordinates.values[mode]);
      progress.advance(rows.size());
    }
  }
}

void sum_over_ranks(const Communicator& comm, HeadSums& sums, PhaseSeconds& seconds) {
  const Timed timed(seconds.reduce);
  for (KeyAggregate& mode : sums.modes) comm.sum(mode.words());
}

void evaluate_head(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
                   const Plan& plan, const HeadSums& sums, Precision output_precision, const RowSink& sink,
                   SolveOutcome& outcome, Progress& progress) {
  const ProblemShape& shape = problem.shape();
  progress.begin("evaluate", share_of_rows(shape.queries, query_tile_rows, comm.size(), comm.rank()).size());
  PhaseSeconds& seconds = outcome.seconds;
  std::optional<PolynomialCertificate> certificate;
  Matrix combined;
  {
    const Timed timed(seconds.evaluate);
    const ExpPolynomial polynomial = chebyshev_polynomial(plan.degree, plan.score_bound);
    std::vector<double> monomials_per_degree;
    for (Index m = 0; m <= plan.degree; ++m)
      monomials_per_degree.push_back(static_cast<double>(sums.monomials.of_degree(m).size()));
    certificate.emplace(shape, coordinates, polynomial, monomials_per_degree, output_precision);
    combined = combine_modes(
        sums.modes, multinomial_weights(sums.monomials, coordinates.weights / polynomial.score_bound),
        shape.value_width + 1);
  }
  for (Range rows : my_blocks(comm, shape.queries, shape.width + shape.value_width, query_tile_rows)) {
    const Matrix queries = read_again(problem, {Part::queries}, head, rows, outcome);
    RowOutputs outputs;
    {
      const Timed timed(seconds.evaluate);
      outputs = evaluate_queries(sums.monomials, combined, coordinates, *certificate, queries);
    }
    deliver(sink, head, rows, outputs, outcome);
    progress.advance(rows.size());
  }
}

void solve_head_exactly(const Communicator& comm, Problem& problem, Index head,
                        const Coordinates& coordinates, Precision output_precision, const RowSink& sink,
                        SolveOutcome& outcome, Progress& progress) {
  const ProblemShape& shape = problem.shape();
  PhaseSeconds& seconds = outcome.seconds;
  const Index tile_rows = exact_query_tile_rows(shape.order());
  const Range mine = share_of_rows(shape.queries, tile_rows, comm.size(), comm.rank());
  const ExactCertificate certificate(shape, coordinates, output_precision);
  KeyTiles tiles(comm, problem, head, coordinates, seconds, outcome.content);
  const Index passes =
      static_cast<Index>(comm.max(static_cast<double>(tile_count(mine.size(), exact_rows_in_flight))));
  progress.begin("exact", mine.size(), static_cast<double>(passes) * tiles.tuples());
  for (Index pass = 0; pass < passes; ++pass) {
    const Range rows{std::min(mine.end, mine.begin + pass * exact_rows_in_flight),
                     std::min(mine.end, mine.begin + (pass + 1) * exact_rows_in_flight)};
    Matrix queries;
    comm.together([&] { queries = read_again(problem, {Part::queries}, head, rows, outcome); });
    RowOutputs outputs;
    {
      const double read_before = seconds.read;
      const Stopwatch watch;
      ExactAttention attention(shape, coordinates, queries, tile_rows);
      absorb_all(tiles, shape.modes(), attention, progress);
      outputs = attention.finish(certificate);
      seconds.evaluate += watch.seconds() - (seconds.read - read_before);
    }
    comm.together([&] {
      if (rows.size() > 0) deliver(sink, head, rows, outputs, outcome);
    });
  }
}

SolveOutcome solve(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                   const Wishes& wishes, const std::function<RowSink(const std::vector<Plan>&)>& make_sink,
                   PhaseSeconds seconds, Progress& progress) {
  const ProblemShape& shape = problem.shape();
  SolveOutcome outcome;
  outcome.seconds = seconds;
  outcome.plans = plan_heads(measurement, shape, wishes, problem.name());
  const RowSink sink = make_sink(outcome.plans);
  if (shape.queries == 0) return outcome;

  for (Index head = 0; head < shape.heads; ++head) {
    const Plan& plan = outcome.plans[static_cast<std::size_t>(head)];
    const Coordinates coordinates(measurement.heads[static_cast<std::size_t>(head)], shape);
    progress.at_head(head, shape.heads);
    if (plan.method == Method::exact) {
      solve_head_exactly(comm, problem, head, coordinates, wishes.output_precision, sink, outcome, progress);
      continue;
    }
    std::optional<HeadSums> sums;
    comm.together([&] {
      sums.emplace(shape, plan);
      aggregate_head(comm, problem, head, coordinates, *sums, outcome, progress);
    });
    progress.begin("reduce", 0);
    sum_over_ranks(comm, *sums, outcome.seconds);
    comm.together([&] {
      evaluate_head(comm, problem, head, coordinates, plan, *sums, wishes.output_precision, sink, outcome,
                    progress);
    });
  }

  progress.at_head(0, 1);
  if (outcome.content.over_ranks(comm) != measurement.content)
    throw AgreedFailure(problem.name() + " changed while it was being solved; the work is void");
  outcome.largest_error_bound = comm.max(outcome.largest_error_bound);
  outcome.largest_log_error = comm.max(outcome.largest_log_error);
  if (wishes.epsilon && (outcome.largest_error_bound > *wishes.epsilon * measurement.promise ||
                         outcome.largest_log_error > *wishes.epsilon))
    throw AgreedFailure(
        problem.name() + ": the bound reached is " + short_number(outcome.largest_error_bound) +
        " for the outputs and " + short_number(outcome.largest_log_error) +
        " for the log normalizers; epsilon " + short_number(*wishes.epsilon) + " needs " +
        short_number(*wishes.epsilon * measurement.promise) + " and " + short_number(*wishes.epsilon) +
        (wishes.degree ? "; need a higher --degree, or none so that it is chosen" : ""));
  return outcome;
}

}  // namespace kronattn
