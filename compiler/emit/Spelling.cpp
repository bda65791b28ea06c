// Spelling: see the header.
#include "compiler/emit/Spelling.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "runtime/bundle/Format.h"
#include <cmath>

using nlohmann::json;
using namespace mlir;

namespace peftc::emit {
namespace {
template <typename Dim> json dimOf(Dim dim) { return spellDim(dim.constant, dim.scale, dim.sequence); }
std::string dtypeOf(Type element) {
  std::string text;
  llvm::raw_string_ostream(text) << element;
  return text;
}
template <typename T> json spellTensor(T type, ArrayRef<json> dims) {
  return {{"dtype", dtypeOf(type.getElement())}, {"per", type.getExample() ? "example" : "run"}, {"dims", json(dims)}};
}
} // namespace

json spellDim(int64_t constant, int64_t scale, int64_t sequence) {
  if (scale == 0)
    return constant;
  return json{{"c", constant}, {"k", scale}, {"s", peftrt::nameOfSequence(sequence)}};
}

std::optional<json> spell(Attribute attribute) {
  if (auto value = dyn_cast<BoolAttr>(attribute))
    return value.getValue();
  if (auto value = dyn_cast<IntegerAttr>(attribute))
    return value.getInt();
  if (auto value = dyn_cast<FloatAttr>(attribute))
    return std::isfinite(value.getValueAsDouble()) ? std::optional<json>(value.getValueAsDouble()) : std::nullopt;
  if (auto value = dyn_cast<StringAttr>(attribute))
    return value.getValue().str();
  if (auto value = dyn_cast<DenseI64ArrayAttr>(attribute))
    return json(value.asArrayRef().vec());
  if (auto value = dyn_cast<DenseF64ArrayAttr>(attribute)) {
    bool finite = llvm::all_of(value.asArrayRef(), [](double number) { return std::isfinite(number); });
    return finite ? std::optional<json>(json(value.asArrayRef().vec())) : std::nullopt;
  }
  if (auto value = dyn_cast<plan::DimAttr>(attribute))
    return spellDim(value.getConstant(), value.getScale(), value.getSequence());
  return std::nullopt;
}

std::optional<json> spell(DictionaryAttr attributes) {
  json object = json::object();
  for (NamedAttribute attribute : attributes) {
    auto value = spell(attribute.getValue());
    if (!value)
      return std::nullopt;
    object[attribute.getName().str()] = std::move(*value);
  }
  return object;
}

json spellType(Type type) {
  SmallVector<json> dims;
  if (auto tensor = dyn_cast<nn::NNType>(type)) {
    for (nn::Dim dim : tensor.getDims())
      dims.push_back(dimOf(dim));
    return spellTensor(tensor, dims);
  }
  auto tensor = cast<plan::PackedType>(type);
  for (plan::Dim dim : tensor.getDims())
    dims.push_back(dimOf(dim));
  return spellTensor(tensor, dims);
}

std::string spell(Location location) { return nn::toString(location); }

} // namespace peftc::emit
