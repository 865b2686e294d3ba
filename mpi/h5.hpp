// HDF5: handles that close themselves, and calls whose failure becomes one sentence.
#pragma once

#include <hdf5.h>

#include <optional>
#include <string>
#include <vector>

#include "communicator.hpp"
#include "types.hpp"

namespace kronattn::h5 {

/// Switches HDF5's own error stacks off: what fails is said better here.
void silence();

/// The file that was opened last: for words about a crash, which damaged files can bring HDF5 to. Never null,
/// and may be read at any moment.
const char* last_opened();

/// Whether this process could not close something, as on a full disk, or left a file open that it was
/// writing. HDF5 may crash when it is ended then, and it is ended by MPI_Finalize.
bool left_open();

/// An open HDF5 object.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*closer)(hid_t), bool of_all_ranks = false)
      : id_(id), close_(closer), of_all_ranks_(of_all_ranks) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  hid_t get() const { return id_; }
  bool open() const { return id_ >= 0; }
  /// Of a file that all ranks have opened together: what is done with it is collective.
  bool of_all_ranks() const { return of_all_ranks_; }
  /// Closes now and says whether that worked.
  bool close();
  /// Never closes: closing a file that all ranks write hangs where one of them can't write any more.
  void abandon();

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
  bool of_all_ranks_ = false;
};

enum class Access { read, write };

/// Opens a file for this process alone, or for all ranks of a communicator (collective). Throws
/// std::runtime_error with the path; LostInCollective where ranks were opening it together.
Handle open_file(const std::string& path, Access access);
Handle open_file(const std::string& path, Access access, const Communicator& comm);
Handle create_file(const std::string& path);

/// Throws like open_file. `most_cached`: bytes that the chunks it keeps in memory may take,
/// beyond those that hold a row and have to be inflated.
Handle open_dataset(const Handle& file, const std::string& name, double most_cached = 0x1p28);
/// A name that may lead nowhere; a name that leads to a dataset.
bool has_link(const Handle& file, const std::string& name);
bool has_dataset(const Handle& file, const std::string& name);
std::vector<std::string> link_names(const Handle& file);

/// Shape and type of a dataset.
struct DatasetInfo {
  std::vector<Index> shape;
  bool floating = false;   // float32 or float64 of IEEE, any byte order
  bool elsewhere = false;  // its entries are in other files, of which HDF5 reads missing ones as zeros
  Index bytes = 0;         // of an entry
};
DatasetInfo dataset_info(const Handle& dataset);

/// Bytes that reading the dataset may take beside what is read: chunks in memory, and one on its way through
/// the filters.
double buffer_bytes(const Handle& dataset);

/// The name of a filter (compression, checksum) that this HDF5 lacks and needs to read the dataset.
std::optional<std::string> missing_filter(const Handle& dataset);

/// How a dataset of floating numbers lies in its file, in words.
struct Storage {
  std::string type;                  // "float32", "float64"
  std::string byte_order;            // "little" or "big"
  std::string layout;                // "contiguous", "chunked", "compressed", "compact" or "virtual"
  std::vector<Index> chunk;          // shape of a chunk, if there are any
  std::vector<std::string> filters;  // "shuffle", "deflate", ..., in the order they are applied
};
Storage storage(const Handle& dataset);

/// Reads or writes rows of a dataset (rows, ...), or of head `head` of a dataset (heads, rows, ...); `type`
/// is the type in memory. Each rank for itself. False on failure.
bool read_rows(const Handle& dataset, bool heads, Index head, Range rows, hid_t type, void* data);
bool write_rows(const Handle& dataset, bool heads, Index head, Range rows, hid_t type, const void* data);

/// Bytes of a file.
struct Extent {
  std::int64_t begin = 0, bytes = 0;
};
/// Where rows of `row_bytes` each stand, as read_rows has them; nothing where they don't stand side by side.
Extent extent_of(const Handle& dataset, bool heads, Index head, Range rows, Index row_bytes);

/// Whether the entries stand side by side in the file `path` itself, float or double as this machine has
/// them.
bool is_plain(const Handle& dataset, const std::string& path);

/// A file that HDF5 has open as the system knows it, for what HDF5 does not do.
class SystemFile {
 public:
  /// Throws std::runtime_error with the path.
  explicit SystemFile(const std::string& path);
  ~SystemFile();
  SystemFile(const SystemFile&) = delete;
  SystemFile& operator=(const SystemFile&) = delete;

  /// Throws std::runtime_error if the path leads to another file by now.
  void check_name() const;
  /// Throws std::runtime_error if the file is shorter than it was: parallel HDF5 reads zeros beyond its end.
  void check_length() const;

  /// Reads these bytes; from any thread. False on failure, or if the file ends before them.
  bool read(Extent extent, void* data) const;

  /// The system starts to read these bytes, and the caller goes on: a hint, which may do nothing.
  void read_ahead(Extent extent) const;

 private:
  std::int64_t length() const;

  std::string path_;
  int descriptor_ = -1;
  std::int64_t length_ = 0;
};

/// Root attributes.
std::optional<std::string> text_attribute(const Handle& file, const std::string& name);
std::optional<double> number_attribute(const Handle& file, const std::string& name);
bool has_attribute(const Handle& file, const std::string& name);
void write_attribute(const Handle& file, const std::string& name, const std::string& text);
void write_attribute(const Handle& file, const std::string& name, double number);
void write_attribute(const Handle& file, const std::string& name, int number);

}  // namespace kronattn::h5
