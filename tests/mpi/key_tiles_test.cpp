#include "key_tiles.hpp"

#include "memory_problem.hpp"
#include "mpi_main.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

/// What is left at some point of a pass over all key tiles.
struct Point {
  std::vector<double> sums;
  std::vector<Index> counted;
  ContentSum content;  // of this rank
};

std::vector<double> sums_of(const ExactAttention& attention, Index rows) {
  std::vector<double> sums(static_cast<std::size_t>(rows * attention.numbers_of_a_row()));
  attention.copy_sums(sums.data());
  return sums;
}

/// A problem of which rank 0 brings all rows, and the queries of this rank.
class Passes {
 public:
  Passes(const Communicator& comm, const std::vector<Index>& keys, Index rows, Index kept_bytes)
      : comm_(comm), kept_bytes_(kept_bytes) {
    testing::Uniform uniform(static_cast<unsigned>(keys.size()), -1, 1);
    whole_ = testing::random_problem(keys, 8 * comm.size(), 2, 1, uniform);
    AttentionInput input;
    input.keys.resize(keys.size());
    input.values.resize(keys.size());
    if (comm.root()) input = {whole_.queries, whole_.keys, whole_.values, whole_.scale};
    problem_ = std::make_unique<MemoryProblem>(comm, input);
    shape_ = problem_->shape();
    coordinates_ = std::make_unique<Coordinates>(testing::measure(whole_).file, shape_);
    certificate_ = std::make_unique<ExactCertificate>(shape_, *coordinates_, Precision::double_precision,
                                                      ExactArithmetic());
    queries_ = whole_.queries.middleRows(8 * comm.rank(), rows);
  }

  KeyTiles tiles(ContentSum& content) {
    return KeyTiles(comm_, *problem_, 0, *coordinates_, ExactArithmetic(), seconds_, content, kept_bytes_);
  }
  ExactAttention attention() const { return ExactAttention(shape_, *coordinates_, queries_, 8); }
  RowOutputs finish(const ExactAttention& attention) const { return attention.finish(*certificate_); }
  Index modes() const { return shape_.modes(); }
  const testing::Problem& whole() const { return whole_; }

 private:
  const Communicator& comm_;
  Index kept_bytes_;
  testing::Problem whole_;
  std::unique_ptr<MemoryProblem> problem_;
  ProblemShape shape_;
  std::unique_ptr<Coordinates> coordinates_;
  std::unique_ptr<ExactCertificate> certificate_;
  Matrix queries_;
  PhaseSeconds seconds_;
};

void expect_same(const RowOutputs& one, const RowOutputs& other, const std::string& where) {
  EXPECT_EQ(one.output, other.output) << where;
  EXPECT_EQ(one.log_normalizer, other.log_normalizer) << where;
}

/// From each point between two tuples of tiles the rest gives the same bits, and all is counted once; with
/// more, which takes longer, so do another pass and the definition's.
void expect_a_pass_can_be_taken_up_anywhere(const std::vector<Index>& keys, Index rows, Index kept_bytes,
                                            bool with_more) {
  const Communicator comm;
  Passes passes(comm, keys, rows, kept_bytes);
  std::vector<Point> points;
  ContentSum content;
  KeyTiles tiles = passes.tiles(content);
  ExactAttention whole = passes.attention();
  absorb_all(tiles, passes.modes(), 0, whole, [&] {
    points.push_back({sums_of(whole, rows), tiles.counted(), content});
  });
  const RowOutputs outputs = passes.finish(whole);
  const std::uint64_t all = content.over_ranks(comm);
  if (comm.rank() == 0 && with_more) {
    const RowOutputs reference = testing::solve_exactly(passes.whole());
    expect_same(outputs, reference.part({0, rows}), "in one go");
  }
  for (std::size_t p = 0; p < points.size(); ++p) {
    const std::string where = "after " + std::to_string(p + 1) + " of " + std::to_string(points.size());
    ContentSum later = points[p].content;
    KeyTiles rest = passes.tiles(later);
    rest.set_counted(points[p].counted);
    ExactAttention resumed = passes.attention();
    resumed.set_sums(points[p].sums.data());
    std::size_t seen = 0;
    absorb_all(rest, passes.modes(), static_cast<Index>(p) + 1, resumed, [&] { ++seen; });
    EXPECT_EQ(seen, points.size() - p - 1) << where;
    expect_same(passes.finish(resumed), outputs, where);
    EXPECT_EQ(later.over_ranks(comm), all) << where;
    if (!with_more) continue;  // a pass over all tiles, of which some are kept
    ExactAttention another = passes.attention();
    absorb_all(rest, passes.modes(), 0, another, [] {});
    expect_same(passes.finish(another), outputs, where + ", then all");
    EXPECT_EQ(later.over_ranks(comm), all) << where;
  }
}

TEST(KeyTiles, APassCanBeTakenUpBetweenAnyTwoTuples) {
  for (Index kept_bytes : {0, 1 << 30}) {
    expect_a_pass_can_be_taken_up_anywhere({4000}, 3, kept_bytes, true);
    expect_a_pass_can_be_taken_up_anywhere({1100, 1030}, 3, kept_bytes, true);
    expect_a_pass_can_be_taken_up_anywhere({3, 2100}, 3, kept_bytes, true);
    expect_a_pass_can_be_taken_up_anywhere({2100, 3}, 3, kept_bytes, true);
    expect_a_pass_can_be_taken_up_anywhere({1030, 2, 1030}, 3, kept_bytes, true);
  }
  expect_a_pass_can_be_taken_up_anywhere({514, 513, 513}, 1, 0, false);
}

}  // namespace
}  // namespace kronattn
