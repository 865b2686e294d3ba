#include "run_lock.hpp"

#include <cstdlib>

#include "mpi_main.hpp"
#include "scratch.hpp"

namespace kronattn {
namespace {

/// The environment of a job that SLURM has started so often before.
struct Job {
  Job(const char* id, const char* restarts) {
    setenv("SLURM_JOB_ID", id, 1);
    setenv("SLURM_RESTART_COUNT", restarts, 1);
  }
  ~Job() {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
  }
};

TEST(RunLock, IsHeldByOneRunAtATime) {
  const Communicator comm;
  const Scratch scratch(comm);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const RunLock first(comm, scratch / "out.h5");
    EXPECT_NO_THROW(first.confirm());
    EXPECT_NO_THROW(RunLock(comm, scratch / "other.h5"));
    try {
      const RunLock second(comm, scratch / "out.h5");
      FAIL() << "two runs write to one output";
    } catch (const AgreedFailure& failure) {
      EXPECT_NE(std::string(failure.what()).find("out.h5: another run writes to it (process "),
                std::string::npos)
          << failure.what();
    }
    EXPECT_NO_THROW(first.confirm());
    comm.add(0);
  }
  EXPECT_EQ(scratch.files(), 0);
}

TEST(RunLock, IsTakenOverByALaterStartOfTheSameJob) {
  const Communicator comm;
  const Scratch scratch(comm);
  {
    std::optional<Job> job(std::in_place, "77", "0");
    const RunLock old_start(comm, scratch / "out.h5");
    EXPECT_THROW(RunLock(comm, scratch / "out.h5"), AgreedFailure);  // the same start
    job.emplace("78", "1");
    EXPECT_THROW(RunLock(comm, scratch / "out.h5"), AgreedFailure);  // another job
    job.emplace("77", "1");
    {
      const RunLock new_start(comm, scratch / "out.h5");
      EXPECT_NO_THROW(new_start.confirm());
      EXPECT_THROW(old_start.confirm(), AgreedFailure);
      job.emplace("77", "0");
      EXPECT_THROW(RunLock(comm, scratch / "out.h5"), AgreedFailure);  // not backwards
      comm.add(0);
    }
    EXPECT_THROW(old_start.confirm(), AgreedFailure);
  }
  EXPECT_EQ(scratch.files(), 0);
}

TEST(RunLock, ThatAKilledRunLeftBehindIsTaken) {
  const Communicator comm;
  const Scratch scratch(comm);
  if (comm.root()) std::fclose(std::fopen((scratch / "out.h5.partial.lock").c_str(), "w"));
  comm.add(0);
  EXPECT_NO_THROW(RunLock(comm, scratch / "out.h5"));
  EXPECT_EQ(scratch.files(), 0);
}

TEST(RunName, IsAnotherForEachRunAndNamesTheStartOfAJob) {
  const Job job("77", "3");
  const std::string name = run_name();
  EXPECT_EQ(name.substr(0, 5), "77.3.");
  EXPECT_EQ(name.find('/'), std::string::npos);
}

}  // namespace
}  // namespace kronattn
