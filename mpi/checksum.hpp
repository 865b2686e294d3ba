// Checksums of data in memory (xxHash's XXH3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kronattn {

std::uint64_t checksum(const void* data, std::size_t bytes, std::uint64_t seed);

/// The checksum, seed 0, of data that comes in pieces.
class RunningChecksum {
 public:
  RunningChecksum();
  ~RunningChecksum();
  void add(const void* data, std::size_t bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kronattn
