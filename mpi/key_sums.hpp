// The key sums of a finished run, kept for other queries with the same keys and values.
//
// The sums are all that queries ever see of the keys, so a file of a few megabytes stands for any number of
// them. It is laid out like a checkpoint (checkpoint_file.hpp): a header that says of which keys and values,
// in which coordinates and of which monomials the sums are, then the words of head after head, mode after
// mode. Coordinates are made anew from what they were made from before: the keys' sample, and the queries
// that stood in it.
//
// The keys are still read and measured, which takes O(d) a row instead of O(r d_v): a sum is only used where
// its keys' and values' content is that of the problem.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint_file.hpp"
#include "communicator.hpp"
#include "measure_problem.hpp"
#include "plan.hpp"
#include "solve.hpp"

namespace kronattn {

/// A file of sums that appears under its name when it is complete.
class KeySumsWriter {
 public:
  /// Collective. `temporary`: what it is called until then. Throws AgreedFailure where a head has no key
  /// sums, or the file can't be written.
  KeySumsWriter(const Communicator& comm, const std::string& path, const std::string& temporary,
                const ProblemShape& shape, const ProblemMeasurement& measurement, const Wishes& wishes,
                const std::vector<PlannedHead>& heads);

  /// Collective: the sums of the next head. Throws AgreedFailure.
  void write(const KeySumWords& sums);
  /// Collective: on disk, under its name.
  void commit();

 private:
  const Communicator& comm_;
  std::optional<CheckpointWriter> file_;  // rank 0's
};

class KeySums {
 public:
  /// Collective. Throws AgreedFailure where the file can't be believed, or is of another shape, scale,
  /// program or kind of CPU.
  KeySums(const Communicator& comm, const std::string& path, const ProblemShape& shape);

  /// For Wishes.
  GivenSums given() const;
  /// For CoordinateWishes.
  std::vector<CoordinateWishes::Given> coordinates() const;

  /// Throws AgreedFailure unless the problem that was measured has these keys and values, and queries that
  /// these coordinates serve: none of their scores is off by more than `negligible_score`.
  void check(const ProblemMeasurement& measurement, double negligible_score,
             const std::string& problem) const;

  /// The sums of a head, on rank 0; others leave `sums` as they are. Heads may be left out, not gone back to.
  /// Throws std::runtime_error.
  void read(Index head, const KeySumWords& sums);

 private:
  struct Head {
    CoordinateWishes::Given coordinates;
    MonomialChoice monomials;
    ContentSum content;
    Index rank;
  };

  std::string path_, identity_;
  ProblemShape shape_;
  std::vector<Head> heads_;
  std::optional<CheckpointReader> reader_;  // rank 0's
  Index next_ = 0;                          // head of the reader
};

}  // namespace kronattn
