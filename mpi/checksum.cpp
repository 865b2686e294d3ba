#include "checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kronattn {

std::uint64_t checksum(const void* data, std::size_t bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

struct RunningChecksum::State {
  XXH3_state_t xxh;
};

RunningChecksum::RunningChecksum() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh);
}

RunningChecksum::~RunningChecksum() = default;

void RunningChecksum::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(&state_->xxh, data, bytes);
}

std::uint64_t RunningChecksum::value() const {
  return XXH3_64bits_digest(&state_->xxh);
}

}  // namespace kronattn
