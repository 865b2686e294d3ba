#include "output_file.hpp"

#include <fstream>

#include "mpi_main.hpp"
#include "scratch.hpp"
#include "tiles.hpp"

namespace kronattn {
namespace {

namespace fs = std::filesystem;

const std::vector<DatasetPlan> datasets = {{"table", {2, 9, 3}, Precision::double_precision, true},
                                           {"column", {9}, Precision::single_precision, false},
                                           {"none", {0, 4}, Precision::double_precision, false}};

double entry(Index head, Index row, Index column) {
  return static_cast<double>(100 * head + 10 * row + column) + 0.125;
}

void write_share(const Communicator& comm, OutputFile& file) {
  const Range mine = share(9, comm.size(), comm.rank());
  for (Index head = 0; head < 2; ++head) {
    Matrix rows(mine.size(), 3);
    for (Index i = 0; i < mine.size(); ++i)
      for (Index c = 0; c < 3; ++c) rows(i, c) = entry(head, mine.begin + i, c);
    file.write(0, head, mine, rows.data());
  }
  const Vector column = Vector::LinSpaced(9, 0, 2).segment(mine.begin, mine.size());
  file.write(1, 0, mine, column.data());
}

void write_all(const Communicator& comm, const std::string& path) {
  OutputFile file(comm, path, datasets, false);
  write_share(comm, file);
  file.check_written();
  EXPECT_FALSE(fs::exists(path));
  comm.add(0);  // all ranks have looked before rank 0 gives the name
  file.commit({{"text", std::string("words")}, {"number", 2.5}, {"complete", 1}});
}

TEST(OutputFile, HasEveryRanksRowsInTheirPlaces) {
  const Communicator comm;
  const Scratch scratch(comm);
  write_all(comm, scratch / "out.h5");
  EXPECT_EQ(scratch.files(), 1);
  const h5::Handle file = h5::open_file(scratch / "out.h5", h5::Access::read);
  EXPECT_EQ(h5::text_attribute(file, "text"), "words");
  EXPECT_EQ(h5::number_attribute(file, "number"), 2.5);
  EXPECT_EQ(h5::number_attribute(file, "complete"), 1);
  EXPECT_FALSE(h5::number_attribute(file, "text"));
  for (Index head = 0; head < 2; ++head) {
    Matrix rows(9, 3);
    ASSERT_TRUE(
        h5::read_rows(h5::open_dataset(file, "table"), true, head, {0, 9}, H5T_NATIVE_DOUBLE, rows.data()));
    for (Index i = 0; i < 9; ++i)
      for (Index c = 0; c < 3; ++c) EXPECT_EQ(rows(i, c), entry(head, i, c));
  }
  float column[9];
  ASSERT_TRUE(h5::read_rows(h5::open_dataset(file, "column"), false, 0, {0, 9}, H5T_NATIVE_FLOAT, column));
  EXPECT_EQ(column[8], 2.0f);
  EXPECT_EQ(column[1], 0.25f);
}

TEST(OutputFile, RowsStandInTheFileWhereTheyAreSaidTo) {
  const Communicator comm;
  const Scratch scratch(comm);
  write_all(comm, scratch / "out.h5");
  const h5::Handle file = h5::open_file(scratch / "out.h5", h5::Access::read);
  std::ifstream bytes(scratch / "out.h5", std::ios::binary);
  const h5::Handle table = h5::open_dataset(file, "table"), column = h5::open_dataset(file, "column");
  for (Index head = 0; head < 2; ++head)
    for (Index row = 0; row < 8; ++row) {
      const h5::Extent extent = h5::extent_of(table, true, head, {row, row + 2}, 3 * 8);
      EXPECT_EQ(extent.bytes, 2 * 3 * 8);
      double found[6];
      bytes.seekg(extent.begin);
      bytes.read(reinterpret_cast<char*>(found), sizeof found);
      EXPECT_EQ(found[0], entry(head, row, 0));
      EXPECT_EQ(found[5], entry(head, row + 1, 2));
    }
  float last = 0;
  bytes.seekg(h5::extent_of(column, false, 0, {8, 9}, 4).begin);
  bytes.read(reinterpret_cast<char*>(&last), sizeof last);
  EXPECT_EQ(last, 2.0f);
  const h5::SystemFile system_file(scratch / "out.h5");
  system_file.read_ahead({0, 1 << 20});
  EXPECT_NO_THROW(system_file.check_length());
  ASSERT_TRUE(h5::is_plain(column, scratch / "out.h5"));
  EXPECT_FALSE(h5::is_plain(column, scratch / "another.h5"));
  ASSERT_TRUE(system_file.read(h5::extent_of(column, false, 0, {8, 9}, 4), &last));
  EXPECT_EQ(last, 2.0f);
  const auto size = static_cast<std::int64_t>(fs::file_size(scratch / "out.h5"));
  EXPECT_FALSE(system_file.read({size - 2, 4}, &last));
}

TEST(SystemFile, KnowsWhetherItsNameLeadsToAnother) {
  const Communicator comm(MPI_COMM_SELF);
  const Scratch scratch(comm);
  const auto make = [&](const char* name) { std::ofstream(scratch / name) << "some words"; };
  make("a"), make("b");
  const h5::SystemFile file(scratch / "a");
  EXPECT_NO_THROW(file.check_name());
  fs::rename(scratch / "b", scratch / "a");
  EXPECT_THROW(file.check_name(), std::runtime_error);
  fs::remove(scratch / "a");
  EXPECT_THROW(file.check_name(), std::runtime_error);
}

TEST(OutputFile, LeavesNothingWhenItIsGivenUp) {
  const Communicator comm;
  const Scratch scratch(comm);
  {
    OutputFile file(comm, scratch / "out.h5", datasets, false);
    write_share(comm, file);
    EXPECT_EQ(scratch.files(), 1);
  }
  EXPECT_EQ(scratch.files(), 0);
}

TEST(OutputFile, ReplacesAnOldFileOnlyIfItMayAndOnlyAtTheEnd) {
  const Communicator comm;
  const Scratch scratch(comm);
  const auto write = [&](bool overwrite, double mark) {
    OutputFile file(comm, scratch / "out.h5", datasets, overwrite);
    write_share(comm, file);
    file.check_written();
    file.commit({{"mark", mark}});
  };
  const auto mark = [&] {
    comm.add(0);
    return h5::number_attribute(h5::open_file(scratch / "out.h5", h5::Access::read), "mark");
  };
  write(false, 1);
  EXPECT_THROW(write(false, 2), AgreedFailure);  // another run was faster
  EXPECT_EQ(mark(), 1);
  EXPECT_EQ(scratch.files(), 2);  // what is complete is kept, beside the other
  write(true, 3);
  EXPECT_EQ(mark(), 3);
  EXPECT_EQ(scratch.files(), 2);
}

TEST(OutputFile, NoticesRowsThatDidNotReachTheDisk) {
  const Communicator comm;
  const Scratch scratch(comm);
  OutputFile file(comm, scratch / "out.h5", datasets, false);
  write_share(comm, file);
  Matrix other = Matrix::Constant(1, 3, -1);
  comm.add(0);
  if (comm.root()) {
    // Somebody else writes over a row that this rank has written.
    for (const auto& found : fs::directory_iterator(fs::path(scratch / "x").parent_path())) {
      const h5::Handle raw = h5::open_file(found.path().string(), h5::Access::write);
      ASSERT_TRUE(
          h5::write_rows(h5::open_dataset(raw, "table"), true, 1, {0, 1}, H5T_NATIVE_DOUBLE, other.data()));
    }
  }
  comm.add(0);
  try {
    file.check_written();
    FAIL() << "the change went unnoticed";
  } catch (const AgreedFailure& failure) {
    EXPECT_NE(std::string(failure.what()).find("of table read back differently"), std::string::npos)
        << failure.what();
  }
}

TEST(OutputFile, OfTwoRunsInOneJobAreTwoFiles) {
  const Communicator comm;
  const Scratch scratch(comm);
  setenv("SLURM_JOB_ID", "88", 1);
  {
    OutputFile first(comm, scratch / "out.h5", datasets, false);
    usleep(2000);  // names hold milliseconds
    {
      const OutputFile second(comm, scratch / "out.h5", datasets, false);
      EXPECT_EQ(scratch.files(), 2);
    }
    EXPECT_EQ(scratch.files(), 1);
    write_share(comm, first);
    first.check_written();
    first.commit({});
  }
  unsetenv("SLURM_JOB_ID");
  EXPECT_TRUE(fs::exists(scratch / "out.h5"));
}

TEST(WriteText, IsCompleteOrAbsent) {
  const Communicator comm;
  const Scratch scratch(comm);
  write_text(comm, scratch / "report.json", "one\n");
  write_text(comm, scratch / "report.json", "two\n");
  EXPECT_EQ(scratch.files(), 1);
  EXPECT_EQ(fs::file_size(scratch / "report.json"), 4u);
  EXPECT_THROW(write_text(comm, scratch / "no/report.json", "three\n"), AgreedFailure);
}

TEST(OpenFile, ThatIsNotThereFailsOnAllRanks) {
  const Communicator comm;
  EXPECT_THROW(h5::open_file("/nowhere/at/all.h5", h5::Access::read, comm), AgreedFailure);
}

TEST(CheckOutput, RefusesWhatCannotBecomeAnOutput) {
  const Communicator comm;
  const Scratch scratch(comm);
  EXPECT_NO_THROW(check_output(comm, scratch / "out.h5", false, {scratch / "in.h5"}));
  EXPECT_THROW(check_output(comm, scratch / "in.h5", true, {scratch / "in.h5"}), AgreedFailure);
  EXPECT_THROW(check_output(comm, scratch / "new.h5", true, {scratch / "./new.h5"}), AgreedFailure);
  EXPECT_THROW(check_output(comm, "/dev/null", true, {}), AgreedFailure);
  EXPECT_THROW(check_output(comm, "", true, {}), AgreedFailure);
  EXPECT_THROW(check_output(comm, scratch / "", true, {}), AgreedFailure);
  EXPECT_THROW(check_output(comm, scratch / "no/out.h5", true, {}), AgreedFailure);
}

}  // namespace
}  // namespace kronattn
