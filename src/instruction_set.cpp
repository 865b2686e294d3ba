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
  return hwy::SupportedTargets() & HWY_TARGETS;
}

void use_instruction_sets(std::int64_t sets) {
  hwy::DisableTargets(~sets);
}

const char* instruction_set() {
  return hwy::TargetName(best());
}

}  // namespace kronattn
