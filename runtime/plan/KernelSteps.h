// KernelSteps: a plan's steps of kind `kernel`: what they say, and who runs them: on this CPU the generated code on the batch's rows or heads, by threads.
//
// Errs  R0102 a step that does not say how it is called
#pragma once
#include "runtime/cpu/Kernels.h"
#include "runtime/plan/Packed.h"
#include <array>
#include <optional>

namespace peftrt::plan {

class Kernels;
class KernelRunner;

/// A sum over a kernel's rows. Each stretch of rows has one of its own, in a table [stretches, pitch] of f32; another function adds those in their order, so that the
/// numbers are the same whoever does which rows.
struct RowSum {
  size_t result = 0; ///< of the step
  int64_t columns = 0, pitch = 0;
};

/// A kernel step's attributes, looked up once.
struct KernelStep {
  enum class Space { rows, tiles, flat };
  const void *function = nullptr; ///< what `Kernels::find` gave for its symbol
  Space space = Space::rows;
  bool example = false; ///< tasks of each example, else of the run
  Dim tasks;
  int64_t columns = 1;
  std::vector<uint32_t> sites;
  int64_t team = 1;  ///< threads of a GPU that do a task together
  int64_t block = 1; ///< threads of a GPU's block: whole teams
  Dim scratch; ///< bytes of a thread, or of such a team, with a longest sequence of s tokens
  int64_t over = 0; ///< tiles: the pair of sequences that the rows and the keys are of
  size_t results = 0;
  std::vector<RowSum> sums;
  int64_t stretch = 1;         ///< who does a part of the tasks begins at a multiple of it
  const void *addUp = nullptr; ///< on columns: operands are the tables, results the sums
  int64_t columnsOfSums() const; ///< of the widest
};
KernelStep kernelStepOf(const Op &op, Kernels &kernels);

/// What kernels are told of a batch (KernelCall), and what follows from it.
struct BatchTables {
  std::vector<int64_t> offsets, squares, lengths;
  std::vector<int64_t> tokens, longest; ///< by sequence
  int64_t examples = 0, elements = 0;
  void fill(const BatchSize &size);
  int64_t tasksOf(const KernelStep &step) const;
  int64_t stretchesOf(const KernelStep &step) const { return (tasksOf(step) + step.stretch - 1) / step.stretch; }
  /// Where the table of each of the step's sums begins, one behind the other, and the end: in f32.
  std::vector<int64_t> placesOfSums(const KernelStep &step) const;
  int64_t scratchOf(const KernelStep &step) const { return step.scratch.at(longest.at(static_cast<size_t>(step.scratch.sequence))); }
};

/// Rows first … last - 1 of a band's, which it is at; they may end behind the batch's last one.
struct RowRange {
  int64_t first, last;
  bool isEnd; ///< none come behind them
};

/// A step of one run, with the operands' and results' bytes.
struct KernelUse {
  const KernelStep *step;
  std::vector<void *> data; ///< where row 0 is or would be
  std::optional<RowRange> rows = {}; ///< nothing: all
};

/// Rows that are written elsewhere; or zeros, as where sums over rows are to go beyond a value's last one.
struct Move {
  void *to;
  const void *from;       ///< null: zeros
  int64_t rows, bytes;    ///< bytes of a row
  int64_t pitch, fromPitch; ///< from one to the next; all even numbers
};

/// What is given to a device's driver and to LibTorch so that steps are done, number by number, each behind what it is that is asked for: where two are equal, the same is.
enum class Asked : uint64_t { kernel, product, copy, move };
using Given = std::vector<uint64_t>;

/// The kernels of a bundle, on a device.
class Kernels {
public:
  virtual ~Kernels() = default;
  /// Errs: there is none of this name.
  virtual const void *find(const std::string &symbol) = 0;
  /// Before the steps of a run. `uses`: those that `run` is to be called for, in their order; they stay until the run's end. `moves`: what `move` is.
  virtual void begin(const BatchSize &size, const RandomState &random, const std::vector<KernelUse> &uses, const std::vector<Move> &moves) = 0;
  /// One of them, the `place`th.
  virtual void run(const KernelUse &use, size_t place) = 0;
  /// Adds what a driver is given for it.
  virtual void tell(size_t /*place*/, Given & /*given*/) const {}
  /// Of a device that is no threads: so many moves from `first` on; and what a driver is given for that.
  virtual void move(size_t /*first*/, size_t /*count*/) {}
  virtual void tellMove(size_t /*first*/, size_t /*count*/, Given & /*given*/) const {}
  virtual int64_t scratchBytes() const = 0;
  /// Itself, where this process's threads run it.
  virtual KernelRunner *threads() { return nullptr; }
};

/// On this CPU.
class KernelRunner final : public Kernels {
public:
  /// `pairs`: products that kernels are to use instead of their own loops, or null.
  KernelRunner(const Bundle &bundle, const std::string &cpuTarget, const products::PairFunctions *pairs) : library_(bundle, cpuTarget), pairs_(pairs) {}
  const void *find(const std::string &symbol) override { return reinterpret_cast<const void *>(library_.find(symbol)); }
  void begin(const BatchSize &size, const RandomState &random, const std::vector<KernelUse> &uses, const std::vector<Move> &moves) override;
  /// By all threads.
  void run(const KernelUse &use, size_t place) override;
  int64_t scratchBytes() const override;
  KernelRunner *threads() override { return this; }

  int64_t tasksOf(const KernelStep &step) const { return tables_.tasksOf(step); }
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

private:
  KernelCall callOf(const KernelStep &step, void *const *data) const;
  std::vector<int64_t> headShares(const KernelStep &step) const;

  KernelLibrary library_;
  const products::PairFunctions *pairs_;
  BatchTables tables_;
  int64_t scratchOfThread_ = 0;
  RandomState random_;
  std::vector<char> scratch_;
  std::vector<std::vector<float>> sums_; ///< tables, by place
};

} // namespace peftrt::plan
