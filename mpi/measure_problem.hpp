// The first step of a solve: a look at a sample, one parallel pass over the keys and values, one over the
// queries.
#pragma once

#include "clock.hpp"
#include "communicator.hpp"
#include "content.hpp"
#include "measure.hpp"
#include "plan.hpp"
#include "problem.hpp"
#include "progress.hpp"
#include "rank_memory.hpp"
#include "run_control.hpp"

namespace kronattn {

/// What the pass leaves: all that later steps know of the problem's content.
struct ProblemMeasurement {
  std::vector<MeasuredHead> heads;
  double promise = 0;          // prod_m max|V_m| over all heads: what epsilon is relative to
  std::uint64_t content = 0;   // checksum of all entries
  std::uint64_t identity = 0;  // of the entries and the shape: the problem's fingerprint
  ContentSum samples;          // of the rows that were looked at before the passes
  /// Of each head: the keys' and values' part of the content, and the queries of the sample.
  std::vector<ContentSum> key_contents;
  std::vector<Matrix> query_samples;

  /// As it stands in files: 16 hexadecimal digits.
  std::string fingerprint() const;
};

/// The blocks in which a rank reads its share of `rows` rows: whole tiles, at most `bytes` each where a tile
/// is no more than that.
std::vector<Range> my_blocks(const Communicator& comm, Index rows, Index columns, Index tile_rows,
                             Index bytes);

/// How the polynomial method may change coordinates.
struct CoordinateWishes {
  bool change = false;
  double negligible_score = 0;  // what may be added to a score

  /// Of each head, where its key sums are there already: what led to the coordinates that they are in.
  struct Given {
    bool change;
    double negligible_score;
    Matrix queries;  // stand for the problem's own in the sample
  };
  std::vector<Given> given;
};

/// As a solve with these wishes has them.
CoordinateWishes coordinate_wishes(const Wishes& wishes);

/// Collective: takes in a sample of the next head and decides its coordinates. They are changed only if
/// `may_change`.
void look_at_sample(const Communicator& comm, Problem& problem, const CoordinateWishes& wishes,
                    bool may_change, ProblemMeasurement& measurement);

/// Collective. Throws AgreedFailure on entries that are not finite, StoppedEarly, and before any work where
/// `memory` is too small. Cost: O(d^2) a row; moves O(d + d_v) numbers a mode, and a sample of some thousand
/// rows.
ProblemMeasurement measure_problem(const Communicator& comm, Problem& problem, const CoordinateWishes& wishes,
                                   PhaseSeconds& seconds, Progress& progress = Progress::unseen(),
                                   const RunControl& control = RunControl::none(),
                                   const RankMemory& memory = RankMemory());

}  // namespace kronattn
