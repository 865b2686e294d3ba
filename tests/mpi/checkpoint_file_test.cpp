#include "checkpoint_file.hpp"

#include <filesystem>
#include <fstream>
#include <numeric>

#include "mpi_main.hpp"
#include "scratch.hpp"

namespace kronattn {
namespace {

namespace fs = std::filesystem;

const nlohmann::json header = {{"numbers", {1, 2.5, -3}}, {"name", "of a run"}, {"nothing", nullptr}};

std::vector<std::int64_t> some_words() {
  std::vector<std::int64_t> words(70000);  // more than is read at once
  std::iota(words.begin(), words.end(), -35000);
  return words;
}

void write(const std::string& path, const std::vector<std::int64_t>& words) {
  CheckpointWriter writer(path, header, words.size());
  const std::span<const std::int64_t> all(words);
  writer.write(all.first(words.size() / 3));
  writer.write(all.subspan(words.size() / 3));
  writer.commit();
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(Checkpoint, ReadsBackAsItWasWritten) {
  const Communicator comm;
  const Scratch scratch(comm);
  for (const std::vector<std::int64_t>& words : {some_words(), std::vector<std::int64_t>()}) {
    write(scratch / "c", words);
    CheckpointReader reader(scratch / "c");
    EXPECT_EQ(reader.header(), header);
    ASSERT_EQ(reader.words(), words.size());
    std::vector<std::int64_t> read(words.size());
    reader.read(std::span(read).first(words.size() / 2));
    reader.read(std::span(read).subspan(words.size() / 2));
    EXPECT_EQ(read, words);
    std::int64_t more = 0;
    EXPECT_THROW(reader.read({&more, 1}), TornCheckpoint);
  }
  EXPECT_EQ(scratch.files(), 1);
}

TEST(Checkpoint, IsNotBelievedIfAnyByteIsAnother) {
  const Communicator comm;
  const Scratch scratch(comm);
  write(scratch / "c", {1, -1, 1 << 20});
  const std::string good = content(scratch / "c");
  for (std::size_t i = 0; i < good.size(); ++i)
    for (char change : {'\1', '\x80'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ change);
      put(scratch / "bad", bad);
      EXPECT_THROW(CheckpointReader(scratch / "bad"), TornCheckpoint) << "byte " << i;
    }
}

TEST(Checkpoint, IsNotBelievedAtAnyOtherLength) {
  const Communicator comm;
  const Scratch scratch(comm);
  write(scratch / "c", {1, -1, 1 << 20});
  const std::string good = content(scratch / "c");
  for (std::size_t length = 0; length < good.size(); ++length) {
    put(scratch / "bad", good.substr(0, length));
    EXPECT_THROW(CheckpointReader(scratch / "bad"), TornCheckpoint) << length << " bytes";
  }
  put(scratch / "bad", good + std::string(8, '\0'));
  EXPECT_THROW(CheckpointReader(scratch / "bad"), TornCheckpoint);
  put(scratch / "bad", good + good);
  EXPECT_THROW(CheckpointReader(scratch / "bad"), TornCheckpoint);
}

TEST(Checkpoint, ThatIsNoneIsSaidToBeNone) {
  const Communicator comm;
  const Scratch scratch(comm);
  EXPECT_THROW(CheckpointReader(scratch / "missing"), TornCheckpoint);
  EXPECT_THROW(CheckpointReader(scratch / ""), TornCheckpoint);  // a folder
  put(scratch / "text", std::string(1000, 'x'));
  try {
    CheckpointReader(scratch / "text");
    FAIL() << "a text was taken for a checkpoint";
  } catch (const TornCheckpoint& error) {
    EXPECT_NE(std::string(error.what()).find("text: is not a checkpoint"), std::string::npos) << error.what();
  }
}

TEST(Checkpoint, LeavesTheOldOneUntilTheNewOneIsComplete) {
  const Communicator comm;
  const Scratch scratch(comm);
  write(scratch / "c", {1});
  {
    CheckpointWriter given_up(scratch / "c", header, 2);
    const std::int64_t word = 7;
    given_up.write({&word, 1});
    EXPECT_THROW(given_up.commit(), std::logic_error);
  }
  EXPECT_EQ(CheckpointReader(scratch / "c").words(), 1u);
  EXPECT_EQ(scratch.files(), 1);
  EXPECT_THROW(CheckpointWriter(scratch / "no/folder", header, 0), std::runtime_error);
}

TEST(Checkpoint, OnAFullDiskSaysSo) {
  const std::vector<std::int64_t> words(1 << 16);
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  const Communicator comm;
  const Scratch scratch(comm);
  fs::create_symlink("/dev/full", scratch / "c.new");
  try {
    write(scratch / "c", words);
    FAIL() << "a full disk went unnoticed";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
  }
  EXPECT_EQ(scratch.files(), 0);
}

}  // namespace
}  // namespace kronattn
