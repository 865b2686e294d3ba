// Ordinary attention of a few queries over one tile of keys: the innermost loops of the exact method.
//
// The lanes of a vector are queries, so a row's arithmetic is the same whoever its neighbours are, however
// wide the vectors: each row goes through
//   s_j = sum_l q_l K_jl          one multiplication, d - 1 fused steps, in the order of l
//   m   = max_j s_j
//   e_j = exp(s_j - m)            one rounding of the difference, then exponential_roundings
//   (exponential.hpp) sum_c = sum_j e_j V_jc        fused steps in the order of j: at most one rounding a key
// The scores of a vector of queries stay in the first-level cache between these steps. Vectors are those of
// Google Highway; the instruction set is chosen when the program runs, among those from the build's upwards.
//
//   T   double or float: of all of this. In float, sums of single_block keys are added up in double, so that
//   what
//       they lose does not grow with the tile.
//   b   keys of the tile      d   width      columns   d_v + 1
#pragma once

#include "types.hpp"

namespace kronattn {

/// Keys whose weighted values are summed in float before they are added in double.
inline constexpr Index single_block = 32;

/// For each of `rows` queries (rows, d), `query_stride` numbers apart: the largest score to `maximum` (rows),
/// and the sums of exp(s - maximum) V to `sums` (rows, columns). `keys` (b, d) and `values` (b, columns) are
/// dense, b >= 1; nothing overlaps. Queries are rounded to T. Exponents below -708, or -87 in float, count as
/// that. Cost: rows b (d + columns) fused multiplications and additions and one exp.
template <class T, class U>
void sum_tile(const double* queries, Index query_stride, Index rows, const T* keys, const U* values, Index b,
              Index d, Index columns, double* maximum, double* sums);

/// The same, one number at a time: what tests compare with.
template <class T, class U>
void sum_tile_plainly(const double* queries, Index query_stride, Index rows, const T* keys, const U* values,
                      Index b, Index d, Index columns, double* maximum, double* sums);

/// exp of `count` numbers <= 0 in place, as sum_tile has it: same bound as exponential().
template <class T>
void exponentials(T* numbers, Index count);

}  // namespace kronattn
