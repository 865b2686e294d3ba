// Tests of kernels with every instruction set that this machine can run.
#pragma once

#include <gtest/gtest.h>

#include "instruction_set.hpp"

namespace kronattn::testing {

/// While it lives, kernels use none but `sets`.
class InstructionSets {
 public:
  explicit InstructionSets(std::int64_t sets) { use_instruction_sets(sets); }
  ~InstructionSets() { use_instruction_sets(~std::int64_t{0}); }
  InstructionSets(const InstructionSets&) = delete;
  InstructionSets& operator=(const InstructionSets&) = delete;
};

/// Calls test() with each instruction set in turn as the best one that may be used.
template <class Test>
void with_each_instruction_set(Test test) {
  const std::int64_t all = instruction_sets();
  for (std::int64_t sets = all; sets != 0; sets &= sets - 1) {
    const InstructionSets only(sets);
    SCOPED_TRACE(instruction_set());
    ASSERT_EQ(instruction_sets(), sets);
    test();
  }
  EXPECT_EQ(instruction_sets(), all);
}

}  // namespace kronattn::testing
