// One checkpoint on disk: complete and right, or not believed.
//
//   8 bytes  "kronattn"        8 bytes  version of this layout
//   8 bytes  length of the header, a multiple of 8      8 bytes  number of words
//   header   CBOR: a map, padded with zeros             words    int64: the fixed-point words of the key sums
//   8 bytes  XXH3 of all before
//
// Numbers are little endian. A file gets its name only when it is on disk, and a reader checks length and
// checksum before it looks at anything. What stands in the header is said in checkpointing.cpp.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "checksum.hpp"

namespace kronattn {

/// Writes a checkpoint piece by piece. Throws std::runtime_error with the path and the reason; then nothing
/// stands under the name that did not stand there before.
class CheckpointWriter {
 public:
  /// `temporary`: what it is called until it is complete, PATH.new if empty.
  CheckpointWriter(std::string path, const nlohmann::json& header, std::uint64_t words,
                   std::string temporary = "");
  /// Removes what is unfinished.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// The next words; `words` of the constructor in all.
  void write(std::span<const std::int64_t> words);
  /// On disk, under its name.
  void commit();

 private:
  void put(const void* data, std::size_t bytes);
  [[noreturn]] void fail();

  std::string path_, temporary_;
  int descriptor_ = -1;
  std::uint64_t words_left_;
  RunningChecksum checksum_;
};

/// A checkpoint that can't be believed: what() names the file and says why.
class TornCheckpoint : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class CheckpointReader {
 public:
  /// Opens a checkpoint and reads all of it once to check it; holds a few hundred kilobytes. Throws
  /// TornCheckpoint.
  explicit CheckpointReader(const std::string& path);
  /// Whether a file begins like one.
  static bool is_one(const std::string& path);
  ~CheckpointReader();
  CheckpointReader(CheckpointReader&&) noexcept;
  CheckpointReader& operator=(CheckpointReader&&) noexcept;

  const nlohmann::json& header() const { return header_; }
  std::uint64_t words() const { return words_; }
  /// Of all that is in it.
  std::uint64_t checksum() const { return checksum_; }
  /// The next words. Throws TornCheckpoint where there are no more.
  void read(std::span<std::int64_t> words);
  /// Passes so many words over.
  void skip(std::uint64_t words);

 private:
  std::string path_;
  int descriptor_ = -1;
  nlohmann::json header_;
  std::uint64_t words_ = 0, words_left_ = 0, checksum_ = 0;
};

}  // namespace kronattn
