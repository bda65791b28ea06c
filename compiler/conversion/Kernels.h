// Kernels: the phase `kernels`: each plan.kernel becomes a function of generated code.
//
// A function is `void name(const KernelCall *call, i64 begin, i64 end)` (runtime/cpu/Kernels.h): it does rows begin … end - 1 (space `rows`), elements
// (`flat`), or the heads of examples (`tiles`: task e * heads + h).
#pragma once
#include "dialects/plan/Plan.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <nlohmann/json.hpp>

namespace peftc::conversion {

/// A module of llvm.funcs, one a symbol, for a target that takes `lanes` f32 at a time.
mlir::OwningOpRef<mlir::ModuleOp> kernelModule(mlir::ModuleOp plan, unsigned lanes);

/// How the runtime calls the kernel (runtime/bundle/README.md).
nlohmann::json callOf(mlir::plan::KernelOp op);

} // namespace peftc::conversion
