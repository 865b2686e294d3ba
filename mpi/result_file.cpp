#include "result_file.hpp"

#include "checksum.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

std::vector<DatasetPlan> result_datasets(const ProblemDescription& problem, Precision output_precision) {
  std::vector<Index> rows = {problem.shape.queries};
  if (problem.has_heads) rows.insert(rows.begin(), problem.shape.heads);
  std::vector<Index> output = rows;
  output.push_back(problem.shape.value_width);
  return {{"O", output, output_precision, problem.has_heads},
          {"log_normalizer", rows, Precision::double_precision, problem.has_heads},
          {"error_bound", rows, Precision::double_precision, problem.has_heads}};
}

/// The datasets that hold a value or more of each row.
struct RowDatasets {
  const h5::Handle &output, &log_normalizer, &error_bound;
};

RowOutputs read_rows(const std::string& path, const RowDatasets& datasets, bool heads, Index head, Range rows,
                     Index value_width) {
  RowOutputs outputs(rows.size(), value_width);
  const auto read = [&](const h5::Handle& dataset, double* data) {
    return h5::read_rows(dataset, heads, head, rows, H5T_NATIVE_DOUBLE, data);
  };
  if (!read(datasets.output, outputs.output.data()) ||
      !read(datasets.log_normalizer, outputs.log_normalizer.data()) ||
      !read(datasets.error_bound, outputs.error_bound.data()))
    throw std::runtime_error(path + ": rows " + std::to_string(rows.begin) + " to " +
                             std::to_string(rows.end) + " can't be read");
  return outputs;
}

/// Of rows as they stand in a file, one after the other, each with its place.
ContentSum row_checksums(Index head, Range rows, const RowOutputs& outputs, Precision output_precision) {
  const Index columns = outputs.output.cols();
  ContentSum sum;
  std::vector<double> row(static_cast<std::size_t>(columns) + 2);
  for (Index i = 0; i < rows.size(); ++i) {
    for (Index c = 0; c < columns; ++c) {
      const double entry = outputs.output(i, c);
      row[static_cast<std::size_t>(c)] = output_precision == Precision::single_precision
                                             ? static_cast<double>(static_cast<float>(entry))
                                             : entry;
    }
    row[row.size() - 2] = outputs.log_normalizer(i);
    row[row.size() - 1] = outputs.error_bound(i);
    const std::int64_t place[] = {head, rows.begin + i};
    sum.add(checksum(row.data(), row.size() * sizeof(double), checksum(place, sizeof place, 0)));
  }
  return sum;
}

Json parse_report(const std::string& path, const h5::Handle& file) {
  const std::optional<std::string> text = h5::text_attribute(file, "report");
  if (!text || h5::number_attribute(file, "complete") != 1.0)
    throw std::runtime_error(path + " is not a complete result of kronattn solve");
  Json report = Json::parse(*text, nullptr, false);
  const Json::json_pointer scale("/problem/scale"), epsilon("/certificate/epsilon");
  if (report.is_discarded() || !report.contains(scale) || !report[scale].is_number() ||
      !report.contains(epsilon))
    throw std::runtime_error(path + ": its report is not that of kronattn solve");
  return report;
}

}  // namespace

ResultWriter::ResultWriter(const Communicator& comm, const std::string& path,
                           const ProblemDescription& problem, Precision output_precision, bool overwrite,
                           const std::string& run)
    : output_precision_(output_precision),
      file_(comm, path, result_datasets(problem, output_precision), overwrite, run) {}

void ResultWriter::write(Index head, Range rows, const RowOutputs& outputs) {
  file_.write(0, head, rows, outputs.output.data());
  file_.write(1, head, rows, outputs.log_normalizer.data());
  file_.write(2, head, rows, outputs.error_bound.data());
  rows_written_.merge(row_checksums(head, rows, outputs, output_precision_));
}

