// Spelling: attributes, types and locations as the bundle's JSON says them.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Types.h"
#include <nlohmann/json.hpp>
#include <optional>

namespace peftc::emit {

/// A length as the bundle says it: a number, or `c + k · seq` of a sequence.
nlohmann::json spellDim(int64_t constant, int64_t scale, int64_t sequence);
/// Absent for what JSON cannot say (a number that is not finite, an unknown attribute).
std::optional<nlohmann::json> spell(mlir::Attribute attribute);
/// An object of all entries; absent if one is.
std::optional<nlohmann::json> spell(mlir::DictionaryAttr attributes);
/// `{"dtype", "per", "dims"}` of an `nn` or `plan` value.
nlohmann::json spellType(mlir::Type type);
/// `spec.peft:5:3`, with the place in a called function behind it.
std::string spell(mlir::Location location);

} // namespace peftc::emit
