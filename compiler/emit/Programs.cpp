// Programs: programs.json, from the functions as they stand.
#include "compiler/emit/Emit.h"
#include "compiler/emit/Spelling.h"
#include "compiler/emit/ValueNumbers.h"
#include "compiler/passes/plan/StepAttributes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace peftc::emit {
namespace {

class ProgramWriter {
public:
  ProgramWriter(func::FuncOp function, Json &out) : function(function), out(out) {}

  /// False after an error.
  bool write() {
    bool written = true;
    out.object([&] {
      out.attribute("name", function.getSymName());
      out.attributeArray("inputs", [&] {
        for (BlockArgument argument : function.getArguments())
          named(function.getArgAttr(argument.getArgNumber(), "nn.name"), argument);
      });
      out.attributeArray("ops", [&] {
        for (Operation &op : function.front().without_terminator())
          written = written && writeOp(op);
      });
      out.attributeArray("results", [&] {
        for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands()))
          named(function.getResultAttr(index, "nn.name"), value);
      });
      out.attributeArray("values", [&] {
        for (Value value : numbers.values())
          out.object([&] { spellTypeMembers(out, value.getType()); });
      });
    });
    return written;
  }

private:
  void named(Attribute name, Value value) { // plan-lower-programs checked that there is one
    numbers.named(out, cast<StringAttr>(name).getValue(), value);
  }
  bool writeOp(Operation &op) {
    auto attributes = plan::stepAttributes(&op);
    if (failed(attributes))
      return false;
    bool spelled = true;
    out.object([&] {
      out.attribute("op", op.getName().stripDialect());
      numbers.list(out, "in", op.getOperands());
      numbers.list(out, "out", op.getResult(0));
      out.attributeObject("attrs", [&] { spelled = spellMembers(out, *attributes); });
      out.attribute("loc", spell(op.getLoc()));
    });
    if (!spelled)
      op.emitOpError("has an attribute that a bundle cannot say: ") << *attributes;
    return spelled;
  }

  func::FuncOp function;
  Json &out;
  ValueNumbers numbers;
};

} // namespace

std::optional<std::string> programsOf(ModuleOp module) {
  return listOfPrograms([&](Json &out) {
    return llvm::all_of(module.getOps<func::FuncOp>(), [&](func::FuncOp function) { return ProgramWriter(function, out).write(); });
  });
}

} // namespace peftc::emit
