// Entry: see the header. Shares go round: team t of n does shares t, t + n, t + 2 n, …, so that neighbours read neighbouring memory. Where several
// teams have the same warps, a block's go on together, also where the last of them have no share left: the body does another's again (Code::onlyIf).
#include "compiler/conversion/Entry.h"
#include "compiler/conversion/Code.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr unsigned kGlobal = 1;  ///< address space
constexpr int64_t kOfAnyRegisters = 256; ///< threads of a block that has enough of them whatever a thread uses: of more the assembler must know

/// A field of what was given. That a pointer is to global memory LLVM does not see by itself, since it was itself read from there.
Value fieldOf(Code &code, Value given, CallField field) {
  Type type = code.callType().getBody()[static_cast<int32_t>(field)];
  if (!isa<LLVM::LLVMPointerType>(type))
    return code.field(given, field);
  Value global = code.load(code.fieldAddress(given, field), LLVM::LLVMPointerType::get(code.b.getContext(), kGlobal));
  return LLVM::AddrSpaceCastOp::create(code.b, code.loc, type, global);
}

LLVM::LLVMFunctionType entryType(MLIRContext *context) { return LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {LLVM::LLVMPointerType::get(context)}); }

/// The call, with scratch of this team's own: it begins `behind` bytes behind what was given.
Value ownCall(Code &code, Value given, Value behind) {
  Value own = LLVM::AllocaOp::create(code.b, code.loc, code.pointer(), code.callType(), code.integer(1));
  for (int32_t index = 0; index < static_cast<int32_t>(code.callType().getBody().size()); ++index) {
    auto field = static_cast<CallField>(index);
    Value value = fieldOf(code, given, field);
    if (field == CallField::scratch)
      value = code.at(value, code.b.getI8Type(), behind);
    LLVM::StoreOp::create(code.b, code.loc, value, code.fieldAddress(own, field));
  }
  return own;
}

/// Whether all of a kernel's operands and results begin where a whole vector may.
Value areWhole(Code &code, Value call, int64_t pointers) {
  Value bits = code.integer(0);
  for (int64_t index = 0; index < pointers; ++index)
    bits = arith::OrIOp::create(code.b, code.loc, bits, LLVM::PtrToIntOp::create(code.b, code.loc, code.i64(), code.dataPointer(call, index)));
  Value behind = arith::AndIOp::create(code.b, code.loc, bits, code.integer(Code::kAccess - 1));
  return arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::eq, behind, code.integer(0));
}

/// Where this thread's team has its first share: at the team's place in the block, or, where a block's teams go on together, as far `behind` the block's.
struct Place {
  Value first, behind;
};
Place placeOf(Code &code, Machine machine) {
  if (machine.warps == 1)
    return {arith::DivUIOp::create(code.b, code.loc, code.coordinate("tid.x"), code.integer(machine.ofRow())), {}};
  Value group = arith::DivUIOp::create(code.b, code.loc, code.coordinate("tid.x"), code.integer(machine.warps * Machine::kWarp));
  if (machine.together() == 1)
    return {group, {}};
  Value inGroup = arith::DivUIOp::create(code.b, code.loc, code.coordinate("laneid"), code.integer(machine.ofWarp()));
  return {code.integer(0), code.add(code.mul(group, machine.together()), inGroup)};
}

} // namespace

void emitEntry(Bodies bodies, OpBuilder &builder, Machine machine, int64_t share, int64_t block) {
  for (LLVM::LLVMFuncOp body : {bodies.any, bodies.whole})
    if (body)
      body.setLinkage(LLVM::Linkage::Internal);
  Location loc = bodies.any.getLoc();
  auto function = LLVM::LLVMFuncOp::create(builder, loc, (bodies.any.getName() + "__entry").str(), entryType(builder.getContext()), LLVM::Linkage::External, /*dsoLocal=*/false, LLVM::CConv::PTX_Kernel);
  if (block > kOfAnyRegisters) {
    const std::string threads = std::to_string(block);
    function.setPassthroughAttr(builder.getArrayAttr({builder.getStrArrayAttr({"nvvm.maxntid", threads})}));
  }
  Block *entry = function.addEntryBlock(builder);
  OpBuilder inside = OpBuilder::atBlockEnd(entry);
  Code code(inside, loc, machine);
  Value given = entry->getArgument(0), first = code.field(given, CallField::first), tasks = code.field(given, CallField::tasks), scratchBytes = code.field(given, CallField::scratchBytes);

  Value width = arith::DivUIOp::create(inside, loc, code.coordinate("ntid.x"), code.integer(machine.ofRow()));
  const Place place = placeOf(code, machine);
  Value before = code.mul(code.coordinate("ctaid.x"), width), team = code.add(before, place.first), teams = code.mul(code.coordinate("nctaid.x"), width);
  Value scratch = code.mul(place.behind ? code.add(team, place.behind) : team, scratchBytes);
  if (machine.dealt > 1) // each of them has its share of what is there for the row
    scratch = code.add(scratch, code.mul(code.teamOfRow(), arith::DivUIOp::create(inside, loc, scratchBytes, code.integer(machine.dealt))));
  Value call = ownCall(code, given, scratch);
  Value isWhole = bodies.whole ? areWhole(code, call, bodies.pointers) : Value();
  auto loop = scf::ForOp::create(inside, loc, code.add(first, code.mul(team, share)), tasks, code.mul(teams, share));
  inside.setInsertionPointToStart(loop.getBody());
  Value begin = place.behind ? code.add(loop.getInductionVar(), place.behind) : loop.getInductionVar();
  Value end = place.behind ? tasks : code.least(tasks, code.add(begin, code.integer(share)));
  auto callBody = [&](LLVM::LLVMFuncOp body) { LLVM::CallOp::create(inside, loc, body, ValueRange{call, begin, end}); };
  if (isWhole)
    code.choose(isWhole, [&] { callBody(bodies.whole); }, [&] { callBody(bodies.any); });
  else
    callBody(bodies.any);
  inside.setInsertionPointAfter(loop);
  LLVM::ReturnOp::create(inside, loc, ValueRange{});
}

} // namespace peftc::conversion
