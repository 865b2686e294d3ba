#include "checkpoint_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "output_file.hpp"

namespace kronattn {

static_assert(std::endian::native == std::endian::little, "checkpoints are written as they stand in memory");

namespace {

constexpr std::uint64_t layout_version = 1;
constexpr std::size_t word_bytes = sizeof(std::int64_t);

struct Preamble {
  char magic[8] = {'k', 'r', 'o', 'n', 'a', 't', 't', 'n'};
  std::uint64_t version = layout_version, header_bytes = 0, words = 0;
};

/// Reads exactly so many bytes, or says that they are not there.
bool get(int descriptor, void* data, std::size_t bytes) {
  auto* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::read(descriptor, to, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    to += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::string path, const nlohmann::json& header, std::uint64_t words,
                                   std::string temporary)
    : path_(std::move(path)),
      temporary_(temporary.empty() ? path_ + ".new" : std::move(temporary)),
      words_left_(words) {
  std::vector<std::uint8_t> text = nlohmann::json::to_cbor(header);
  text.resize((text.size() + word_bytes - 1) / word_bytes * word_bytes, 0);
  Preamble preamble;
  preamble.header_bytes = text.size();
  preamble.words = words;
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail();
  put(&preamble, sizeof preamble);
  put(text.data(), text.size());
}

CheckpointWriter::~CheckpointWriter() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void CheckpointWriter::fail() {
  const std::string words = path_ + ": " + std::strerror(errno);
  if (descriptor_ >= 0) {
    close(descriptor_);
    unlink(temporary_.c_str());
    descriptor_ = -1;
  }
  throw std::runtime_error(words);
}

void CheckpointWriter::put(const void* data, std::size_t bytes) {
  checksum_.add(data, bytes);
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor_, from, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = EIO;
    if (count <= 0) fail();
    from += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

void CheckpointWriter::write(std::span<const std::int64_t> words) {
  if (words.size() > words_left_) throw std::logic_error(path_ + ": more words than were announced");
  put(words.data(), words.size_bytes());
  words_left_ -= words.size();
}

void CheckpointWriter::commit() {
  if (words_left_ > 0) throw std::logic_error(path_ + ": fewer words than were announced");
  const std::uint64_t sum = checksum_.value();
  put(&sum, sizeof sum);
  if (fsync(descriptor_) != 0) fail();
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  close(descriptor_);
  descriptor_ = -1;
  sync_folder_of(path_);
}

CheckpointReader::CheckpointReader(const std::string& path) : path_(path) {
  const auto torn = [&](const std::string& why) -> TornCheckpoint {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
    return TornCheckpoint(path + ": " + why);
  };
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) throw torn(std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  Preamble preamble;
  if (!S_ISREG(status.st_mode) || !get(descriptor_, &preamble, sizeof preamble) ||
      std::memcmp(preamble.magic, Preamble().magic, sizeof preamble.magic) != 0)
    throw torn("is not a checkpoint");
  if (preamble.version != layout_version) throw torn("is a checkpoint of another layout");
  // Lengths first: they are not to be believed either.
  const std::uint64_t frame = sizeof preamble + sizeof(std::uint64_t);
  if (size < frame || preamble.header_bytes % word_bytes != 0 || preamble.header_bytes > size - frame ||
      preamble.words != (size - frame - preamble.header_bytes) / word_bytes || size % word_bytes != 0)
    throw torn("is torn: its length is not what it should be");
  RunningChecksum sum;
  sum.add(&preamble, sizeof preamble);
  std::vector<std::uint8_t> text(preamble.header_bytes);
  if (!get(descriptor_, text.data(), text.size())) throw torn("can't be read");
  sum.add(text.data(), text.size());
  std::vector<std::int64_t> words(std::size_t{1} << 15);
  for (std::uint64_t left = preamble.words; left > 0;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, words.size()));
    if (!get(descriptor_, words.data(), count * word_bytes)) throw torn("can't be read");
    sum.add(words.data(), count * word_bytes);
    left -= count;
  }
  std::uint64_t noted = 0;
  if (!get(descriptor_, &noted, sizeof noted) || noted != sum.value())
    throw torn("is torn: its checksum does not fit");
  header_ = nlohmann::json::from_cbor(text, false, false);
  if (!header_.is_object()) throw torn("has no header");
  words_ = words_left_ = preamble.words;
  checksum_ = noted;
  if (lseek(descriptor_, static_cast<off_t>(sizeof preamble + preamble.header_bytes), SEEK_SET) < 0)
    throw torn("can't be read");
}

bool CheckpointReader::is_one(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  char magic[sizeof Preamble().magic];
  const bool is =
      get(descriptor, magic, sizeof magic) && std::memcmp(magic, Preamble().magic, sizeof magic) == 0;
  close(descriptor);
  return is;
}

CheckpointReader::~CheckpointReader() {
  if (descriptor_ >= 0) close(descriptor_);
}

CheckpointReader::CheckpointReader(CheckpointReader&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      header_(std::move(other.header_)),
      words_(other.words_),
      words_left_(other.words_left_),
      checksum_(other.checksum_) {}

CheckpointReader& CheckpointReader::operator=(CheckpointReader&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(header_, other.header_);
  std::swap(words_, other.words_);
  std::swap(words_left_, other.words_left_);
  std::swap(checksum_, other.checksum_);
  return *this;
}

void CheckpointReader::read(std::span<std::int64_t> words) {
  if (words.size() > words_left_ || !get(descriptor_, words.data(), words.size_bytes()))
    throw TornCheckpoint(path_ + ": fewer words than the sums have");
  words_left_ -= words.size();
}

void CheckpointReader::skip(std::uint64_t words) {
  if (words > words_left_ || lseek(descriptor_, static_cast<off_t>(words * word_bytes), SEEK_CUR) < 0)
    throw TornCheckpoint(path_ + ": fewer words than the sums have");
  words_left_ -= words;
}

}  // namespace kronattn
