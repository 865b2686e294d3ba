// Checksums of data in memory (xxHash's XXH3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kronattn {

std::uint64_t checksum(const void* data, std::size_t bytes, std::uint64_t seed);

}  // namespace kronattn
