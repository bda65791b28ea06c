// Spelling: see the header.
#include "compiler/emit/Spelling.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "runtime/bundle/Format.h"
#include <cmath>

using namespace mlir;

namespace peftc::emit {
namespace {

/// Exact, and a number with a fraction where it is read, even if it is whole.
bool spellNumber(Json &out, double number) {
  if (!std::isfinite(number))
    return out.value(nullptr), false;
  out.rawValue(nlohmann::json(number).dump());
  return true;
}

bool spellAttribute(Json &out, Attribute attribute) {
  if (auto value = dyn_cast<BoolAttr>(attribute))
    return out.value(value.getValue()), true;
  if (auto value = dyn_cast<IntegerAttr>(attribute))
    return out.value(value.getInt()), true;
  if (auto value = dyn_cast<FloatAttr>(attribute))
    return spellNumber(out, value.getValueAsDouble());
  if (auto value = dyn_cast<StringAttr>(attribute))
    return out.value(value.getValue()), true;
  if (auto value = dyn_cast<DenseI64ArrayAttr>(attribute))
    return spellNumbers(out, value.asArrayRef()), true;
  if (auto value = dyn_cast<DenseF64ArrayAttr>(attribute)) {
    bool finite = true;
    out.array([&] {
      for (double number : value.asArrayRef())
        finite &= spellNumber(out, number);
    });
    return finite;
  }
  if (auto value = dyn_cast<plan::DimAttr>(attribute))
    return spellDim(out, value.getConstant(), value.getScale(), value.getSequence()), true;
  return out.value(nullptr), false;
}

template <typename T> void spellTensor(Json &out, T type) {
  std::string dtype;
  llvm::raw_string_ostream(dtype) << type.getElement();
  out.attribute("dtype", dtype);
  out.attribute("per", type.getExample() ? "example" : "run");
  out.attributeArray("dims", [&] {
    for (auto dim : type.getDims())
      spellDim(out, dim.constant, dim.scale, dim.sequence);
  });
}

} // namespace

void spellDim(Json &out, int64_t constant, int64_t scale, int64_t sequence) {
  if (scale == 0)
    return out.value(constant);
  out.object([&] {
    out.attribute("c", constant);
    out.attribute("k", scale);
    out.attribute("s", peftrt::nameOfSequence(sequence));
  });
}

bool spellMembers(Json &out, DictionaryAttr attributes) {
  bool spelled = true;
  for (NamedAttribute attribute : attributes) {
    out.attributeBegin(attribute.getName());
    spelled &= spellAttribute(out, attribute.getValue());
    out.attributeEnd();
  }
  return spelled;
}

void spellNumbers(Json &out, ArrayRef<int64_t> numbers) {
  out.array([&] {
    for (int64_t number : numbers)
      out.value(number);
  });
}

void spellTypeMembers(Json &out, Type type) {
  if (auto tensor = dyn_cast<nn::NNType>(type))
    return spellTensor(out, tensor);
  spellTensor(out, cast<plan::PackedType>(type));
}

std::string spell(Location location) { return nn::toString(location); }

} // namespace peftc::emit
