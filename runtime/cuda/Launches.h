// Launches: a plan's kernel steps on a GPU.
//
// What a run's kernels are told (offsets of examples, operands' addresses, sites of random numbers) is one table, sent once before the first of them.
// Errs  R0206 the GPU failed, with the kernel
#pragma once
#include "runtime/cuda/Code.h"
#include "runtime/cuda/Memory.h"
#include "runtime/plan/KernelSteps.h"

namespace peftrt::cuda {

class Launches final : public plan::Kernels {
public:
  Launches(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<Staging> staging, const Bundle &bundle);
  ~Launches() override;
  const void *find(const std::string &symbol) override { return &code_.find(symbol); }
  void begin(const BatchSize &size, const RandomState &random, const std::vector<plan::KernelUse> &uses) override;
  void run(const plan::KernelUse &use) override;
  int64_t scratchBytes() const override { return static_cast<int64_t>(scratch_.size + table_.size); }

private:
  struct Block {
    Address address = 0;
    size_t size = 0;
  };
  /// Blocks of one launch, and each team's scratch.
  struct Shape {
    unsigned blocks;
    int64_t teams, tasks, scratch;
  };
  Shape shapeOf(const plan::KernelStep &step) const;
  Shape shapeFor(int64_t tasks, int64_t share, int64_t team, int64_t scratch) const;
  /// What is told of a use: addresses of its operands, of its sites, and of the tables of its sums over rows with their results.
  struct Told {
    Address data, sites, sums;
  };
  void start(const void *function, const Shape &shape, const Told &told, Address data, int64_t elements);
  void growTo(Block &block, size_t size);

  std::shared_ptr<const Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Staging> staging_;
  Code code_;
  plan::BatchTables tables_;
  RandomState random_;
  Block table_, scratch_, sums_;
  Address offsets_ = 0, squares_ = 0, lengths_ = 0; ///< in the table
  std::vector<Told> told_;                          ///< by use
  size_t next_ = 0;                                 ///< use
};

} // namespace peftrt::cuda
