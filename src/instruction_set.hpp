// Which vectors the kernels use: the best that this CPU and all that take part have.
//
// Bits, and by the constants of the counted work also the choice of a method, depend on it. So processes that
// compute together must use the same: those on other CPUs have to be asked first (Communicator does).
#pragma once

#include <cstdint>

namespace kronattn {

/// The instruction sets that kernels are compiled for and may use, a bit each.
std::int64_t instruction_sets();

/// Kernels use none but these from now on. Not to be called while one runs.
void use_instruction_sets(std::int64_t sets);

/// The one that is used, as Highway names it: "AVX2", "AVX3" (AVX-512), "AVX3_DL".
const char* instruction_set();

}  // namespace kronattn
