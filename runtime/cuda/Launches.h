// Launches: a plan's kernel steps on a GPU.
//
// What a run's kernels are told (their calls with how much there is to do, offsets of examples, operands' addresses, sites of random numbers) is one table, sent once
// before the first of them. A launch is given where its call is, and has as many blocks as other batches of nearly this size, so that the same launches, recorded
// (Graphs.h), do another run's work.
// Errs  R0206 the GPU failed, with the kernel
#pragma once
#include "runtime/cuda/Moves.h"
#include "runtime/cuda/Code.h"
#include "runtime/cuda/Memory.h"
#include "runtime/plan/KernelSteps.h"
#include <array>
#include <map>

namespace peftrt::cuda {

class Launches final : public plan::Kernels {
public:
  Launches(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<Staging> staging, const Bundle &bundle);
  ~Launches() override;
  const void *find(const std::string &symbol) override { return &code_.find(symbol); }
  void begin(const BatchSize &size, const RandomState &random, const std::vector<plan::KernelUse> &uses, const std::vector<plan::Move> &moves) override;
  void run(const plan::KernelUse &use, size_t place) override;
  /// Nothing that the table says: it is read when the kernel runs.
  void tell(size_t place, plan::Given &given) const override;
  void move(size_t first, size_t count) override { mover_.start(moves_ + first * sizeof(plan::Move), count); }
  void tellMove(size_t first, size_t count, plan::Given &given) const override;
  int64_t scratchBytes() const override { return static_cast<int64_t>(scratch_.size + table_.size); }

private:
  struct Block {
    Address address = 0;
    size_t size = 0;
  };
  /// Blocks of one launch, and each team's scratch.
  struct Shape {
    unsigned blocks, threads; ///< threads: of a block
    int64_t teams, first, tasks, scratch; ///< tasks: behind the last one
  };
  /// What the driver is given: the call lies in the table.
  struct Launch {
    const Code::Entry *entry;
    Shape shape;
    Address call;
  };
  /// What else is in the table for a launch: where its operands' addresses and its sites are, behind the calls.
  struct Told {
    size_t data, sites;
    int64_t elements;
  };
  class Table;
  Shape shapeOf(const plan::KernelUse &use) const;
  Shape shapeFor(int64_t tasks, int64_t share, int64_t teams, int64_t threads, int64_t scratch) const;
  void placeTables(const std::vector<plan::KernelUse> &uses);
  /// A use's launches: its kernel, and what adds up its sums over rows.
  void list(const plan::KernelUse &use, Table &table, std::vector<Told> &told);
  void add(const void *function, const Shape &shape) { launches_.push_back({static_cast<const Code::Entry *>(function), shape, 0}); }
  /// As bytes; and now that the table has a place, each launch is told where its own is.
  std::string callsOf(const std::vector<Told> &told, const RandomState &random, const std::array<size_t, 4> &places);
  void start(const Launch &launch) const;
  /// A block of the size that the pool has for so many bytes.
  void growTo(Block &block, size_t size);

  std::shared_ptr<const Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Staging> staging_;
  Code code_;
  Moves mover_;
  plan::BatchTables tables_;
  Block table_, scratch_, sums_;
  Address moves_ = 0; ///< in the table
  std::map<const plan::KernelStep *, int64_t> bandTables_; ///< where a band's step has the tables of its sums: floats behind `sums_`
  std::vector<Launch> launches_;
  std::vector<size_t> ends_; ///< by use: behind its launches
};

} // namespace peftrt::cuda
