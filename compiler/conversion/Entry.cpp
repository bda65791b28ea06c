// Entry: see the header. Shares go round: thread t of n does shares t, t + n, t + 2 n, …, so that neighbours read neighbouring memory.
#include "compiler/conversion/Entry.h"
#include "compiler/conversion/Code.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

/// One of a thread's coordinates, or of their bounds.
Value coordinate(Code &code, StringRef name) {
  StringAttr intrinsic = code.b.getStringAttr("llvm.nvvm.read.ptx.sreg." + name);
  Value word = LLVM::CallIntrinsicOp::create(code.b, code.loc, code.b.getI32Type(), intrinsic, ValueRange{}).getResult(0);
  return arith::ExtUIOp::create(code.b, code.loc, code.i64(), word);
}

/// The call, with scratch of this thread's own: it begins `behind` bytes behind what was given.
Value ownCall(Code &code, Value given, Value behind) {
  Value own = LLVM::AllocaOp::create(code.b, code.loc, code.pointer(), code.callType(), code.integer(1));
  for (int32_t index = 0; index < static_cast<int32_t>(code.callType().getBody().size()); ++index) {
    auto field = static_cast<CallField>(index);
    Value value = code.field(given, field);
    if (field == CallField::scratch)
      value = code.at(value, code.b.getI8Type(), behind);
    LLVM::StoreOp::create(code.b, code.loc, value, code.fieldAddress(own, field));
  }
  return own;
}

} // namespace

void emitEntry(LLVM::LLVMFuncOp body, OpBuilder &builder, unsigned lanes, int64_t share) {
  body.setLinkage(LLVM::Linkage::Internal);
  Location loc = body.getLoc();
  auto function = LLVM::LLVMFuncOp::create(builder, loc, (body.getName() + "__entry").str(), body.getFunctionType(), LLVM::Linkage::External, /*dsoLocal=*/false, LLVM::CConv::PTX_Kernel);
  Block *entry = function.addEntryBlock(builder);
  OpBuilder inside = OpBuilder::atBlockEnd(entry);
  Code code(inside, loc, {lanes});
  function.setArgAttr(0, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(code.callType()));
  Value given = entry->getArgument(0), tasks = entry->getArgument(1), scratchBytes = entry->getArgument(2);

  Value width = coordinate(code, "ntid.x"), thread = code.add(code.mul(coordinate(code, "ctaid.x"), width), coordinate(code, "tid.x"));
  Value threads = code.mul(coordinate(code, "nctaid.x"), width), call = ownCall(code, given, code.mul(thread, scratchBytes));
  Value shares = arith::DivUIOp::create(inside, loc, code.add(tasks, code.integer(share - 1)), code.integer(share));
  auto loop = scf::ForOp::create(inside, loc, thread, shares, threads);
  inside.setInsertionPointToStart(loop.getBody());
  Value begin = code.mul(loop.getInductionVar(), share), end = code.least(tasks, code.add(begin, code.integer(share)));
  LLVM::CallOp::create(inside, loc, body, ValueRange{call, begin, end});
  inside.setInsertionPointAfter(loop);
  LLVM::ReturnOp::create(inside, loc, ValueRange{});
}

} // namespace peftc::conversion
