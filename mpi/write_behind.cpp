#include "write_behind.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace kronattn {

WriteBehind::WriteBehind(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
}

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard guard(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  close(descriptor_);
}

void WriteBehind::written(std::int64_t bytes) {
  {
    const std::lock_guard guard(mutex_);
    bytes_ += bytes;
    if (!has_work()) return;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { bring_to_disk(); });
  changed_.notify_all();
}

int WriteBehind::error() {
  const std::lock_guard guard(mutex_);
  return error_;
}

int WriteBehind::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !at_work_ && !has_work(); });
  return error_;
}

void WriteBehind::bring_to_disk() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ended_ || has_work(); });
    if (ended_) return;
    bytes_ = 0;
    at_work_ = true;
    lock.unlock();
    const bool done = fdatasync(descriptor_) == 0 || errno == EINVAL;  // EINVAL: no file to wait for
    const int error = done ? 0 : errno;
    lock.lock();
    error_ = error;
    at_work_ = false;
    changed_.notify_all();
  }
}

}  // namespace kronattn
