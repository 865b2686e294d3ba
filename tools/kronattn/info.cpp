// kronattn info: what is in a problem or result file, and in those that solve keeps beside them.

#include <cmath>
#include <ctime>
#include <functional>
#include <sstream>

#include "checkpoint_file.hpp"
#include "measure_problem.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "result_file.hpp"
#include "shared_options.hpp"
#include "spread.hpp"
#include "text.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

std::string shape_text(const Json& shape) {
  std::string text;
  for (const Json& length : shape) text += (text.empty() ? "" : " x ") + length.dump();
  return text;
}

/// Name, shape and storage of a dataset; on this process alone.
Json dataset_json(const h5::Handle& file, const std::string& path, const std::string& name) {
  if (!h5::has_dataset(file, name)) throw std::runtime_error(path + ": dataset " + name + " is missing");
  const h5::Handle dataset = h5::open_dataset(file, name);
  const h5::Storage storage = h5::storage(dataset);
  return {{"name", name},
          {"shape", h5::dataset_info(dataset).shape},
          {"type", storage.type},
          {"byte_order", storage.byte_order},
          {"layout", storage.layout},
          {"chunk", storage.chunk.empty() ? Json(nullptr) : Json(storage.chunk)},
          {"filters", storage.filters}};
}

/// What a file says of all kinds; on this process alone.
Json file_json(const std::string& path, const char* kind, const std::vector<std::string>& datasets) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  const std::optional<std::string> version = h5::text_attribute(file, "kronattn_version");
  Json info = {
      {"file", path}, {"kind", kind}, {"kronattn_version", version ? Json(*version) : Json(nullptr)}};
  for (const std::string& name : datasets) info["datasets"].push_back(dataset_json(file, path, name));
  return info;
}

/// Collective: what rank 0 finds out, on all ranks.
Json from_root(const Communicator& comm, const std::function<Json()>& find) {
  std::string text;
  comm.together([&] { text = comm.root() ? find().dump() : ""; });
  return Json::parse(comm.broadcast(text, 0));
}

/// The largest entries of Q, K1, V1, ..., in this order, over all heads.
std::vector<double> largest_entries(const ProblemMeasurement& measurement, std::size_t modes) {
  std::vector<double> largest(1 + 2 * modes, 0);
  const auto take = [&](std::size_t dataset, double value) {
    largest[dataset] = std::max(largest[dataset], value);
  };
  for (const MeasuredHead& head : measurement.heads) {
    take(0, head.file.queries.largest.maxCoeff());
    for (std::size_t m = 0; m < modes; ++m) {
      take(2 * m + 1, largest_key(head.file.modes[m]));
      take(2 * m + 2, largest_value(head.file.modes[m]));
    }
  }
  return largest;
}

/// Collective. Datasets, scale and largest entries of a problem.
Json problem_info(const Communicator& comm, const std::string& path, Progress& progress) {
  ProblemFile problem(comm, path, std::nullopt);
  PhaseSeconds seconds;
  const ProblemMeasurement measurement =
      measure_problem(comm, problem, CoordinateWishes(), seconds, progress);
  const ProblemDescription& description = problem.description();
  std::vector<std::string> names = {"Q"};
  for (std::size_t m = 0; m < description.key_names.size(); ++m) {
    names.push_back(description.key_names[m]);
    names.push_back(description.value_names[m]);
  }
  Json info = from_root(comm, [&] { return file_json(path, "problem", names); });
  const std::vector<double> largest = largest_entries(measurement, description.key_names.size());
  for (std::size_t i = 0; i < names.size(); ++i) info["datasets"][i]["largest_entry"] = largest[i];
  double score_bound = 0;
  for (const MeasuredHead& head : measurement.heads)
    score_bound = std::max(score_bound, head.file.queries.score_bound);
  info["problem"] = problem_json(problem.shape(), problem.precision());
  info["score_bound"] = number_or_null(score_bound);
  info["fingerprint"] = measurement.fingerprint();
  return info;
}

/// Collective. Datasets, bounds and report of a result; of an unfinished one only its datasets.
Json result_info(const Communicator& comm, const std::string& path) {
  Json info = from_root(comm, [&] {
    Json found = file_json(path, "result", {"O", "log_normalizer", "error_bound"});
    const h5::Handle file = h5::open_file(path, h5::Access::read);
    const bool complete = h5::number_attribute(file, "complete") == 1.0;
    found["complete"] = complete;
    found["fingerprint"] = h5::text_attribute(file, "problem_fingerprint").value_or("");
    found["report"] = complete ? result_report(path) : Json(nullptr);
    return found;
  });
  if (info["complete"] == false) return info;
  const Spread bounds = spread_of(comm, path, "error_bound");
  info["largest_error_bound"] = number_or_null(bounds.largest);
  info["median_error_bound"] = number_or_null(bounds.median);
  return info;
}

