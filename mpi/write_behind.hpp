// A file on its way to disk while it is being written, so that little is left to wait for at the end.
//
// What has been written lies in the memory of this host, then in that of its disk or file server, until a
// call waits for all of it. Here a thread makes that call again and again while the next rows are computed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace kronattn {

class WriteBehind {
 public:
  /// So many bytes are worth a wait for the disk.
  static constexpr std::int64_t worth_a_sync = std::int64_t{1} << 24;

  /// Throws std::runtime_error with the path. What ranks of one host write goes to disk together: one of them
  /// is enough.
  explicit WriteBehind(const std::string& path);
  /// Waits for the disk, if the thread does.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  /// So many more bytes of the file have been written.
  void written(std::int64_t bytes);

  /// The errno of what could not be brought to disk, or 0. The system tells it once, so whoever waits for the
  /// file at the end may not hear of it.
  int error();
  /// The same, after waiting for what is under way.
  int wait();

 private:
  void bring_to_disk();
  bool has_work() const { return error_ == 0 && bytes_ >= worth_a_sync; }

  int descriptor_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t bytes_ = 0;  // not brought to disk yet
  int error_ = 0;
  bool at_work_ = false;
  bool ended_ = false;
  std::thread thread_;  // from the first time on that there is something for it
};

}  // namespace kronattn
