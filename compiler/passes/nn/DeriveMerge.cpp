// DeriveMerge (nn-derive-merge): how a site's rewiring folds into its weights, or why it does not.
//
// In     @"site.<path>": y of a rewired affine site as a function of x; @"hook.<path>.<point>": any other rewired point
// Out    @merge: the merged weights by their parameters' names; module attribute `nn.merge`: a report for each site;
//        the functions above are gone
//
// A value of the function is either the same for the whole run, or an affine map `M x + c` of x with such M and c. M of x
// itself is the identity and stays symbolic, so `W + s B A` costs one product. The rules are those of linear algebra: products
// with, sums with and scalings by run-level values keep a value affine; anything else ends it, and is named with its place.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::nn;

namespace {
NNType typeOf(Value value) { return cast<NNType>(value.getType()); }
std::string place(Location loc) {
  if (auto at = dyn_cast<FileLineColLoc>(loc))
    return at.getFilename().str() + ":" + std::to_string(at.getLine()) + ":" + std::to_string(at.getColumn());
  return "an unknown place";
}

/// `M x + c`; a null M with `identity` is x itself, a null M without it is no x at all; a null c is zero.
struct Affine {
  bool identity = false;
  Value M, c; // [k, in], [k]
};

/// Reads one site function, writing run-level mathematics into @merge.
class Site {
public:
  Site(func::FuncOp func, OpBuilder &b) : func(func), b(b) { forms[func.getArgument(0)] = {true, {}, {}}; }

  FailureOr<Affine> run() {
    for (Operation &op : func.getBody().front()) {
      if (auto ret = dyn_cast<func::ReturnOp>(op)) {
        auto it = forms.find(ret.getOperand(0));
        if (it != forms.end())
          return it->second;
        return reject("the result does not depend on x", op);
      }
      if (failed(visit(op)))
        return failure();
    }
    return failure();
  }
  std::string reason;

private:
  FailureOr<Affine> reject(const Twine &why, Operation &op) {
    reason = (why + " (" + op.getName().getStringRef() + " at " + place(op.getLoc()) + ")").str();
    return failure();
  }
  bool isAffine(Value v) const { return forms.count(v); }

  LogicalResult visit(Operation &op) {
    for (Value operand : op.getOperands())
      if (auto arg = dyn_cast<BlockArgument>(operand); arg && arg.getArgNumber() > 0) {
        auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "nn.name");
        return reject("`" + (name ? name.getValue() : "a value") + "` differs from one example to the next", op);
      }
    if (llvm::none_of(op.getOperands(), [&](Value v) { return isAffine(v); })) {
      if (typeOf(op.getResult(0)).getExample())
        return reject("it differs from one example to the next", op);
      b.clone(op, runLevel);
      return success();
    }
    FailureOr<Affine> form = affine(op);
    if (failed(form))
      return failure();
    forms[op.getResult(0)] = *form;
    return success();
  }

  /// A run-level operand as a row vector [k] or a scalar, to meet c; failure if it has more axes.
  FailureOr<Value> vector(Value v, Operation &op) {
    Value value = runLevel.lookup(v);
    while (typeOf(value).rank() > 1 && typeOf(value).getDims()[0].is(1))
      value = SqueezeOp::create(b, op.getLoc(), value, b.getI64IntegerAttr(0));
    if (typeOf(value).rank() > 1)
      return (void)reject("it adds or scales by a matrix over the tokens", op), failure();
    return value;
  }
  Value column(Value v, Location loc) {
    return typeOf(v).rank() == 0 ? v : ExpandDimsOp::create(b, loc, v, b.getI64IntegerAttr(1)).getResult();
  }

