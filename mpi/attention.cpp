#include "attention.hpp"

#include <algorithm>

#include "redistribute.hpp"
#include "solve.hpp"
#include "text.hpp"

namespace kronattn {

namespace {

/// Collective.
void check_wishes(const Communicator& comm, const Wishes& wishes) {
  comm.together([&] {
    if (!wishes.epsilon && !wishes.degree)
      throw std::runtime_error("attention: neither an epsilon nor a degree is given; need one");
    if (wishes.epsilon && !(*wishes.epsilon > 0 && *wishes.epsilon < 1))
      throw std::runtime_error("attention: epsilon is " + short_number(*wishes.epsilon) +
                               "; need a number above 0 and below 1");
    if (wishes.degree && (*wishes.degree < 0 || wishes.method == Method::exact))
      throw std::runtime_error("attention: the degree is " + std::to_string(*wishes.degree) +
                               "; need at least 0, and a method other than exact");
  });
  comm.need_same(wishes.epsilon.value_or(0), "attention: epsilon (0: none)");
  comm.need_same(static_cast<double>(wishes.degree.value_or(-1)), "attention: the degree (-1: none)");
  comm.need_same(wishes.change_coordinates ? 1 : 0, "attention: whether coordinates may be changed");
  comm.need_same(wishes.second_moments ? 1 : 0, "attention: whether second moments are summed");
  comm.need_same(static_cast<double>(wishes.method), "attention: the method");
  comm.need_same(static_cast<double>(wishes.output_precision), "attention: the precision of the output");
}

/// Rows as the solve finishes them on this rank: output, log normaliser and error bound side by side.
class FinishedRows {
 public:
  /// `possible`: the rows that may come, contiguous once all are there.
  FinishedRows(Range possible, Index value_width)
      : possible_(possible), data_(possible.size(), value_width + 2) {}

  void take(Range rows, const RowOutputs& outputs) {
    if (rows.begin < possible_.begin || rows.end > possible_.end)
      throw std::logic_error("rows " + std::to_string(rows.begin) + " to " + std::to_string(rows.end) +
                             " were finished on a rank that does not own them");
    data_.middleRows(rows.begin - possible_.begin, rows.size()) << outputs.output, outputs.log_normalizer,
        outputs.error_bound;
    done_ =
        done_.size() == 0 ? rows : Range{std::min(done_.begin, rows.begin), std::max(done_.end, rows.end)};
  }

  /// Collective: one all-to-all. The rows `want`, whoever finished them.
  Matrix redistributed(const Communicator& comm, Range want) const {
    const Matrix done = data_.middleRows(done_.size() == 0 ? 0 : done_.begin - possible_.begin, done_.size());
    return redistribute(comm, done.data(), done.cols(), done_, want);
  }

 private:
  Range possible_, done_;
  Matrix data_;
};

}  // namespace

Attention attention(const Communicator& comm, const AttentionInput& input, const Wishes& wishes) {
  check_wishes(comm, wishes);
  MemoryProblem problem(comm, input);
  const Index value_width = problem.shape().value_width;
  FinishedRows finished(problem.held_queries(), value_width);

  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, coordinate_wishes(wishes), seconds);
  const auto into_memory = [&](const std::vector<PlannedHead>&) -> RowSink {
    return [&](Index, Range rows, const RowOutputs& outputs) { finished.take(rows, outputs); };
  };
  const SolveOutcome outcome = solve(comm, problem, measurement, wishes, into_memory, seconds);

  const Matrix mine = finished.redistributed(comm, problem.own_queries());
  return {mine.leftCols(value_width), mine.col(value_width), mine.col(value_width + 1),
          outcome.heads.front().plan, outcome.heads.front().estimate};
}

}  // namespace kronattn
