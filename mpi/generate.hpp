// Writes synthetic problems, each rank its own rows.
#pragma once

#include <optional>
#include <string>

#include "certificate.hpp"
#include "communicator.hpp"
#include "random_rows.hpp"
#include "types.hpp"

namespace kronattn {

struct Instance {
  ProblemShape shape;  // its scale is not written
  bool has_heads = false;
  double bound = 1;  // entries of Q and K lie in [-bound, bound]
  Distribution distribution = Distribution::uniform;
  bool signal_values = true;  // V_m[j, c] = K_m[j, c mod d] / bound, else uniform in [-1, 1]
  std::uint64_t seed = 0;
  Precision precision = Precision::double_precision;
};

/// Collective. The same datasets at any number of ranks.
void generate(const Communicator& comm, const Instance& instance, const std::string& path, bool overwrite);

}  // namespace kronattn