  FailureOr<Affine> affine(Operation &op) {
    Location loc = op.getLoc();
    if (isa<AddOp, SubOp>(op))
      return sum(op);
    if (isa<NegOp>(op)) {
      Affine x = forms[op.getOperand(0)];
      if (x.identity)
        return scaled(x, ConstantOp::create(b, loc, NNType::get(b.getContext(), false, {}, b.getF32Type()), b.getF64FloatAttr(-1)), false, op);
      return Affine{false, x.M ? NegOp::create(b, loc, x.M).getResult() : Value(), x.c ? NegOp::create(b, loc, x.c).getResult() : Value()};
    }
    if (isa<MulOp, DivOp>(op)) {
      bool first = isAffine(op.getOperand(0));
      if (first && isAffine(op.getOperand(1)))
        return reject("it multiplies two values that depend on x", op);
      if (isa<DivOp>(op) && !first)
        return reject("it divides by a value that depends on x", op);
      FailureOr<Value> factor = vector(op.getOperand(first ? 1 : 0), op);
      if (failed(factor))
        return failure();
      return scaled(forms[op.getOperand(first ? 0 : 1)], *factor, isa<DivOp>(op), op);
    }
    if (auto contract = dyn_cast<ContractOp>(op))
      return product(contract);
    if (isa<StopGradOp>(op))
      return forms[op.getOperand(0)];
    return reject("not an affine map of x", op);
  }

  FailureOr<Affine> scaled(Affine x, Value factor, bool divide, Operation &op) {
    Location loc = op.getLoc();
    auto times = [&](Value a, Value f) -> Value {
      return divide ? DivOp::create(b, loc, a, f).getResult() : MulOp::create(b, loc, a, f).getResult();
    };
    if (x.identity) {
      if (failed(materialize(x, op)))
        return failure();
    }
    return Affine{false, x.M ? times(x.M, column(factor, loc)) : Value(), x.c ? times(x.c, factor) : Value()};
  }

  /// The identity as a matrix, where nothing cheaper stands for it.
  LogicalResult materialize(Affine &x, Operation &op) {
    Dim dim = typeOf(func.getArgument(0)).getDims().back();
    NNType type = NNType::get(b.getContext(), false, {dim, dim}, b.getF32Type());
    std::vector<double> numbers(dim.constant * dim.constant);
    for (int64_t i = 0; i < dim.constant; ++i)
      numbers[i * dim.constant + i] = 1;
    x = {false, LiteralOp::create(b, op.getLoc(), type, b.getDenseF64ArrayAttr(numbers)), {}};
    return success();
  }

  FailureOr<Affine> sum(Operation &op) {
    Location loc = op.getLoc();
    Affine parts[2];
    for (int i : {0, 1}) {
      Value operand = op.getOperand(i);
      if (isAffine(operand)) {
        parts[i] = forms[operand];
        if (parts[i].identity && failed(materialize(parts[i], op)))
          return failure();
        continue;
      }
      FailureOr<Value> constant = vector(operand, op);
      if (failed(constant))
        return failure();
      parts[i].c = *constant;
    }
    bool minus = isa<SubOp>(op);
    auto join = [&](Value x, Value y) -> Value {
      if (!y)
        return x;
      if (!x)
        return minus ? NegOp::create(b, loc, y).getResult() : y;
      return minus ? SubOp::create(b, loc, x, y).getResult() : AddOp::create(b, loc, x, y).getResult();
    };
    return Affine{false, join(parts[0].M, parts[1].M), join(parts[0].c, parts[1].c)};
  }

