#include "communicator.hpp"

#include "feature_kernels.hpp"
#include "instruction_sets.hpp"
#include "mpi_main.hpp"

namespace kronattn {
namespace {

TEST(Communicator, SumsAndExtremesAreOverAllRanks) {
  const Communicator comm;
  const std::int64_t p = comm.size();
  std::vector<std::int64_t> values = {comm.rank(), 1, -(std::int64_t{1} << 50)};
  comm.sum(values);
  EXPECT_EQ(values, (std::vector<std::int64_t>{p * (p - 1) / 2, p, -p * (std::int64_t{1} << 50)}));
  EXPECT_EQ(comm.bytes_reduced(), 24);
  EXPECT_EQ(comm.max(comm.rank()), static_cast<double>(p - 1));
  EXPECT_EQ(comm.min(comm.rank()), 0);
  EXPECT_EQ(comm.add(2.0), 2.0 * static_cast<double>(p));
  EXPECT_EQ(comm.broadcast("from " + std::to_string(comm.rank()), comm.size() - 1),
            "from " + std::to_string(p - 1));
  EXPECT_EQ(comm.hosts(), 1);
  EXPECT_EQ(comm.ranks_on_host(), comm.size());
}

TEST(Communicator, SharesAreGathered) {
  const Communicator comm;
  constexpr Index piece = Index{1} << 17;
  for (Index items : {Index{0}, Index{1}, Index{2}, Index{10}, piece, piece + 1, 2 * piece + 3}) {
    Index begin = 0, mine = 0, wrong = 0;
    for (Range some : comm.pieces(items)) {
      EXPECT_EQ(some.begin, begin);
      EXPECT_LE(some.size(), piece);
      begin = some.end;
    }
    EXPECT_EQ(begin, items);
    std::vector<double> numbers(static_cast<std::size_t>(items), -1);
    for (Range share : comm.shares(items)) {
      for (Index i = share.begin; i < share.end; ++i)
        numbers[static_cast<std::size_t>(i)] = 0.5 * static_cast<double>(i);
      mine += share.size();
    }
    EXPECT_EQ(comm.sum(std::int64_t{mine}), items);
    comm.gather_shares(numbers.data(), items);
    for (Index i = 0; i < items; ++i)
      wrong += numbers[static_cast<std::size_t>(i)] != 0.5 * static_cast<double>(i);
    EXPECT_EQ(wrong, 0) << items;
  }
}

TEST(Communicator, BroadcastsAreUnderWayTogether) {
  const Communicator comm;
  std::vector<std::unique_ptr<PendingBroadcast>> pending;
  for (int from = 0; from < 3 * comm.size(); ++from) {
    std::vector<double> values(5000, comm.rank() == from % comm.size() ? 0.5 + from : -1.0);
    pending.push_back(std::make_unique<PendingBroadcast>(comm, std::move(values), from % comm.size()));
  }
  EXPECT_EQ(comm.sum(std::int64_t{1}), comm.size());  // other calls may come between
  for (int from = 0; from < 3 * comm.size(); from += 2) {
    const std::vector<double>& values = pending[static_cast<std::size_t>(from)]->wait();
    EXPECT_EQ(values, std::vector<double>(5000, 0.5 + from));
  }
}  // the others are waited for

TEST(Communicator, AFailureOfOneRankIsEveryRanksInTheSameWords) {
  const Communicator comm;
  for (int bad = 0; bad < comm.size(); ++bad) {
    try {
      comm.together([&] {
        if (comm.rank() >= bad) throw std::runtime_error("rank " + std::to_string(comm.rank()));
      });
      FAIL() << "nothing was thrown";
    } catch (const AgreedFailure& failure) {
      EXPECT_EQ(std::string(failure.what()), "rank " + std::to_string(bad));
    }
  }
  EXPECT_NO_THROW(comm.together([] {}));
}

/// Notes, when it is destroyed, whether the rank is alone with a failure.
struct Witness {
  bool& alone;
  ~Witness() { alone = AgreedFailure::alone(); }
};

TEST(AgreedFailure, TellsAFailureOfOnesOwnFromOneThatAllKnowOf) {
  for (int time = 0; time < 2; ++time) {  // what was agreed on before is over
    bool alone = true;
    try {
      const Witness witness{alone};
      throw AgreedFailure("known to all");
    } catch (const AgreedFailure&) {
    }
    EXPECT_FALSE(alone);
    try {
      const Witness witness{alone};
      throw std::runtime_error("known here");
    } catch (const std::runtime_error&) {
    }
    EXPECT_TRUE(alone);
  }
}

TEST(Communicator, RanksOnOtherCpusUseWhatAllHave) {
  const Communicator comm;
  const std::int64_t all = instruction_sets();
  std::int64_t least = all;
  while ((least & (least - 1)) != 0) least &= least - 1;
  const auto kernels_have = [](std::int64_t sets) {
    const testing::InstructionSets only(sets);
    return vector_rows<double>();
  };
  const Index lanes = kernels_have(least);
  EXPECT_GE(kernels_have(all), lanes);
  {
    const testing::InstructionSets mine(comm.rank() == comm.size() - 1 ? least : all);
    const Communicator later;
    EXPECT_EQ(instruction_sets(), least);
    EXPECT_EQ(vector_rows<double>(), lanes);
  }
  EXPECT_EQ(instruction_sets(), all);
}

TEST(Communicator, EmptyMessagesAreMessagesToo) {
  const Communicator comm;
  EXPECT_EQ(comm.broadcast("", 0), "");
  std::vector<std::int64_t> none;
  comm.sum(none);
  EXPECT_THROW(comm.together([] { throw std::runtime_error(""); }), AgreedFailure);
}

}  // namespace
}  // namespace kronattn
