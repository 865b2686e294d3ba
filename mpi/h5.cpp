#include "h5.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "watchdog.hpp"

namespace kronattn::h5 {

namespace {

Handle checked(hid_t id, herr_t (*close)(hid_t), const std::string& what, bool of_all_ranks = false) {
  if (id < 0 && of_all_ranks) throw LostInCollective(what);
  if (id < 0) throw std::runtime_error(what);
  return {id, close, of_all_ranks};
}

char last_path[256] = "";

/// Says what is wrong with a path before HDF5 is asked to open it.
void check_readable(const std::string& path) {
  path.copy(last_path, sizeof last_path - 1);
  last_path[std::min(path.size(), sizeof last_path - 1)] = '\0';
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw std::runtime_error(path + " is a directory; need an HDF5 file");
  // Opening a pipe would wait for somebody to write.
  if (!S_ISREG(status.st_mode)) throw std::runtime_error(path + " is not a regular file; need an HDF5 file");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  ::close(descriptor);
  if (H5Fis_hdf5(path.c_str()) <= 0) throw std::runtime_error(path + " is not an HDF5 file, or is cut short");
}

/// Selects rows of one head; counts their entries.
Handle select_rows(const Handle& dataset, bool heads, Index head, Range rows, hsize_t& entries) {
  const int row = heads ? 1 : 0;
  Handle space(H5Dget_space(dataset.get()), H5Sclose);
  hsize_t shape[3] = {1, 1, 1};
  const int dimensions = H5Sget_simple_extent_dims(space.get(), shape, nullptr);
  hsize_t start[3] = {0, 0, 0}, count[3] = {1, 1, 1};
  if (heads) start[0] = static_cast<hsize_t>(head);
  start[row] = static_cast<hsize_t>(rows.begin);
  count[row] = static_cast<hsize_t>(rows.size());
  for (int i = row + 1; i < dimensions; ++i) count[i] = shape[i];
  entries = count[0] * count[1] * count[2];
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, count, nullptr) < 0) return {};
  return space;
}

}  // namespace

const char* last_opened() {
  return last_path;
}

void silence() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)),
      close_(std::exchange(other.close_, nullptr)),
      of_all_ranks_(other.of_all_ranks_) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  std::swap(of_all_ranks_, other.of_all_ranks_);
  return *this;
}

namespace {

bool close_failed = false;

bool is_being_written(hid_t id) {
  unsigned intent = H5F_ACC_RDONLY;
  return H5Iget_type(id) == H5I_FILE && H5Fget_intent(id, &intent) >= 0 && intent != H5F_ACC_RDONLY;
}

}  // namespace

bool left_open() {
  return close_failed;
}

Handle::~Handle() {
  if (!AgreedFailure::alone())
    close();
  else if (open() && is_being_written(id_))
    close_failed = true;  // closing a file of all ranks is collective: not now
}

void Handle::abandon() {
  close_failed = close_failed || open();
  id_ = -1;
}

bool Handle::close() {
  const hid_t id = std::exchange(id_, -1);
  const bool closed = id < 0 || close_(id) >= 0;
  close_failed = close_failed || !closed;
  return closed;
}

Handle open_file(const std::string& path, Access access) {
  check_readable(path);
  return checked(H5Fopen(path.c_str(), access == Access::read ? H5F_ACC_RDONLY : H5F_ACC_RDWR, H5P_DEFAULT),
                 H5Fclose, path + ": HDF5 can't open it; is it cut short or still being written?");
}

Handle open_file(const std::string& path, Access access, const Communicator& comm) {
  comm.together(
      [&] { check_readable(path); });  // a rank that can't see the file would hang the others in H5Fopen
  const Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  Handle file;
  comm.together([&] {
    if (H5Pset_fapl_mpio(list.get(), comm.handle(), MPI_INFO_NULL) < 0 ||
        H5Pset_all_coll_metadata_ops(list.get(), true) < 0)
      throw std::runtime_error(path + ": HDF5 can't set up parallel access");
    file = checked(
        H5Fopen(path.c_str(), access == Access::read ? H5F_ACC_RDONLY : H5F_ACC_RDWR, list.get()), H5Fclose,
        path + ": can't be opened by all ranks; is it on a file system that all hosts share?", true);
  });
  return file;
}

