// Batching: which rows form which batch, in which order, as a function of (lengths, options, seed, epoch) alone.
//
// Length-bucketed shuffling: the shuffled rows are cut into pools of many batches, a pool is sorted by length and cut into
// batches, the batches are shuffled. The same on every machine; resuming needs only (epoch, batch).
#pragma once
#include <cstdint>
#include <vector>

namespace peftrt {

struct BatchingOptions {
  int64_t batch = 32;         ///< examples, if tokensPerBatch is 0
  int64_t tokensPerBatch = 0; ///< at most so many tokens; a longer row is a batch of its own
  bool shuffle = true;        ///< false: file order
};

using RowBatches = std::vector<std::vector<int64_t>>;

RowBatches planEpoch(const std::vector<int64_t> &lengths, const BatchingOptions &options, uint64_t seed, int64_t epoch);
/// For evaluation: every row once, like lengths together, longest first.
RowBatches planByLength(const std::vector<int64_t> &lengths, const BatchingOptions &options);

} // namespace peftrt
