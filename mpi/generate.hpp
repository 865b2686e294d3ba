// Writes synthetic problems, each rank its own rows.
#pragma once

#include <memory>
#include <string>

#include "certificate.hpp"
#include "communicator.hpp"
#include "planted_instance.hpp"
#include "problem.hpp"
#include "progress.hpp"
#include "random_rows.hpp"
#include "rank_memory.hpp"
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
  /// Rows come from here, where it is; then only `shape` counts, which may be shorter, and a file has the
  /// answers, too. In double precision.
  std::shared_ptr<const PlantedInstance> planted = nullptr;
};

/// The rows of an instance, made when they are asked for.
class GeneratedProblem : public Problem {
 public:
  explicit GeneratedProblem(Instance instance) : instance_(std::move(instance)) {}

  const ProblemShape& shape() const override { return instance_.shape; }
  std::string name() const override { return "the synthetic problem"; }
  Precision precision() const override { return instance_.precision; }
  Matrix read(Part part, Index head, Range rows) override;
  std::string entry_name(Part part, Index head, Index row, Index column) const override;
  std::int64_t bytes_read() const override { return 0; }

 private:
  Matrix block(Part part, Index head, Index number) const;

  Instance instance_;
};

/// Collective. Writes an instance as a problem file: the same datasets at any number of ranks
/// and in any memory. A planted one
/// has, beside the problem, a dataset `truth` (n), its tokens if there are any, and attributes for its
/// parameters.
void generate(const Communicator& comm, const Instance& instance, const std::string& path, bool overwrite,
              Progress& progress = Progress::unseen(), const RankMemory& memory = RankMemory());

}  // namespace kronattn
