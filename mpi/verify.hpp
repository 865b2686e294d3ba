// Checks a result against the definition, on a sample of rows fixed by row numbers.
#pragma once

#include <optional>

#include "result_file.hpp"

namespace kronattn {

struct Verification {
  Index rows_checked = 0;
  double max_error = 0;             // largest |O - reference|
  double relative_error = 0;        // Frobenius norm of the difference over that of the reference
  double max_error_over_bound = 0;  // largest of a row's error over its error_bound
  double max_log_normalizer_error = 0;
  bool within_bound = true;    // every row's error <= its error_bound, up to the reference's own rounding
  bool within_epsilon = true;  // likewise for the promise, and for the log normaliser
  PhaseSeconds seconds;
};

/// How many rows the exact method can check in about a minute, on so many threads in all: at least one a
/// thread.
Index affordable_rows(const ProblemShape& shape, const Rates& rates, double threads);

/// Collective. `rows` rows of each head, evenly spread. Computes them by the exact method, as many at a time
/// as `memory` holds.
Verification verify(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                    const ResultFile& result, Index rows, Progress& progress = Progress::unseen(),
                    const RankMemory& memory = RankMemory());

Json verify_report(const Verification& verification);

}  // namespace kronattn
