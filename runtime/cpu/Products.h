// Products: the generated matrix products of a bundle (compiler/conversion/WholeProducts), f32.
//
// LibTorch's library (MKL) takes a generic path on CPUs that are not Intel's: there the generated ones are used. The choice depends on the CPU's maker only, never on
// a measurement, so that a run that is resumed computes the same numbers.
#pragma once
#include "runtime/cpu/Kernels.h"
#include <algorithm>
#include <vector>

namespace peftrt {

/// Element (i, k) of A lies i * aRow + k floats behind `a`, (k, j) of B k * bDepth + j * bColumn behind `b`, (i, j) of C i * cRow + j behind `c`.
struct ProductCall {
  const float *a, *b;
  float *packed, *c;
  int64_t aRow, bDepth, bColumn, cRow, rows, depth, columns;
  int64_t accumulate; ///< C += A B
};
static_assert(offsetof(ProductCall, aRow) == 32 && offsetof(ProductCall, accumulate) == 88, "code in trainers that are already compiled has this layout");

enum class ProductChoice { byMaker, generated, library };
/// `generated`, `library`, or empty for the CPU's maker to decide (PEFT_PRODUCTS). Errs R0107 another word.
ProductChoice productChoiceOf(const std::string &word);

class Products {
public:
  Products(const KernelLibrary &library, ProductChoice choice);
  /// Whether a product of this shape is one for the generated code: neither side thin.
  bool serves(int64_t rows, int64_t depth, int64_t columns) const;
  /// `call.packed` is filled in. `parallel(tasks, grain, body)` calls body(begin, end) on parts of 0 … tasks - 1.
  template <typename Parallel> void multiply(ProductCall call, const Parallel &parallel) {
    call.packed = roomFor(call.depth, call.columns);
    parallel((call.columns + panel_ - 1) / panel_, 1, [&](int64_t begin, int64_t end) { pack_(&call, begin, end); });
    const int64_t blocks = (call.rows + kRows - 1) / kRows;
    parallel(blocks, 2, [&](int64_t begin, int64_t end) { rows_(&call, begin * kRows, std::min(end * kRows, call.rows)); });
  }
  int64_t scratchBytes() const { return static_cast<int64_t>(packed_.size() * sizeof(float)); }

private:
  using Function = void (*)(const ProductCall *, int64_t begin, int64_t end);
  static constexpr int64_t kPanel = 64, kRows = 6; ///< the widest panel of any target; rows that are done at a time
  float *roomFor(int64_t depth, int64_t columns);
  Function pack_ = nullptr, rows_ = nullptr;
  int64_t panel_ = kPanel; ///< columns of a panel
  std::vector<float> packed_;
};

} // namespace peftrt
