// Elementwise: one `nn` op on numbers or on vectors of them.
#pragma once
#include "compiler/conversion/Code.h"

namespace peftc::conversion {

/// `operands` are all numbers or all vectors of the target's lanes (f32, i1, or i32 for whole numbers).
mlir::Value elementwise(Code &code, mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);
/// The combination of two partial results of a reduction of this kind, and what it starts from.
mlir::Value combine(Code &code, llvm::StringRef kind, mlir::Value x, mlir::Value y);
double neutralOf(llvm::StringRef kind);

} // namespace peftc::conversion
