#include "instruction_set.hpp"

#include <hwy/highway.h>

namespace kronattn {

namespace {

/// The best one has the lowest bit.
std::int64_t best() {
  const std::int64_t sets = instruction_sets();
  return sets & -sets;
}

}  // namespace

std::int64_t instruction_sets() {
  const std::int64_t supported = hwy::SupportedTargets();
  // Where it looks at the CPU, it makes kernels use all that this has, whatever was disabled (Highway 1.0).
  hwy::GetChosenTarget().Update(supported);
  return supported & HWY_TARGETS;
}

void use_instruction_sets(std::int64_t sets) {
  hwy::DisableTargets(~sets);
}

const char* instruction_set() {
  return hwy::TargetName(best());
}

}  // namespace kronattn
