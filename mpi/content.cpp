#include "content.hpp"

#include <algorithm>
#include <stdexcept>

#include "checksum.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// Queries are shared out in smaller tiles than keys, down to the exact method's at order 3 and up.
Index piece_rows(Part part) {
  return part.kind == Part::queries ? exact_query_tile_rows(3) : key_tile_rows;
}

std::int64_t upper_half(std::uint64_t checksum) {
  return static_cast<std::int64_t>(checksum >> 32);
}
std::int64_t lower_half(std::uint64_t checksum) {
  return static_cast<std::int64_t>(checksum & 0xffffffff);
}

static_assert(exact_query_tile_rows(2) % exact_query_tile_rows(3) == 0 &&
              query_tile_rows % exact_query_tile_rows(3) == 0);

}  // namespace

void ContentSum::add(Part part, Index head, Range rows, const Matrix& data) {
  std::int64_t upper = 0, lower = 0;
#pragma omp parallel for reduction(+ : upper, lower) if (data.rows() > key_tile_rows)
  for (Index begin = 0; begin < data.rows(); begin += piece_rows(part)) {
    const Index end = std::min(data.rows(), begin + piece_rows(part));
    const std::int64_t place[] = {part.kind, part.mode, head, rows.begin + begin};
    const std::uint64_t sum = checksum(data.row(begin).data(),
                                       static_cast<std::size_t>((end - begin) * data.cols()) * sizeof(double),
                                       checksum(place, sizeof place, 0));
    upper += upper_half(sum);
    lower += lower_half(sum);
  }
  halves_[0] += upper;
  halves_[1] += lower;
}

ContentSum::ContentSum(const std::vector<std::int64_t>& halves) : halves_(halves) {
  if (halves.size() != 2) throw std::runtime_error("a checksum of content has two halves");
}

void ContentSum::add(std::uint64_t checksum) {
  halves_[0] += upper_half(checksum);
  halves_[1] += lower_half(checksum);
}

void ContentSum::merge(const ContentSum& other) {
  halves_[0] += other.halves_[0];
  halves_[1] += other.halves_[1];
}

ContentSum ContentSum::of_all(const Communicator& comm) const {
  ContentSum all = *this;
  comm.sum(all.halves_);
  return all;
}

std::uint64_t ContentSum::over_ranks(const Communicator& comm) const {
  const std::vector<std::int64_t> halves = of_all(comm).halves_;
  return checksum(halves.data(), halves.size() * sizeof(std::int64_t), 0);
}

}  // namespace kronattn
