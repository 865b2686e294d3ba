// kronattn info: what is in a problem or result file.

#include <cmath>
#include <sstream>

#include "measure_problem.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "result_file.hpp"
#include "shared_options.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

std::string shape_text(const Json& shape) {
  std::string text;
  for (const Json& length : shape) text += (text.empty() ? "" : " x ") + length.dump();
  return text;
}

/// Collective. Shapes, types, scale and largest entries of a problem.
Json problem_info(const Communicator& comm, const std::string& path, Progress& progress) {
  ProblemFile problem(comm, path, std::nullopt);
  PhaseSeconds seconds;
  const ProblemMeasurement measurement = measure_problem(comm, problem, seconds, progress);
  const ProblemDescription& description = problem.description();
  const ProblemShape& shape = problem.shape();
  Json datasets = Json::array();
  const auto add = [&](const std::string& name, Index rows, Index columns, const auto& largest_of_head) {
    double largest = 0;
    for (const HeadMeasurement& head : measurement.heads) largest = std::max(largest, largest_of_head(head));
    Json lengths = {rows, columns};
    if (description.has_heads) lengths = {shape.heads, rows, columns};
    datasets.push_back({{"name", name}, {"shape", lengths}, {"largest_entry", largest}});
  };
  add("Q", shape.queries, shape.width,
      [](const HeadMeasurement& head) { return head.queries.largest.maxCoeff(); });
  for (std::size_t m = 0; m < shape.keys.size(); ++m) {
    add(description.key_names[m], shape.keys[m], shape.width,
        [m](const HeadMeasurement& head) { return head.modes[m].key_max.maxCoeff(); });
    add(description.value_names[m], shape.keys[m], shape.value_width,
        [m](const HeadMeasurement& head) { return largest_value(head.modes[m]); });
  }
  double score_bound = 0;
  for (const HeadMeasurement& head : measurement.heads)
    score_bound = std::max(score_bound, head.queries.score_bound);
  return {{"file", path},
          {"kind", "problem"},
          {"problem", problem_json(shape, problem.precision())},
          {"datasets", datasets},
          {"score_bound", number_or_null(score_bound)},
          {"fingerprint", measurement.fingerprint()}};
}

/// Shapes, bounds and report of a result; on this process alone.
Json result_info(const std::string& path) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  Json datasets = Json::array();
  for (const char* name : {"O", "log_normalizer", "error_bound"}) {
    if (!h5::has_dataset(file, name)) throw std::runtime_error(path + ": dataset " + name + " is missing");
    datasets.push_back({{"name", name}, {"shape", h5::dataset_info(h5::open_dataset(file, name)).shape}});
  }
  return {{"file", path},
          {"kind", "result"},
          {"complete", h5::number_attribute(file, "complete") == 1.0},
          {"datasets", datasets},
          {"fingerprint", h5::text_attribute(file, "problem_fingerprint").value_or("")},
          {"report", result_report(path)}};
}

bool is_result(const std::string& path) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  return h5::has_dataset(file, "O") && !h5::has_dataset(file, "Q");
}

std::string describe(const Json& info) {
  std::ostringstream text;
  text << info["file"].get<std::string>() << ": a " << info["kind"].get<std::string>() << "\n";
  for (const Json& dataset : info["datasets"]) {
    text << "  " << dataset["name"].get<std::string>() << "  " << shape_text(dataset["shape"]);
    if (dataset.contains("largest_entry"))
      text << ", largest entry " << dataset["largest_entry"].get<double>();
    text << "\n";
  }
  if (info["kind"] == "problem") {
    const Json& problem = info["problem"];
    text << "  order " << problem["order"] << ", scale " << problem["scale"].get<double>() << ", stored in "
         << problem["precision"].get<std::string>() << " precision, scores up to "
         << (info["score_bound"].is_null() ? HUGE_VAL : info["score_bound"].get<double>()) << "\n";
  } else {
    std::istringstream lines(summary(info["report"]));
    for (std::string line; std::getline(lines, line);) text << "  " << line << "\n";
  }
  text << "  fingerprint of the problem " << info["fingerprint"].get<std::string>() << "\n";
  return text.str();
}

}  // namespace

CommandLine info_line() {
  CommandText text{.name = "info",
                   .summary = "say what is in a problem or result file",
                   .description =
                       "Says what is in problem and result files: datasets, shapes, largest entries, "
                       "scale, report.",
                   .files = {"file"},
                   .many_files = true,
                   .examples = {"kronattn info problem.h5 result.h5",
                                "kronattn info result.h5 --quiet --report info.json"}};
  text.exit_codes[failed] = "a file failed, or is neither a problem nor a result";
  CommandLine line(std::move(text));
  line.add()("report", po::value<std::string>()->value_name("FILE"),
             "write a JSON report to this file: a list with an entry a file; replaces what is there");
  add_log_options(line);
  return line;
}

ExitCode run_info(const Session& session, const CommandLine& line) {
  const Communicator& comm = session.comm;
  const std::vector<std::string> files = line.files("file");
  if (line.given("report")) check_output(comm, line.text("report"), true, files);
  Json all = Json::array();
  for (const std::string& path : files) {
    double result = 0;
    comm.together([&] { result = comm.root() && is_result(path) ? 1 : 0; });
    Json info;
    if (comm.max(result) > 0) {
      std::string text;
      comm.together([&] { text = comm.root() ? result_info(path).dump() : ""; });
      info = Json::parse(comm.broadcast(text, 0));
    } else {
      info = problem_info(comm, path, session.progress);
    }
    session.print(describe(info));
    all.push_back(std::move(info));
  }
  if (line.given("report")) write_text(comm, line.text("report"), all.dump(2) + "\n");
  return done;
}

}  // namespace kronattn
