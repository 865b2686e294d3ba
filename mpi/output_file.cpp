#include "output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "checksum.hpp"
#include "clock.hpp"
#include "run_lock.hpp"
#include "watchdog.hpp"

namespace kronattn {

namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

/// Whether two names mean one file, which need not exist.
bool same_file(const std::string& one, const std::string& other) {
  std::error_code ignored;
  if (one == other || fs::equivalent(one, other, ignored)) return true;
  const fs::path first = fs::weakly_canonical(one, ignored), second = fs::weakly_canonical(other, ignored);
  return !first.empty() && first == second;
}

Index entries_in_row(const DatasetPlan& dataset) {
  Index entries = 1;
  for (std::size_t i = dataset.heads ? 2 : 1; i < dataset.shape.size(); ++i) entries *= dataset.shape[i];
  return entries;
}

/// Waits until a file or folder is on disk.
void sync(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = descriptor >= 0 && (fsync(descriptor) == 0 || errno == EINVAL);
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  if (!done) fail(path, std::string("can't be brought to disk: ") + std::strerror(error));
}

}  // namespace

void sync_folder_of(const std::string& path) {
  sync(folder_of(path));
}

void check_output(const Communicator& comm, const std::string& path, bool overwrite,
                  const std::vector<std::string>& inputs) {
  comm.together([&] {
    if (!comm.root()) return;
    std::error_code ignored;
    if (fs::path(path).filename().empty()) fail("'" + path + "'", "is no file name");
    for (const std::string& input : inputs)
      if (same_file(path, input))
        fail(path, "is another file of this run; the output needs a name of its own");
    const fs::file_type type = fs::symlink_status(path, ignored).type();
    if (type == fs::file_type::directory) fail(path, "is a directory; need a file name");
    if (type != fs::file_type::not_found && type != fs::file_type::regular)
      fail(path, "exists and is not a regular file; need another name");
    if (type != fs::file_type::not_found && !overwrite) fail(path, "exists; need --overwrite to replace it");
    const std::string folder = folder_of(path);
    if (!fs::is_directory(folder, ignored)) fail(path, "its folder " + folder + " does not exist");
    if (access(folder.c_str(), W_OK | X_OK) != 0) fail(path, "its folder " + folder + " can't be written");
  });
}

