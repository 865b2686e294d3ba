#include "solve.hpp"

#include <cfloat>

#include "checkpointing.hpp"
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
      } else if (wishes.sums) {
        heads.push_back(
            plan_with_sums(head, shape, measurement.promise, wishes, wishes.sums->heads[heads.size()]));
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
    const double bytes = head_bytes(measurement.heads[h].changed_shape(shape), heads[h], comm.size());
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
                   PhaseSeconds seconds, const SolveAids& aids) {
  const ProblemShape shape = wishes.summed(problem.shape());
  SolveOutcome outcome;
  outcome.seconds = seconds;
  outcome.heads = plan_heads(measurement, shape, wishes, problem.name());
  if (shape.queries > 0)
    need_memory_for(comm, outcome.heads, measurement, shape, problem.name(), aids.memory);
  const RowSink sink = make_sink(outcome.heads);
  if (shape.queries == 0) return outcome;
  const SolveState* resumed = aids.checkpoints != nullptr ? aids.checkpoints->resumed() : nullptr;
  SolveState state;
  if (resumed != nullptr) {
    state = *resumed;
    if (comm.root()) static_cast<SolveFigures&>(outcome) = state.figures;
    // Sums that the run had behind it when it ended were kept by nobody.
    const Index behind = state.head + (state.round.is_first() ? 0 : 1);
    if (aids.keep_sums)
      for (Index head = 0; head < behind; ++head)
        sum_head_keys(comm, problem, head, measurement, wishes, sink, outcome, aids);
    for (Index head = 0; head < state.head; ++head)
      raise_plan(outcome.heads[static_cast<std::size_t>(head)], state.raises[static_cast<std::size_t>(head)],
                 measurement.heads[static_cast<std::size_t>(head)].changed_shape(shape));
  }
  while (state.head < shape.heads) {
    aids.progress.at_head(state.head, shape.heads);
    solve_head(comm, problem, state, measurement, wishes, sink, outcome, aids);
    state.raises.push_back(state.round.raises);
    ++state.head;
    state.round = Round();
    state.keys_counted = false;
  }
  aids.progress.at_head(0, 1);

  if (outcome.content.over_ranks(comm) != measurement.content)
    throw VoidWork(problem.name() + " changed while it was being solved; the work is void");
  outcome.largest_error_bound = comm.max(outcome.largest_error_bound);
  outcome.largest_log_error = comm.max(outcome.largest_log_error);
  outcome.rows_exact = static_cast<std::int64_t>(comm.max(static_cast<double>(outcome.rows_exact)));
  outcome.rows_raised = static_cast<std::int64_t>(comm.max(static_cast<double>(outcome.rows_raised)));
  outcome.monomials_evaluated = comm.sum(outcome.monomials_evaluated);
  if (!wishes.row_promise(measurement.promise).kept(outcome.largest_error_bound, outcome.largest_log_error))
    throw VoidWork(problem.name() + ": the bound reached is " + short_number(outcome.largest_error_bound) +
                   " for the outputs and " + short_number(outcome.largest_log_error) +
                   " for the log normalizers; epsilon " + short_number(*wishes.epsilon) + " needs " +
                   short_number(*wishes.epsilon * measurement.promise) + " and " +
                   short_number(*wishes.epsilon) +
                   (wishes.degree ? "; need a higher --degree, or none so that it is chosen" : ""));
  return outcome;
}

}  // namespace kronattn
