// How much memory a rank may take: sizes as people write them, limits where systems keep them, blocks that
// fit.
#include "rank_memory.hpp"

#include <fstream>

#include "mpi_main.hpp"
#include "scratch.hpp"
#include "tiles.hpp"

namespace kronattn {
namespace {

TEST(Sizes, AreReadAsPeopleWriteThem) {
  for (const auto& [text, bytes] : {std::pair("512", 512.0),
                                    {"1K", 1024.0},
                                    {"1k", 1024.0},
                                    {"3KiB", 3072.0},
                                    {"1kB", 1000.0},
                                    {"500M", 500 * 0x1p20},
                                    {"1.5G", 1.5 * 0x1p30},
                                    {"2GB", 2e9},
                                    {"1e9", 1e9},
                                    {"7B", 7.0},
                                    {"4TiB", 0x1p42}})
    EXPECT_EQ(parse_bytes(text), bytes) << text;
  for (const char* text :
       {"", "G", "0", "-1G", "nan", "inf", "1X", "1GG", "1 G", "1Gi", "1e400", "0x", "12MBs"})
    EXPECT_THROW(parse_bytes(text), std::invalid_argument) << text;
}

TEST(Sizes, AreWrittenRoundedUpwardsAsTheyAreRead) {
  EXPECT_EQ(bytes_text(0x1p20), "1 MiB");
  EXPECT_EQ(bytes_text(0x1p20 + 1), "2 MiB");
  EXPECT_EQ(bytes_text(0x1p50), "1073741824 MiB");
}

/// A tree with /proc and /sys of a made-up machine of 1000 kB.
class Machine {
 public:
  explicit Machine(const std::string& groups) {
    write("proc/meminfo", "MemFree:  17 kB\nMemTotal:  1000 kB\nBuffers: 3 kB\n");
    write("proc/self/cgroup", groups);
  }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = std::filesystem::path(scratch_ / "machine") / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  double memory() const { return machine_memory(scratch_ / "machine"); }

 private:
  Communicator alone_{MPI_COMM_SELF};
  Scratch scratch_{alone_};
};

TEST(MemoryOfAMachine, IsPhysicalWhereNothingLimitsIt) {
  EXPECT_EQ(Machine("").memory(), 1024000);
  EXPECT_EQ(Machine("0::/\n").memory(), 1024000);
}

TEST(MemoryOfAMachine, IsTheLeastLimitOfItsGroupAndThoseAboveIt) {
  Machine machine("0::/jobs/7\n");
  machine.write("sys/fs/cgroup/jobs/7/memory.max", "max\n");
  EXPECT_EQ(machine.memory(), 1024000);
  machine.write("sys/fs/cgroup/jobs/memory.max", "500000\n");
  EXPECT_EQ(machine.memory(), 500000);
  machine.write("sys/fs/cgroup/jobs/7/memory.max", "400000\n");
  EXPECT_EQ(machine.memory(), 400000);
  machine.write("sys/fs/cgroup/memory.max", "300000\n");
  EXPECT_EQ(machine.memory(), 300000);
}

TEST(MemoryOfAMachine, IsFoundInGroupsOfVersionOne) {
  Machine machine("4:cpu,cpuacct:/elsewhere\n3:hugetlb,memory:/job\n0::/\n");
  machine.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "200000\n");
  machine.write("sys/fs/cgroup/memory/elsewhere/memory.limit_in_bytes", "100\n");
  EXPECT_EQ(machine.memory(), 200000);
}

TEST(Limit, IsKeptOnAllRanksAlikeAndSaysWhatIsNeeded) {
  const Communicator comm;
  const RankMemory ample(0x1p40, "the limit"), scarce(0x1p20, "the limit");
  EXPECT_NO_THROW(ample.need(comm, "this", 0x1p30));
  EXPECT_GT(ample.left(comm, 0), 0x1p39);
  EXPECT_NEAR(ample.left(comm, 0) - ample.left(comm, 0x1p30), 0x1p30, 0x1p22);
  try {
    scarce.need(comm, "this",
                comm.root() ? 0x1p30 : 0);  // ranks may need different amounts: nobody is left behind
    FAIL();
  } catch (const AgreedFailure& failure) {
    EXPECT_NE(std::string(failure.what()).find("this needs 1"), std::string::npos) << failure.what();
    EXPECT_NE(std::string(failure.what()).find("the limit is 1 MiB"), std::string::npos) << failure.what();
  }
  EXPECT_NO_THROW(RankMemory().need(comm, "this", HUGE_VAL));
}

TEST(Blocks, ShrinkWithWhatIsLeftToATileAndGrowToNoMoreThanWithoutALimit) {
  const ProblemShape shape{1, 1 << 20, {1 << 20}, 8, 8, 0.125};
  const Blocks free_blocks = blocks_within(HUGE_VAL, shape), most = blocks_within(0x1p40, shape),
               few = blocks_within(0x1p24, shape), least = blocks_within(-1, shape);
  EXPECT_EQ(most.read_bytes, free_blocks.read_bytes);
  EXPECT_EQ(most.exact_rows, free_blocks.exact_rows);
  EXPECT_EQ(most.kept_bytes, free_blocks.kept_bytes);
  EXPECT_EQ(free_blocks.waiting_rows, HUGE_VAL);
  EXPECT_GT(most.waiting_rows, 1e8);
  EXPECT_EQ(least.waiting_rows, 0);
  EXPECT_LT(few.read_bytes, most.read_bytes);
  EXPECT_LT(few.kept_bytes, most.kept_bytes);
  EXPECT_EQ(least.read_bytes, 0);
  EXPECT_EQ(least.exact_rows, exact_query_tile_rows(2));
  for (double left = 0; left < 0x1p28; left += 0x1p20)  // bits: passes are cut at tiles
    EXPECT_EQ(blocks_within(left, shape).exact_rows % exact_query_tile_rows(2), 0);
}

}  // namespace
}  // namespace kronattn
