// Types: the packed type (print, parse), bytes of a value, and the words.
#include "dialects/plan/Plan.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::plan;

#include "dialects/plan/PlanDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.cpp.inc"

void PlanDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/plan/PlanAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/plan/PlanTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}

/// Bytes of an element.
static int64_t widthOf(PackedType type) { return std::max<int64_t>(1, type.getElement().getIntOrFloatBitWidth() / 8); }

bool mlir::plan::isKind(StringRef word) {
  static const llvm::StringSet<> words = {
#define PLAN_KIND(NAME) #NAME,
#include "dialects/plan/Vocabulary.def"
  };
  return words.contains(word);
}
bool mlir::plan::isOp(StringRef word) {
  static const llvm::StringSet<> words = {
#define PLAN_OP(NAME, ELEMENTWISE) #NAME,
#include "dialects/plan/Vocabulary.def"
  };
  return words.contains(word);
}
bool mlir::plan::isElementwise(StringRef op) {
#define PLAN_OP(NAME, ELEMENTWISE)                                                                                     \
  if (op == #NAME)                                                                                                     \
    return ELEMENTWISE;
#include "dialects/plan/Vocabulary.def"
  return false;
}

Value mlir::plan::rootOf(Value value) {
  while (auto alias = value.getDefiningOp<AliasOp>())
    value = alias.getSource();
  return value;
}

std::optional<int64_t> mlir::plan::slotOf(Value value) {
  if (auto step = value.getDefiningOp<StepOp>())
    return step.getSlot() ? std::optional<int64_t>(*step.getSlot()) : std::nullopt;
  auto kernel = value.getDefiningOp<KernelOp>();
  if (!kernel || !kernel.getSlots())
    return std::nullopt;
  return (*kernel.getSlots())[cast<OpResult>(value).getResultNumber()];
}

int64_t mlir::plan::bandOf(Operation *op) {
  auto band = op->getAttrOfType<IntegerAttr>(kBand);
  return band ? band.getInt() : -1;
}

bool mlir::plan::mayOverwrite(StepOp step, unsigned index) {
  Value operand = step.getInputs()[index];
  if (operand.getType() != step.getResult().getType())
    return false;
  auto sees = [&](unsigned other) { return rootOf(step.getInputs()[other]) == rootOf(operand); };
  for (unsigned other = 0; other < step.getInputs().size(); ++other)
    if (other != index && sees(other) && (!isElementwise(step.getOp()) || step.getInputs()[other].getType() != operand.getType()))
      return false; // another operand sees the same bytes in another order
  return isElementwise(step.getOp()) || (step.getKind() == "gemm" && index == 2);
}

std::optional<plan::Dim> mlir::plan::rowsOf(PackedType type) {
  if (!type.getExample() || type.getDims().empty() || type.getDims()[0].scale == 0)
    return std::nullopt;
  if (llvm::any_of(type.getDims().drop_front(), [](Dim dim) { return dim.scale != 0; }))
    return std::nullopt;
  return type.getDims()[0];
}

int64_t mlir::plan::rowBytesOf(PackedType type) {
  int64_t bytes = widthOf(type);
  for (Dim dim : type.getDims().drop_front())
    bytes *= dim.constant;
  return bytes;
}

FailureOr<SizeAttr> mlir::plan::sizeOf(PackedType type) {
  SmallVector<int64_t> poly = {widthOf(type)}; // by power of seq
  for (Dim dim : type.getDims()) {
    SmallVector<int64_t> next(poly.size() + 1, 0);
    for (auto [power, factor] : llvm::enumerate(poly)) {
      next[power] += factor * dim.constant;
      next[power + 1] += factor * dim.scale;
    }
    while (next.size() > 1 && next.back() == 0)
      next.pop_back();
    poly = next;
  }
  if (poly.size() > 3 || (!type.getExample() && poly.size() > 1))
    return failure();
  poly.resize(3, 0);
  if (!type.getExample())
    return SizeAttr::get(type.getContext(), poly[0], 0, 0, 0, 0);
  return SizeAttr::get(type.getContext(), 0, poly[0], poly[1], poly[2], 0);
}

// `seq`, `3*seq-1`, `384`
static ParseResult parseDim(AsmParser &parser, Dim &dim) {
  int64_t number = 0;
  OptionalParseResult first = parser.parseOptionalInteger(number);
  if (!first.has_value()) {
    number = 1;
  } else {
    if (failed(*first))
      return failure();
    if (failed(parser.parseOptionalStar())) {
      dim = {number, 0};
      return success();
    }
  }
  if (parser.parseKeyword("seq"))
    return failure();
  dim = {0, number};
  if (succeeded(parser.parseOptionalPlus()))
    return parser.parseInteger(dim.constant);
  OptionalParseResult rest = parser.parseOptionalInteger(dim.constant); // "-3" is one integer
  return rest.has_value() ? *rest : success();
}

Type PackedType::parse(AsmParser &parser) {
  SmallVector<Dim> dims;
  Type element;
  if (parser.parseLess())
    return {};
  bool example = succeeded(parser.parseOptionalKeyword("example"));
  if (example && parser.parseComma())
    return {};
  auto parseOne = [&]() -> ParseResult { return parseDim(parser, dims.emplace_back()); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne) || parser.parseComma() ||
      parser.parseType(element) || parser.parseGreater())
    return {};
  return get(parser.getContext(), example, dims, element);
}

void PackedType::print(AsmPrinter &printer) const {
  printer << (getExample() ? "<example, [" : "<[");
  llvm::interleaveComma(getDims(), printer, [&](Dim dim) {
    if (dim.scale == 0) {
      printer << dim.constant;
      return;
    }
    if (dim.scale != 1)
      printer << dim.scale << "*";
    printer << "seq";
    if (dim.constant > 0)
      printer << "+";
    if (dim.constant != 0)
      printer << dim.constant;
  });
  printer << "], " << getElement() << ">";
}
