// Somebody else's program: attention of order 2 and 3 of Eigen matrices in memory, against the definition
// written out.
//
// Every rank knows the whole matrices, brings its share of the rows (rank 0 none of the keys, where there are
// others), and checks its own rows. It has a types.hpp of its own, and products of its own.
#include <cmath>
#include <cstdio>
#include <kronattn/attention.hpp>
#include <kronattn/version.hpp>

#include "types.hpp"

namespace {

using Eigen::MatrixXd;

/// The share of `whole` of rank `rank` of `ranks`.
MatrixXd share(const MatrixXd& whole, int rank, int ranks) {
  const auto begin = whole.rows() * rank / ranks, end = whole.rows() * (rank + 1) / ranks;
  return whole.middleRows(begin, end - begin);
}

/// The rows of all pairs: pair (j1, j2) is one[j1] * two[j2], entry by entry.
MatrixXd pairs(const MatrixXd& one, const MatrixXd& two) {
  MatrixXd products(one.rows() * two.rows(), one.cols());
  for (int j = 0; j < one.rows(); ++j)
    products.middleRows(j * two.rows(), two.rows()) = two * one.row(j).asDiagonal();
  return products;
}

/// Whether all rows of the result are the definition's within their bounds, and the bounds within `promise`.
bool holds(const kronattn::Attention& result, const MatrixXd& queries, const MatrixXd& keys,
           const MatrixXd& values, double promise) {
  const MatrixXd weights = (queries * keys.transpose() / double(queries.cols())).array().exp();
  const Eigen::VectorXd sums = weights.rowwise().sum();
  const MatrixXd output = sums.cwiseInverse().asDiagonal() * (weights * values);
  const double rounding = 1e-13;  // of this function
  if (result.output.rows() != queries.rows()) return false;
  for (int i = 0; i < queries.rows(); ++i)
    if (!((result.output.row(i) - output.row(i)).cwiseAbs().maxCoeff() <= result.error_bound(i) + rounding &&
          std::abs(result.log_normalizer(i) - std::log(sums(i))) <= promise &&
          result.error_bound(i) <= promise))
      return false;
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  bool good = true;
  {
    const kronattn::Communicator comm(MPI_COMM_WORLD);
    const int rank = comm.rank(), ranks = comm.size(), key_ranks = ranks > 1 ? ranks - 1 : 1;
    const int key_rank = ranks > 1 ? rank - 1 : 0;  // rank 0 brings no keys
    const auto own_keys = [&](const MatrixXd& whole) {
      return key_rank < 0 ? MatrixXd() : share(whole, key_rank, key_ranks);
    };
    const MatrixXd queries = MatrixXd::Random(700, 3), keys1 = MatrixXd::Random(900, 3),
                   keys2 = MatrixXd::Random(40, 3), values1 = keys1.array().sin(),
                   values2 = keys2.array().cos();
    const MatrixXd own_queries = share(queries, rank, ranks);
    kronattn::Wishes wishes;
    wishes.epsilon = 1e-5;
    wishes.method = kronattn::Method::polynomial;

    const kronattn::Attention order2 =
        attention(comm, {own_queries, {own_keys(keys1)}, {own_keys(values1)}}, wishes);
    const kronattn::Attention order3 = attention(
        comm, {own_queries, {own_keys(keys1), own_keys(keys2)}, {own_keys(values1), own_keys(values2)}},
        wishes);
    good = holds(order2, own_queries, keys1, values1, 1e-5) &&
           holds(order3, own_queries, pairs(keys1, keys2), pairs(values1, values2), 1e-5) &&
           order2.plan.method == kronattn::Method::polynomial && TypesOfMine().mine;
    if (comm.root())
      std::printf("kronattn %s, packets of %d doubles, bounds up to %.2e and %.2e\n", kronattn::version,
                  int(Eigen::internal::packet_traits<double>::size), order2.error_bound.maxCoeff(),
                  order3.error_bound.maxCoeff());
    if (!good) std::printf("rank %d: the definition says otherwise\n", rank);
  }
  MPI_Finalize();
  return good ? 0 : 1;
}
