// kronattn plan: what solve would do, and what it would cost.

#include "plan.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cluster_model.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "rates.hpp"
#include "shared_options.hpp"
#include "solve.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// Rows of a synthetic problem that are generated to measure it: bounds of larger ones are those of this
/// sample.
constexpr Index sampled_rows = 1 << 16;

/// The number of rows, in Q and every mode alike, from which the polynomial method takes less work than the
/// exact one.
double paying_rows(ProblemShape shape, double rank, Index degree) {
  const auto pays = [&](double rows) {
    shape.queries = static_cast<Index>(rows);
    shape.keys.assign(shape.keys.size(), shape.queries);
    return aggregate_work(shape, rank) +
               evaluate_work(rows * rank, static_cast<double>(shape.sum_columns())) +
               own_work(shape, rank, degree, static_cast<double>(degree * degree)) <=
           exact_work(shape, rows);
  };
  double low = 0, high = 1;  // does not pay, pays
  while (!pays(high)) low = high, high *= 2;
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (pays(middle) ? high : low) = middle;
  }
  return high;
}

ProblemMeasurement measure_sample(const Communicator& comm, Instance instance, const CoordinateWishes& wishes,
                                  Progress& progress) {
  instance.shape.queries = std::min(instance.shape.queries, sampled_rows);
  for (Index& rows : instance.shape.keys) rows = std::min(rows, sampled_rows);
  GeneratedProblem sample(instance);
  PhaseSeconds seconds;
  return measure_problem(comm, sample, wishes, seconds, progress);
}

std::string cost_summary(const Json& cost) {
  char text[256];
  std::snprintf(text, sizeof text,
                "cost       %.3g s predicted on %d thread(s), %.3g MB of memory a rank, %.3g MB reduced over "
                "the ranks\n",
                cost["predicted_seconds"].get<double>(), cost["threads"].get<int>(),
                cost["memory_bytes_per_rank"].get<double>() / 1e6, cost["bytes_reduced"].get<double>() / 1e6);
  std::string lines = text;
  if (!cost["polynomial_pays_from_rows"].is_null()) {
    std::snprintf(text, sizeof text,
                  "pays       from %.3g rows in every mode on, compared with the exact method\n",
                  cost["polynomial_pays_from_rows"].get<double>());
    lines += text;
  }
  return lines;
}

/// --network LATENCY,BANDWIDTH[,FILES], each above 0; without it what the ranks of this run measure.
Network read_network(const CommandLine& line, const Communicator& comm) {
  if (!line.given("network")) return measured_network(comm);
  Network network;
  const std::string& text = line.text("network");
  double* const numbers[] = {&network.latency, &network.bandwidth, &network.file_bandwidth};
  std::size_t count = 0;
  const char* begin = text.c_str();
  for (bool more = true; more; ++count) {
    char* end = nullptr;
    const double number = std::strtod(begin, &end);
    if (count == std::size(numbers) || end == begin || (*end != ',' && *end != '\0') || !(number > 0) ||
        !std::isfinite(number))
      line.complain(
          "--network is " + text +
          "; need LATENCY,BANDWIDTH or LATENCY,BANDWIDTH,FILES: seconds and bytes a second, above 0");
    *numbers[count] = number;
    more = *end == ',';
    begin = end + 1;
  }
  if (count < 2)
    line.complain("--network is " + text + "; need LATENCY,BANDWIDTH, in seconds and bytes a second");
  return network;
}

Json cluster_json(const std::vector<PlannedHead>& heads, const ProblemShape& shape, Precision precision,
                  const Rates& rates, const Cluster& cluster) {
  ClusterSeconds seconds;
  for (const PlannedHead& head : heads) {
    const ClusterSeconds of_head =
        cluster_seconds(head, shape, precision == Precision::double_precision ? 8 : 4, rates, cluster);
    seconds.own += of_head.own;
    seconds.shared += of_head.shared;
    seconds.reduce += of_head.reduce;
    seconds.files += of_head.files;
  }
  const double dominates = reduction_dominates_from(heads, shape, rates, cluster);
  return {{"ranks", static_cast<Index>(cluster.ranks)},
          {"threads", static_cast<Index>(cluster.threads)},
          {"network",
           {{"latency", cluster.network.latency},
            {"bandwidth", cluster.network.bandwidth},
            {"file_bandwidth", cluster.network.file_bandwidth}}},
          {"seconds",
           {{"compute", seconds.compute()},
            {"reduce", seconds.reduce},
            {"files", seconds.files},
            {"total", seconds.total()}}},
          {"reduction_dominates_from_ranks",
           dominates > 0 ? Json(static_cast<Index>(dominates)) : Json(nullptr)}};
}

