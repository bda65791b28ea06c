// ChooseLayout (plan-choose-layout): which products with a branch, x W + h U, become one product [x | h] [W; U] with a bordered weight.
//
// In     plan.programs without places; on the module `plan.device`, what is known of the device, and `plan.layout`, if not what is quicker
// Out    such a product reads a plan.beside and a plan.window of a plan.border; x and h have a pitch. Every other product says why not (kLayoutNote)
// Errs   internal only: nothing is known of the device
// Why here  after kernels are formed, which find rows at any pitch; before places, because what lies in one table has one slot
//
// What is quicker  x W and then h U added to it reads and writes all of y once more, and is one more launch. A border makes the product deeper, by whole blocks
// of its depth: nothing where the last block has room.
#include "compiler/passes/plan/Border.h"
#include "compiler/passes/plan/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kDepthBlock = 64;        ///< of a library's product, elements
constexpr double kLaunch = 3e-6;           ///< seconds from one small kernel's end to the next one's
constexpr double kPart = kLaunch / 4;      ///< to write a part of a border, in a row of such copies that wait for nothing

struct Cost {
  double added, bordered; ///< seconds beyond x W alone
};

class Choice {
public:
  Choice(DictionaryAttr device, StringAttr word) : layout(word ? word.getValue() : "auto") {
    auto number = [&](StringRef name) { return static_cast<double>(cast<IntegerAttr>(device.get(name)).getInt()); };
    halfRate = number("bf16") * 1e9, rate = number("f32") * 1e9, bandwidth = number("bandwidth") * 1e9, tokens = number("tokens"), examples = tokens / number("length");
  }

  Cost costOf(const BranchedProduct &product, const Borders::Place &place) const {
    auto type = cast<PackedType>(product.x.getType());
    const double width = static_cast<double>(widthOf(type)), flops = type.getElement().isBF16() ? halfRate : rate;
    const auto blocks = [](int64_t depth) { return (depth + kDepthBlock - 1) / kDepthBlock; };
    const auto dim = type.getDims()[0];
    const double rows = static_cast<double>(dim.scale) * tokens + static_cast<double>(dim.constant) * examples;
    // A block of depth is multiplied, and its part of the weight read: one takes as long as both.
    const double product64 = std::max(2 * rows * product.columns * kDepthBlock / flops, static_cast<double>(product.columns) * kDepthBlock * width / bandwidth);
    return {kLaunch + 2 * rows * product.columns * width / bandwidth, static_cast<double>(blocks(place.depth) - blocks(product.depth)) * product64 + kPart};
  }

  bool isBordered(const Cost &cost) const { return layout == "bordered" || (layout != "added" && cost.bordered < cost.added); }
  bool isForced() const { return layout == "bordered" || layout == "added"; }

private:
  StringRef layout;
  double halfRate, rate, bandwidth, tokens, examples; ///< tokens, examples: of a batch
};

void note(StepOp step, const Twine &text) { step->setAttr(kLayoutNote, StringAttr::get(step.getContext(), text)); }

void choose(ProgramOp program, const Choice &choice, Borders &borders) {
  for (Operation &op : program.getBody().front()) {
    auto step = dyn_cast<StepOp>(op);
    if (!step || step.getKind() != "gemm" || !hasBranch(step))
      continue;
    std::string why;
    auto product = branchedProductOf(step, why);
    auto place = product ? borders.placeFor(*product, why) : std::nullopt;
    if (!place) {
      note(step, "added: " + why);
      continue;
    }
    const Cost cost = choice.costOf(*product, *place);
    const bool isBordered = choice.isBordered(cost);
    note(step, llvm::formatv("{0}: +{1:f1} us bordered, +{2:f1} us added{3}", isBordered ? "bordered" : "added", cost.bordered * 1e6, cost.added * 1e6, choice.isForced() ? ", as `layout` says" : "").str());
    if (isBordered)
      borders.accept(*product, *place);
  }
}
} // namespace

LogicalResult mlir::plan::chooseLayout(ModuleOp module) {
  auto device = module->getAttrOfType<DictionaryAttr>(kDevice);
  if (!device)
    return module.emitError("nothing says what the device can do (`") << kDevice << "`)";
  const Choice choice(device, module->getAttrOfType<StringAttr>(kLayout));
  BorderShapes shapes;
  std::vector<Borders> borders;
  for (ProgramOp program : module.getOps<ProgramOp>())
    choose(program, choice, borders.emplace_back(shapes));
  for (Borders &one : borders)
    one.join();
  for (Borders &one : borders)
    one.rewrite();
  return success();
}

/// Products that are alike are one line.
std::string mlir::plan::layoutReport(ModuleOp module) {
  std::string text = "layouts on the GPU: a product with a low-rank branch is bordered, [x | h] [W; U] in one, or the branch is added behind it\n";
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    std::map<std::pair<std::string, std::string>, int64_t> lines;
    program.walk([&](StepOp step) {
      auto said = step->getAttrOfType<StringAttr>(kLayoutNote);
      auto type = cast<PackedType>(step.getResult().getType());
      if (said)
        ++lines[{llvm::formatv("to {0} columns", type.columns()).str(), said.str()}];
    });
    if (!lines.empty())
      text += (program.getName() + ":\n").str();
    for (auto &[what, count] : lines)
      text += llvm::formatv("  {0,-18} ×{1,-4} {2}\n", what.first, count, what.second).str();
  }
  return text;
}
