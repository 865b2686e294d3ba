// Sums over ranks of which each rank gets a share, on their way while the next ones are still being computed.
//
// Numbers are cut into pieces, a piece into one share for each rank. A piece that is complete here is sent
// off, each share to its owner, who adds up what comes from all: (P - 1)/P of the bytes leave a rank, as in
// the best reduce-scatter. Two pieces are under way at a time. Where shares would be short messages, P of
// them cost more than they hide: there MPI_Reduce_scatter does it, when all is complete.
//
//   P   ranks
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "communicator.hpp"

namespace kronattn {

class SharedSums {
 public:
  /// Collective, and so is the destructor. `pieces`: of this rank's own integers, in the order in which they
  /// are complete, as long on all ranks, each of whole items of `words` integers. They stay as they are until
  /// finish().
  SharedSums(const Communicator& comm, std::vector<std::span<std::int64_t>> pieces, Index words);
  ~SharedSums();
  SharedSums(const SharedSums&) = delete;
  SharedSums& operator=(const SharedSums&) = delete;

  /// The first `count` pieces are complete on this rank. Also lets what is under way get on; to be called
  /// often.
  void complete(Index count);

  /// Collective: all pieces are complete. Leaves in each of them this rank's share (Shares) of the sums over
  /// all ranks, and 0 elsewhere.
  void finish();

 private:
  struct UnderWay {
    MPI_Request request = MPI_REQUEST_NULL;
    Shares sent, received;
    std::vector<std::int64_t> values;  // of this rank's share: what comes from rank 0, 1, ...
  };

  Shares shares(std::size_t piece) const;
  /// This rank's place in Shares.
  std::size_t rank() const { return static_cast<std::size_t>(comm_.rank()); }
  UnderWay& under_way(std::size_t piece) { return slots_[piece % slots_.size()]; }
  void begin(std::size_t piece);
  void add_up(std::size_t piece);
  /// Begins what is complete, as much as can be under way, and adds up what has come; `wait`: until all that
  /// is complete has.
  void move(bool wait);

  const Communicator& comm_;
  std::vector<std::span<std::int64_t>> pieces_;
  Index words_;
  MPI_Comm own_ = MPI_COMM_NULL;  // where pieces travel early
  bool finished_ = false;
  std::size_t complete_ = 0, begun_ = 0, summed_ = 0;  // of the pieces, in their order
  std::vector<std::vector<std::int64_t>> sums_;        // of each piece, this rank's share
  std::array<UnderWay, 2> slots_;
};

}  // namespace kronattn
