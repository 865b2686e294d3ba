// Ranks: the MPI calls kronattn makes, each with its return code checked in one place.
//
// All functions that talk are collective: every rank of the communicator calls them, in the same order.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "types.hpp"

namespace kronattn {

/// A failure that every rank knows of in the same words: rank 0 reports it, all leave in good order.
class AgreedFailure : public std::runtime_error {
 public:
  explicit AgreedFailure(const std::string& words, int exit_code = 1)
      : std::runtime_error(words), exit_code_(exit_code) {
    ++in_flight_;
  }
  AgreedFailure(const AgreedFailure& other) : std::runtime_error(other), exit_code_(other.exit_code_) {
    ++in_flight_;
  }
  AgreedFailure& operator=(const AgreedFailure&) = default;
  ~AgreedFailure() override { --in_flight_; }

  int exit_code() const { return exit_code_; }

  /// Whether this rank is unwinding from a failure of its own: then nothing collective may be called any
  /// more, since the other ranks are elsewhere; the run ends in MPI_Abort.
  static bool alone() { return std::uncaught_exceptions() > 0 && in_flight_ == 0; }

 private:
  static inline int in_flight_ = 0;
  int exit_code_;
};

/// A failure inside a collective call: the other ranks may still be in it, and can't be told. It passes
/// through Communicator::together, and the run ends in MPI_Abort.
class LostInCollective : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws LostInCollective, naming `call`, unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call);

/// Items of `words` numbers that are shared out over ranks, as evenly as can be: of each rank how many
/// numbers, and where they begin, as MPI takes them.
struct Shares {
  Shares() = default;
  Shares(Index items, Index words, int ranks);
  std::vector<int> counts, places;
};

class Communicator {
 public:
  /// A duplicate of MPI_COMM_WORLD, so that messages of a library's user never mix with ours. From then on
  /// kernels use what all ranks' CPUs have (instruction_set.hpp).
  Communicator();
  explicit Communicator(MPI_Comm parent);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool root() const { return rank_ == 0; }
  MPI_Comm handle() const { return comm_; }

  /// Runs `work` on every rank; if it throws on any, throws AgreedFailure with the words of the lowest such
  /// rank on all. What may fail on one rank alone goes through here before the next collective call.
  void together(const std::function<void()>& work) const;

  void sum(std::span<std::int64_t> values) const;  // elementwise, in place, any length
  /// So many items in pieces, of each of which every rank has a share (Shares).
  std::vector<Range> pieces(Index items) const;
  /// Of so many items, this rank's shares, one a piece.
  std::vector<Range> shares(Index items) const;
  /// The shares of all ranks, of one number an item, on all of them.
  void gather_shares(double* values, Index items) const;
  /// Sums on rank 0 alone; others keep what they have.
  void sum_to_root(std::span<std::int64_t> values) const;
  std::int64_t sum(std::int64_t value) const;
  double add(double value) const;  // in an order of MPI's choosing: for figures that are only reported
  void max(double* values, Index count) const;
  void min(double* values, Index count) const;
  double max(double value) const;
  double min(double value) const;
  void broadcast(double* values, Index count, int from) const;
  std::string broadcast(const std::string& text, int from) const;
  /// The bits that are set on all ranks.
  std::int64_t common_bits(std::int64_t bits) const;
  /// Values of which each is 0 on all ranks but one, on all ranks: exact.
  void combine(double* values, Index count) const;
  /// Every rank's values, one after the other, on all ranks.
  std::vector<double> gather(const std::vector<double>& mine) const;

  /// Throws AgreedFailure unless all ranks have the same number (not nan), naming it `what`.
  void need_same(double number, const std::string& what) const;

  /// The values of all ranks, in rank order.
  std::vector<std::int64_t> gather(std::int64_t value) const;

  /// Rows of `columns` numbers change hands: rank p gets the rows to[p] of `sent`, and what rank p sends here
  /// becomes the rows from[p] of `received`. Row numbers count from 0 in each buffer; ranges of `to` may
  /// overlap.
  void exchange_rows(const double* sent, const std::vector<Range>& to, double* received,
                     const std::vector<Range>& from, Index columns) const;

  /// How many different hosts the ranks run on, how many ranks share this one, and the number of this one
  /// among them. Collective.
  int hosts() const;
  int ranks_on_host() const;
  int rank_on_host() const;

  /// Payload this rank has handed to sum() and SharedSums so far.
  std::int64_t bytes_reduced() const { return bytes_reduced_; }
  void count_reduced(std::size_t bytes) const;

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  mutable std::int64_t bytes_reduced_ = 0;
};

/// A broadcast that is on its way while other work is done.
class PendingBroadcast {
 public:
  /// Collective: begins. `values`: as many on all ranks, which get those of rank `from`; fewer than 2^28.
  PendingBroadcast(const Communicator& comm, std::vector<double> values, int from);
  /// Waits, unless this rank is alone with a failure: then what is under way stays as it is.
  ~PendingBroadcast();
  PendingBroadcast(const PendingBroadcast&) = delete;
  PendingBroadcast& operator=(const PendingBroadcast&) = delete;

  /// Waits. What has arrived.
  const std::vector<double>& wait();

 private:
  std::unique_ptr<std::vector<double>> values_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

}  // namespace kronattn
