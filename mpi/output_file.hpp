// A file that is complete or absent.
//
// The work lies in NAME.partial.<run> beside the output until all of it is on disk and has been read back;
// the rename to NAME is the commit. Datasets are laid out and their space is reserved by rank 0 before any
// rank writes, because a full disk under parallel HDF5 can pass unnoticed; each rank then writes its own
// rows, and at the end reads them back and compares checksums.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "certificate.hpp"
#include "communicator.hpp"
#include "h5.hpp"
#include "types.hpp"
#include "write_behind.hpp"

namespace kronattn {

struct DatasetPlan {
  std::string name;
  std::vector<Index> shape;
  Precision precision = Precision::double_precision;
  bool heads = false;  // the first dimension counts heads
};

using Attribute = std::pair<std::string, std::variant<std::string, double, int>>;

/// Collective. Throws AgreedFailure if `path` can't become an output: it exists and may not be overwritten,
/// is one of `inputs`, or its folder can't be written. To be called before any work.
void check_output(const Communicator& comm, const std::string& path, bool overwrite,
                  const std::vector<std::string>& inputs);

/// Collective. Writes a small text file, which appears under its name only when it is complete and on disk.
void write_text(const Communicator& comm, const std::string& path, const std::string& text);

/// Waits until the folder of a file is on disk, with the file's name.
void sync_folder_of(const std::string& path);

class OutputFile {
 public:
  /// Collective. Creates NAME.partial.<run> with all datasets allocated. `overwrite`: the name may exist
  /// already. `run`: the same on all ranks, no other run's (run_lock.hpp); made here if it is empty.
  OutputFile(const Communicator& comm, std::string path, std::vector<DatasetPlan> datasets, bool overwrite,
             const std::string& run = "");

  /// Removes what is unfinished, unless it is to be kept. Collective, but for a rank that fails alone.
  ~OutputFile();

  /// What is written stays even if it is not finished: a checkpoint refers to it.
  void keep_unfinished() { created_ = false; }

  /// Another file of the run can't be written on this rank: this one is not closed any more, since closing a
  /// file that all ranks write hangs where one of them can't.
  void disk_has_failed() { write_failed_ = true; }

  /// Collective: what is written is on disk.
  void flush();

  /// Writes rows of a dataset, row-major doubles. Each rank for itself; throws std::runtime_error.
  void write(std::size_t dataset, Index head, Range rows, const double* data);

  /// Collective: everything on disk, read back and compared.
  void check_written();

  /// Collective: writes the attributes and gives the file its name.
  void commit(const std::vector<Attribute>& attributes);

  std::int64_t bytes_written() const { return bytes_written_; }

 private:
  void create();
  void remove();
  void reserve(std::uint64_t bytes);
  void check_disk(int error);  // throws std::runtime_error unless it is 0

  struct Written {
    std::size_t dataset;
    Index head;
    Range rows;
    std::uint64_t checksum;
  };

  const Communicator& comm_;
  std::string path_, partial_;
  std::vector<DatasetPlan> datasets_;
  bool overwrite_, committed_ = false;
  bool write_failed_ = false;  // on this rank
  bool created_ = false;       // by this rank, and to be removed if it is not finished
  h5::Handle file_;
  std::optional<WriteBehind> to_disk_;  // on one rank of each host
  std::vector<h5::Handle> open_;
  std::vector<Written> written_;
  std::int64_t bytes_written_ = 0;
};

}  // namespace kronattn
