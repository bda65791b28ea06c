// Bands: see the header.
#include "runtime/plan/Bands.h"
#include <ATen/Parallel.h>
#include <algorithm>
#include <cstring>

namespace peftrt::plan {
namespace {
/// Rows of a few layers' widths that lie in the second-level cache; fewer would read the weights too often.
constexpr int64_t kMostRows = 96;

/// Rows of a chunk: every thread gets as many chunks, and they are nearly equal.
int64_t chunkOf(int64_t rows) {
  const auto parts = [](int64_t whole, int64_t part) { return (whole + part - 1) / part; };
  const int64_t threads = at::get_num_threads(), chunks = parts(parts(rows, kMostRows), threads) * threads;
  return std::max<int64_t>(1, parts(parts(rows, chunks), Products::kRows)) * Products::kRows;
}
} // namespace

void RowWork::run(int64_t first, int64_t last) const {
  if (kernels_)
    return kernels_->runPart(*step_, data_.data(), first, last);
  if (sum_) {
    const int64_t bytes = call_.cRow * (call_.cIsBf16 ? 2 : 4);
    std::memcpy(static_cast<char *>(call_.c) + first * bytes, static_cast<const char *>(sum_) + first * bytes, (last - first) * bytes);
  }
  products_->multiplyRows(call_, first, last);
}

void runBand(const std::vector<RowWork> &band, int64_t rows) {
  if (rows == 0)
    return;
  const int64_t chunk = chunkOf(rows);
  at::parallel_for(0, (rows + chunk - 1) / chunk, 1, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index)
      for (const RowWork &work : band)
        work.run(index * chunk, std::min(rows, (index + 1) * chunk));
  });
}

} // namespace peftrt::plan