Handle create_file(const std::string& path) {
  return checked(H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT), H5Fclose,
                 path + " can't be created: " + std::strerror(errno));
}

namespace {

struct Chunks {
  double one = 0, row = 0;  // bytes of a chunk, and of all that hold a row; 0 where there are none
  bool filtered = false;    // a chunk can only be read as a whole
};

Chunks chunks(const Handle& dataset) {
  const Handle created(H5Dget_create_plist(dataset.get()), H5Pclose);
  if (H5Pget_layout(created.get()) != H5D_CHUNKED) return {};
  const DatasetInfo info = dataset_info(dataset);
  hsize_t chunk[H5S_MAX_RANK] = {};
  const int dimensions = H5Pget_chunk(created.get(), H5S_MAX_RANK, chunk);
  Chunks bytes{static_cast<double>(info.bytes), static_cast<double>(info.bytes),
               H5Pget_nfilters(created.get()) > 0};
  for (int i = 0; i < dimensions; ++i) {
    const auto length = static_cast<double>(chunk[i]);
    bytes.one *= length;
    bytes.row *= length + (i + 1 < dimensions ? 0 : static_cast<double>(info.shape.back()));
  }
  return bytes;
}

}  // namespace

Handle open_dataset(const Handle& file, const std::string& name, double most_cached) {
  const std::string failure = name + " can't be opened as a dataset";
  Handle dataset =
      checked(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose, failure, file.of_all_ranks());
  const Chunks of_dataset = chunks(dataset);
  if (of_dataset.one == 0) return dataset;
  // Rows are read a few at a time: the chunks they lie in must stay in memory, or each read inflates them all
  // again.
  const double least = of_dataset.filtered ? std::min(of_dataset.row, 0x1p28) : 0;
  const double bytes = std::min(std::clamp(2 * of_dataset.row, 0x1p20, 0x1p28), std::max(most_cached, least));
  const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(access.get(), 12421, static_cast<std::size_t>(bytes), 1.0);
  dataset.close();
  return checked(H5Dopen2(file.get(), name.c_str(), access.get()), H5Dclose, failure, file.of_all_ranks());
}

double buffer_bytes(const Handle& dataset) {
  const Chunks of_dataset = chunks(dataset);
  if (of_dataset.one == 0) return 0;
  const Handle access(H5Dget_access_plist(dataset.get()), H5Pclose);
  std::size_t slots = 0, cached = 0;
  double preemption = 0;
  H5Pget_chunk_cache(access.get(), &slots, &cached, &preemption);
  const double in_filters = of_dataset.filtered ? 3 * of_dataset.one : 0;
  return static_cast<double>(cached) + static_cast<double>(slots * sizeof(void*)) + in_filters;
}

bool has_link(const Handle& file, const std::string& name) {
  return H5Lexists(file.get(), name.c_str(), H5P_DEFAULT) > 0;
}

bool has_dataset(const Handle& file, const std::string& name) {
  H5O_info_t info;
  return has_link(file, name) && H5Oget_info_by_name(file.get(), name.c_str(), &info, H5P_DEFAULT) >= 0 &&
         info.type == H5O_TYPE_DATASET;
}

std::vector<std::string> link_names(const Handle& file) {
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  if (H5Literate(file.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names) < 0)
    throw std::runtime_error("its names can't be listed");
  return names;
}

namespace {

std::vector<std::string> filter_names(const Handle& created) {
  std::vector<std::string> names;
  for (int i = 0; i < H5Pget_nfilters(created.get()); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    char name[64] = "";
    const H5Z_filter_t id = H5Pget_filter2(created.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                           sizeof name, name, &config);
    name[sizeof name - 1] = '\0';
    names.push_back(name[0] != '\0' ? name : "filter " + std::to_string(id));
  }
  return names;
}

}  // namespace

