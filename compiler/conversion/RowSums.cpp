// RowSums: see the header.
#include "compiler/conversion/RowSums.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kPitch = 64; ///< no target takes more at a time, and threads do not write to one line

/// Columns of one sum: its stretches one after the other.
void addUp(Code &code, const RowSum &sum, Value table, Value result, Value stretches, Value column, Value mask) {
  SmallVector<Value> all = code.loop(code.integer(0), stretches, 1, {code.splat(code.number(0))}, [&](Value stretch, ValueRange carried) {
    Value part = code.loadVector(code.at(table, code.add(code.mul(stretch, sum.pitch), column)), mask);
    return SmallVector<Value>{arith::AddFOp::create(code.b, code.loc, carried[0], part)};
  });
  code.storeVector(all[0], code.at(result, column), mask);
}

} // namespace

SmallVector<RowSum> rowSumsOf(plan::KernelOp op) {
  SmallVector<RowSum> sums;
  for (auto [index, made] : llvm::enumerate(op.getBody().front().getTerminator()->getOperands()))
    if (nn::ReduceOp sum = plan::rowSum(made)) {
      const int64_t columns = plan::rowShapeOf(cast<nn::NNType>(sum.getX().getType()))->columns;
      sums.push_back({static_cast<unsigned>(index), columns, (columns + kPitch - 1) / kPitch * kPitch});
    }
  return sums;
}

LLVM::LLVMFuncOp emitRowSums(plan::KernelOp op, OpBuilder &builder, Machine machine) {
  auto function = declareFunction(builder, op.getLoc(), (*op.getSymbol() + "__sums").str());
  Block *entry = function.addEntryBlock(builder);
  OpBuilder inside = OpBuilder::atBlockEnd(entry);
  Code code(inside, op.getLoc(), machine);
  Value call = entry->getArgument(0), begin = entry->getArgument(1), stretches = code.field(call, CallField::elements);
  SmallVector<RowSum> sums = rowSumsOf(op);
  for (auto [index, sum] : llvm::enumerate(sums)) {
    Value table = code.dataPointer(call, index), result = code.dataPointer(call, sums.size() + index), end = code.least(entry->getArgument(2), code.integer(sum.columns));
    Value whole = code.add(begin, code.mul(arith::DivSIOp::create(inside, op.getLoc(), code.sub(end, begin), code.integer(code.lanes)), code.lanes)); // before `begin` where it has none of them
    code.loop(begin, whole, code.lanes, [&](Value column) { addUp(code, sum, table, result, stretches, column, {}); });
    Value rest = arith::MaxSIOp::create(inside, op.getLoc(), whole, begin);
    code.when(code.less(rest, end), [&] { addUp(code, sum, table, result, stretches, rest, code.firstLanes(code.sub(end, rest))); });
  }
  LLVM::ReturnOp::create(inside, op.getLoc(), ValueRange{});
  return function;
}

} // namespace peftc::conversion
