// Rooms: products of a size that batches share (Shapes.h: withRoom), so that what a device is asked for does not change with each batch.
//
// Such a product has more rows than the batch. Those behind the last one hold what was there before, and no kernel reads them. A product that sums over the batch's
// rows would: its factors' rows are zeros from there on, by a step of the device's own (Kernels::move), once for each value.
#pragma once
#include "runtime/plan/KernelSteps.h"
#include "runtime/plan/ProductSteps.h"

namespace peftrt::plan {

/// The products of a step, if LibTorch does it (Stretches.h: isPlain).
struct ProductsOfStep {
  const ProductStep *product = nullptr, *branch = nullptr;
};

/// Whether more examples and more tokens never take less: there is no `tokens - 1` in it.
bool canHaveRoom(const PlanProgram &plan);
/// Whether the step's products can be made for a size with room: what grows with the batch are rows of values that have slots.
bool canHaveRoom(const Op &op, const PlanProgram &plan, const ProductsOfStep &products);

/// A factor of a step's first product.
struct Factor {
  size_t step;
  bool isB;
};
/// By step: the factors whose tails are cleared before it. As many together as can be. `products`: of steps that have room, by step; of others nothing.
std::vector<std::vector<Factor>> clearingsOf(const PlanProgram &plan, const std::vector<ProductsOfStep> &products);
/// `call`: the product, with room; `depth`: without. Errs R0102 there is less room than that.
Move clearingOf(const products::Call &call, const Factor &factor, int64_t depth);

} // namespace peftrt::plan
