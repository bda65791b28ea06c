// Metrics: what a task measures: one number a row, of which the mean is taken, or one that is made of all rows.
//
// In     MetricStmt
// Out    peft.result "metric.<name>"; or, of the latter, what it needs of each row, "total.<name>.<i>" (whose sum) and "rows.<name>.<i>"
//        (all of which), and a function @"metric.<name>" of those: the part that runs when all rows are done; names in EmitInfo
// Errs   E0350 a metric that is not one number, or mixes what differs from row to row with what does not
#include "compiler/import/Elaborator.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace peftc::import {
using diag::Kind;
using mlir::nn::AllRowsOp;
using mlir::nn::Dim;
using mlir::nn::NNType;
using mlir::nn::ReduceOp;

/// `total(x)`: a number of the run, made of every row's.
Tensor Elaborator::total(const Tensor &perRow, Range range) {
  if (!inMetric_)
    fail(Kind::E0350, range, {"`total` is over all rows of the data, which only a metric sees"});
  Tensor value = asFloat(perRow, range);
  if (value.type().rank() != 0 || !value.type().getExample())
    fail(Kind::E0350, range, {"`total` is of one number a row, this is " + mlir::nn::toString(value.type())});
  return emit<ReduceOp>(range, {value.value}, {attr("kind", strAttr("sum")), attr("axes", intsAttr({})), attr("keep", boolAttr(false)), attr("over_examples", boolAttr(true))});
}

/// `all_rows(x)`: [entries, …] of the whole data.
Tensor Elaborator::allRows(const Tensor &perRow, Range range) {
  if (!inMetric_)
    fail(Kind::E0350, range, {"`all_rows` is of all rows of the data, which only a metric sees"});
  Tensor value = perRow.type().isBool() ? asFloat(perRow, range) : perRow;
  std::vector<std::string> axes = value.axes;
  if (axes.size() == static_cast<size_t>(value.type().rank()) && !axes.empty() && !value.type().getDims()[0].isStatic())
    axes.erase(axes.begin());
  axes.insert(axes.begin(), "rows");
  return emit<AllRowsOp>(range, {value.value}, {}, axes);
}

/// Whether the value is made of all rows: `total` or `all_rows` is among what it is computed from.
static bool isOfAll(mlir::Value value) {
  llvm::SetVector<mlir::Operation *> ops;
  ops.insert(value.getDefiningOp());
  for (size_t i = 0; i < ops.size(); ++i) {
    if (auto sum = llvm::dyn_cast_or_null<ReduceOp>(ops[i]); llvm::isa_and_nonnull<AllRowsOp>(ops[i]) || (sum && sum.getOverExamples()))
      return true;
    for (mlir::Value operand : ops[i] ? ops[i]->getOperands() : mlir::ValueRange())
      ops.insert(operand.getDefiningOp());
  }
  return false;
}

void Elaborator::addMetric(const ast::MetricStmt &stmt, const EnvPtr &env) {
  const bool before = std::exchange(inMetric_, true);
  Value value = eval(*stmt.value, env);
  inMetric_ = before;
  Tensor tensor = asFloat(toTensor(value, f32(), stmt.value->range), stmt.value->range);
  if (tensor.type().rank() != 0)
    fail(Kind::E0350, stmt.value->range, {"a metric is one number, this is " + mlir::nn::toString(tensor.type())});
  info_.metrics.push_back(stmt.name.text);
  if (isOfAll(tensor.value))
    addMetricOfAll(stmt, tensor);
  else if (tensor.type().getExample())
    mlir::peft::ResultOp::create(builder_, location(stmt.range), "metric." + stmt.name.text, tensor.value);
  else
    fail(Kind::E0350, stmt.value->range, {"this is the same whatever the rows are"});
}

namespace {
/// The part of a metric behind its totals and columns, as a function of these.
class LastPart {
public:
  LastPart(mlir::func::FuncOp func, std::string name, mlir::OpBuilder &builder) : func(func), name(std::move(name)), builder(builder), block(func.addEntryBlock()) {}

  /// Clones what `value` is computed from; what is wrong with it, or nothing.
  std::string make(mlir::Value value) {
    if (mapping.contains(value))
      return "";
    mlir::Operation *op = value.getDefiningOp();
    if (auto sum = llvm::dyn_cast_or_null<ReduceOp>(op); sum && sum.getOverExamples())
      return addInput(op, "total", sum.getX(), value.getType());
    if (auto rows = llvm::dyn_cast_or_null<AllRowsOp>(op)) {
      auto dims = mlir::cast<NNType>(rows.getX().getType()).getDims();
      const Dim entries = dims.empty() || dims.front().isStatic() ? Dim{1, 0} : dims.front();
      if (entriesOfRow && !(*entriesOfRow == entries))
        return "what a metric takes of all rows has as many entries a row everywhere";
      entriesOfRow = entries;
      return addInput(op, "rows", rows.getX(), value.getType());
    }
    if (!op || op->getNumResults() != 1 || op->getNumRegions() || llvm::isa<mlir::peft::PointOp, mlir::peft::CallOp, mlir::nn::ByModeOp>(op))
      return "a metric is one number a row, or made of totals and of all rows";
    for (mlir::Value operand : op->getOperands())
      if (std::string wrong = make(operand); !wrong.empty())
        return wrong;
    builder.setInsertionPointToEnd(block);
    builder.clone(*op, mapping);
    return "";
  }

  void finish(mlir::Value value, const std::string &result) {
    builder.setInsertionPointToEnd(block);
    mlir::func::ReturnOp::create(builder, func.getLoc(), mapping.lookup(value));
    func.setFunctionType(builder.getFunctionType(block->getArgumentTypes(), {value.getType()}));
    for (auto [i, input] : llvm::enumerate(inputs))
      func.setArgAttr(i, "nn.name", builder.getStringAttr(input));
    func.setResultAttr(0, "nn.name", builder.getStringAttr(result));
  }

private:
  /// `value` is computed for each row; the function is given what comes of all of them.
  std::string addInput(mlir::Operation *op, const std::string &word, mlir::Value value, mlir::Type type) {
    inputs.push_back(word + "." + name + "." + std::to_string(inputs.size()));
    mlir::OpBuilder before(op);
    mlir::peft::ResultOp::create(before, func.getLoc(), inputs.back(), value);
    mapping.map(op->getResult(0), block->addArgument(type, func.getLoc()));
    return "";
  }

  mlir::func::FuncOp func;
  std::string name;
  mlir::OpBuilder &builder;
  mlir::Block *block;
  mlir::IRMapping mapping;
  std::vector<std::string> inputs;
  std::optional<Dim> entriesOfRow;
};
} // namespace

void Elaborator::addMetricOfAll(const ast::MetricStmt &stmt, const Tensor &tensor) {
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(module_.getBody());
  auto func = mlir::func::FuncOp::create(builder_, location(stmt.range), "metric." + stmt.name.text, builder_.getFunctionType({}, {tensor.type()}));
  LastPart part(func, stmt.name.text, builder_);
  if (std::string wrong = part.make(tensor.value); !wrong.empty())
    fail(Kind::E0350, stmt.value->range, {wrong});
  part.finish(tensor.value, stmt.name.text);
}

} // namespace peftc::import