  FailureOr<Affine> product(ContractOp op) {
    bool first = isAffine(op.getX());
    if (first && isAffine(op.getY()))
      return reject("it multiplies two values that depend on x", *op);
    auto [inputs, out] = op.getEquation().split("->");
    auto [lhs, rhs] = inputs.split(',');
    StringRef own = first ? lhs : rhs, other = first ? rhs : lhs;
    // "sk" against [k, z] in either order, into "sz".
    if (own.size() != 2 || other.size() != 2 || out.size() != 2 || own[0] != out[0] || other.contains(own[0]) ||
        !other.contains(own[1]) || !other.contains(out[1]))
      return reject("it mixes tokens", *op);
    Value R = runLevel.lookup(first ? op.getY() : op.getX());
    Affine x = forms[first ? op.getX() : op.getY()];
    bool straight = other[0] == out[1]; // R is [z, k]
    if (x.identity) {
      if (!straight)
        R = TransposeOp::create(b, op.getLoc(), R, b.getDenseI64ArrayAttr({1, 0}));
      return Affine{false, R, {}};
    }
    auto times = [&](Value v, StringRef equation) {
      return ContractOp::create(b, op.getLoc(), R, v, b.getStringAttr(equation), b.getBoolAttr(false)).getResult();
    };
    Affine result;
    if (x.M)
      result.M = times(x.M, straight ? "zk,ki->zi" : "kz,ki->zi");
    if (x.c)
      result.c = times(x.c, straight ? "zk,k->z" : "kz,k->z");
    return result;
  }

  func::FuncOp func;
  OpBuilder &b;
  IRMapping runLevel;
  llvm::DenseMap<Value, Affine> forms;
};

/// The report's row of a site.
DictionaryAttr report(OpBuilder &b, StringRef site, bool possible, StringRef reason) {
  return b.getDictionaryAttr({b.getNamedAttr("site", b.getStringAttr(site)), b.getNamedAttr("possible", b.getBoolAttr(possible)),
                              b.getNamedAttr("reason", b.getStringAttr(reason))});
}
} // namespace

LogicalResult mlir::nn::deriveMerge(ModuleOp module) {
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  auto merge = func::FuncOp::create(b, module.getLoc(), "merge", b.getFunctionType({}, {}));
  b.setInsertionPointToStart(merge.addEntryBlock());
  llvm::MapVector<StringAttr, Value> merged;
  SmallVector<Attribute> rows;
  for (auto func : llvm::to_vector(module.getOps<func::FuncOp>())) {
    auto site = func->getAttrOfType<StringAttr>("nn.site");
    if (!site)
      continue;
    auto unmergeable = func->getAttrOfType<StringAttr>("nn.unmergeable");
    std::string reason = unmergeable ? unmergeable.getValue().str() : "";
    if (!unmergeable) {
      Site reader(func, b);
      FailureOr<Affine> form = reader.run();
      reason = reader.reason;
      auto bias = func->getAttrOfType<StringAttr>("nn.bias");
      auto weight = func->getAttrOfType<StringAttr>("nn.weight");
      NNType type = typeOf(func.getBody().front().getTerminator()->getOperand(0));
      if (succeeded(form) && form->c && !bias) {
        reason = "it adds a constant, and the site has no bias to take it";
        form = failure();
      }
      if (succeeded(form) && form->M) {
        merged[weight] = form->M;
        if (bias) {
          NNType vector = NNType::get(b.getContext(), false, {type.getDims().back()}, b.getF32Type());
          Value c = form->c;
          if (c && typeOf(c) != vector)
            c = BroadcastOp::create(b, func.getLoc(), vector, c);
          if (c)
            merged[bias] = c;
        }
      } else if (reason.empty()) {
        reason = "nothing of x is left";
      }
    }
    rows.push_back(report(b, site.getValue(), reason.empty(), reason));
    func.erase();
  }
  // A base weight that was trained is its own merged value.
  for (auto parameter : module.getOps<ParameterOp>())
    if (parameter.getTrainable() && parameter.getRole() == "base" && !merged.count(parameter.getSymNameAttr()))
      merged[parameter.getSymNameAttr()] = ParamOp::create(b, parameter.getLoc(), parameter.getType(), parameter.getSymName());
  SmallVector<Value> values;
  for (auto &entry : merged)
    values.push_back(entry.second);
  func::ReturnOp::create(b, module.getLoc(), values);
  merge.setFunctionType(b.getFunctionType({}, TypeRange(ValueRange(values))));
  for (auto [i, entry] : llvm::enumerate(merged))
    merge.setResultAttr(i, "nn.name", entry.first);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(merge.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  module->setAttr("nn.merge", b.getArrayAttr(rows));
  return success();
}