std::string cluster_summary(const Json& cluster) {
  const Json& seconds = cluster["seconds"];
  char text[320];
  std::snprintf(
      text, sizeof text,
      "cluster    %lld rank(s) x %lld thread(s): compute %.3g s, reduce %.3g s, files %.3g s, total %.3g s\n",
      cluster["ranks"].get<long long>(), cluster["threads"].get<long long>(),
      seconds["compute"].get<double>(), seconds["reduce"].get<double>(), seconds["files"].get<double>(),
      seconds["total"].get<double>());
  std::string lines = text;
  const Json &network = cluster["network"], &dominates = cluster["reduction_dominates_from_ranks"];
  std::snprintf(text, sizeof text, "network    %.3g s latency, %.3g GB/s a rank, files %.3g GB/s in all%s\n",
                network["latency"].get<double>(), network["bandwidth"].get<double>() / 1e9,
                network["file_bandwidth"].get<double>() / 1e9,
                dominates.is_null() ? ""
                                    : ("; from " + dominates.dump() +
                                       " ranks on reducing takes longer than the computing they share")
                                          .c_str());
  return lines + text;
}

/// What every tenth costs: the plans for epsilon = 1e-2 ... 1e-12.
Json plan_table(const ProblemMeasurement& measurement, const ProblemShape& shape, Wishes wishes,
                const Rates& rates, double threads) {
  Json table = Json::array();
  for (int digits = 2; digits <= 12; ++digits) {
    wishes.epsilon = std::pow(10.0, -digits);
    Json row = {{"epsilon", *wishes.epsilon}};
    try {
      std::vector<PlannedHead> heads;
      for (const MeasuredHead& head : measurement.heads)
        heads.push_back(make_plan(head, shape, measurement.promise, wishes));
      const Json plan = plan_json(heads, shape, wishes, rates, threads);
      for (const char* name :
           {"method", "degree", "rank", "mean_row_rank", "paper_rank", "predicted_seconds", "reason"})
        row[name] = plan[name];
    } catch (const NoPlan& reason) {
      row["method"] = nullptr;
      row["reason"] = reason.what();
    }
    table.push_back(row);
  }
  return table;
}

std::string table_text(const Json& table) {
  std::string lines = "epsilon  method      degree       rank   mean row  papers' rank  predicted\n";
  for (const Json& row : table) {
    char text[160];
    if (row["method"].is_null())
      std::snprintf(text, sizeof text, "%-7.0e  can't be promised\n", row["epsilon"].get<double>());
    else
      std::snprintf(text, sizeof text, "%-7.0e  %-10s  %6s %10.4g %10.4g %13.3g %8.3g s\n",
                    row["epsilon"].get<double>(), row["method"].get<std::string>().c_str(),
                    row["degree"].is_null() ? "-" : row["degree"].dump().c_str(), row["rank"].get<double>(),
                    row["mean_row_rank"].get<double>(),
                    row["paper_rank"].is_null() ? HUGE_VAL : row["paper_rank"].get<double>(),
                    row["predicted_seconds"].get<double>());
    lines += text;
  }
  return lines;
}

}  // namespace

CommandLine plan_line() {
  CommandText text{
      .name = "plan",
      .summary = "say what solve would do, and what it would cost",
      .description =
          "Says what solve would do with a problem file, or with a synthetic problem of given "
          "sizes (--order to "
          "--seed), which is not written: method, degree, rank, memory, bytes to reduce, and "
          "from which size on "
          "it pays.",
      .files = {"problem"},
      .files_needed = false,
      .examples = {"kronattn plan problem.h5 --epsilon 1e-8", "kronattn plan problem.h5 --table",
                   "kronattn plan --order 3 --rows 1000000000 --width 8 --bound 1",
                   "kronattn plan --instance gap-maxip --rows 1000000 --width 32",
                   "kronattn plan --rows 1000000000000 --width 8 --ranks 10000 --network 2e-6,1e10"}};
  text.exit_codes[failed] = "a file failed, or solve could not keep the promise in the way asked for";
  CommandLine line(std::move(text));
  add_instance_options(line);
  add_wish_options(line);
  line.add()("table", boost::program_options::bool_switch(),
             "also say what a digit costs: the plan for epsilon = 1e-2 ... 1e-12");
  line.add()(
      "ranks", boost::program_options::value<Index>()->value_name("P"),
      "also predict the seconds on P ranks of --threads threads each: computing, reduction and files")  //
      ("network", boost::program_options::value<std::string>()->value_name("L,B[,F]"),
       "with --ranks: latency in seconds and bandwidth of a rank in bytes a second, as 2e-6,1e10; F: "
       "bandwidth of the "
       "file system for all ranks (1e9 unless given). Without it what the ranks of this run measure, on one "
       "rank "
       "2e-6,1e9");
  add_run_options(line);
  add_memory_option(line);
  add_log_options(line);
  return line;
}

