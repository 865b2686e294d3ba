// A folder for the files of a test on several ranks.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "communicator.hpp"

namespace kronattn {

/// A folder that all ranks share and rank 0 removes.
class Scratch {
 public:
  explicit Scratch(const Communicator& comm) : comm_(comm) {
    std::string path;
    if (comm.root()) {
      path =
          (std::filesystem::temp_directory_path() / ("kronattn_test_" + std::to_string(getpid()))).string();
      std::filesystem::create_directory(path);
    }
    path_ = comm.broadcast(path, 0);
  }
  ~Scratch() {
    comm_.add(0);
    if (comm_.root()) std::filesystem::remove_all(path_);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  Index files() const {
    comm_.add(0);
    const auto count =
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
    comm_.add(0);
    return count;
  }

 private:
  const Communicator& comm_;
  std::string path_;
};

}  // namespace kronattn
