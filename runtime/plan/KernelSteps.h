// KernelSteps: runs a plan's steps of kind `kernel`: the generated code on the batch's rows or heads, by threads.
//
// Errs  R0102 a step that does not say how it is called
#pragma once
#include "runtime/cpu/Kernels.h"
#include "runtime/plan/Packed.h"
#include <array>

namespace peftrt::plan {

/// A sum over a kernel's rows. Each stretch of rows has one of its own, in a table [stretches, pitch] of f32; another function adds those in their order, so that the
/// numbers are the same whoever does which rows.
struct RowSum {
  size_t result = 0; ///< of the step
  int64_t columns = 0, pitch = 0;
};

/// A kernel step's attributes, looked up once.
struct KernelStep {
  enum class Space { rows, tiles, flat };
  KernelFunction function = nullptr;
  Space space = Space::rows;
  bool example = false; ///< tasks of each example, else of the run
  Dim tasks;
  int64_t columns = 1;
  std::vector<uint32_t> sites;
  Dim scratch; ///< bytes of a thread, with a longest sequence of s tokens
  int64_t over = 0; ///< tiles: the pair of sequences that the rows and the keys are of
  size_t results = 0;
  std::vector<RowSum> sums;
  int64_t stretch = 1;              ///< who does a part of the tasks begins at a multiple of it
  KernelFunction addUp = nullptr;   ///< on columns: operands are the tables, results the sums
};
KernelStep kernelStepOf(const Op &op, const KernelLibrary &library);

/// What the kernel steps of one run share.
class KernelRunner {
public:
  /// `pairs`: products that kernels are to use instead of their own loops, or null.
  explicit KernelRunner(const products::PairFunctions *pairs) : pairs_(pairs) {}
  /// Before the steps of a run.
  void begin(const BatchSize &size, const RandomState &random);
  int64_t tasksOf(const KernelStep &step) const;
  /// By all threads. `data`: the operands' and results' bytes.
  void run(const KernelStep &step, std::vector<void *> data);
  /// Tables for the step's sums, which follow its results where its parts are run: the `place`th of the steps that have theirs at the same time.
  std::vector<void *> tablesFor(const KernelStep &step, size_t place);
  /// When all rows are done. `results`: the step's.
  void addUp(const KernelStep &step, const std::vector<void *> &tables, void *const *results) const;
  /// Tasks first … last - 1, by all threads.
  void runRows(const KernelStep &step, void *const *data, int64_t first, int64_t last) const;
  /// Makes room for what `runPart` needs; not while one is running.
  void reserve(const KernelStep &step);
  /// Tasks first … last - 1, by the calling thread.
  void runPart(const KernelStep &step, void *const *data, int64_t first, int64_t last) const;
  int64_t scratchBytes() const;

private:
  int64_t stretchesOf(const KernelStep &step) const;
  KernelCall callOf(const KernelStep &step, void *const *data) const;
  std::vector<int64_t> headShares(const KernelStep &step) const;

  const products::PairFunctions *pairs_;
  std::vector<int64_t> offsets_, squares_, lengths_;
  std::vector<int64_t> tokens_, longest_; ///< by sequence
  int64_t examples_ = 0, elements_ = 0, scratchOfThread_ = 0;
  RandomState random_;
  std::vector<char> scratch_;
  std::vector<std::vector<float>> tables_; ///< by place
};

} // namespace peftrt::plan