void write_text(const Communicator& comm, const std::string& path, const std::string& text) {
  comm.together([&] {
    if (!comm.root()) return;
    const std::string partial = path + ".partial." + run_name();
    const int descriptor = open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool written = descriptor >= 0;
    for (std::size_t begin = 0; written && begin < text.size();) {
      const ssize_t count = ::write(descriptor, text.data() + begin, text.size() - begin);
      written = count > 0;
      begin += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    written = written && fsync(descriptor) == 0 && rename(partial.c_str(), path.c_str()) == 0;
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    if (written) return;
    if (descriptor >= 0) unlink(partial.c_str());
    fail(path, std::string("can't be written: ") + std::strerror(error));
  });
}

OutputFile::OutputFile(const Communicator& comm, std::string path, std::vector<DatasetPlan> datasets,
                       bool overwrite, const std::string& run)
    : comm_(comm), path_(std::move(path)), datasets_(std::move(datasets)), overwrite_(overwrite) {
  partial_ = path_ + ".partial." + (run.empty() ? comm.broadcast(comm.root() ? run_name() : "", 0) : run);
  try {
    comm.together([&] {
      if (comm.root()) create();
    });
    file_ = h5::open_file(partial_, h5::Access::write, comm);
    const bool first_on_host = comm.rank_on_host() == 0;
    comm.together([&] {
      for (const DatasetPlan& dataset : datasets_) open_.push_back(h5::open_dataset(file_, dataset.name));
      if (first_on_host) to_disk_.emplace(partial_);
    });
  } catch (...) {
    remove();
    throw;
  }
}

OutputFile::~OutputFile() {
  if (committed_ || AgreedFailure::alone()) return;
  bool failed = true;
  try {
    failed = comm_.max(write_failed_ ? 1 : 0) > 0;
  } catch (const std::exception&) {
  }
  if (failed) {
    for (h5::Handle& dataset : open_) dataset.abandon();
    file_.abandon();
  }
  open_.clear();
  file_.close();
  remove();
}

void OutputFile::remove() {
  if (created_) unlink(partial_.c_str());
}

void OutputFile::create() {
  h5::Handle file = h5::create_file(partial_);
  created_ = true;
  std::uint64_t end = 0;
  for (const DatasetPlan& dataset : datasets_) {
    std::vector<hsize_t> shape(dataset.shape.begin(), dataset.shape.end());
    const h5::Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
    const h5::Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_alloc_time(list.get(), H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER);
    const bool single = dataset.precision == Precision::single_precision;
    const h5::Handle created(
        H5Dcreate2(file.get(), dataset.name.c_str(), single ? H5T_IEEE_F32LE : H5T_IEEE_F64LE, space.get(),
                   H5P_DEFAULT, list.get(), H5P_DEFAULT),
        H5Dclose);
    if (!created.open()) fail(partial_, "dataset " + dataset.name + " can't be created");
    double size = single ? 4 : 8;
    for (hsize_t length : shape) size *= static_cast<double>(length);
    if (size > 0x1p60) fail(path_, dataset.name + " would take " + std::to_string(size) + " bytes");
    const auto bytes = static_cast<std::uint64_t>(size);
    if (bytes > 0) end = std::max(end, static_cast<std::uint64_t>(H5Dget_offset(created.get())) + bytes);
  }
  reserve(end);
  if (!file.close()) fail(path_, "can't be written");
}

void OutputFile::reserve(std::uint64_t bytes) {
  const int descriptor = open(partial_.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) fail(partial_, std::strerror(errno));
  int error = bytes > 0 && fallocate(descriptor, 0, 0, static_cast<off_t>(bytes)) != 0 ? errno : 0;
  struct statvfs space {};
  const bool known = fstatvfs(descriptor, &space) == 0;
  const std::uint64_t free_bytes = known ? static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize : 0;
  // A file system that can't reserve: what is free now is the best that can be known.
  if (error == EOPNOTSUPP || error == ENOSYS) error = known && free_bytes < bytes ? ENOSPC : 0;
  close(descriptor);
  if (error != 0)
    fail(path_, std::string(std::strerror(error)) + "; need " + std::to_string(bytes) + " bytes, " +
                    std::to_string(free_bytes) + " are free");
}

void OutputFile::write(std::size_t dataset, Index head, Range rows, const double* data) {
  if (rows.size() == 0) return;
  check_disk(to_disk_ ? to_disk_->error() : 0);
  const DatasetPlan& plan = datasets_[dataset];
  const auto entries = static_cast<std::size_t>(rows.size() * entries_in_row(plan));
  const bool single = plan.precision == Precision::single_precision;
  std::vector<float> rounded;
  if (single) rounded.assign(data, data + entries);
  const void* raw = single ? static_cast<const void*>(rounded.data()) : data;
  const std::size_t bytes = entries * (single ? sizeof(float) : sizeof(double));
  write_failed_ = !h5::write_rows(open_[dataset], plan.heads, head, rows,
                                  single ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, raw);
  if (write_failed_)
    fail(path_, "rows " + std::to_string(rows.begin) + " to " + std::to_string(rows.end) + " of " +
                    plan.name + " can't be written");
  written_.push_back({dataset, head, rows, checksum(raw, bytes, 0)});
  bytes_written_ += static_cast<std::int64_t>(bytes);
  if (to_disk_) to_disk_->written(static_cast<std::int64_t>(bytes));
}

void OutputFile::check_disk(int error) {
  if (error == 0) return;
  write_failed_ = true;
  fail(path_, std::string("can't be brought to disk: ") + std::strerror(error));
}

void OutputFile::flush() {
  comm_.together([&] { check_disk(to_disk_ ? to_disk_->wait() : 0); });
  comm_.together([&] {
    if (H5Fflush(file_.get(), H5F_SCOPE_GLOBAL) < 0)
      throw LostInCollective(path_ + ": can't be brought to disk");
  });
}

void OutputFile::check_written() {
  const Stopwatch flushing;
  open_.clear();
  flush();
  {
    // Closing writes a hundred bytes of one rank's. If that fails, HDF5 goes on to wait for the others, who
    // wait for that rank elsewhere, and no call returns.
    const Activity::Brief brief(std::max(20.0, 10 * flushing.seconds()));
    comm_.together([&] {
      if (!file_.close()) throw LostInCollective(path_ + ": can't be closed");
    });
  }
  file_ = h5::open_file(partial_, h5::Access::read, comm_);
  comm_.together([&] {
    for (const DatasetPlan& dataset : datasets_) open_.push_back(h5::open_dataset(file_, dataset.name));
    std::vector<unsigned char> data;
    for (const Written& part : written_) {
      const DatasetPlan& plan = datasets_[part.dataset];
      const bool single = plan.precision == Precision::single_precision;
      const std::size_t bytes = static_cast<std::size_t>(part.rows.size() * entries_in_row(plan)) *
                                (single ? sizeof(float) : sizeof(double));
      data.resize(bytes);
      if (!h5::read_rows(open_[part.dataset], plan.heads, part.head, part.rows,
                         single ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, data.data()) ||
          checksum(data.data(), bytes, 0) != part.checksum)
        fail(path_, "rows " + std::to_string(part.rows.begin) + " to " + std::to_string(part.rows.end) +
                        " of " + plan.name +
                        " read back differently from what was written; is the disk full or failing?");
    }
  });
  open_.clear();  // collective: after the ranks agree that all is well
  if (!file_.close()) throw LostInCollective(partial_ + ": can't be closed");
}

void OutputFile::commit(const std::vector<Attribute>& attributes) {
  comm_.together([&] {
    if (!comm_.root()) return;
    h5::Handle file = h5::open_file(partial_, h5::Access::write);
    for (const auto& [name, value] : attributes)
      std::visit(
          [&, &attribute = name](const auto& content) { h5::write_attribute(file, attribute, content); },
          value);
    if (H5Fflush(file.get(), H5F_SCOPE_GLOBAL) < 0 || !file.close()) fail(path_, "can't be brought to disk");
    sync(partial_);
    created_ = false;  // complete, and never to be removed: if the name is taken meanwhile, the work is kept
    if (overwrite_ ? rename(partial_.c_str(), path_.c_str()) != 0
                   : link(partial_.c_str(), path_.c_str()) != 0) {
      const int error = errno;
      // No hard links on this file system: the name is free as far as can be seen.
      const bool named = !overwrite_ && error != EEXIST && rename(partial_.c_str(), path_.c_str()) == 0;
      if (!named)
        fail(path_, std::string("can't be given its name (") + std::strerror(error) +
                        "); the complete file is " + partial_);
    }
    if (!overwrite_) unlink(partial_.c_str());
    sync_folder_of(path_);
  });
  committed_ = true;
}

}  // namespace kronattn
