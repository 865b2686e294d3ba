// Sums of which each rank gets a share: whenever pieces get complete, and whoever stops on the way.
#include "shared_sums.hpp"

#include <algorithm>

#include "mpi_main.hpp"

namespace kronattn {
namespace {

constexpr Index words = 2;

/// Pieces of so many items each, one behind the other; number i of rank p is i + p.
struct Numbers {
  Numbers(const Communicator& comm, const std::vector<Index>& items) {
    Index all = 0;
    for (Index some : items) all += some;
    for (Index i = 0; i < words * all; ++i) values.push_back(i + comm.rank());
    std::size_t begin = 0;
    for (Index some : items) {
      const auto count = static_cast<std::size_t>(words * some);
      pieces.push_back(std::span(values).subspan(begin, count));
      begin += count;
    }
  }

  /// Of what is there, what this rank's shares of the sums, and 0 elsewhere, are not.
  Index wrong(const Communicator& comm) const {
    const std::int64_t ranks = comm.size();
    Index wrong = 0, begin = 0;
    for (std::span<std::int64_t> piece : pieces) {
      const auto count = static_cast<Index>(piece.size());
      const Shares shares(count / words, words, comm.size());
      const Index from = shares.places[static_cast<std::size_t>(comm.rank())],
                  end = from + shares.counts[static_cast<std::size_t>(comm.rank())];
      for (Index i = 0; i < count; ++i) {
        const bool mine = from <= i && i < end;
        wrong +=
            piece[static_cast<std::size_t>(i)] != (mine ? ranks * (begin + i) + ranks * (ranks - 1) / 2 : 0);
      }
      begin += count;
    }
    return wrong;
  }

  std::vector<std::int64_t> values;
  std::vector<std::span<std::int64_t>> pieces;
};

TEST(SharedSums, AreOverAllRanks) {
  const Communicator comm;
  // Messages of 4 kB and more travel early, others don't.
  const std::vector<std::vector<Index>> cases = {
      {}, {0}, {1}, {5, 0, 7}, {100, 2, 3}, {3000, 1500, 1}, {40000, 30001, 50000, 7, 20000, 60000}};
  for (const std::vector<Index>& items : cases)
    for (const char* when : {"never", "one after the other", "all at once", "at each rank's own pace"}) {
      Numbers numbers(comm, items);
      const std::vector<std::int64_t> before = numbers.values;
      const std::int64_t counted = comm.bytes_reduced();
      SharedSums sums(comm, numbers.pieces, words);
      const auto count = static_cast<Index>(items.size());
      for (Index step = 0; step < 20 && *when != 'n'; ++step) {
        const Index pace = 1 + comm.rank();
        sums.complete(std::min(count, *when == 'o' ? step : when[1] == 'l' ? count : step / pace));
        EXPECT_EQ(numbers.values, before);  // until finish()
      }
      sums.finish();
      EXPECT_EQ(numbers.wrong(comm), 0) << items.size() << " pieces, complete " << when;
      EXPECT_EQ(comm.bytes_reduced() - counted, static_cast<std::int64_t>(8 * before.size()));
    }
}

TEST(SharedSums, StopOnTheWay) {
  const Communicator comm;
  for (Index ahead : {Index{0}, Index{1}, Index{3}, Index{6}}) {
    Numbers numbers(comm, {30000, 20000, 10000, 40000, 10000, 50000});
    const std::vector<std::int64_t> before = numbers.values;
    {
      SharedSums sums(comm, numbers.pieces, words);
      for (int step = 0; step < 5; ++step) sums.complete(comm.rank() == comm.size() - 1 ? ahead : ahead / 3);
    }
    EXPECT_EQ(numbers.values, before);  // nothing is lost, and nobody waits for anybody
    EXPECT_EQ(comm.sum(std::int64_t{1}), comm.size());
  }
}

}  // namespace
}  // namespace kronattn
