// Bands: steps on the same rows, one after another: a thread takes its rows through all of them, so that they stay in its cache and no step waits for all threads.
//
// Which steps form a band is the compiler's decision (plan-form-bands): it also keeps their results' bytes apart. Every step computes a row by itself, so the
// numbers are those of the steps done one by one.
#pragma once
#include "runtime/plan/KernelSteps.h"
#include "runtime/plan/ProductSteps.h"

namespace peftrt::plan {

/// A step that does its rows independently, on one batch's bytes.
class RowWork {
public:
  /// `data` are the operands' and results' bytes.
  RowWork(KernelRunner &kernels, const KernelStep &step, std::vector<void *> data) : kernels_(&kernels), step_(&step), data_(std::move(data)) {}
  /// A prepared product; `sum` is what is added, null for nothing or C itself.
  RowWork(const Products &products, const products::Call &call, const void *sum) : products_(&products), call_(call), sum_(sum) {}
  void run(int64_t first, int64_t last) const;

private:
  KernelRunner *kernels_ = nullptr;
  const KernelStep *step_ = nullptr;
  std::vector<void *> data_;
  const Products *products_ = nullptr;
  products::Call call_{};
  const void *sum_ = nullptr;
};

/// All of them, on `rows` rows.
void runBand(const std::vector<RowWork> &band, int64_t rows);

} // namespace peftrt::plan
