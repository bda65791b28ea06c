// Bands: steps on the same rows, one after another: a thread takes its rows through all of them, so that they stay in its cache and no step waits for all threads.
//
// Which steps form a band, and how many rows a thread takes at a time, is the compiler's decision (plan-form-bands, plan-assign-buffers). A value that only the band
// makes and reads has no place for all rows: each thread has its own of the rows that it is at. Every step computes a row by itself, so the numbers are those of
// the steps done one by one on all rows.
//
// Where a step sums over the rows, threads take whole stretches of them, as many each as can be; the sums of stretches are added up behind the band.
//
// A product of the library knows no threads' rows: where a band has one, all threads together take as many rows through it, step by step.
#pragma once
#include "runtime/plan/KernelSteps.h"
#include "runtime/plan/ProductSteps.h"

namespace peftrt::plan {

/// Where a step finds rows of a value.
struct RowsAt {
  void *data = nullptr;
  int64_t row = 0, thread = 0; ///< bytes of a row, and of what each thread has, where threads have their own rows; 0 where all rows lie one after another
  /// Where row 0 would be, for the thread `index` that is at the rows from `first` on.
  void *origin(int64_t first, int64_t index) const { return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(data) + index * thread - first * row); }
};

RowsAt rowsAt(const PlanProgram &plan, int64_t value, const std::vector<Packed> &values);

/// Rows first … last - 1, and the thread that is at them.
struct RowShare {
  int64_t first, last, thread;
};

/// A step that does its rows independently, on one batch's bytes.
class RowWork {
public:
  /// `operands`, and then results.
  RowWork(KernelRunner &kernels, const KernelStep &step, std::vector<RowsAt> operands) : kernels_(&kernels), step_(&step), operands_(std::move(operands)) {}
  struct Factors {
    RowsAt a, c;
    std::optional<RowsAt> sum, branch; ///< what is added, and A of a branch that is a part of the call
  };
  /// A product. `b`: B of one that is the library's; else it is prepared.
  RowWork(Products &products, const products::Call &call, Factors factors, std::optional<Packed> b) : products_(&products), call_(call), factors_(std::move(factors)), b_(std::move(b)) {}
  /// By the calling thread; not of the library's.
  void run(const RowShare &share) const;
  /// By all threads, who have all of their rows in common.
  void runTogether(int64_t first, int64_t last) const;
  bool isLibrarys() const { return b_.has_value(); }
  /// Who takes rows begins at a multiple of it: a kernel's that sums over them.
  int64_t stretch() const { return kernels_ ? step_->stretch : 1; }

private:
  std::vector<void *> origins(const RowShare &share) const;
  products::Call callFor(const RowShare &share) const;

  KernelRunner *kernels_ = nullptr;
  const KernelStep *step_ = nullptr;
  Products *products_ = nullptr;
  products::Call call_{};
  std::vector<RowsAt> operands_;
  Factors factors_;
  std::optional<Packed> b_;
};

/// All of them, on `rows` rows, of which a thread takes `most` at a time. Returns the seconds of each, by the mean of the threads.
std::vector<double> runBand(const std::vector<RowWork> &band, int64_t rows, int64_t most);

} // namespace peftrt::plan
