// Rows of a matrix from those who have them to those who want them.
#pragma once

#include "communicator.hpp"
#include "types.hpp"

namespace kronattn {

/// The rows of this rank when the ranks hold `own` rows each, rank 0's first; and how many there are in all.
struct RowPlacement {
  /// Collective.
  RowPlacement(const Communicator& comm, Index own);

  Range mine;
  Index total = 0;
};

/// Collective: one all-to-all; a row travels to each rank that wants it. This rank has `rows` (have.size(),
/// columns), row-major, which are the rows `have` of the matrix, and gets the rows `want`. Wants may overlap.
/// Throws AgreedFailure unless each row that is wanted is had by exactly one rank.
Matrix redistribute(const Communicator& comm, const double* rows, Index columns, Range have, Range want);

}  // namespace kronattn
