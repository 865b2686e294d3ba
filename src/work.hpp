// How much work a solve is: what `auto` chooses by, and what seconds are predicted from.
//
// Work is counted in useful flops of the polynomial method's products, 2 n r (d_v + 1) for keys and for
// queries (2 d_v + 1 with second moments); everything else in as many of these as take its time. How many
// that are is fixed for an instruction set, since the choice of a method decides bits, and was fitted to the
// times of tests/benchmarks/method_choice.
//
//   n rows   r monomials   d_v value columns   g degree
#pragma once

#include "types.hpp"

namespace kronattn {

/// Useful flops of the key sums of all modes, and of the evaluation of `rows` rows: 2 n r (d_v + 1) each.
double aggregate_flops(const ProblemShape& shape, double rank);
double evaluate_flops(const ProblemShape& shape, double rows, double rank);

/// Of the key sums of one mode, and of what its reduction carries: r (d_v + 1) integers of 16 bytes.
double key_sum_bytes(const ProblemShape& shape, double rank);

/// Work that ranks share: the key sums of all modes; `monomials`, summed over query rows, times the columns
/// of what they are multiplied with (d_v + 1, one more where monomials are dropped); query rows by the exact
/// method.
/// How many monomials in double take the time of these, of which some are in float.
double counted_monomials(double in_double, double in_single);
double aggregate_work(const ProblemShape& shape, double rank);
double evaluate_work(double monomials, double columns);
double exact_work(const ProblemShape& shape, double rows, ExactArithmetic arithmetic = {});

/// Work that every rank of the polynomial method does for itself: the sample, the plan, the rows'
/// polynomials, the key sums brought together (counted whole, though each multiplies a share). `row_squares`:
/// mean of the squares of the rows' own degrees, degree^2 at most.
double own_work(const ProblemShape& shape, double rank, Index degree, double row_squares);

/// Work of rows that miss the promise, beside evaluating them again: each is written alone.
double late_work(double rows);

}  // namespace kronattn
