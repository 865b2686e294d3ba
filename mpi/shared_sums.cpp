#include "shared_sums.hpp"

#include <algorithm>

#include "watchdog.hpp"

namespace kronattn {

namespace {

/// Bytes of a message that costs little more than its latency.
constexpr std::size_t short_message = 4096;

}  // namespace

SharedSums::SharedSums(const Communicator& comm, std::vector<std::span<std::int64_t>> pieces, Index words)
    : comm_(comm), pieces_(std::move(pieces)), words_(words), sums_(pieces_.size()) {
  std::size_t bytes = 0;
  for (std::span<std::int64_t> piece : pieces_) bytes += piece.size_bytes();
  comm_.count_reduced(bytes);
  const auto ranks = static_cast<std::size_t>(comm_.size());
  if (ranks == 1) return;
  const bool early = bytes >= short_message * ranks * pieces_.size() && !pieces_.empty();
  comm_.together([&] {
    std::size_t longest = 0;
    for (std::size_t p = 0; p < pieces_.size(); ++p) {
      sums_[p].resize(static_cast<std::size_t>(shares(p).counts[rank()]));
      longest = std::max(longest, sums_[p].size());
    }
    if (early)
      for (UnderWay& slot : slots_) slot.values.resize(longest * ranks);
  });
  if (early) check_mpi(MPI_Comm_dup(comm_.handle(), &own_), "MPI_Comm_dup");
}

SharedSums::~SharedSums() {
  if (own_ == MPI_COMM_NULL) return;
  if (AgreedFailure::alone()) {
    for (UnderWay& slot : slots_)  // MPI may still write there
      if (slot.request != MPI_REQUEST_NULL) static_cast<void>(new UnderWay(std::move(slot)));
    return;
  }
  if (!finished_) {  // a run that stops: what one rank has begun, all end
    complete_ = static_cast<std::size_t>(comm_.max(static_cast<double>(begun_)));
    move(true);
  }
  MPI_Comm_free(&own_);
}

Shares SharedSums::shares(std::size_t piece) const {
  return {static_cast<Index>(pieces_[piece].size()) / words_, words_, comm_.size()};
}

void SharedSums::complete(Index count) {
  complete_ = std::max(complete_, static_cast<std::size_t>(count));
  if (own_ != MPI_COMM_NULL) move(false);
}

void SharedSums::begin(std::size_t piece) {
  UnderWay& slot = under_way(piece);
  slot.sent = shares(piece);
  const int mine = slot.sent.counts[rank()];
  slot.received = Shares(comm_.size(), mine, comm_.size());
  check_mpi(MPI_Ialltoallv(pieces_[piece].data(), slot.sent.counts.data(), slot.sent.places.data(),
                           MPI_INT64_T, slot.values.data(), slot.received.counts.data(),
                           slot.received.places.data(), MPI_INT64_T, own_, &slot.request),
            "MPI_Ialltoallv");
}

void SharedSums::add_up(std::size_t piece) {
  std::vector<std::int64_t>& sums = sums_[piece];
  std::fill(sums.begin(), sums.end(), 0);
  const std::int64_t* more = under_way(piece).values.data();
  for (int from = 0; from < comm_.size(); ++from)
    for (std::int64_t& sum : sums) sum += *more++;
}

void SharedSums::move(bool wait) {
  while (summed_ < complete_) {
    if (begun_ < complete_ && begun_ < summed_ + slots_.size()) {
      begin(begun_++);
      continue;
    }
    int there = 1;
    MPI_Request& oldest = under_way(summed_).request;
    check_mpi(wait ? MPI_Wait(&oldest, MPI_STATUS_IGNORE) : MPI_Test(&oldest, &there, MPI_STATUS_IGNORE),
              wait ? "MPI_Wait" : "MPI_Test");
    if (there == 0) return;
    add_up(summed_++);
  }
}

void SharedSums::finish() {
  if (comm_.size() == 1) return;
  const Activity::Waiting waiting;
  complete_ = pieces_.size();
  if (own_ != MPI_COMM_NULL) move(true);
  finished_ = true;
  for (std::size_t p = 0; p < pieces_.size(); ++p) {
    const Shares all = shares(p);
    if (own_ == MPI_COMM_NULL)
      check_mpi(MPI_Reduce_scatter(pieces_[p].data(), sums_[p].data(), all.counts.data(), MPI_INT64_T,
                                   MPI_SUM, comm_.handle()),
                "MPI_Reduce_scatter");
    std::fill(pieces_[p].begin(), pieces_[p].end(), 0);
    std::copy(sums_[p].begin(), sums_[p].end(), pieces_[p].begin() + all.places[rank()]);
  }
}

}  // namespace kronattn
