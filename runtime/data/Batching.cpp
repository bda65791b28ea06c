// Batching: see Batching.h.
#include "runtime/data/Batching.h"
#include <algorithm>
#include <numeric>

namespace peftrt {
namespace {

constexpr int64_t kPoolBatches = 50;

/// SplitMix64: the standard library's shuffles differ between versions, a run's order must not.
class Random {
public:
  Random(uint64_t seed, uint64_t epoch) : state_(seed * 0x9e3779b97f4a7c15ull ^ (epoch + 1) * 0xd1b54a32d192ed03ull) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  template <typename T> void shuffle(std::vector<T> &items) {
    for (size_t last = items.size(); last > 1; --last) {
      const auto other = static_cast<size_t>((static_cast<unsigned __int128>(next()) * last) >> 64);
      std::swap(items[last - 1], items[other]);
    }
  }

private:
  uint64_t state_;
};

void cut(const std::vector<int64_t> &rows, const std::vector<int64_t> &lengths, const BatchingOptions &options, RowBatches &batches) {
  std::vector<int64_t> batch;
  int64_t tokens = 0;
  for (const int64_t row : rows) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    const bool full = options.tokensPerBatch > 0 ? tokens + length > options.tokensPerBatch : static_cast<int64_t>(batch.size()) >= options.batch;
    if (full && !batch.empty()) {
      batches.push_back(std::move(batch));
      batch.clear();
      tokens = 0;
    }
    batch.push_back(row);
    tokens += length;
  }
  if (!batch.empty())
    batches.push_back(std::move(batch));
}

std::vector<int64_t> inFileOrder(size_t rows) {
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

} // namespace

RowBatches planEpoch(const std::vector<int64_t> &lengths, const BatchingOptions &options, uint64_t seed, int64_t epoch) {
  RowBatches batches;
  std::vector<int64_t> order = inFileOrder(lengths.size());
  if (!options.shuffle) {
    cut(order, lengths, options, batches);
    return batches;
  }
  Random random(seed, static_cast<uint64_t>(epoch));
  random.shuffle(order);
  int64_t pool = options.batch * kPoolBatches;
  if (options.tokensPerBatch > 0) {
    const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    const int64_t mean = std::max<int64_t>(1, total / std::max<int64_t>(1, static_cast<int64_t>(lengths.size())));
    pool = std::max<int64_t>(1, options.tokensPerBatch / mean) * kPoolBatches;
  }
  for (size_t begin = 0; begin < order.size(); begin += static_cast<size_t>(pool)) {
    const size_t end = std::min(order.size(), begin + static_cast<size_t>(pool));
    std::vector<int64_t> rows(order.begin() + static_cast<int64_t>(begin), order.begin() + static_cast<int64_t>(end));
    std::stable_sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) { return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)]; });
    cut(rows, lengths, options, batches);
  }
  random.shuffle(batches);
  return batches;
}

RowBatches planByLength(const std::vector<int64_t> &lengths, const BatchingOptions &options) {
  std::vector<int64_t> order = inFileOrder(lengths.size());
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[static_cast<size_t>(a)] > lengths[static_cast<size_t>(b)]; });
  RowBatches batches;
  cut(order, lengths, options, batches);
  return batches;
}

} // namespace peftrt
