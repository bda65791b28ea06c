// Spelling: attributes, types and locations as the bundle's JSON says them. Written as they are met: programs of a large model are tens of megabytes, and a
// tree of them would take longer to make and to take down than they take to write.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Types.h"
#include "llvm/Support/JSON.h"

namespace peftc::emit {

using Json = llvm::json::OStream;

/// A length as the bundle says it: a number, or `c + k · seq` of a sequence.
void spellDim(Json &out, int64_t constant, int64_t scale, int64_t sequence);
/// Every entry as a member of the object that is open. False for what JSON cannot say (a number that is not finite, an unknown attribute).
bool spellMembers(Json &out, mlir::DictionaryAttr attributes);
void spellNumbers(Json &out, llvm::ArrayRef<int64_t> numbers);
/// The members `dtype`, `per`, `dims` of an `nn` or `plan` value.
void spellTypeMembers(Json &out, mlir::Type type);
/// `spec.peft:5:3`, with the place in a called function behind it.
std::string spell(mlir::Location location);

} // namespace peftc::emit
