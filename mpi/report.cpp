#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "instruction_set.hpp"
#include "version.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// Of this program alone: what getrusage says counts the process that started it, too.
double peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return 1024 * std::strtod(line.c_str() + 6, nullptr);
  return 0;
}

/// What the plans of all heads come to.
struct Total {
  bool polynomial = false, exact = false, in_single = true;
  Index degree = 0, exact_heads = 0;
  double rank = 0, paper_rank = 0, score_bound = 0, mean_row_rank = 0, rows_exact = 0;

  explicit Total(const std::vector<PlannedHead>& heads) {
    for (const auto& [plan, estimate] : heads) {
      (plan.method == Method::exact ? exact : polynomial) = true;
      exact_heads += plan.method == Method::exact;
      const bool exact_in_single =
          plan.exact_arithmetic.scores == Precision::single_precision && !plan.by_subsets;
      in_single &= plan.method == Method::exact ? exact_in_single : plan.monomials.has_single();
      degree = std::max(degree, plan.degree());
      rank = std::max(rank, estimate.rank);
      paper_rank = std::max(paper_rank, estimate.paper_rank);
      score_bound = std::max(score_bound, estimate.score_bound);
      mean_row_rank += estimate.mean_row_rank / static_cast<double>(heads.size());
      rows_exact += estimate.rows_exact;
    }
  }
  const char* method(bool some_rows_exact) const {
    return polynomial && (exact || some_rows_exact) ? "mixed" : polynomial ? "polynomial" : "exact";
  }
};

std::string text(const Json& number, const char* format = "%.3g") {
  if (number.is_null()) return "-";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, number.get<double>());
  return buffer;
}

}  // namespace

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json program_json() {
  return {{"version", version}, {"commit", commit}, {"build", build}};
}

Json problem_json(const ProblemShape& shape, Precision precision) {
  return {{"order", shape.order()}, {"heads", shape.heads},        {"queries", shape.queries},
          {"keys", shape.keys},     {"width", shape.width},        {"value_width", shape.value_width},
          {"scale", shape.scale},   {"precision", name(precision)}};
}

Json plan_json(const std::vector<PlannedHead>& heads, const ProblemShape& shape, const Wishes& wishes,
               const Rates& rates, double threads) {
  const Total total(heads);
  double seconds = 0;
  for (const PlannedHead& head : heads) seconds += predicted_seconds(head.estimate, shape, rates, threads);
  const auto most_work = std::max_element(heads.begin(), heads.end(), [](const auto& one, const auto& other) {
    return one.estimate.flops < other.estimate.flops;
  });
  return {{"method", total.method(total.rows_exact > 0)},
          {"reason", most_work->estimate.reason},
          {"degree", total.polynomial ? Json(total.degree) : Json(nullptr)},
          {"rank", static_cast<std::int64_t>(total.rank)},
          {"mean_row_rank", total.mean_row_rank},
          {"paper_rank", number_or_null(total.paper_rank)},
          {"score_bound", number_or_null(total.score_bound)},
          {"epsilon", wishes.epsilon ? Json(*wishes.epsilon) : Json(nullptr)},
          {"second_moments", total.polynomial && wishes.second_moments},
          {"precision", name(total.in_single ? Precision::single_precision : Precision::double_precision)},
          {"predicted_seconds", seconds}};
}