/// What the sums of a file are of; `header` as KeySumsWriter writes it.
Json sums_info(const std::string& path, const Json& header) {
  for (const char* name : {"keys", "width", "value width", "second moments", "scale"})
    header.at("shape").at(name);  // throws where it is missing
  Json info = {{"file", path},
               {"kind", "file of key sums"},
               {"kronattn_version", header.at("program").at("version")},
               {"instruction_set", header.at("program").at("instruction set")},
               {"datasets", Json::array()},
               {"shape", header.at("shape")}};
  for (const Json& head : header.at("heads")) {
    const Json& degree = head.at("monomials").at("degree");
    const Json& single_from = head.at("monomials").at("single_from");
    info["heads"].push_back({{"degree", degree},
                             {"rank", head.at("rank")},
                             {"single_from_degree", single_from > degree ? Json(nullptr) : single_from},
                             {"light_monomials_dropped", head.at("monomials").at("threshold") > 0},
                             {"coordinates_changed", head.at("changes")}});
  }
  return info;
}

/// "2026-11-28 07:45:10 UTC"
std::string time_text(double seconds_since_1970) {
  const auto time = static_cast<std::time_t>(seconds_since_1970);
  std::tm parts{};
  char text[32];
  gmtime_r(&time, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

/// How far a run was; `header` as Checkpointing::save writes it.
Json checkpoint_info(const std::string& path, const Json& header) {
  const Json& of = header.at("identity");
  ProblemShape shape;
  shape.heads = of.at("heads").is_null() ? 1 : of.at("heads").get<Index>();
  shape.queries = of.at("queries");
  shape.keys = of.at("keys").get<std::vector<Index>>();
  shape.width = of.at("width");
  shape.value_width = of.at("value width");
  const SolveState state = solve_state(header.at("state"), shape);
  const Round& round = state.round;
  Json info = {{"file", path},
               {"kind", "checkpoint"},
               {"kronattn_version", header.at("program").at("version")},
               {"instruction_set", header.at("program").at("instruction set")},
               {"datasets", Json::array()},
               {"options", of},
               {"saved", time_text(header.at("saved"))},
               {"head", state.head},
               {"heads", shape.heads},
               {"method", round.exact ? "exact" : "polynomial"},
               {"rows", round.rows ? round.rows->count() : shape.queries},
               {"rows_done", round.done.count()},
               {"rows_missing_the_promise", round.missing.count()},
               {"rows_in_flight", round.in_flight.count()}};
  double tuples = 1, behind = 0;
  for (Index rows : shape.keys) tuples *= static_cast<double>(tile_count(rows, key_tile_rows));
  for (const RowsInFlight::Flight& flight : round.in_flight.flights)
    behind += static_cast<double>(flight.tuples) * static_cast<double>(flight.rows.count());
  info["share_of_keys_behind"] = round.in_flight.count() > 0
                                     ? Json(behind / tuples / static_cast<double>(round.in_flight.count()))
                                     : Json(nullptr);
  for (const RowSet& mode : round.keys)
    if (!round.exact) info["keys_in_sums"].push_back(mode.count());
  return info;
}

bool is_result(const std::string& path) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  return h5::has_dataset(file, "O") && !h5::has_dataset(file, "Q");
}

/// "50000 x 8, float64 little-endian, compressed in chunks 1000 x 8 (shuffle, deflate)"
std::string dataset_text(const Json& dataset) {
  std::string text = shape_text(dataset["shape"]) + ", " + dataset["type"].get<std::string>() + " " +
                     dataset["byte_order"].get<std::string>() + "-endian, " +
                     dataset["layout"].get<std::string>();
  if (!dataset["chunk"].is_null()) text.append(" in chunks ").append(shape_text(dataset["chunk"]));
  std::string filters;
  for (const Json& filter : dataset["filters"])
    filters.append(filters.empty() ? "" : ", ").append(filter.get<std::string>());
  if (!filters.empty()) text.append(" (").append(filters).append(")");
  if (dataset.contains("largest_entry")) {
    std::ostringstream largest;
    largest << ", largest entry " << dataset["largest_entry"].get<double>();
    text += largest.str();
  }
  return text;
}

std::string problem_text(const Json& info) {
  const Json& problem = info["problem"];
  std::ostringstream text;
  text << "  order " << problem["order"] << ", scale " << problem["scale"].get<double>() << ", stored in "
       << problem["precision"].get<std::string>() << " precision, scores up to "
       << (info["score_bound"].is_null() ? HUGE_VAL : info["score_bound"].get<double>()) << "\n";
  return text.str();
}

std::string number_text(const Json& number) {
  return number.is_null() ? "-" : short_number(number.get<double>());
}

std::string result_text(const Json& info) {
  if (info["complete"] == false)
    return "  NOT COMPLETE: the run that wrote it is still at work, or did not end well\n";
  std::string text = "  complete; error bound of a row " + number_text(info["largest_error_bound"]) +
                     " at most, " + number_text(info["median_error_bound"]) + " in the median\n";
  std::istringstream lines(summary(info["report"]));
  for (std::string line; std::getline(lines, line);) text.append("  ").append(line).append("\n");
  return text;
}

std::string sums_text(const Json& info) {
  const Json& shape = info["shape"];
  std::ostringstream text;
  text << "  over keys";
  for (const Json& rows : shape["keys"]) text << " " << rows;
  text << ", width " << shape["width"] << ", " << shape["value width"] << " value columns"
       << (shape["second moments"] == true ? " and their squares" : "") << ", scale "
       << shape["scale"].get<double>() << ", for CPUs with " << info["instruction_set"].get<std::string>()
       << "\n";
  for (std::size_t h = 0; h < info["heads"].size(); ++h) {
    const Json& head = info["heads"][h];
    text << "  head " << h << ": degree " << head["degree"] << ", rank " << head["rank"]
         << (head["light_monomials_dropped"] == true ? ", light monomials dropped" : "");
    if (!head["single_from_degree"].is_null())
      text << ", in single precision from degree " << head["single_from_degree"] << " on";
    text << "\n";
  }
  return text.str();
}

std::string checkpoint_text(const Json& info) {
  std::ostringstream text;
  text << "  saved " << info["saved"].get<std::string>() << ", for CPUs with "
       << info["instruction_set"].get<std::string>() << "\n  head " << info["head"] << " of " << info["heads"]
       << ", " << info["method"].get<std::string>() << ": " << info["rows_done"] << " of " << info["rows"]
       << " rows done, of which " << info["rows_missing_the_promise"] << " miss the promise\n";
  if (info["method"] == "polynomial") {
    text << "  keys in the sums:";
    for (std::size_t m = 0; m < info["keys_in_sums"].size(); ++m)
      text << (m > 0 ? ", " : " ") << info["keys_in_sums"][m] << " of " << info["options"]["keys"][m];
    text << "\n";
  } else if (info["rows_in_flight"] > 0) {
    text << "  " << info["rows_in_flight"] << " rows in flight, "
         << short_number(100 * info["share_of_keys_behind"].get<double>()) << " % of the keys behind them\n";
  }
  return text.str();
}

std::string describe(const Json& info) {
  std::string text = info["file"].get<std::string>() + ": a " + info["kind"].get<std::string>();
  if (!info["kronattn_version"].is_null())
    text.append(", written by kronattn ").append(info["kronattn_version"].get<std::string>());
  text += "\n";
  for (const Json& dataset : info["datasets"])
    text.append("  ").append(dataset["name"].get<std::string>()).append("  ") += dataset_text(dataset) + "\n";
  text += info["kind"] == "problem"      ? problem_text(info)
          : info["kind"] == "result"     ? result_text(info)
          : info["kind"] == "checkpoint" ? checkpoint_text(info)
                                         : sums_text(info);
  if (info.value("fingerprint", "") != "")
    text.append("  fingerprint of the problem ").append(info["fingerprint"].get<std::string>()).append("\n");
  return text;
}

}  // namespace

