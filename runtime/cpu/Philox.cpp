// Philox: see Philox.h.
#include "runtime/cpu/Philox.h"
#include "runtime/bundle/Errors.h"
#include <cmath>

namespace peftrt {
namespace {

/// The counter of a block: 32 bits of the block, the site, the step, and pass (24 bits), rate (3 bits) and the block's high 5 bits.
std::array<uint32_t, 4> counterOf(const RandomStream &stream, uint64_t block) {
  const bool stepped = stream.rate != RandomRate::init;
  const bool passed = stepped && stream.rate != RandomRate::step;
  const uint32_t pass = passed ? static_cast<uint32_t>(stream.pass) & 0xFFFFFFu : 0u;
  const uint32_t high = static_cast<uint32_t>(block >> 32) & 0x1Fu;
  return {static_cast<uint32_t>(block), stream.site, stepped ? static_cast<uint32_t>(stream.step) : 0u, pass | static_cast<uint32_t>(stream.rate) << 24 | high << 27};
}

double uniformOf(uint32_t bits) { return static_cast<double>(bits >> 8) * 0x1p-24; }

constexpr int kMostOfBlock = 8;
/// Elements that a block of four words makes.
int sizeOfBlock(Distribution distribution) { return distribution == Distribution::uniform16 ? 8 : 4; }

std::array<float, kMostOfBlock> blockOf(const RandomStream &stream, uint64_t block) {
  const std::array<uint32_t, 4> bits = philox(counterOf(stream, block), {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
  std::array<float, kMostOfBlock> numbers{};
  if (stream.distribution == Distribution::uniform) {
    for (int lane = 0; lane < 4; ++lane)
      numbers[lane] = static_cast<float>(uniformOf(bits[lane]));
    return numbers;
  }
  if (stream.distribution == Distribution::uniform16) {
    for (int half = 0; half < 8; ++half)
      numbers[half] = static_cast<float>(bits[half / 2] >> (half % 2 ? 16 : 0) & 0xFFFFu) * 0x1p-16f;
    return numbers;
  }
  for (int lane = 0; lane < 4; lane += 2) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniformOf(bits[lane]))), angle = 2.0 * M_PI * uniformOf(bits[lane + 1]);
    numbers[lane] = static_cast<float>(radius * std::cos(angle));
    numbers[lane + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return numbers;
}

} // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 7; ++round) {
    const uint64_t left = uint64_t{0xD2511F53u} * counter[0], right = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(right), static_cast<uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(left)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

void fillRandom(const RandomStream &stream, uint64_t first, int64_t count, float *out) {
  std::array<float, kMostOfBlock> numbers{};
  const uint64_t size = sizeOfBlock(stream.distribution);
  uint64_t held = ~uint64_t{0};
  for (int64_t index = 0; index < count; ++index) {
    const uint64_t element = first + index;
    if (element / size != held) {
      held = element / size;
      numbers = blockOf(stream, held);
    }
    out[index] = numbers[element % size];
  }
}

RandomRate rateOf(const std::string &name) {
  const char *names[] = {"token", "example", "pass", "step", "init"};
  for (uint32_t rate = 0; rate < 5; ++rate)
    if (name == names[rate])
      return static_cast<RandomRate>(rate);
  failBundle("there is no random rate `" + name + "`");
}

Distribution distributionOf(const std::string &name) {
  if (name == "uniform")
    return Distribution::uniform;
  if (name == "uniform16")
    return Distribution::uniform16;
  if (name == "normal")
    return Distribution::normal;
  failBundle("there is no distribution `" + name + "`");
}

} // namespace peftrt
