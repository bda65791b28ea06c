// Kernel: what the schedulers of all spaces share: a plan.kernel, its function, and its values by form.
#pragma once
#include "compiler/conversion/Random.h"
#include "compiler/conversion/RowCode.h"
#include "compiler/passes/plan/KernelSpace.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace peftc::conversion {

struct Kernel {
  mlir::plan::KernelOp op;
  Code &code;
  mlir::Value call, begin, end;
  mlir::plan::Space space; ///< of the whole kernel

  mlir::Block &body() const { return const_cast<mlir::plan::KernelOp &>(op).getBody().front(); } // ops are handles
  mlir::ValueRange yielded() const { return body().getTerminator()->getOperands(); }
  /// The pointer of the argument or yielded value.
  mlir::Value argumentPointer(unsigned index) const { return code.dataPointer(call, index); }
  mlir::Value resultPointer(unsigned index) const { return code.dataPointer(call, body().getNumArguments() + index); }
  /// How far apart its rows lie (plan::pitchOf).
  int64_t argumentPitch(unsigned index) const { return mlir::plan::pitchOf(const_cast<mlir::plan::KernelOp &>(op).getInputs()[index]); }
  int64_t resultPitch(unsigned index) const { return mlir::plan::pitchOf(const_cast<mlir::plan::KernelOp &>(op).getResults()[index]); }
};

/// `void name(call, begin, end)` without a body: what Kernels.h says of a kernel's functions.
mlir::LLVM::LLVMFuncOp declareFunction(mlir::OpBuilder &builder, mlir::Location loc, const std::string &name);
/// Bytes of scratch that a thread needs with a longest sequence of `seq` tokens: c + k·seq.
struct ScratchSize {
  int64_t c = 0, k = 0;
  int64_t sequence = 0; ///< which one
};
ScratchSize scratchOf(mlir::plan::KernelOp op, unsigned lanes);

void emitRows(Kernel &kernel);  ///< Rows.cpp
void emitFlat(Kernel &kernel);  ///< Rows.cpp
void emitTiles(Kernel &kernel); ///< Tiles.cpp
/// Heads that one task does: more than one where they sum into keys or values that they share.
int64_t headsPerTask(mlir::plan::KernelOp op);
/// Whether rows of all packed operands and results begin where whole accesses may, if the values do: on a GPU there are then two bodies.
bool haveWholeRows(mlir::plan::KernelOp op);
ScratchSize tilesScratch(mlir::plan::KernelOp op, unsigned lanes);
/// Buffers of one row that a rows kernel may need, an upper bound.
int64_t rowBuffers(mlir::plan::KernelOp op);

} // namespace peftc::conversion
