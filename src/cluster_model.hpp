// How long a solve takes on a cluster: computing + reduction + files.
//
// Three things happen one after the other, and each has a size and a rate:
//   1. computing: the flops of the plan over all threads, but for what every rank does for itself;
//   2. the reduction: of the key sums of each head, b = 16 r (d_v + 1) bytes a mode whatever n is, each of P
//      ranks gets a share (reduce-scatter), and of their products, b/2 bytes, all get all (allgather): at the
//      best in k ceil(log2 P) messages one after the other, and (P - 1)/P (k - 1/2) b bytes through the
//      interface of each rank. An allreduce of each mode would move 2 (P - 1)/P (k - 1) b: a third more at
//      order 2, 60 % more at order 3;
//   3. files: the problem is read twice (measured, then summed up), the result written and read back.
// So with more ranks the first goes down and the second does not: from some number of ranks on it is all
// there is. Nothing is decided by these seconds. What the exact method broadcasts hides behind its computing,
// and is left out. Key sums travel while the last keys are added to others; what of 2. hides behind 1. in
// that way is not taken off.
//
//   P ranks   T threads   r monomials   d_v value columns   L latency   B bandwidth
#pragma once

#include "plan.hpp"

namespace kronattn {

/// What ranks talk over, and what they read from and write to.
struct Network {
  double latency = 2e-6;        // seconds of a short message from rank to rank
  double bandwidth = 1e9;       // bytes a second in and out of a rank
  double file_bandwidth = 1e9;  // bytes a second between all ranks and the file system
};

struct Cluster {
  double ranks = 1, threads = 1;  // threads of a rank
  Network network;
};

struct ClusterSeconds {
  double own = 0, shared = 0;  // computing: what every rank does for itself, and what they share
  double reduce = 0, files = 0;
  double compute() const { return own + shared; }
  double total() const { return compute() + reduce + files; }
};

/// Of `bytes` that are shared out over the ranks, or gathered from them, by halves; 0 on one rank. An
/// allreduce is both.
double scatter_seconds(double bytes, double ranks, const Network& network);

/// Of the key sums of one head.
double reduction_seconds(const ProblemShape& shape, double rank, double ranks, const Network& network);

/// Of one head. `number_bytes`: of a number in the problem file; the result has one of these in each column
/// and two doubles a row.
ClusterSeconds cluster_seconds(const PlannedHead& head, const ProblemShape& shape, double number_bytes,
                               const Rates& rates, const Cluster& cluster);

/// The smallest number of ranks of these threads from which on the reduction of all heads takes longer than
/// the computing that ranks share; 0 where it does so at no number below 1e9.
double reduction_dominates_from(const std::vector<PlannedHead>& heads, const ProblemShape& shape,
                                const Rates& rates, Cluster cluster);

}  // namespace kronattn
