#include "communicator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "instruction_set.hpp"
#include "text.hpp"
#include "tiles.hpp"
#include "watchdog.hpp"

namespace kronattn {

namespace {

constexpr Index largest_count = Index{1} << 28;     // counts are int in MPI 3.1
constexpr Index reduced_together = Index{1} << 20;  // MPI holds as many in a buffer of its own

template <class Number>
void allreduce(Number* values, Index count, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  const Activity::Waiting waiting;
  for (Index begin = 0; begin < count; begin += reduced_together)
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values + begin,
                            static_cast<int>(std::min(reduced_together, count - begin)), type, op, comm),
              "MPI_Allreduce");
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw LostInCollective(std::string(call) + ": " + std::string(text, static_cast<std::size_t>(length)));
}

Shares::Shares(Index items, Index words, int ranks) {
  for (int rank = 0; rank < ranks; ++rank) {
    const Range share = share_of_rows(items, 1, ranks, rank);
    counts.push_back(static_cast<int>(share.size() * words));
    places.push_back(static_cast<int>(share.begin * words));
  }
}

Communicator::Communicator() : Communicator(MPI_COMM_WORLD) {}

Communicator::Communicator(MPI_Comm parent) {
  check_mpi(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  use_instruction_sets(common_bits(instruction_sets()));
}

Communicator::~Communicator() {
  if (AgreedFailure::alone()) return;  // freeing is collective
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0) MPI_Comm_free(&comm_);
}

void Communicator::together(const std::function<void()>& work) const {
  std::string words;
  bool failed = false;
  try {
    work();
  } catch (const LostInCollective&) {
    throw;
  } catch (const std::bad_alloc&) {
    failed = true, words = "out of memory";
  } catch (const std::exception& error) {
    failed = true, words = error.what();
  }
  const double first = min(failed ? static_cast<double>(rank_) : HUGE_VAL);
  if (first < HUGE_VAL) throw AgreedFailure(broadcast(words, static_cast<int>(first)));
}

void Communicator::sum(std::span<std::int64_t> values) const {
  allreduce(values.data(), static_cast<Index>(values.size()), MPI_INT64_T, MPI_SUM, comm_);
  bytes_reduced_ += static_cast<std::int64_t>(values.size() * sizeof(std::int64_t));
}

void Communicator::count_reduced(std::size_t bytes) const {
  bytes_reduced_ += static_cast<std::int64_t>(bytes);
}

std::vector<Range> Communicator::pieces(Index items) const {
  // Few enough to hold two of them beside all else, many enough for a share not to be a short message.
  const Index most = std::max(Index{1} << 17, Index{256} * size_);
  std::vector<Range> all;
  for (Index begin = 0; begin < items; begin += most) all.push_back({begin, std::min(items, begin + most)});
  return all;
}

std::vector<Range> Communicator::shares(Index items) const {
  std::vector<Range> all;
  for (Range piece : pieces(items)) {
    const Range share = share_of_rows(piece.size(), 1, size_, rank_);
    all.push_back({piece.begin + share.begin, piece.begin + share.end});
  }
  return all;
}

void Communicator::gather_shares(double* values, Index items) const {
  if (size_ == 1) return;
  const Activity::Waiting waiting;
  for (Range piece : pieces(items)) {
    const Shares shares(piece.size(), 1, size_);
    check_mpi(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values + piece.begin, shares.counts.data(),
                             shares.places.data(), MPI_DOUBLE, comm_),
              "MPI_Allgatherv");
  }
}

void Communicator::sum_to_root(std::span<std::int64_t> values) const {
  const Activity::Waiting waiting;
  for (std::size_t begin = 0; begin < values.size(); begin += static_cast<std::size_t>(largest_count)) {
    const auto count =
        static_cast<int>(std::min(values.size() - begin, static_cast<std::size_t>(largest_count)));
    check_mpi(MPI_Reduce(root() ? MPI_IN_PLACE : values.data() + begin,
                         root() ? values.data() + begin : nullptr, count, MPI_INT64_T, MPI_SUM, 0, comm_),
              "MPI_Reduce");
  }
}

std::int64_t Communicator::sum(std::int64_t value) const {
  allreduce(&value, 1, MPI_INT64_T, MPI_SUM, comm_);
  return value;
}

double Communicator::add(double value) const {
  allreduce(&value, 1, MPI_DOUBLE, MPI_SUM, comm_);
  return value;
}

void Communicator::max(double* values, Index count) const {
  allreduce(values, count, MPI_DOUBLE, MPI_MAX, comm_);
}

void Communicator::min(double* values, Index count) const {
  allreduce(values, count, MPI_DOUBLE, MPI_MIN, comm_);
}

double Communicator::max(double value) const {
  max(&value, 1);
  return value;
}

double Communicator::min(double value) const {
  min(&value, 1);
  return value;
}

void Communicator::broadcast(double* values, Index count, int from) const {
  const Activity::Waiting waiting;
  for (Index begin = 0; begin < count; begin += largest_count)
    check_mpi(MPI_Bcast(values + begin, static_cast<int>(std::min(largest_count, count - begin)), MPI_DOUBLE,
                        from, comm_),
              "MPI_Bcast");
}

