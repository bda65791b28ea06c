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

int64_t mlir::plan::widthOf(PackedType type) { return std::max<int64_t>(1, type.getElement().getIntOrFloatBitWidth() / 8); }

int64_t mlir::plan::pitchOf(Value value) {
  auto packed = dyn_cast<PackedType>(value.getType());
  return packed ? packed.getPitch() : 0;
}

bool mlir::plan::isParameter(Operation *op) {
  auto step = dyn_cast_or_null<StepOp>(op);
  return step && step.getOp() == "param";
}

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

Value mlir::plan::sourceOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto alias = dyn_cast_or_null<AliasOp>(op))
    return alias.getSource();
  if (auto beside = dyn_cast_or_null<BesideOp>(op))
    return beside.getHost();
  auto window = dyn_cast_or_null<WindowOp>(op);
  return window ? window.getSource() : Value();
}

Value mlir::plan::rootOf(Value value) {
  while (Value source = sourceOf(value))
    value = source;
  return value;
}

std::optional<int64_t> mlir::plan::slotOf(Value value) {
  if (auto step = value.getDefiningOp<StepOp>())
    return step.getSlot() ? std::optional<int64_t>(*step.getSlot()) : std::nullopt;
  Operation *op = value.getDefiningOp();
  auto slots = hasSlots(op) ? op->getAttrOfType<DenseI64ArrayAttr>(kSlots) : DenseI64ArrayAttr();
  return slots ? std::optional<int64_t>(slots[cast<OpResult>(value).getResultNumber()]) : std::nullopt;
}

bool mlir::plan::hasSlots(Operation *op) { return isa_and_nonnull<KernelOp, AttentionOp>(op); }

int64_t mlir::plan::bandOf(Operation *op) {
  auto band = op->getAttrOfType<IntegerAttr>(kBand);
  return band ? band.getInt() : -1;
}

bool mlir::plan::hasBranch(StepOp step) { return step.getHow().get("branch") != nullptr; }

int mlir::plan::addendOf(StepOp step) {
  const int factors = hasBranch(step) ? 4 : 2;
  return step.getKind() == "gemm" && static_cast<int>(step.getInputs().size()) > factors ? factors : -1;
}

bool mlir::plan::mayOverwrite(StepOp step, unsigned index) {
  Value operand = step.getInputs()[index];
  if (operand.getType() != step.getResult().getType())
    return false;
  auto sees = [&](unsigned other) { return rootOf(step.getInputs()[other]) == rootOf(operand); };
  for (unsigned other = 0; other < step.getInputs().size(); ++other)
    if (other != index && sees(other) && (!isElementwise(step.getOp()) || step.getInputs()[other].getType() != operand.getType()))
      return false; // another operand sees the same bytes in another order
  return isElementwise(step.getOp()) || static_cast<int>(index) == addendOf(step);
}

std::optional<plan::Dim> mlir::plan::rowsOf(PackedType type) {
  if (!type.getExample() || type.getDims().empty() || type.getDims()[0].scale == 0)
    return std::nullopt;
  if (llvm::any_of(type.getDims().drop_front(), [](Dim dim) { return dim.scale != 0; }))
    return std::nullopt;
  return type.getDims()[0];
}

std::optional<plan::Dim> mlir::plan::tableRowsOf(PackedType type) {
  const plan::Dim one{1, 0};
  const bool isOneRow = type.getExample() && type.getDims().size() > 1 && llvm::all_of(type.getDims(), [](Dim dim) { return dim.scale == 0; }) && type.getDims()[0] == one;
  return isOneRow ? one : rowsOf(type);
}

int64_t mlir::plan::rowBytesOf(PackedType type) {
  int64_t bytes = widthOf(type);
  for (Dim dim : type.getDims().drop_front())
    bytes *= dim.constant;
  return bytes;
}

namespace {
/// A number of bytes as a polynomial of degree two in the lengths of an example's sequences.
struct Growth {
  int64_t constant = 0;
  SmallVector<int64_t> linear, quadratic; ///< by sequence, by pair of them; none is zero behind the last that is not
  bool tooFast = false;

