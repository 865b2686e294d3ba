// Result files: O, log_normalizer, error_bound and what stands beside them.
#pragma once

#include <memory>

#include "communicator.hpp"
#include "content.hpp"
#include "output_file.hpp"
#include "problem_file.hpp"
#include "report.hpp"
#include "row_set.hpp"
#include "solve.hpp"

namespace kronattn {

/// A result that is being written.
class ResultWriter {
 public:
  /// Collective. `run` as in OutputFile.
  ResultWriter(const Communicator& comm, const std::string& path, const ProblemDescription& problem,
               Precision output_precision, bool overwrite, const std::string& run = "");

  void write(Index head, Range rows, const RowOutputs& outputs);

  /// Collective: everything on disk and compared.
  void check_written() { file_.check_written(); }
  /// Collective: the report, the fingerprint and what it was solved as beside it, and the name.
  void commit(const Json& report, const std::string& fingerprint, const nlohmann::json& solved_as);

  /// Collective: on disk as far as it is written.
  void flush() { file_.flush(); }
  /// As OutputFile's.
  void disk_has_failed() { file_.disk_has_failed(); }
  /// What is written is kept even if it is not finished.
  void keep_unfinished() { file_.keep_unfinished(); }
  /// Of all rows that this rank has written.
  const ContentSum& rows_written() const { return rows_written_; }

  std::int64_t bytes_written() const { return file_.bytes_written(); }

 private:
  Precision output_precision_;
  OutputFile file_;
  ContentSum rows_written_;
};

/// The unfinished result of a run that has ended, on this process alone.
class PartialResult {
 public:
  /// Throws std::runtime_error if it can't be read or is not of this problem.
  PartialResult(const std::string& path, const ProblemDescription& problem, Precision output_precision);

  /// O, log_normalizer and error_bound of some rows. Throws std::runtime_error.
  RowOutputs read(Index head, Range rows) const;
  /// As ResultWriter::rows_written has it.
  ContentSum checksum(Index head, Range rows, const RowOutputs& outputs) const;
  /// This rank's share of some rows, a few thousand together.
  std::vector<Range> share(const RowSet& rows, const Communicator& comm) const;

 private:
  std::string path_;
  bool heads_;
  Index value_width_;
  Precision output_precision_;
  h5::Handle file_, output_, log_normalizer_, error_bound_;
};

/// What the complete result at `path` was solved as, beside its fingerprint; null where there is none. On
/// this process alone.
nlohmann::json solved_as(const std::string& path);

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
