// Checksums of a problem's content, gathered as rows are read: what a result and a checkpoint belong to.
#pragma once

#include <cstdint>
#include <vector>

#include "communicator.hpp"
#include "problem.hpp"

namespace kronattn {

/// A sum of the checksums of all pieces that were read, each together with its place: it depends neither on
/// who read what nor in which order. Rows of a part are cut into pieces by global row number.
class ContentSum {
 public:
  ContentSum() = default;
  /// What halves() gave.
  explicit ContentSum(const std::vector<std::int64_t>& halves);

  /// Adds rows that start at a piece's first row, as every tile of every method does.
  void add(Part part, Index head, Range rows, const Matrix& data);

  /// Adds what another one has seen.
  void merge(const ContentSum& other);
  /// Takes in rows of a result: `checksum` stands for them and their place.
  void add(std::uint64_t checksum);

  /// Two integers: sums of equal content have the same, and those of parts add up.
  const std::vector<std::int64_t>& halves() const { return halves_; }
  bool operator==(const ContentSum&) const = default;

  /// Collective: what all ranks have seen.
  ContentSum of_all(const Communicator& comm) const;
  /// Collective: a checksum of that.
  std::uint64_t over_ranks(const Communicator& comm) const;

 private:
  std::vector<std::int64_t> halves_ = {0, 0};  // of 64-bit checksums, so that no sum overflows
};

}  // namespace kronattn