Json solve_report(const Communicator& comm, const Problem& problem, const ProblemMeasurement& measurement,
                  const Wishes& wishes, const SolveOutcome& outcome, const RunFacts& facts) {
  const ProblemShape shape = wishes.summed(problem.shape());
  const Total total(outcome.heads);
  double aggregate_flops_done = 0;
  for (const PlannedHead& head : outcome.heads)
    if (!head.plan.sums_are_given) aggregate_flops_done += aggregate_flops(shape, head.estimate.rank);
  const double evaluate_flops_done =
      evaluate_flops(shape, static_cast<double>(outcome.monomials_evaluated), 1);
  double slowest[] = {outcome.seconds.read,
                      outcome.seconds.measure,
                      outcome.seconds.aggregate,
                      outcome.seconds.reduce,
                      outcome.seconds.evaluate,
                      outcome.seconds.write,
                      facts.total_seconds,
                      peak_rss_bytes(),
                      static_cast<double>(problem.bytes_read()),
                      static_cast<double>(comm.bytes_reduced()),
                      facts.checkpoint_seconds,
                      static_cast<double>(facts.bytes_written)};
  comm.max(slowest, std::size(slowest));
  const std::int64_t bytes_read = comm.sum(problem.bytes_read()),
                     bytes_written = comm.sum(facts.bytes_written);
  const auto rate = [](double flops, double seconds) {
    return flops > 0 && seconds > 0 ? Json(flops / seconds / 1e9) : Json(nullptr);
  };
  const double guaranteed = measurement.promise > 0 ? outcome.largest_error_bound / measurement.promise
                                                    : outcome.largest_error_bound;
  const bool any_polynomial = total.polynomial;
  const std::int64_t exact_rows = any_polynomial ? total.exact_heads * shape.queries + outcome.rows_exact : 0;

  Json report;
  report["kronattn"] = program_json();
  report["problem"] = problem_json(shape, problem.precision());
  report["plan"] =
      plan_json(outcome.heads, shape, wishes, facts.rates, static_cast<double>(comm.size()) * facts.threads);
  report["plan"]["sums"] = wishes.sums ? Json(wishes.sums->name) : Json(nullptr);
  report["plan"]["method"] = total.method(outcome.rows_exact > 0);
  report["plan"]["mean_row_rank"] =
      shape.queries == 0 ? 0
                         : static_cast<double>(outcome.monomials_evaluated) /
                               (static_cast<double>(shape.queries) * static_cast<double>(shape.heads));
  report["certificate"] = {{"epsilon", report["plan"]["epsilon"]},
                           {"guaranteed_error", number_or_null(guaranteed)},
                           {"rows_recomputed_exactly", exact_rows},
                           {"rows_raised", outcome.rows_raised}};
  report["run"] = {{"ranks", comm.size()},
                   {"threads", facts.threads},
                   {"hosts", comm.hosts()},
                   {"instruction_set", instruction_set()},
                   {"seconds",
                    {{"read", slowest[0]},
                     {"measure", slowest[1]},
                     {"aggregate", slowest[2]},
                     {"reduce", slowest[3]},
                     {"evaluate", slowest[4]},
                     {"write", slowest[5]},
                     {"total", slowest[6]}}},
                   {"gflops_per_second",
                    {{"aggregate", rate(aggregate_flops_done, slowest[2])},
                     {"evaluate", rate(evaluate_flops_done, any_polynomial ? slowest[4] : 0)}}},
                   {"peak_rss_bytes", static_cast<std::int64_t>(slowest[7])},
                   {"bytes_read", bytes_read},
                   {"bytes_read_largest_rank", static_cast<std::int64_t>(slowest[8])},
                   {"bytes_written", bytes_written},
                   {"bytes_written_largest_rank", static_cast<std::int64_t>(slowest[11])},
                   {"bytes_reduced", static_cast<std::int64_t>(slowest[9])},
                   {"resumed", facts.resumed},
                   {"checkpoints", facts.checkpoints},
                   {"checkpoint_seconds", slowest[10]}};
  return report;
}

std::string plan_summary(const Json& report) {
  const Json &problem = report["problem"], &plan = report["plan"];
  std::ostringstream out;
  out << "problem    order " << problem["order"] << ", " << problem["heads"] << " head(s), "
      << problem["queries"] << " queries, keys";
  for (const Json& keys : problem["keys"]) out << " " << keys;
  out << ", width " << problem["width"] << ", " << problem["value_width"] << " value columns, scores up to "
      << text(plan["score_bound"]) << "\n";
  out << "method     " << plan["method"].get<std::string>();
  if (!plan["degree"].is_null())
    out << ", degree " << plan["degree"] << ", rank " << plan["rank"] << " ("
        << text(plan["mean_row_rank"], "%.0f") << " on a mean row; the papers': " << text(plan["paper_rank"])
        << ")";
  out << "\nbecause    " << plan["reason"].get<std::string>() << "\n";
  return out.str();
}

std::string summary(const Json& report) {
  const Json &certificate = report["certificate"], &run = report["run"], &seconds = run["seconds"],
             &speed = run["gflops_per_second"];
  std::ostringstream out;
  out << plan_summary(report);
  out << "error      promised " << text(certificate["epsilon"]) << ", guaranteed "
      << text(certificate["guaranteed_error"]) << ", relative to max|V1| * max|V2| ...";
  if (certificate["rows_raised"] > 0) out << "; degree raised for " << certificate["rows_raised"] << " rows";
  if (certificate["rows_recomputed_exactly"] > 0)
    out << "; " << certificate["rows_recomputed_exactly"] << " rows summed exactly";
  out << "\n";
  out << "seconds    read " << text(seconds["read"]) << "  measure " << text(seconds["measure"])
      << "  aggregate " << text(seconds["aggregate"]) << "  reduce " << text(seconds["reduce"])
      << "  evaluate " << text(seconds["evaluate"]) << "  write " << text(seconds["write"]) << "  total "
      << text(seconds["total"]) << "\n";
  out << "speed      " << text(speed["aggregate"]) << " Gflop/s aggregate, " << text(speed["evaluate"])
      << " Gflop/s evaluate, " << run["ranks"] << " rank(s) x " << run["threads"] << " thread(s) on "
      << run["hosts"] << " host(s)\n";
  out << "memory     " << text(Json(run["peak_rss_bytes"].get<double>() / 1e6), "%.0f")
      << " MB at most on a rank, " << text(Json(run["bytes_reduced"].get<double>() / 1e6)) << " MB reduced\n";
  return out.str();
}

}  // namespace kronattn
