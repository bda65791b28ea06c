// Pieces: the code of single kernels, made once and kept for the next compile.
//
// A kernel is known by its text in the plan, before any code is made: programs that differ in a rank or a method have most kernels in common, and of a kernel
// that is kept not even loops are made. Which number it has in its program is not in its code: there it is named by what it does (`Piece::name`), and who puts
// pieces together gives it its own name.
#pragma once
#include "dialects/plan/Plan.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <list>
#include <string>
#include <vector>

namespace peftc {

/// For what kernels are compiled.
struct Backend {
  std::string machine;                                               ///< its name in Targets.def
  llvm::StringRef suffix, begin;                                     ///< of entries of the cache: how their files' names end and their bytes begin
  std::function<void(mlir::plan::KernelOp, mlir::OpBuilder &)> emit; ///< functions that are named by the kernel's symbol. Any number of threads
  std::function<mlir::FailureOr<std::string>(mlir::ModuleOp)> compile; ///< of such functions in the LLVM dialect. Any number of threads
};

/// One kernel for one machine.
struct Piece {
  mlir::plan::KernelOp kernel;
  const Backend *backend;
  std::string name, entry, code; ///< `k` and 32 digits; where it is kept; empty until it is made, and where that failed
};

class Pieces {
public:
  Pieces(mlir::MLIRContext *context, std::string cacheFolder) : context(context), folder(std::move(cacheFolder)) {}

  const Backend &add(Backend backend) { return backends.emplace_back(std::move(backend)); }
  /// One for kernels that do the same. `text`: textOf the kernel. `backend`: added here.
  Piece *of(mlir::plan::KernelOp kernel, const std::string &text, const Backend &backend);
  /// Those of these that are neither made nor kept, by all threads. Errs through the context's diagnostics.
  void make(llvm::ArrayRef<Piece *> wanted);

private:
  mlir::MLIRContext *context;
  std::string folder;
  std::list<Backend> backends;
  std::list<Piece> pieces;
  llvm::StringMap<Piece *> known; ///< by machine and name
};

/// The kernel as the plan says it, without its name, its places and what each of its uses draws.
std::string textOf(mlir::plan::KernelOp kernel);
/// How a piece of a kernel with this text is named.
std::string nameOf(llvm::StringRef text);

} // namespace peftc
