// What generic passes ask of an `nn` op. None of them knows an op's name.
#ifndef PEFT_NN_INTERFACES
#define PEFT_NN_INTERFACES
include "mlir/IR/OpBase.td"

def NN_Differentiable : OpInterface<"Differentiable"> {
  let cppNamespace = "::mlir::nn";
  let description = "Reverse mode: how a cotangent of the result becomes cotangents of the operands.";
  let methods = [
    InterfaceMethod<[{
      Builds the cotangents of those operands for which `wanted` is set, given the result's. A cotangent may be larger than its
      operand where the op broadcast it (the caller sums it down), and `example` where the operand is `run` (the caller sums over
      examples). A null value means zero.
    }], "void", "vjp", (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$cotangent, "::llvm::ArrayRef<bool>":$wanted,
                            "::llvm::SmallVectorImpl<::mlir::Value> &":$operandCotangents)>
  ];
}

def NN_AffineIn : OpInterface<"AffineIn"> {
  let cppNamespace = "::mlir::nn";
  let description = "The result as an affine map of x where operands are affine maps of x or values of the run. An op without it ends a map.";
  let methods = [
    InterfaceMethod<"Writes the coefficients' mathematics with the context's builder; nothing, and the context's reason, where the result is no such map.",
                    "std::optional<::mlir::nn::Affine>", "affineIn",
                    (ins "::mlir::nn::AffineContext &":$context, "::llvm::ArrayRef<::mlir::nn::AffineOperand>":$operands)>
  ];
}

def NN_Structured : OpInterface<"Structured"> {
  let cppNamespace = "::mlir::nn";
  let description = "A matrix [out, in] of the run that may be cheaper to apply than to form (Structure.h). The others are asked only where the first one holds.";
  let methods = [
    InterfaceMethod<"Whether the matrix holds a part that is cheaper applied.", "bool", "cheaperApplied">,
    InterfaceMethod<"`x Eᵀ`, or `x E` where `transposed`.", "::mlir::Value", "applyTo",
                    (ins "::mlir::nn::StructureContext &":$context, "::mlir::Value":$x, "bool":$transposed)>,
    InterfaceMethod<"Appends what the matrix is a sum of, times `scale`; false where it is no such sum.", "bool", "addends",
                    (ins "::mlir::nn::StructureContext &":$context, "const ::mlir::nn::Addend &":$scale, "::llvm::SmallVectorImpl<::mlir::nn::Addend> &":$list)>
  ];
}

def NN_Rated : OpInterface<"Rated"> {
  let cppNamespace = "::mlir::nn";
  let description = "How often an op's result changes by itself. An op without it changes as often as its operands do.";
  let methods = [
    InterfaceMethod<"`trainable` says whether a parameter of that name is trained.", "::mlir::nn::Rate", "ownRate",
                    (ins "::llvm::function_ref<bool(::llvm::StringRef)>":$trainable)>
  ];
}

def NN_Growing : OpInterface<"Growing"> {
  let cppNamespace = "::mlir::nn";
  let description = "What one more token adds to the result. By default the op does the same for every entry of its axes, which its operands' meet from the right.";
  let methods = [
    InterfaceMethod<[{
      The result of which, along the axes that are marked, only the newest entry is there (an axis of length 1). `context` has the operands in such forms.
      A null value, and the context's reason, where a longer text changes more than that.
    }], "::mlir::Value", "newest", (ins "::mlir::nn::GrowthContext &":$context, "::llvm::ArrayRef<bool>":$marked), "",
      "return ::mlir::nn::newestOfEach($_op, context, marked);">
  ];
}

/// The result holds only elements of the operands (or zeros): nothing is computed.
def NN_Movement : NativeOpTrait<"MovesElements"> { let cppNamespace = "::mlir::nn"; }
#endif
