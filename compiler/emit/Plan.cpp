// Plan: plan.json, from the programs with their slots.
#include "compiler/emit/Emit.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/emit/Spelling.h"
#include "dialects/plan/Plan.h"
#include "llvm/ADT/DenseMap.h"

using nlohmann::json;
using namespace mlir;

namespace peftc::emit {
namespace {

class PlanWriter {
public:
  explicit PlanWriter(plan::ProgramOp program) : program(program) {}

  /// Null after an error.
  json write() {
    if (!program.getSlots()) {
      program.emitOpError("has no slots yet");
      return nullptr;
    }
    json written = {{"name", program.getName().str()}, {"slots", json::array()}, {"steps", json::array()}};
    ArrayAttr slots = *program.getSlots(); // held: a range over the optional's own temporary would dangle
    for (Attribute attribute : slots) {
      auto size = cast<plan::SizeAttr>(attribute);
      json slot = {{"c", size.getC()}, {"e", size.getE()}, {"t", size.getT()}, {"q", size.getQ()}, {"p", size.getP()}};
      for (auto [name, list] : {std::pair("ts", size.getTs()), {"qs", size.getQs()}})
        if (!list.empty())
          slot[name] = list.vec();
      written["slots"].push_back(std::move(slot));
    }
    if (program.getStreamed())
      written["streamed"] = true;
    written["bands"] = program.getBands().value_or(ArrayRef<int64_t>()).vec();
    written["inputs"] = named(program.getInputNames(), program.getBody().getArguments());
    for (Operation &op : program.getBody().front().without_terminator()) {
      if (auto alias = dyn_cast<plan::AliasOp>(op)) {
        // A step too, so that every value is made by one; whoever runs it has nothing to do.
        int64_t source = number(alias.getSource()), result = number(alias.getResult());
        values[result]["alias"] = source;
        written["steps"].push_back({{"kind", "aten"}, {"op", alias.getOp().str()}, {"in", {source}}, {"out", {result}}, {"attrs", withBand(json::object(), alias)}, {"loc", spell(alias.getLoc())}});
        continue;
      }
      if (auto kernel = dyn_cast<plan::KernelOp>(op)) {
        written["steps"].push_back(writeKernel(kernel));
        continue;
      }
      json step = writeStep(cast<plan::StepOp>(op));
      if (step.is_null())
        return nullptr;
      written["steps"].push_back(std::move(step));
    }
    written["results"] = named(program.getResultNames(), program.getBody().front().getTerminator()->getOperands());
    written["values"] = std::move(values);
    return written;
  }

private:
  int64_t number(Value value) {
    auto [it, inserted] = numbers.insert({value, static_cast<int64_t>(values.size())});
    if (inserted) {
      values.push_back(spellType(value.getType()));
      values.back()["slot"] = plan::slotOf(value).value_or(-1);
    }
    return it->second;
  }
  static json withBand(json attributes, Operation *op) {
    if (int64_t band = plan::bandOf(op); band >= 0)
      attributes["band"] = band;
    return attributes;
  }
  json named(ArrayAttr names, ValueRange listed) {
    json list = json::array();
    for (auto [name, value] : llvm::zip_equal(names, listed))
      list.push_back({{"name", cast<StringAttr>(name).getValue().str()}, {"value", number(value)}});
    return list;
  }
  json writeKernel(plan::KernelOp kernel) {
    json in = json::array(), out = json::array();
    for (Value operand : kernel.getInputs())
      in.push_back(number(operand));
    for (Value result : kernel.getResults())
      out.push_back(number(result));
    return {{"kind", "kernel"}, {"op", "kernel"}, {"in", std::move(in)}, {"out", std::move(out)}, {"attrs", withBand(conversion::callOf(kernel), kernel)}, {"loc", spell(kernel.getLoc())}};
  }
  json writeStep(plan::StepOp step) {
    auto attributes = spell(step.getHow());
    if (!attributes) {
      step.emitOpError("has an attribute that a bundle cannot say");
      return nullptr;
    }
    json in = json::array();
    for (Value operand : step.getInputs())
      in.push_back(number(operand));
    if (step.getKind() == "update")
      values[number(step.getResult())]["alias"] = in[0];
    return {{"kind", step.getKind().str()}, {"op", step.getOp().str()}, {"in", std::move(in)}, {"out", {number(step.getResult())}},
            {"attrs", withBand(std::move(*attributes), step)}, {"loc", spell(step.getLoc())}};
  }

  plan::ProgramOp program;
  llvm::DenseMap<Value, int64_t> numbers;
  json values = json::array();
};

} // namespace

json planOf(ModuleOp module) {
  json programs = json::array();
  for (auto program : module.getOps<plan::ProgramOp>()) {
    json written = PlanWriter(program).write();
    if (written.is_null())
      return nullptr;
    programs.push_back(std::move(written));
  }
  return {{"programs", std::move(programs)}};
}

} // namespace peftc::emit
