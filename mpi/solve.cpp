#include "solve.hpp"

#include <cfloat>

#include "head_solve.hpp"
#include "text.hpp"

namespace kronattn {

std::vector<PlannedHead> plan_heads(const ProblemMeasurement& measurement, const ProblemShape& shape,
                                    const Wishes& wishes, const std::string& problem) {
  const double largest_output = wishes.output_precision == Precision::single_precision ? FLT_MAX : DBL_MAX;
  if (measurement.promise > largest_output)
    throw AgreedFailure(problem + ": outputs may reach " + short_number(measurement.promise) +
                        "; need at most " + short_number(largest_output) +
                        ", the largest number of the output's precision");
  std::vector<PlannedHead> heads;
  try {
    for (const MeasuredHead& head : measurement.heads) {
      if (shape.queries == 0) {
        heads.emplace_back();
        heads.back().estimate.reason = "there are no queries";
      } else {
        heads.push_back(make_plan(head, shape, measurement.promise, wishes));
      }
    }
  } catch (const NoPlan& reason) {
    throw AgreedFailure(problem + ": " + reason.what());
  }
  return heads;
}

void need_memory_for(const Communicator& comm, const std::vector<PlannedHead>& heads,
                     const ProblemMeasurement& measurement, const ProblemShape& shape,
                     const std::string& problem, const RankMemory& memory) {
  double most = 0;
  std::string what;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const double bytes = head_bytes(measurement.heads[h].changed_shape(shape), heads[h]);
    if (bytes <= most) continue;
    most = bytes;
    what = heads[h].plan.method == Method::exact ? "the exact method"
                                                 : "degree " + std::to_string(heads[h].plan.degree()) +
                                                       " at rank " + short_number(heads[h].estimate.rank);
  }
  memory.need(comm, problem + ": " + what, most + least_bytes_in_flight(shape));
}

SolveOutcome solve(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                   const Wishes& wishes,
                   const std::function<RowSink(const std::vector<PlannedHead>&)>& make_sink,
                   PhaseSeconds seconds, Progress& progress, const RankMemory& memory) {
  const ProblemShape& shape = problem.shape();
  SolveOutcome outcome;
  outcome.seconds = seconds;
  outcome.heads = plan_heads(measurement, shape, wishes, problem.name());
  if (shape.queries > 0) need_memory_for(comm, outcome.heads, measurement, shape, problem.name(), memory);
  const RowSink sink = make_sink(outcome.heads);
  if (shape.queries == 0) return outcome;
  for (Index head = 0; head < shape.heads; ++head) {
    progress.at_head(head, shape.heads);
    solve_head(comm, problem, head, measurement, wishes, sink, outcome, progress, memory);
  }
  progress.at_head(0, 1);

  if (outcome.content.over_ranks(comm) != measurement.content)
    throw AgreedFailure(problem.name() + " changed while it was being solved; the work is void");
  outcome.largest_error_bound = comm.max(outcome.largest_error_bound);
  outcome.largest_log_error = comm.max(outcome.largest_log_error);
  outcome.monomials_evaluated = comm.sum(outcome.monomials_evaluated);
  if (!wishes.row_promise(measurement.promise).kept(outcome.largest_error_bound, outcome.largest_log_error))
    throw AgreedFailure(
        problem.name() + ": the bound reached is " + short_number(outcome.largest_error_bound) +
        " for the outputs and " + short_number(outcome.largest_log_error) +
        " for the log normalizers; epsilon " + short_number(*wishes.epsilon) + " needs " +
        short_number(*wishes.epsilon * measurement.promise) + " and " + short_number(*wishes.epsilon) +
        (wishes.degree ? "; need a higher --degree, or none so that it is chosen" : ""));
  return outcome;
}

}  // namespace kronattn
