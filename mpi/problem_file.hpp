// Problem files: what is in one, checked entry by entry of its description, and its rows.
#pragma once

#include <optional>

#include "communicator.hpp"
#include "h5.hpp"
#include "problem.hpp"
#include "rank_memory.hpp"

namespace kronattn {

/// What a problem file says of itself.
struct ProblemDescription {
  ProblemShape shape;
  bool has_heads = false;                             // datasets are (heads, rows, width)
  Precision precision = Precision::double_precision;  // of Q
  Index query_bytes = 8;                              // of an entry
  std::vector<Index> key_bytes, value_bytes;
  std::vector<std::string> key_names, value_names;  // K or K1, K2, ...
};

/// Reads names, shapes, types and scale of a problem file, on this process alone. `scale`, if given, beats
/// the file's. Throws std::runtime_error: the file, what was found, what was needed.
ProblemDescription describe_problem(const std::string& path, std::optional<double> scale);

class ProblemFile : public Problem {
 public:
  /// Collective. Only rank 0 looks at the description; all ranks open the datasets. Chunks that are kept in
  /// memory take a quarter of it at most.
  ProblemFile(const Communicator& comm, const std::string& path, std::optional<double> scale,
              const RankMemory& memory = RankMemory());

  const ProblemDescription& description() const { return description_; }
  const ProblemShape& shape() const override { return description_.shape; }
  std::string name() const override { return path_; }
  Precision precision() const override { return description_.precision; }
  /// By all OpenMP threads, where the file has the numbers as this machine does. The rows behind them are on
  /// their way meanwhile, as many again: blocks are read in their order.
  Matrix read(Part part, Index head, Range rows) override;
  std::string entry_name(Part part, Index head, Index row, Index column) const override;
  double buffer_bytes() const override { return buffer_bytes_; }
  std::int64_t bytes_read() const override { return bytes_read_; }

 private:
  struct Dataset {
    h5::Handle handle;
    bool is_plain = false;
  };

  const std::string& part_name(Part part) const;

  std::string path_;
  ProblemDescription description_;
  std::optional<h5::SystemFile> system_file_;
  h5::Handle file_;
  Dataset queries_;
  std::vector<Dataset> keys_, values_;
  double buffer_bytes_ = 0;
  std::int64_t bytes_read_ = 0;
};

}  // namespace kronattn
