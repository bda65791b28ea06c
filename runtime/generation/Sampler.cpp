// Sampler: see the header.
#include "runtime/generation/Sampler.h"
#include "runtime/cpu/Philox.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace peftrt {
namespace {

/// In [0, 1), 53 bits.
double drawnNumber(uint64_t seed, uint64_t text, uint64_t place) {
  const auto block = philox({static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32), static_cast<uint32_t>(text), static_cast<uint32_t>(text >> 32)},
                            {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return static_cast<double>((static_cast<uint64_t>(block[0]) << 21) ^ (block[1] >> 11)) * 0x1p-53;
}

} // namespace

int64_t chooseToken(const float *logits, int64_t vocabulary, const SamplingOptions &options, uint64_t text, uint64_t place) {
  const int64_t best = std::max_element(logits, logits + vocabulary) - logits;
  if (options.temperature == 0)
    return best;
  std::vector<int64_t> order(static_cast<size_t>(vocabulary));
  std::iota(order.begin(), order.end(), 0);
  const int64_t kept = options.topK > 0 ? std::min(options.topK, vocabulary) : vocabulary;
  const auto before = [&](int64_t a, int64_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); };
  std::partial_sort(order.begin(), order.begin() + (options.topP < 1 || kept < vocabulary ? kept : 0), order.end(), before);
  order.resize(static_cast<size_t>(kept));
  std::vector<double> weights;
  for (const int64_t token : order)
    weights.push_back(std::exp((static_cast<double>(logits[token]) - logits[best]) / options.temperature));
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (options.topP < 1) {
    double reached = 0;
    size_t count = 0;
    while (count < weights.size() && (count == 0 || reached < options.topP * total))
      reached += weights[count++];
    weights.resize(count);
    total = reached;
  }
  double rest = drawnNumber(options.seed, text, place) * total;
  for (size_t index = 0; index < weights.size(); ++index)
    if ((rest -= weights[index]) < 0)
      return order[index];
  return order[weights.size() - 1];
}

} // namespace peftrt
