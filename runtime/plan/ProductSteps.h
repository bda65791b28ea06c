// ProductSteps: contractions that are one matrix product of the packed batch, with everything that does not depend on the batch known beforehand.
#pragma once
#include "runtime/plan/Packed.h"
#include "runtime/products/Products.h"
#include <optional>

namespace peftrt::plan {

/// c + e · examples + t · tokens of a sequence.
struct Extent {
  int64_t c = 0, e = 0, t = 0;
  int64_t sequence = 0;
  int64_t at(const BatchSize &size) const { return c + size.rowsOf({e, t, sequence}); }
};

struct ProductStep {
  size_t a = 0, b = 1;                  ///< which operand has the rows of the result, which its columns
  bool aTurned = false, bTurned = false; ///< A lies as [depth, rows], B as [columns, depth]
  Extent rows, depth, columns;
  bool byRows = false; ///< a row of the result needs that row of A, and all of B
};

/// How a contract's operands lie: [x, y], [x, y, sum], or with a branch (`plan.product … and`) [x, y, h, u] and maybe the sum.
inline bool hasBranch(const Op &op) { return op.attrs.contains("branch"); }
std::optional<int64_t> addendOf(const Op &op); ///< the value that is the sum

/// Nothing where it is no single product, or only after its operands are copied into another order: `ContractSteps` does those.
std::optional<ProductStep> productStepOf(const Op &op, const Program &program);
/// Of `h u`, with the operands' places in the whole list.
std::optional<ProductStep> branchStepOf(const Op &op, const Program &program);
/// f32 or bf16 at an address as a matrix, of memory that others hold.
at::Tensor matrixAt(const void *data, bool isBf16, at::IntArrayRef sizes, at::IntArrayRef strides, c10::Device device = c10::kCPU);
/// The product on these values, not prepared yet; nothing is added to it.
products::Call callOf(const ProductStep &step, const Op &op, const std::vector<Packed> &values, const BatchSize &size);
/// Makes it the product of its rows first … last - 1, of no more than it has.
void takeRows(products::Call &call, int64_t first, int64_t last);

} // namespace peftrt::plan
