// The library's front door: attention of matrices in memory, spread over ranks.
//
//   kronattn::Wishes wishes;
//   wishes.epsilon = 1e-6;
//   const kronattn::Communicator comm(MPI_COMM_WORLD);
//   const kronattn::Attention result = kronattn::attention(comm, {queries, {keys}, {values}}, wishes);
//
//   O[i,c]  = sum_J exp(s(i;J)) V1[j1,c] ... Vk-1[jk-1,c] / sum_J exp(s(i;J))
//   s(i;J)  = scale * sum_l Q[i,l] K1[j1,l] ... Kk-1[jk-1,l]
#pragma once

#include "memory_problem.hpp"
#include "plan.hpp"

namespace kronattn {

/// Attention of the query rows that this rank brought.
struct Attention {
  Matrix output;          // (own queries, d_v)  O
  Vector log_normalizer;  // (own queries)       log sum_J exp(s(i;J)), within epsilon, absolutely
  Vector error_bound;     // (own queries)       no entry of this row of O is off by more: proven, all
                          //                     rounding included, in the units of O
  Plan plan;              // how it was computed, the same on all ranks
  Estimate estimate;      // why, and what was expected of it
};

/// Computes attention of any order k = 2, 3, ...: one matrix of keys and one of values for each of the k-1
/// modes. The results are the same bits as those of `kronattn solve` for the same matrices in a file,
/// however the rows are spread over ranks, at any number of ranks and threads.
///
///   input     this rank's share; a rank without rows takes part like every other
///   wishes    the same on all ranks: `epsilon` (0 < epsilon < 1) promises |O - exact| <= epsilon max|V1| ...
///             max|Vk-1| for every entry, or `degree` fixes the polynomial; the rest may stay as it is
///
/// Several heads: a call for each; epsilon is then relative to the values of that head.
///
/// Collective, and the communicator may be any part of MPI_COMM_WORLD. Throws AgreedFailure, on all ranks in
/// the same words, where shares or wishes don't fit together, entries are not finite, or the promise can't be
/// kept; nothing is lost, and the next call may do better. What else comes out (MPI itself failed, say) is
/// one rank's alone: then end the run.
///
/// Cost: that of the plan, by the polynomial method 2 r (d_v + 1) flops for every query and key row and one
/// reduce-scatter of 2 r (d_v + 1) integers a mode, one allgather of r (d_v + 1) numbers; before it all rows,
/// after it the outputs change hands once. Memory: the rank's share twice, and that of the plan. Uses
/// omp_get_max_threads() threads. Source: the papers named in README.md.
Attention attention(const Communicator& comm, const AttentionInput& input, const Wishes& wishes);

}  // namespace kronattn
