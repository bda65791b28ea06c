// Nn: C++ face of the `nn` dialect: the Dim struct, the tensor type, the interfaces and the ops.
#pragma once
#include "dialects/nn/Affine.h"
#include "dialects/nn/Growth.h"
#include "dialects/nn/Structure.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::nn {

/// A length: `constant + scale * seq`, seq being the length of one of the example's sequences.
struct Dim {
  int64_t constant = 0;
  int64_t scale = 0;
  int64_t sequence = 0; ///< which one, in the order of their rows; 0 where the scale is
  bool isStatic() const { return scale == 0; }
  bool is(int64_t n) const { return scale == 0 && constant == n; }
  bool operator==(const Dim &other) const { return constant == other.constant && scale == other.scale && sequence == other.sequence; }
  bool operator!=(const Dim &other) const { return !(*this == other); }
  /// Whether a sum of both is a length: one of a single sequence.
  bool adds(const Dim &other) const { return isStatic() || other.isStatic() || sequence == other.sequence; }
  Dim operator+(const Dim &other) const { return of(constant + other.constant, scale + other.scale, isStatic() ? other.sequence : sequence); }
  Dim operator-(const Dim &other) const { return *this + other.times(-1); }
  Dim times(int64_t n) const { return of(constant * n, scale * n, sequence); }
  Dim over(int64_t n) const { return of(constant / n, scale / n, sequence); }
  static Dim of(int64_t constant, int64_t scale, int64_t sequence) { return {constant, scale, scale == 0 ? 0 : sequence}; }
  static Dim seq(int64_t sequence = 0) { return {0, 1, sequence}; }
};
inline llvm::hash_code hash_value(const Dim &dim) { return llvm::hash_combine(dim.constant, dim.scale, dim.sequence); }
/// `384`, `seq`, `seq+10`, `2*seq-1`; of the second sequence `seq1`.
std::string toString(Dim dim);

/// Results, and inputs of the program that goes on with them, whose names begin so are kept from run to run.
inline constexpr StringLiteral kKept = "cache.";

/// How often a value changes; each rate includes those before it.
enum class Rate { constant, step, pass, example, token };

/// Trait of ops whose result holds only elements of their operands.
template <typename Op> class MovesElements : public OpTrait::TraitBase<Op, MovesElements> {};

} // namespace mlir::nn

#include "dialects/nn/NnDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NnAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NnTypes.h.inc"
#include "dialects/nn/NnInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/nn/NnOps.h.inc"

namespace mlir::nn {
/// `[seq, 384]`, with `example` before it where it is one.
std::string toString(NNType type);
/// `spec.peft:4:9`; of what a called function does, the place of the call first: `spec.peft:4:9 (prelude.peft:35:14)`.
std::string toString(Location location);
/// The shape of two operands under right-aligned broadcasting; failure where lengths differ.
FailureOr<SmallVector<Dim>> broadcastDims(ArrayRef<Dim> a, ArrayRef<Dim> b);
/// Equal but for one axis.
bool equalBut(NNType a, NNType b, int64_t but);
} // namespace mlir::nn
