// The query side of the polynomial method: features of the queries times the combined key sums, degree by
// degree.
//
//   moments(i, m, c) = sum_J (s_iJ / S)^m V_Jc     from  sum over |a| = m of q_i^a G(a, c)
//
// The degrees are kept apart: it costs no flops, and each row can then choose its polynomial, or stop at a
// lower degree than the sums hold, after its moments are known. Source: mathematics.md B1, B3, H2.
#pragma once

#include "certificate.hpp"
#include "coordinates.hpp"
#include "features.hpp"
#include "monomials.hpp"
#include "types.hpp"

namespace kronattn {

/// What a solve writes of a range of query rows.
struct RowOutputs {
  RowOutputs() = default;
  RowOutputs(Index rows, Index value_width)
      : output(rows, value_width), log_normalizer(rows), error_bound(rows), log_error(rows) {}

  Matrix output;          // (rows, d_v)
  Vector log_normalizer;  // (rows)
  Vector error_bound;     // (rows)
  Vector log_error;       // (rows) bound of the error of log_normalizer
};

/// Evaluates rows, cut into tiles from the first one on: `queries` (rows, d) as they stand in the file,
/// starting at a tile boundary, against G = `combined` (r, d_v + 1). Uses all OpenMP threads. Cost: 2 rows r
/// (d_v + 1) flops.
RowOutputs evaluate_queries(const Monomials& monomials, const Matrix& combined,
                            const Coordinates& coordinates, const PolynomialCertificate& certificate,
                            const ConstTile& queries);

}  // namespace kronattn