DatasetInfo dataset_info(const Handle& dataset) {
  const Handle space(H5Dget_space(dataset.get()), H5Sclose), type(H5Dget_type(dataset.get()), H5Tclose);
  DatasetInfo info;
  hsize_t shape[H5S_MAX_RANK];
  const int dimensions = H5Sget_simple_extent_dims(space.get(), shape, nullptr);
  for (int i = 0; i < dimensions; ++i)
    info.shape.push_back(
        static_cast<Index>(std::min(shape[i], static_cast<hsize_t>(std::numeric_limits<Index>::max()))));
  info.bytes = static_cast<Index>(H5Tget_size(type.get()));
  for (hid_t known : {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE})
    info.floating = info.floating || H5Tequal(type.get(), known) > 0;
  const Handle created(H5Dget_create_plist(dataset.get()), H5Pclose);
  info.elsewhere = H5Pget_layout(created.get()) == H5D_VIRTUAL || H5Pget_external_count(created.get()) > 0;
  return info;
}

std::optional<std::string> missing_filter(const Handle& dataset) {
  const Handle created(H5Dget_create_plist(dataset.get()), H5Pclose);
  const std::vector<std::string> names = filter_names(created);
  for (std::size_t i = 0; i < names.size(); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t id = H5Pget_filter2(created.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                           0, nullptr, &config);
    if (H5Zfilter_avail(id) <= 0) return names[i];
  }
  return std::nullopt;
}

Storage storage(const Handle& dataset) {
  const Handle type(H5Dget_type(dataset.get()), H5Tclose),
      created(H5Dget_create_plist(dataset.get()), H5Pclose);
  Storage storage;
  storage.type = "float" + std::to_string(8 * H5Tget_size(type.get()));
  storage.byte_order = H5Tget_order(type.get()) == H5T_ORDER_BE ? "big" : "little";
  const H5D_layout_t layout = H5Pget_layout(created.get());
  storage.layout = layout == H5D_CONTIGUOUS ? "contiguous"
                   : layout == H5D_COMPACT  ? "compact"
                   : layout == H5D_CHUNKED  ? "chunked"
                                            : "virtual";
  if (layout != H5D_CHUNKED) return storage;
  hsize_t chunk[H5S_MAX_RANK];
  const int dimensions = H5Pget_chunk(created.get(), H5S_MAX_RANK, chunk);
  for (int i = 0; i < dimensions; ++i) storage.chunk.push_back(static_cast<Index>(chunk[i]));
  storage.filters = filter_names(created);
  for (const std::string& filter : storage.filters)
    if (filter != "shuffle" && filter != "fletcher32") storage.layout = "compressed";
  return storage;
}

bool read_rows(const Handle& dataset, bool heads, Index head, Range rows, hid_t type, void* data) {
  Activity::moved();
  hsize_t entries = 0;
  const Handle in_file = select_rows(dataset, heads, head, rows, entries);
  const Handle in_memory(H5Screate_simple(1, &entries, nullptr), H5Sclose);
  return in_file.open() && in_memory.open() &&
         H5Dread(dataset.get(), type, in_memory.get(), in_file.get(), H5P_DEFAULT, data) >= 0;
}

bool write_rows(const Handle& dataset, bool heads, Index head, Range rows, hid_t type, const void* data) {
  Activity::moved();
  hsize_t entries = 0;
  const Handle in_file = select_rows(dataset, heads, head, rows, entries);
  const Handle in_memory(H5Screate_simple(1, &entries, nullptr), H5Sclose);
  return in_file.open() && in_memory.open() &&
         H5Dwrite(dataset.get(), type, in_memory.get(), in_file.get(), H5P_DEFAULT, data) >= 0;
}

Extent extent_of(const Handle& dataset, bool heads, Index head, Range rows, Index row_bytes) {
  const haddr_t begin = H5Dget_offset(dataset.get());
  if (begin == HADDR_UNDEF) return {};
  const Index before = heads ? head * dataset_info(dataset).shape[1] : 0;
  return {static_cast<std::int64_t>(begin) + (before + rows.begin) * row_bytes, rows.size() * row_bytes};
}

