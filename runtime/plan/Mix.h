// Mix: numbers to one, by which what was seen is known again.
#pragma once
#include <cstdint>

namespace peftrt {

constexpr uint64_t kMixBegin = 0x9E3779B97F4A7C15; ///< odd, so that a number's contribution is never lost

inline uint64_t mix(uint64_t hash, uint64_t number) {
  hash = (hash ^ number) * kMixBegin;
  return hash ^ hash >> 29;
}

} // namespace peftrt
