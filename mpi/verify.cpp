#include "verify.hpp"

#include <algorithm>
#include <cmath>

#include "key_tiles.hpp"
#include "plan.hpp"
#include "tiles.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

/// Sampled row `sample` of `samples` of `rows` rows: the first, the last, and evenly between.
Index sampled_row(Index sample, Index samples, Index rows) {
  return samples == rows ? sample
         : samples == 1
             ? rows / 2
             : static_cast<Index>(std::llround(static_cast<double>(sample) * static_cast<double>(rows - 1) /
                                               static_cast<double>(samples - 1)));
}

/// What this rank has seen so far; squares are summed for the relative error.
struct Comparison {
  Verification& verification;
  double difference_squares = 0, reference_squares = 0;

  void compare(const RowOutputs& result, const RowOutputs& reference, Index row, double promise,
               std::optional<double> epsilon) {
    double error = 0;
    for (Index c = 0; c < reference.output.cols(); ++c) {
      const double difference = std::abs(result.output(0, c) - reference.output(row, c));
      error = difference <= error ? error : difference;  // nan counts as the largest error
      difference_squares += difference * difference;
      reference_squares += reference.output(row, c) * reference.output(row, c);
    }
    const double log_error = std::abs(result.log_normalizer(0) - reference.log_normalizer(row));
    const double bound = result.error_bound(0), own = reference.error_bound(row),
                 own_log = reference.log_error(row);
    verification.max_error = std::max(verification.max_error, std::isnan(error) ? HUGE_VAL : error);
    if (bound > 0 || error > 0)
      verification.max_error_over_bound =
          std::max(verification.max_error_over_bound, bound > 0 ? error / bound : HUGE_VAL);
    verification.max_log_normalizer_error =
        std::max(verification.max_log_normalizer_error, std::isnan(log_error) ? HUGE_VAL : log_error);
    if (!(error <= bound + own)) verification.within_bound = false;
    if (epsilon && !(error <= *epsilon * promise + own && log_error <= *epsilon + own_log &&
                     bound <= *epsilon * promise))
      verification.within_epsilon = false;
  }
};

}  // namespace

Index affordable_rows(const ProblemShape& shape, const Rates& rates, double threads) {
  constexpr double seconds = 40;
  const double each = exact_work(shape, 1) / rates.exact * static_cast<double>(shape.heads);
  // A thread works on a row of its own, so fewer rows than threads take no less time.
  const double rows = std::max(1.0, std::floor(seconds / each)) * threads;
  return static_cast<Index>(std::min(rows, static_cast<double>(shape.queries)));
}

Verification verify(const Communicator& comm, Problem& problem, const ProblemMeasurement& measurement,
                    const ResultFile& result, Index rows, Progress& progress, const RankMemory& memory) {
  const ProblemShape& shape = problem.shape();
  const Json promised = result.report()["certificate"]["epsilon"];
  const std::optional<double> epsilon =
      promised.is_number() ? std::optional<double>(promised.get<double>()) : std::nullopt;
  const Index samples = std::min(rows, shape.queries);
  const Range mine = share(samples, comm.size(), comm.rank());
  const double taken = head_bytes(shape, PlannedHead(), comm.size());  // of an exact head
  memory.need(comm, problem.name() + ": verifying a result", taken + least_bytes_in_flight(shape));
  const Blocks blocks = blocks_within(memory.left(comm, taken), shape);
  const auto passes =
      tile_count(tile_range(0, samples, (samples + comm.size() - 1) / comm.size()).size(), blocks.exact_rows);

  Verification verification;
  verification.rows_checked = samples * shape.heads;
  Comparison comparison{verification};
  ContentSum content;  // of keys only: nothing to compare with
  for (Index head = 0; head < shape.heads && samples > 0; ++head) {
    const Coordinates coordinates(measurement.heads[static_cast<std::size_t>(head)].file, shape);
    const ExactCertificate certificate(shape, coordinates, Precision::double_precision, ExactArithmetic());
    KeyTiles tiles(comm, problem, head, coordinates, ExactArithmetic(), verification.seconds, content,
                   blocks.kept_bytes);
    progress.at_head(head, shape.heads);
    progress.begin("exact", mine.size(), static_cast<double>(passes) * tiles.tuples());
    for (Index pass = 0; pass < passes; ++pass) {
      const Range part = tile_range(pass, mine.size(), blocks.exact_rows);
      const Index count = std::max<Index>(part.size(), 0);
      const auto row_of = [&](Index i) {
        return sampled_row(mine.begin + part.begin + i, samples, shape.queries);
      };
      Matrix queries(count, shape.width);
      comm.together([&] {
        for (Index i = 0; i < count; ++i)
          queries.row(i) = problem.read({Part::queries}, head, {row_of(i), row_of(i) + 1});
      });
      // At order 2 a row alone would fill one lane of a vector; at higher orders its key tuples fill them.
      ExactAttention attention(shape, coordinates, queries, shape.order() == 2 ? 8 : 1);
      absorb_all(tiles, shape.modes(), 0, attention, [&] { progress.advance(1); });
      const RowOutputs reference = attention.finish(certificate);
      comm.together([&] {
        for (Index i = 0; i < count; ++i)
          comparison.compare(result.read_row(head, row_of(i)), reference, i, measurement.promise, epsilon);
      });
    }
  }

  double largest[] = {verification.max_error, verification.max_error_over_bound,
                      verification.max_log_normalizer_error, verification.within_bound ? 0.0 : 1.0,
                      verification.within_epsilon ? 0.0 : 1.0};
  comm.max(largest, std::size(largest));
  verification.max_error = largest[0];
  verification.max_error_over_bound = largest[1];
  verification.max_log_normalizer_error = largest[2];
  verification.within_bound = largest[3] == 0;
  verification.within_epsilon = largest[4] == 0;
  const double difference = comm.add(comparison.difference_squares),
               reference = comm.add(comparison.reference_squares);
  verification.relative_error = difference == 0 ? 0 : std::sqrt(difference / reference);
  return verification;
}

Json verify_report(const Verification& verification) {
  Json report;
  report["rows_checked"] = verification.rows_checked;
  report["max_error"] = number_or_null(verification.max_error);
  report["relative_error"] = number_or_null(verification.relative_error);
  report["max_error_over_bound"] = number_or_null(verification.max_error_over_bound);
  report["max_log_normalizer_error"] = number_or_null(verification.max_log_normalizer_error);
  report["within_bound"] = verification.within_bound;
  report["within_epsilon"] = verification.within_epsilon;
  report["reference"] = "exact";
  return report;
}

}  // namespace kronattn