ExitCode run_plan(const Session& session, const CommandLine& line) {
  const Communicator& comm = session.comm;
  Wishes wishes = read_wishes(line);
  const bool with_table = line.flag("table");
  if (with_table && wishes.degree) line.complain("--table goes through epsilons; need it without --degree");
  const std::optional<double> scale = read_scale(line);
  const int rank_threads = read_threads(line, comm);
  const int threads = comm.size() * rank_threads;
  std::optional<Cluster> cluster;
  if (line.given("ranks"))
    cluster = Cluster{static_cast<double>(line.integer("ranks", 1)), static_cast<double>(rank_threads),
                      read_network(line, comm)};
  else if (line.given("network"))
    line.complain("--network is about a cluster; need --ranks, too");
  const RankMemory allowed = read_memory(line, comm);
  const bool from_file = line.given("problem");
  if (from_file)
    for (const char* name : {"instance", "modulus", "relation", "order", "rows", "width", "key-rows",
                             "value-width", "heads", "bound", "distribution", "values", "seed"})
      if (line.given(name))
        line.complain(std::string("--").append(name) + " describes a problem, " + line.file("problem") +
                      " is one; need only one of them");
  std::vector<std::string> inputs;
  if (from_file) inputs.push_back(line.file("problem"));
  if (line.given("report")) check_output(comm, line.text("report"), true, inputs);

  ProblemShape shape;
  Precision precision = Precision::double_precision;
  ProblemMeasurement measurement;
  if (from_file) {
    ProblemFile problem(comm, line.file("problem"), scale, allowed);
    PhaseSeconds seconds;
    measurement = measure_problem(comm, problem, coordinate_wishes(wishes), seconds, session.progress,
                                  RunControl::none(), allowed);
    shape = problem.shape();
    precision = problem.precision();
  } else {
    Instance instance = read_instance(line);
    instance.shape.scale = scale.value_or(instance.shape.scale);
    measurement = measure_sample(comm, instance, coordinate_wishes(wishes), session.progress);
    shape = instance.shape;
  }
  mark_idle_wishes(line, shape);
  shape = wishes.summed(shape);
  wishes.output_precision = read_output_precision(line, precision);
  const std::vector<PlannedHead> heads =
      plan_heads(measurement, shape, wishes, from_file ? line.file("problem") : "plan");

  // A synthetic problem may be meant for another machine.
  if (shape.queries > 0 && (from_file || line.given("memory-per-rank")))
    need_memory_for(comm, heads, measurement, shape, from_file ? line.file("problem") : "plan", allowed);

  const Rates rates = machine_rates(comm, true);
  double memory = 0, rank = 0;
  Index degree = 0;
  for (const PlannedHead& head : heads) {
    memory = std::max(memory, head.estimate.memory_bytes);
    rank = std::max(rank, head.estimate.rank);
    degree = std::max(degree, head.plan.degree());
  }
  Json report;
  report["kronattn"] = program_json();
  report["problem"] = problem_json(shape, precision);
  report["plan"] = plan_json(heads, shape, wishes, rates, threads);
  report["cost"] = {
      {"threads", threads},
      {"predicted_seconds", report["plan"]["predicted_seconds"]},
      {"memory_bytes_per_rank", memory},
      {"bytes_reduced", static_cast<double>(shape.modes() * shape.heads) * key_sum_bytes(shape, rank)},
      {"polynomial_pays_from_rows", rank > 0 ? Json(paying_rows(shape, rank, degree)) : Json(nullptr)}};
  std::string text = plan_summary(report) + cost_summary(report["cost"]);
  if (cluster) {
    report["cluster"] = cluster_json(heads, shape, precision, rates, *cluster);
    text += cluster_summary(report["cluster"]);
  }
  if (with_table) {
    report["table"] = plan_table(measurement, shape, wishes, rates, threads);
    text += table_text(report["table"]);
  }
  if (line.given("report")) write_text(comm, line.text("report"), report.dump(2) + "\n");
  session.print(text);
  return done;
}

}  // namespace kronattn