std::string Communicator::broadcast(const std::string& text, int from) const {
  const Activity::Waiting waiting;
  auto length = static_cast<std::int64_t>(text.size());
  check_mpi(MPI_Bcast(&length, 1, MPI_INT64_T, from, comm_), "MPI_Bcast");
  std::string copy = rank_ == from ? text : std::string(static_cast<std::size_t>(length), '\0');
  check_mpi(MPI_Bcast(copy.data(), static_cast<int>(length), MPI_CHAR, from, comm_), "MPI_Bcast");
  return copy;
}

std::int64_t Communicator::common_bits(std::int64_t bits) const {
  allreduce(&bits, 1, MPI_INT64_T, MPI_BAND, comm_);
  return bits;
}

void Communicator::combine(double* values, Index count) const {
  static_assert(sizeof(double) == sizeof(std::int64_t));
  // The bits of 0 are those of the integer 0.
  allreduce(reinterpret_cast<std::int64_t*>(values), count, MPI_INT64_T, MPI_BOR, comm_);
}

std::vector<double> Communicator::gather(const std::vector<double>& mine) const {
  const std::vector<std::int64_t> lengths = gather(static_cast<std::int64_t>(mine.size()));
  std::vector<double> all;
  for (int from = 0; from < size_; ++from) {
    std::vector<double> part(static_cast<std::size_t>(lengths[static_cast<std::size_t>(from)]));
    if (part.empty()) continue;
    if (rank_ == from) part = mine;
    broadcast(part.data(), static_cast<Index>(part.size()), from);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void Communicator::need_same(double number, const std::string& what) const {
  const double least = min(number), most = max(number);
  if (least != most)
    throw AgreedFailure(what + " is " + short_number(least) + " on one rank and " + short_number(most) +
                        " on another; need the same on all");
}

std::vector<std::int64_t> Communicator::gather(std::int64_t value) const {
  const Activity::Waiting waiting;
  std::vector<std::int64_t> values(static_cast<std::size_t>(size_));
  check_mpi(MPI_Allgather(&value, 1, MPI_INT64_T, values.data(), 1, MPI_INT64_T, comm_), "MPI_Allgather");
  return values;
}

namespace {

/// Ranges of rows as MPI takes them: whole rows are counted, so that an int suffices.
struct RowCounts {
  explicit RowCounts(const std::vector<Range>& ranges) {
    for (Range rows : ranges) {
      if (rows.end > std::numeric_limits<int>::max())
        throw std::runtime_error("a rank holds " + std::to_string(rows.end) +
                                 " rows of a matrix; need at most 2147483647, or more ranks");
      counts.push_back(static_cast<int>(rows.size()));
      places.push_back(static_cast<int>(rows.begin));
    }
  }
  std::vector<int> counts, places;
};

}  // namespace

void Communicator::exchange_rows(const double* sent, const std::vector<Range>& to, double* received,
                                 const std::vector<Range>& from, Index columns) const {
  std::optional<RowCounts> send, receive;
  together([&] { send.emplace(to), receive.emplace(from); });
  MPI_Datatype row = MPI_DATATYPE_NULL;
  check_mpi(MPI_Type_contiguous(static_cast<int>(columns), MPI_DOUBLE, &row), "MPI_Type_contiguous");
  check_mpi(MPI_Type_commit(&row), "MPI_Type_commit");
  const Activity::Waiting waiting;
  check_mpi(MPI_Alltoallv(sent, send->counts.data(), send->places.data(), row, received,
                          receive->counts.data(), receive->places.data(), row, comm_),
            "MPI_Alltoallv");
  check_mpi(MPI_Type_free(&row), "MPI_Type_free");
}

namespace {

/// The ranks that share memory with this one.
struct Host {
  int rank = 0, size = 1;

  Host(MPI_Comm comm, int order) {
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, order, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    check_mpi(MPI_Comm_rank(node, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(node, &size), "MPI_Comm_size");
    check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
  }
};

}  // namespace

int Communicator::hosts() const {
  return static_cast<int>(sum(std::int64_t{Host(comm_, rank_).rank == 0}));
}

int Communicator::ranks_on_host() const {
  return Host(comm_, rank_).size;
}

int Communicator::rank_on_host() const {
  return Host(comm_, rank_).rank;
}

PendingBroadcast::PendingBroadcast(const Communicator& comm, std::vector<double> values, int from)
    : values_(std::make_unique<std::vector<double>>(std::move(values))) {
  check_mpi(MPI_Ibcast(values_->data(), static_cast<int>(values_->size()), MPI_DOUBLE, from, comm.handle(),
                       &request_),
            "MPI_Ibcast");
}

PendingBroadcast::~PendingBroadcast() {
  if (request_ == MPI_REQUEST_NULL) return;
  if (AgreedFailure::alone())
    static_cast<void>(values_.release());  // MPI may still write there
  else
    MPI_Wait(&request_, MPI_STATUS_IGNORE);
}

const std::vector<double>& PendingBroadcast::wait() {
  const Activity::Waiting waiting;
  check_mpi(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait");
  return *values_;
}

}  // namespace kronattn