  static void add(SmallVectorImpl<int64_t> &list, int64_t place, int64_t number) {
    if (number == 0)
      return;
    if (place >= static_cast<int64_t>(list.size()))
      list.resize(place + 1, 0);
    list[place] += number;
  }
  Growth times(Dim dim) const {
    Growth next;
    next.constant = constant * dim.constant;
    next.tooFast = tooFast || (dim.scale != 0 && !quadratic.empty());
    add(next.linear, dim.sequence, constant * dim.scale);
    for (auto [sequence, factor] : llvm::enumerate(linear)) {
      add(next.linear, sequence, factor * dim.constant);
      add(next.quadratic, pairOf(sequence, dim.sequence), factor * dim.scale);
    }
    for (auto [pair, factor] : llvm::enumerate(quadratic))
      add(next.quadratic, pair, factor * dim.constant);
    return next;
  }
};
int64_t firstOf(ArrayRef<int64_t> list) { return list.empty() ? 0 : list.front(); }
ArrayRef<int64_t> restOf(ArrayRef<int64_t> list) { return list.drop_front(list.empty() ? 0 : 1); }
} // namespace

FailureOr<SizeAttr> mlir::plan::sizeOf(PackedType type) {
  Growth bytes{widthOf(type), {}, {}};
  if (type.getPitch() != 0)
    bytes = bytes.times(type.getDims()[0]).times({type.getPitch(), 0});
  else
    for (Dim dim : type.getDims())
      bytes = bytes.times(dim);
  const bool grows = !bytes.linear.empty() || !bytes.quadratic.empty();
  if (bytes.tooFast || (!type.getExample() && grows))
    return failure();
  if (!type.getExample())
    return SizeAttr::get(type.getContext(), bytes.constant, 0, 0, 0, 0);
  return SizeAttr::get(type.getContext(), 0, bytes.constant, firstOf(bytes.linear), firstOf(bytes.quadratic), 0, restOf(bytes.linear), restOf(bytes.quadratic));
}

// `seq`, `3*seq1-1`, `384`
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
  StringRef name;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return failure();
  int64_t sequence = 0;
  if (!name.consume_front("seq") || (!name.empty() && name.getAsInteger(10, sequence)))
    return parser.emitError(at, "a length is a number or of `seq`");
  dim = {0, number, number == 0 ? 0 : sequence};
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
      parser.parseType(element))
    return {};
  int64_t pitch = 0, column = 0;
  if (succeeded(parser.parseOptionalComma()) && (parser.parseKeyword("pitch") || parser.parseEqual() || parser.parseInteger(pitch) || parser.parseComma() ||
                                                 parser.parseKeyword("column") || parser.parseEqual() || parser.parseInteger(column)))
    return {};
  if (parser.parseGreater())
    return {};
  return get(parser.getContext(), example, dims, element, pitch, column);
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
    if (dim.sequence != 0)
      printer << dim.sequence;
    if (dim.constant > 0)
      printer << "+";
    if (dim.constant != 0)
      printer << dim.constant;
  });
  printer << "], " << getElement();
  if (getPitch() != 0)
    printer << ", pitch = " << getPitch() << ", column = " << getColumn();
  printer << ">";
}

Attribute SizeAttr::parse(AsmParser &parser, Type) {
  int64_t c = 0, e = 0, t = 0, q = 0, p = 0;
  SmallVector<int64_t> ts, qs;
  auto parseList = [&](SmallVectorImpl<int64_t> &list) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] { return parser.parseInteger(list.emplace_back()); });
  };
  auto parseEntry = [&]() -> ParseResult {
    StringRef name;
    SMLoc at = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    if (name == "ts" || name == "qs")
      return parseList(name == "ts" ? ts : qs);
    for (auto [letter, number] : {std::pair("c", &c), {"e", &e}, {"t", &t}, {"q", &q}, {"p", &p}})
      if (name == letter)
        return parser.parseInteger(*number);
    return parser.emitError(at, "a size has c, e, t, q, p, ts and qs");
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, parseEntry))
    return {};
  return get(parser.getContext(), c, e, t, q, p, ts, qs);
}

void SizeAttr::print(AsmPrinter &printer) const {
  printer << "<c = " << getC() << ", e = " << getE() << ", t = " << getT() << ", q = " << getQ();
  if (getP() != 0)
    printer << ", p = " << getP();
  for (auto [name, list] : {std::pair("ts", getTs()), {"qs", getQs()}})
    if (!list.empty()) {
      printer << ", " << name << " = [";
      llvm::interleaveComma(list, printer);
      printer << "]";
    }
  printer << ">";
}
