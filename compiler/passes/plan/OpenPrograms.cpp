// OpenPrograms (plan-open-programs): each function gets a program beside it that does the same.
//
// In     func.func of nn ops; arguments and results named by `nn.name`
// Out    beside it a plan.program of the same name with the same nn ops; the function stays (the reference runs it)
// Errs   internal only: a value without a name
// Why here  first of the plan phase: what follows changes programs, never functions
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace {
FailureOr<ArrayAttr> namesOf(func::FuncOp function, bool arguments) {
  SmallVector<Attribute> names;
  unsigned count = arguments ? function.getNumArguments() : function.getNumResults();
  for (unsigned i = 0; i < count; ++i) {
    auto name = arguments ? function.getArgAttrOfType<StringAttr>(i, "nn.name") : function.getResultAttrOfType<StringAttr>(i, "nn.name");
    if (!name)
      return function.emitError("`@") << function.getSymName() << "`: " << (arguments ? "argument " : "result ") << i << " has no name", failure();
    names.push_back(name);
  }
  return ArrayAttr::get(function.getContext(), names);
}

LogicalResult open(func::FuncOp function) {
  auto inputs = namesOf(function, true), results = namesOf(function, false);
  if (failed(inputs) || failed(results))
    return failure();
  OpBuilder builder(function->getContext());
  builder.setInsertionPointToEnd(function->getParentOfType<ModuleOp>().getBody());
  auto program = plan::ProgramOp::create(builder, function.getLoc(), function.getSymNameAttr(), *inputs, *results, ArrayAttr(), DenseI64ArrayAttr(), function->getAttrOfType<UnitAttr>("nn.streamed"));
  Block &block = program.getBody().emplaceBlock();
  IRMapping mapping;
  for (BlockArgument argument : function.getArguments())
    mapping.map(argument, block.addArgument(argument.getType(), argument.getLoc()));
  builder.setInsertionPointToEnd(&block);
  for (Operation &op : function.front().without_terminator())
    builder.clone(op, mapping);
  auto end = cast<func::ReturnOp>(function.front().getTerminator());
  SmallVector<Value> values = llvm::map_to_vector(end.getOperands(), [&](Value value) { return mapping.lookup(value); });
  plan::ReturnOp::create(builder, end.getLoc(), values);
  return success();
}
} // namespace

LogicalResult mlir::plan::openPrograms(ModuleOp module) {
  module.getContext()->getOrLoadDialect<plan::PlanDialect>();
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions)
    if (failed(open(function)))
      return failure();
  return success();
}
