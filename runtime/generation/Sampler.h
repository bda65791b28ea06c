// Sampler: which token comes next.
//
// Without a temperature the most probable token (of equals the first). Else one is drawn from softmax(logits / temperature), of which only the `topK` most
// probable ones are left, and of those the fewest whose probabilities reach `topP` (Holtzman et al. 2020, arXiv:1904.09751).
#pragma once
#include <cstdint>

namespace peftrt {

struct SamplingOptions {
  double temperature = 0; ///< 0: the most probable token
  double topP = 1;
  int64_t topK = 0; ///< 0: all
  uint64_t seed = 0;
};

/// `logits`: one a token of the vocabulary. The number that is drawn depends on the seed, the text and the place in it alone.
int64_t chooseToken(const float *logits, int64_t vocabulary, const SamplingOptions &options, uint64_t text, uint64_t place);

} // namespace peftrt
