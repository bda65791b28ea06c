// DevicePlan: the programs of a bundle as a GPU runs them.
//
// In     a module after the phase `plan`; the GPU that comes first of those that are asked for, by whose facts layouts are chosen
// Out    a module of its own with programs only
// Errs   `error`: the text of an internal error
#pragma once
#include "compiler/driver/Phases.h"
#include "compiler/emit/EmitInfo.h"
#include "mlir/IR/OwningOpRef.h"

namespace peftc {

mlir::OwningOpRef<mlir::ModuleOp> devicePlan(mlir::ModuleOp module, const EmitInfo &info, const target::GpuTarget &gpu, const PhaseOptions &options, std::string &error);

} // namespace peftc
