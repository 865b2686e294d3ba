// For tests that stop a run at a chosen point: loaded before the program (LD_PRELOAD), it lets rank
// STOP_AT_RANK raise signal STOP_AT_SIGNAL just before its STOP_AT_CALL-th reduction over all ranks, counted
// from 1. Reductions are what ranks meet at, so their numbers name all points of a run, the same ones each
// time. STOP_AT_COUNT names a file for the number of reductions.

#include <mpi.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

long number(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtol(text, nullptr, 10) : 0;
}

long calls = 0;

}  // namespace

extern "C" int MPI_Allreduce(const void* sent, void* received, int count, MPI_Datatype type, MPI_Op op,
                             MPI_Comm comm) {
  if (++calls == number("STOP_AT_CALL")) {
    int rank = 0;
    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == number("STOP_AT_RANK")) std::raise(static_cast<int>(number("STOP_AT_SIGNAL")));
  }
  return PMPI_Allreduce(sent, received, count, type, op, comm);
}

extern "C" int MPI_Finalize() {
  if (const char* path = std::getenv("STOP_AT_COUNT")) {
    if (std::FILE* file = std::fopen(path, "w")) {
      std::fprintf(file, "%ld\n", calls);
      std::fclose(file);
    }
  }
  return PMPI_Finalize();
}
