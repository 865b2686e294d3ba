// Result files: O, log_normalizer, error_bound and what stands beside them.
#pragma once

#include <memory>

#include "communicator.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "report.hpp"
#include "solve.hpp"

namespace kronattn {

/// A result that is being written.
class ResultWriter {
 public:
  /// Collective.
  ResultWriter(const Communicator& comm, const std::string& path, const ProblemDescription& problem,
               Precision output_precision, bool overwrite);

  void write(Index head, Range rows, const RowOutputs& outputs);

  /// Collective: everything on disk and compared.
  void check_written() { file_.check_written(); }
  /// Collective: the report and the fingerprint beside it, and the name.
  void commit(const Json& report, const std::string& fingerprint);

  std::int64_t bytes_written() const { return file_.bytes_written(); }

 private:
  OutputFile file_;
};

/// A complete result, read back.
class ResultFile {
 public:
  /// Collective. Throws AgreedFailure if it is not the complete result of a problem of this shape.
  ResultFile(const Communicator& comm, const std::string& path, const ProblemDescription& problem);

  const Json& report() const { return report_; }
  const std::string& fingerprint() const { return fingerprint_; }

  /// O (1, d_v), the log normaliser and the error bound of one row. Each rank for itself.
  RowOutputs read_row(Index head, Index row) const;

 private:
  std::string path_, fingerprint_;
  Json report_;
  bool heads_;
  Index value_width_;
  h5::Handle file_, output_, log_normalizer_, error_bound_;
};

/// The report that a result file carries, read by this process alone: for what is needed before the problem
/// is opened.
Json result_report(const std::string& path);

}  // namespace kronattn
