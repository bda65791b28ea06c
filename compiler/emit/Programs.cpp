// Programs: programs.json, from the functions as they stand.
#include "compiler/emit/Emit.h"
#include "compiler/emit/Spelling.h"
#include "compiler/passes/plan/StepAttributes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

using nlohmann::json;
using namespace mlir;

namespace peftc::emit {
namespace {

class ProgramWriter {
public:
  explicit ProgramWriter(func::FuncOp function) : function(function) {}

  /// Null after an error.
  json write() {
    json program = {{"name", function.getSymName().str()}, {"inputs", json::array()}, {"ops", json::array()}, {"results", json::array()}};
    for (BlockArgument argument : function.getArguments())
      program["inputs"].push_back({{"name", nameOf(function.getArgAttr(argument.getArgNumber(), "nn.name"))}, {"value", number(argument)}});
    for (Operation &op : function.front().without_terminator()) {
      json written = writeOp(op);
      if (written.is_null())
        return nullptr;
      program["ops"].push_back(std::move(written));
    }
    for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands()))
      program["results"].push_back({{"name", nameOf(function.getResultAttr(index, "nn.name"))}, {"value", number(value)}});
    program["values"] = std::move(values);
    return program;
  }

private:
  static std::string nameOf(Attribute name) { return cast<StringAttr>(name).getValue().str(); } // plan-lower-programs checked it

  int64_t number(Value value) {
    auto [it, inserted] = numbers.insert({value, static_cast<int64_t>(values.size())});
    if (inserted)
      values.push_back(spellType(value.getType()));
    return it->second;
  }
  json writeOp(Operation &op) {
    auto attributes = plan::stepAttributes(&op);
    if (failed(attributes))
      return nullptr;
    auto spelled = spell(*attributes);
    if (!spelled) {
      op.emitOpError("has an attribute that a bundle cannot say: ") << *attributes;
      return nullptr;
    }
    json in = json::array();
    for (Value operand : op.getOperands())
      in.push_back(number(operand));
    return {{"op", op.getName().stripDialect().str()}, {"in", std::move(in)}, {"out", {number(op.getResult(0))}}, {"attrs", std::move(*spelled)}, {"loc", spell(op.getLoc())}};
  }

  func::FuncOp function;
  llvm::DenseMap<Value, int64_t> numbers;
  json values = json::array();
};

} // namespace

json programsOf(ModuleOp module) {
  json programs = json::array();
  for (auto function : module.getOps<func::FuncOp>()) {
    json program = ProgramWriter(function).write();
    if (program.is_null())
      return nullptr;
    programs.push_back(std::move(program));
  }
  return {{"programs", std::move(programs)}}; // a copy of it all would take as long as making it
}

} // namespace peftc::emit
