#include "result_file.hpp"

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
                           const ProblemDescription& problem, Precision output_precision, bool overwrite)
    : file_(comm, path, result_datasets(problem, output_precision), overwrite) {}

void ResultWriter::write(Index head, Range rows, const RowOutputs& outputs) {
  file_.write(0, head, rows, outputs.output.data());
  file_.write(1, head, rows, outputs.log_normalizer.data());
  file_.write(2, head, rows, outputs.error_bound.data());
}

void ResultWriter::commit(const Json& report, const std::string& fingerprint) {
  file_.commit({{"kronattn_version", std::string(version)},
                {"problem_fingerprint", fingerprint},
                {"report", report.dump()},
                {"complete", 1}});
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
  RowOutputs outputs(1, value_width_);
  const Range rows{row, row + 1};
  if (!h5::read_rows(output_, heads_, head, rows, H5T_NATIVE_DOUBLE, outputs.output.data()) ||
      !h5::read_rows(log_normalizer_, heads_, head, rows, H5T_NATIVE_DOUBLE, outputs.log_normalizer.data()) ||
      !h5::read_rows(error_bound_, heads_, head, rows, H5T_NATIVE_DOUBLE, outputs.error_bound.data()))
    throw std::runtime_error(path_ + ": row " + std::to_string(row) + " can't be read");
  return outputs;
}

}  // namespace kronattn
