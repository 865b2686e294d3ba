// Order-3 attention of matrices in memory: each rank brings rows and gets the outputs of its own queries.
#include <cstdio>
#include <kronattn/attention.hpp>

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  try {
    const kronattn::Communicator comm(MPI_COMM_WORLD);
    std::srand(1 + static_cast<unsigned>(comm.rank()));
    const auto rows = [](int n) { return Eigen::MatrixXd(Eigen::MatrixXd::Random(n, 4)); };  // in [-1, 1]
    const kronattn::AttentionInput mine = {rows(1000), {rows(500), rows(300)}, {rows(500), rows(300)}};
    kronattn::Wishes wishes;
    wishes.epsilon = 1e-6;
    const kronattn::Attention result = kronattn::attention(comm, mine, wishes);
    if (comm.root()) std::printf("O[0,0] = %.8f +- %.1e\n", result.output(0, 0), result.error_bound(0));
  } catch (const kronattn::AgreedFailure& failure) {  // every rank gets the same one
    std::fprintf(stderr, "%s\n", failure.what());
  }
  MPI_Finalize();
}
