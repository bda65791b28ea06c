// Philox: counter-based random numbers (Philox4x32-7; Salmon et al., SC 2011: seven rounds are the fewest that pass BigCrush). Standard library only.
//
// Numerics  A number depends on (seed, site, step, pass, rate, element) and on nothing else: not on threads, order or device.
//           Uniform: 24 bits, in [0, 1), four elements a block; uniform16: 16 bits, eight elements, low halves first. Normal: Box–Muller of a block's lanes (0, 1) and (2, 3), in double, rounded once.
#pragma once
#include <array>
#include <cstdint>
#include <string>

namespace peftrt {

/// How often a random number changes; `init` ignores step and pass, `step` ignores pass.
enum class RandomRate : uint32_t { token = 0, example = 1, pass = 2, step = 3, init = 4 };
enum class Distribution { uniform, uniform16, normal };

struct RandomStream {
  uint64_t seed = 0;
  uint32_t site = 0;
  int64_t step = 0, pass = 0;
  RandomRate rate = RandomRate::token;
  Distribution distribution = Distribution::uniform;
};

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);
/// Elements first … first + count - 1 of the stream.
void fillRandom(const RandomStream &stream, uint64_t first, int64_t count, float *out);
/// Errs R0102 no such rate or distribution.
RandomRate rateOf(const std::string &name);
Distribution distributionOf(const std::string &name);

} // namespace peftrt
