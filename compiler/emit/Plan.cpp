// Plan: plan.json, from the programs with their slots.
#include "compiler/emit/Emit.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/emit/Spelling.h"
#include "compiler/emit/ValueNumbers.h"
#include "dialects/plan/Plan.h"

using namespace mlir;

namespace peftc::emit {
namespace {

class PlanWriter {
public:
  PlanWriter(plan::ProgramOp program, Json &out) : program(program), out(out) {}

  /// False after an error.
  bool write() {
    if (!program.getSlots())
      return program.emitOpError("has no slots yet"), false;
    bool written = true;
    out.object([&] {
      out.attribute("name", program.getName());
      out.attributeArray("slots", [&] { writeSlots(); });
      if (program.getStreamed())
        out.attribute("streamed", true);
      out.attributeBegin("bands");
      spellNumbers(out, program.getBands().value_or(ArrayRef<int64_t>()));
      out.attributeEnd();
      named("inputs", program.getInputNames(), program.getBody().getArguments());
      out.attributeArray("steps", [&] {
        for (Operation &op : program.getBody().front().without_terminator())
          written = written && writeStep(op);
      });
      named("results", program.getResultNames(), program.getBody().front().getTerminator()->getOperands());
      out.attributeArray("values", [&] { writeValues(); });
    });
    return written;
  }

private:
  void writeSlots() {
    ArrayAttr slots = *program.getSlots(); // held: a range over the optional's own temporary would dangle
    for (Attribute attribute : slots) {
      auto size = cast<plan::SizeAttr>(attribute);
      out.object([&] {
        for (auto [name, number] : {std::pair("c", size.getC()), {"e", size.getE()}, {"t", size.getT()}, {"q", size.getQ()}, {"p", size.getP()}})
          out.attribute(name, number);
        for (auto [name, list] : {std::pair("ts", size.getTs()), {"qs", size.getQs()}})
          if (!list.empty()) {
            out.attributeBegin(name);
            spellNumbers(out, list);
            out.attributeEnd();
          }
      });
    }
  }
  void named(StringRef member, ArrayAttr names, ValueRange listed) {
    out.attributeArray(member, [&] {
      for (auto [name, value] : llvm::zip_equal(names, listed))
        numbers.named(out, cast<StringAttr>(name).getValue(), value);
    });
  }
  /// `attributes` writes the members of `attrs`.
  void step(StringRef kind, StringRef name, Operation &op, llvm::function_ref<void()> attributes) {
    out.object([&] {
      out.attribute("kind", kind);
      out.attribute("op", name);
      numbers.list(out, "in", op.getOperands());
      numbers.list(out, "out", op.getResults());
      out.attributeObject("attrs", [&] {
        attributes();
        if (int64_t band = plan::bandOf(&op); band >= 0)
          out.attribute("band", band);
      });
      out.attribute("loc", spell(op.getLoc()));
    });
  }
  bool writeStep(Operation &op) {
    if (auto alias = dyn_cast<plan::AliasOp>(op)) { // a step too, so that every value is made by one; whoever runs it has nothing to do
      step("aten", alias.getOp(), op, [] {});
      return true;
    }
    if (isa<plan::BesideOp, plan::WindowOp>(op)) {
      step("aten", op.getName().stripDialect(), op, [&] {
        if (auto window = dyn_cast<plan::WindowOp>(op); window && window.getRow())
          out.attribute("row", static_cast<int64_t>(window.getRow()));
      });
      return true;
    }
    if (auto border = dyn_cast<plan::BorderOp>(op)) {
      auto weight = border.getWeight().getDefiningOp<plan::StepOp>();
      step("aten", "border", op, [&] {
        out.attribute("weight", cast<StringAttr>(weight.getHow().get("name")).getValue());
        if (border.getWeightTurned())
          out.attribute("weight_turned", true);
        if (border.getStacked())
          out.attribute("stacked", static_cast<int64_t>(border.getStacked()));
        for (auto [name, list] : {std::pair("places", SmallVector<int64_t>(border.getPlaces())), {"turned", SmallVector<int64_t>(border.getTurned())}}) {
          out.attributeBegin(name);
          spellNumbers(out, list);
          out.attributeEnd();
        }
      });
      return true;
    }
    if (auto attention = dyn_cast<plan::AttentionOp>(op)) {
      step("attention", attention.getBackward() ? "attention_backward" : "attention", op, [&] {
        out.attribute("scale", attention.getScale().convertToDouble());
        if (attention.getDropout()) {
          out.attribute("dropout", attention.getDropout()->convertToDouble());
          out.attribute("site", static_cast<int64_t>(*attention.getSite()));
        }
        for (auto [name, bound] : {std::pair("left", attention.getLeft()), {"right", attention.getRight()}})
          if (bound)
            out.attribute(name, static_cast<int64_t>(*bound));
      });
      return true;
    }
    if (auto kernel = dyn_cast<plan::KernelOp>(op)) {
      const nlohmann::json call = conversion::callOf(kernel);
      step("kernel", "kernel", op, [&] {
        for (const auto &[name, value] : call.items()) {
          out.attributeBegin(name);
          out.rawValue(value.dump());
          out.attributeEnd();
        }
      });
      return true;
    }
    auto plain = cast<plan::StepOp>(op);
    bool spelled = true;
    step(plain.getKind(), plain.getOp(), op, [&] { spelled = spellMembers(out, plain.getHow()); });
    if (plain.getKind() == "update")
      updated[plain.getResult()] = plain.getInputs()[0];
    if (!spelled)
      plain.emitOpError("has an attribute that a bundle cannot say");
    return spelled;
  }
  void writeValues() {
    for (Value value : numbers.values())
      out.object([&] {
        spellTypeMembers(out, value.getType());
        out.attribute("slot", plan::slotOf(value).value_or(-1));
        if (auto packed = dyn_cast<plan::PackedType>(value.getType()); packed && packed.getPitch() != 0) {
          out.attribute("pitch", packed.getPitch());
          out.attribute("column", packed.getColumn());
        }
        if (Value source = plan::sourceOf(value) ? plan::sourceOf(value) : updated.lookup(value))
          out.attribute("alias", numbers.of(source));
      });
  }

  plan::ProgramOp program;
  Json &out;
  ValueNumbers numbers;
  llvm::DenseMap<Value, Value> updated; ///< what an update makes, and the input in whose place it lies
};

} // namespace

std::optional<std::string> planOf(ModuleOp module) {
  return listOfPrograms([&](Json &out) {
    return llvm::all_of(module.getOps<plan::ProgramOp>(), [&](plan::ProgramOp program) { return PlanWriter(program, out).write(); });
  });
}

} // namespace peftc::emit
