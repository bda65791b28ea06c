// Types: the `nn` dialect itself, its tensor type (print, parse, questions) and broadcasting of shapes.
#include "dialects/nn/Nn.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::nn;

#include "dialects/nn/NnDialect.cpp.inc"
#include "dialects/nn/NnInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NnAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NnTypes.cpp.inc"

void NNDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/nn/NnAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/nn/NnTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/nn/NnOps.cpp.inc"
      >();
}

std::string mlir::nn::toString(Dim dim) {
  if (dim.scale == 0)
    return std::to_string(dim.constant);
  std::string text = (dim.scale == 1 ? "seq" : std::to_string(dim.scale) + "*seq") + (dim.sequence > 0 ? std::to_string(dim.sequence) : "");
  if (dim.constant > 0)
    text += "+" + std::to_string(dim.constant);
  else if (dim.constant < 0)
    text += std::to_string(dim.constant);
  return text;
}

static std::string placeOf(FileLineColLoc at) {
  return at.getFilename().str() + ":" + std::to_string(at.getLine()) + ":" + std::to_string(at.getColumn());
}

std::string mlir::nn::toString(Location location) {
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return toString(call.getCaller()) + " (" + toString(call.getCallee()) + ")";
  if (auto at = location->findInstanceOf<FileLineColLoc>())
    return placeOf(at);
  return "an unknown place";
}

std::string mlir::nn::toString(NNType type) {
  std::string text = type.getExample() ? "example [" : "[";
  for (auto [i, dim] : llvm::enumerate(type.getDims()))
    text += (i ? ", " : "") + toString(dim);
  return text + "]";
}

bool NNType::isStatic() const {
  return llvm::all_of(getDims(), [](Dim dim) { return dim.isStatic(); });
}
bool NNType::isFloat() const { return isa<FloatType>(getElement()); }
bool NNType::isInteger() const { return getElement().isInteger(64); }
bool NNType::isBool() const { return getElement().isInteger(1); }
int64_t NNType::elements() const {
  int64_t count = 1;
  for (Dim dim : getDims())
    count *= dim.constant;
  return count;
}
NNType NNType::withDims(ArrayRef<Dim> dims) const { return get(getContext(), getExample(), dims, getElement()); }
NNType NNType::withElement(Type element) const { return get(getContext(), getExample(), getDims(), element); }
NNType NNType::withExample(bool example) const { return get(getContext(), example, getDims(), getElement()); }
bool NNType::sameShape(NNType other) const { return getDims() == other.getDims(); }

FailureOr<SmallVector<Dim>> mlir::nn::broadcastDims(ArrayRef<Dim> a, ArrayRef<Dim> b) {
  SmallVector<Dim> dims(std::max(a.size(), b.size()));
  for (size_t i = 0; i < dims.size(); ++i) {
    Dim x = i < a.size() ? a[a.size() - 1 - i] : Dim{1, 0};
    Dim y = i < b.size() ? b[b.size() - 1 - i] : Dim{1, 0};
    if (x != y && !x.is(1) && !y.is(1))
      return failure();
    dims[dims.size() - 1 - i] = x.is(1) ? y : x;
  }
  return dims;
}

// `seq`, `3*seq1-1`, `384`
static ParseResult parseDim(AsmParser &parser, Dim &dim) {
  int64_t number = 0;
  OptionalParseResult first = parser.parseOptionalInteger(number);
  if (first.has_value()) {
    if (failed(*first))
      return failure();
    if (failed(parser.parseOptionalStar())) {
      dim = {number, 0};
      return success();
    }
  } else {
    number = 1;
  }
  StringRef name;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return failure();
  int64_t sequence = 0;
  if (!name.consume_front("seq") || (!name.empty() && name.getAsInteger(10, sequence)))
    return parser.emitError(at, "a length is a number or of `seq`");
  dim = Dim::of(0, number, sequence);
  if (succeeded(parser.parseOptionalPlus())) {
    return parser.parseInteger(dim.constant);
  }
  int64_t negative = 0;
  OptionalParseResult rest = parser.parseOptionalInteger(negative); // "-3" is one integer
  if (rest.has_value() && failed(*rest))
    return failure();
  dim.constant = negative;
  return success();
}

Type NNType::parse(AsmParser &parser) {
  bool example = false;
  SmallVector<Dim> dims;
  Type element;
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalKeyword("example"))) {
    example = true;
    if (parser.parseComma())
      return {};
  }
  auto parseOne = [&]() -> ParseResult { return parseDim(parser, dims.emplace_back()); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne) || parser.parseComma() ||
      parser.parseType(element) || parser.parseGreater())
    return {};
  return get(parser.getContext(), example, dims, element);
}

void NNType::print(AsmPrinter &printer) const {
  printer << "<";
  if (getExample())
    printer << "example, ";
  printer << "[";
  llvm::interleaveComma(getDims(), printer, [&](Dim dim) { printer << toString(dim); });
  printer << "], " << getElement() << ">";
}

bool mlir::nn::equalBut(NNType a, NNType b, int64_t but) {
  bool fits = a.rank() == b.rank() && a.getElement() == b.getElement();
  for (int64_t i = 0; fits && i < a.rank(); ++i)
    fits = i == but || a.getDims()[i] == b.getDims()[i];
  return fits;
}
