// Growth: what one more token adds to a value, so that a text that is written on is not computed anew.
//
// Of a value [seq, d] the newest entry is its last row, as [1, d]; of scores [heads, seq, keys] the newest query's are [heads, 1, keys]. The rules stand
// with the ops (Growth.cpp): what has none, or where one token changes more than the last entry, has no such form.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include <string>

namespace mlir::nn {
struct Dim;

/// What an op asks for, and where it writes.
struct GrowthContext {
  OpBuilder &builder;
  /// A value with only the newest entry along the marked axes; whole, where none is. Null if there is no such form.
  llvm::function_ref<Value(Value, ArrayRef<bool>)> ask;
  /// How long an axis of the whole text is: an i64 scalar.
  llvm::function_ref<Value(Dim)> length;
  /// The last place along an axis of that length, as [1]; the same value each time.
  llvm::function_ref<Value(Dim)> lastPlace;
  std::string reason;
  std::nullptr_t reject(const Twine &why) {
    reason = why.str();
    return nullptr;
  }
};

/// The rule of ops that do the same for every entry.
Value newestOfEach(Operation *op, GrowthContext &context, ArrayRef<bool> marked);
/// The last entry of an axis, as an axis of length 1.
Value lastEntry(OpBuilder &builder, Value value, int64_t axis);
/// A copy of the op on other operands, its result's type inferred from them.
Value cloneOn(OpBuilder &builder, Operation *op, ValueRange operands);

} // namespace mlir::nn