bool is_plain(const Handle& dataset, const std::string& path) {
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const bool native =
      H5Tequal(type.get(), H5T_NATIVE_DOUBLE) > 0 || H5Tequal(type.get(), H5T_NATIVE_FLOAT) > 0;
  const bool contiguous =
      H5Dget_offset(dataset.get()) != HADDR_UNDEF && storage(dataset).layout == "contiguous";
  // A link may lead into another file.
  std::string name(path.size() + 1, '\0');
  const ssize_t length = H5Fget_name(dataset.get(), name.data(), name.size() + 1);
  return native && contiguous && length == static_cast<ssize_t>(path.size()) &&
         name.compare(0, path.size(), path) == 0;
}

SystemFile::SystemFile(const std::string& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  length_ = length();
}

SystemFile::~SystemFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::int64_t SystemFile::length() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) throw std::runtime_error(path_ + ": " + std::strerror(errno));
  return status.st_size;
}

void SystemFile::check_name() const {
  struct stat mine {};
  struct stat now {};
  if (fstat(descriptor_, &mine) != 0 || stat(path_.c_str(), &now) != 0 || mine.st_ino != now.st_ino ||
      mine.st_dev != now.st_dev)
    throw std::runtime_error(path_ + " was replaced while it was being opened");
}

bool SystemFile::read(Extent extent, void* data) const {
  auto* to = static_cast<char*>(data);
  while (extent.bytes > 0) {
    const ssize_t count = ::pread(descriptor_, to, static_cast<std::size_t>(extent.bytes), extent.begin);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    to += count;
    extent.begin += count;
    extent.bytes -= count;
  }
  return true;
}

void SystemFile::read_ahead(Extent extent) const {
  if (extent.bytes > 0) posix_fadvise(descriptor_, extent.begin, extent.bytes, POSIX_FADV_WILLNEED);
}

void SystemFile::check_length() const {
  const std::int64_t now = length();
  if (now < length_)
    throw std::runtime_error(path_ + " was cut short while it was being read: " + std::to_string(now) +
                             " bytes are left of " + std::to_string(length_));
}

bool has_attribute(const Handle& file, const std::string& name) {
  return H5Aexists(file.get(), name.c_str()) > 0;
}

std::optional<std::string> text_attribute(const Handle& file, const std::string& name) {
  const Handle attribute(H5Aopen(file.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.open()) return std::nullopt;
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0) return std::nullopt;
  std::string text(H5Tget_size(type.get()), '\0');
  if (H5Aread(attribute.get(), type.get(), text.data()) < 0) return std::nullopt;
  return text.substr(0, text.find('\0'));
}

std::optional<double> number_attribute(const Handle& file, const std::string& name) {
  const Handle attribute(H5Aopen(file.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.open()) return std::nullopt;
  const Handle space(H5Aget_space(attribute.get()), H5Sclose), type(H5Aget_type(attribute.get()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.get());
  double number = 0;
  if (H5Sget_simple_extent_npoints(space.get()) != 1 || (kind != H5T_FLOAT && kind != H5T_INTEGER) ||
      H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &number) < 0)
    return std::nullopt;
  return number;
}

namespace {

void write(const Handle& file, const std::string& name, hid_t type, const void* value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(file.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  if (!attribute.open() || H5Awrite(attribute.get(), type, value) < 0)
    throw std::runtime_error("attribute " + name + " can't be written");
}

}  // namespace

void write_attribute(const Handle& file, const std::string& name, const std::string& text) {
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), text.size() + 1);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  write(file, name, type.get(), text.c_str());
}

void write_attribute(const Handle& file, const std::string& name, double number) {
  write(file, name, H5T_NATIVE_DOUBLE, &number);
}

void write_attribute(const Handle& file, const std::string& name, int number) {
  write(file, name, H5T_NATIVE_INT, &number);
}

}  // namespace kronattn::h5