void ResultWriter::commit(const Json& report, const std::string& fingerprint,
                          const nlohmann::json& solved_as) {
  file_.commit({{"kronattn_version", std::string(version)},
                {"problem_fingerprint", fingerprint},
                {"report", report.dump()},
                {"solved_as", solved_as.dump()},
                {"complete", 1}});
}

PartialResult::PartialResult(const std::string& path, const ProblemDescription& problem,
                             Precision output_precision)
    : path_(path),
      heads_(problem.has_heads),
      value_width_(problem.shape.value_width),
      output_precision_(output_precision),
      file_(h5::open_file(path, h5::Access::read)) {
  for (const DatasetPlan& dataset : result_datasets(problem, output_precision))
    if (!h5::has_dataset(file_, dataset.name) ||
        h5::dataset_info(h5::open_dataset(file_, dataset.name)).shape != dataset.shape)
      throw std::runtime_error(path + ": " + dataset.name + " is not that of this problem");
  output_ = h5::open_dataset(file_, "O");
  log_normalizer_ = h5::open_dataset(file_, "log_normalizer");
  error_bound_ = h5::open_dataset(file_, "error_bound");
}

RowOutputs PartialResult::read(Index head, Range rows) const {
  return read_rows(path_, {output_, log_normalizer_, error_bound_}, heads_, head, rows, value_width_);
}

ContentSum PartialResult::checksum(Index head, Range rows, const RowOutputs& outputs) const {
  return row_checksums(head, rows, outputs, output_precision_);
}

std::vector<Range> PartialResult::share(const RowSet& rows, const Communicator& comm) const {
  constexpr Index together = 4096;
  return rows.share(1, comm.size(), comm.rank()).blocks(together);
}

nlohmann::json solved_as(const std::string& path) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  const std::optional<std::string> text = h5::text_attribute(file, "solved_as"),
                                   fingerprint = h5::text_attribute(file, "problem_fingerprint");
  if (!text || !fingerprint || h5::number_attribute(file, "complete") != 1.0) return {};
  nlohmann::json solved_as = nlohmann::json::parse(*text, nullptr, false);
  if (!solved_as.is_object()) return {};
  solved_as["fingerprint"] = *fingerprint;
  return solved_as;
}

Json result_report(const std::string& path) {
  return parse_report(path, h5::open_file(path, h5::Access::read));
}

ResultFile::ResultFile(const Communicator& comm, const std::string& path, const ProblemDescription& problem)
    : path_(path), heads_(problem.has_heads), value_width_(problem.shape.value_width) {
  std::string report_text;
  comm.together([&] {
    if (!comm.root()) return;
    const h5::Handle file = h5::open_file(path, h5::Access::read);
    report_text = parse_report(path, file).dump();
    fingerprint_ = h5::text_attribute(file, "problem_fingerprint").value_or("");
    for (const DatasetPlan& dataset : result_datasets(problem, Precision::double_precision)) {
      if (!h5::has_dataset(file, dataset.name))
        throw std::runtime_error(path + ": dataset " + dataset.name + " is missing");
      const h5::DatasetInfo info = h5::dataset_info(h5::open_dataset(file, dataset.name));
      if (!info.floating || info.shape != dataset.shape)
        throw std::runtime_error(path + ": " + dataset.name +
                                 " does not have the shape that this problem's result has");
    }
  });
  report_ = Json::parse(comm.broadcast(report_text, 0));
  fingerprint_ = comm.broadcast(fingerprint_, 0);
  file_ = h5::open_file(path, h5::Access::read, comm);
  comm.together([&] {
    output_ = h5::open_dataset(file_, "O");
    log_normalizer_ = h5::open_dataset(file_, "log_normalizer");
    error_bound_ = h5::open_dataset(file_, "error_bound");
  });
}

RowOutputs ResultFile::read_row(Index head, Index row) const {
  return read_rows(path_, {output_, log_normalizer_, error_bound_}, heads_, head, {row, row + 1},
                   value_width_);
}

}  // namespace kronattn
