// ValueNumbers: the numbers by which a program's JSON names its values, in the order in which they are first met.
#pragma once
#include "compiler/emit/Spelling.h"
#include "mlir/IR/ValueRange.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>
#include <vector>

namespace peftc::emit {

class ValueNumbers {
public:
  int64_t of(mlir::Value value) {
    auto [it, inserted] = numbers.insert({value, static_cast<int64_t>(met.size())});
    if (inserted)
      met.push_back(value);
    return it->second;
  }
  llvm::ArrayRef<mlir::Value> values() const { return met; } ///< by number

  /// A member: the numbers of values.
  void list(Json &out, llvm::StringRef name, mlir::ValueRange values) {
    out.attributeArray(name, [&] {
      for (mlir::Value value : values)
        out.value(of(value));
    });
  }
  /// An object: a name and a value's number.
  void named(Json &out, llvm::StringRef name, mlir::Value value) {
    out.object([&] {
      out.attribute("name", name);
      out.attribute("value", of(value));
    });
  }

private:
  llvm::DenseMap<mlir::Value, int64_t> numbers;
  std::vector<mlir::Value> met;
};

/// `{"programs": [...]}` as text; `write` writes the elements, false after an error.
inline std::optional<std::string> listOfPrograms(llvm::function_ref<bool(Json &)> write) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  Json out(stream);
  bool written = false;
  out.object([&] { out.attributeArray("programs", [&] { written = write(out); }); });
  return written ? std::optional(std::move(text)) : std::nullopt;
}

} // namespace peftc::emit
