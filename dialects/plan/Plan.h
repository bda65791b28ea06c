// Plan: C++ face of the `plan` dialect: lengths, sizes, the packed type, the words and the ops.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::plan {
/// A length: `constant + scale * seq`, seq being the length of one of the example's sequences.
struct Dim {
  int64_t constant = 0;
  int64_t scale = 0;
  int64_t sequence = 0; ///< which one; 0 where the scale is
  bool operator==(const Dim &other) const { return constant == other.constant && scale == other.scale && sequence == other.sequence; }
};
inline llvm::hash_code hash_value(const Dim &dim) { return llvm::hash_combine(dim.constant, dim.scale, dim.sequence); }
} // namespace mlir::plan

#include "dialects/plan/PlanDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"

namespace mlir::plan {
/// Where the pair of two sequences stands among all pairs: (0, 0), (0, 1), (1, 1), (0, 2) …
inline int64_t pairOf(int64_t a, int64_t b) { return std::max(a, b) * (std::max(a, b) + 1) / 2 + std::min(a, b); }
/// On ops that stand together and do their rows independently: the number of their band, whose steps run at the same time on different rows.
inline constexpr StringLiteral kBand = "plan.band";
/// The band that the op is in, or -1.
int64_t bandOf(Operation *op);
/// The packed rows of a value [rows, …] of every example; nothing for any other.
std::optional<Dim> rowsOf(PackedType type);
/// Those that may lie in a table beside others: they, or the one row of every example of a value [1, …].
std::optional<Dim> tableRowsOf(PackedType type);
/// Bytes of one of them.
int64_t rowBytesOf(PackedType type);
/// Bytes of a packed value; failure where a block grows faster than the product of two lengths.
FailureOr<SizeAttr> sizeOf(PackedType type);
/// Bytes of an element.
int64_t widthOf(PackedType type);
/// Elements from a row of a packed value to the next; 0 where they lie one behind the other, and of a value that is not packed yet.
int64_t pitchOf(Value value);
/// Whether the op, which may be null, is the step that reads a parameter.
bool isParameter(Operation *op);
bool isKind(StringRef word);
bool isOp(StringRef word);
/// Whether each element of the result depends on the elements at its place only.
bool isElementwise(StringRef op);
/// What `value` is another name for, in part or with what lies beside it; null for a value of its own.
Value sourceOf(Value value);
/// The value whose bytes `value` is a view of: itself, or what the chain of such names starts from.
Value rootOf(Value value);
/// Where the step or kernel that makes `value` puts it; nothing for what lies elsewhere (a parameter, an input) or has no place yet.
std::optional<int64_t> slotOf(Value value);
/// Of ops with several results: where each of them lies.
inline constexpr StringLiteral kSlots = "slots";
bool hasSlots(Operation *op);
/// Whether a gemm has a branch: its inputs 2 and 3, by the equation that `branch` is.
bool hasBranch(StepOp step);
/// Which input of a gemm is the sum that its products are added to, or -1.
int addendOf(StepOp step);
/// Whether a step may write `step`'s result over its operand `index`: it reads each element before it writes it.
bool mayOverwrite(StepOp step, unsigned index);
} // namespace mlir::plan
