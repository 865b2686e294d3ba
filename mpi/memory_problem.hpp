// A problem in the memory of the ranks: each brings rows of every matrix, as many or as few as it likes.
//
// A solve reads rows in whole tiles, cut by global row number, whoever brought them. So the rows are sent
// once to the ranks that will read them; from there on nothing differs from a problem in a file, down to the
// bits.
#pragma once

#include <optional>
#include <vector>

#include "communicator.hpp"
#include "problem.hpp"
#include "types.hpp"

namespace kronattn {

/// One rank's share of a problem of one head. The whole matrices are the shares below each other, in rank
/// order; a rank without rows of a matrix may leave it empty (0 x 0).
struct AttentionInput {
  Matrix queries;                    // (own rows, d)
  std::vector<Matrix> keys, values;  // one each per mode: (own rows, d), (own rows, d_v)
  std::optional<double> scale = {};  // of the scores, the same on all ranks; 1/d unless given
};

class MemoryProblem : public Problem {
 public:
  /// Collective: one all-to-all a matrix; each row moves once, those at the edge of a share perhaps twice.
  /// Leaves the input as it is and holds this rank's part of the solve, about 1/ranks of all rows. Throws
  /// AgreedFailure where the shares don't fit together.
  MemoryProblem(const Communicator& comm, const AttentionInput& input);

  const ProblemShape& shape() const override { return shape_; }
  std::string name() const override { return "attention"; }
  Precision precision() const override { return Precision::double_precision; }
  /// Rows that a solve reads on this rank; throws std::logic_error on others.
  Matrix read(Part part, Index head, Range rows) override;
  std::string entry_name(Part part, Index head, Index row, Index column) const override;
  std::int64_t bytes_read() const override { return 0; }

  /// The query rows that this rank brought, and those that it holds for the solve.
  Range own_queries() const { return own_queries_; }
  Range held_queries() const { return queries_.rows; }

 private:
  /// Rows of a part that this rank holds.
  struct Held {
    Range rows;
    Matrix data;
  };
  Held hold(const Communicator& comm, const Matrix& own, Range own_rows, Part part) const;

  ProblemShape shape_;
  Range own_queries_;
  Held queries_;
  std::vector<Held> keys_, values_;
};

}  // namespace kronattn