CommandLine info_line() {
  CommandText text{
      .name = "info",
      .summary = "say what is in a problem or result file, a checkpoint, or a file of key sums",
      .description =
          "Says what is in problem and result files: datasets with their shapes, types and layouts; "
          "of a problem the scale and the largest entries, of a result whether it is "
          "complete, its error bounds and its report; of a file of solve's --save-sums which keys and "
          "monomials "
          "its sums are of; of a checkpoint when it was saved and how far its run was.",
      .files = {"file"},
      .many_files = true,
      .examples = {"kronattn info problem.h5 result.h5",
                   "kronattn info result.h5 --quiet --report info.json"}};
  text.exit_codes[failed] = "a file failed, or is none of these";
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
    Json info = from_root(comm, [&] {
      if (!CheckpointReader::is_one(path)) return Json();
      const Json header = CheckpointReader(path).header();
      try {
        return header.contains("state") ? checkpoint_info(path, header) : sums_info(path, header);
      } catch (const std::exception& error) {
        throw std::runtime_error(path + ": can't be believed: " + error.what());
      }
    });
    if (info.is_null()) {
      double result = 0;
      comm.together([&] { result = comm.root() && is_result(path) ? 1 : 0; });
      info = comm.max(result) > 0 ? result_info(comm, path) : problem_info(comm, path, session.progress);
    }
    session.print(describe(info));
    all.push_back(std::move(info));
  }
  if (line.given("report")) write_text(comm, line.text("report"), all.dump(2) + "\n");
  return done;
}

}  // namespace kronattn
