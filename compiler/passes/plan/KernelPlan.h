// KernelPlan: which ops of a program go into which kernel, and what of them is kept in memory.
#pragma once
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include <memory>

namespace mlir::plan {

class KernelPlanner {
public:
  explicit KernelPlanner(ProgramOp program);
  /// Decides.
  void run();
  /// Makes the program as decided.
  void rebuild();

private:
  struct Kernel {
    Space space;
    size_t place = 0;               ///< behind how many items it stands, itself included
    llvm::SetVector<Value> results; ///< what of it is in memory
    llvm::SetVector<Value> leaves;  ///< what it reads
    llvm::DenseSet<Value> members;  ///< what it computes
  };
  /// An op that stays, or a kernel.
  struct Item {
    Operation *op;
    Kernel *kernel;
  };

  Fusable fusable(Value value) const;
  void emit(Operation *op);
  void materialize(Value value);
  void keep(Value value, Kernel &kernel);
  bool isInside(Value value, const Space &space) const;
  bool isWorthKeeping(Value value, const Space &space) const;
  void countReads(Value value, const Space &space, llvm::DenseSet<Value> &seen, int64_t &reads, int64_t &ops) const;
  static SmallVector<Value> operandsInside(Operation *op);
  struct Leaves {
    llvm::SetVector<Value> outside;
    bool shares = false; ///< with the kernel that it was asked for
  };
  Leaves leavesOf(Value value, const Space &space, const Kernel *home) const;
  Kernel *kernelToJoin(Value value, const Space &space) const;
  void compute(Value value, Kernel &kernel);
  void sayWhyAlone(Operation *op) const;
  void build(Kernel &kernel, OpBuilder &builder, IRMapping &mapping);

  ProgramOp program;
  bool flat;
  SmallVector<Item> items;
  SmallVector<std::unique_ptr<Kernel>> kernels;
  llvm::DenseMap<Value, size_t> ready;  ///< values in memory: behind how many items
  llvm::DenseMap<Value, Kernel *> homes; ///< values that a kernel computes: the first one
};
} // namespace mlir::plan
