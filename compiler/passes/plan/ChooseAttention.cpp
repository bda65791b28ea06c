// ChooseAttention (plan-choose-attention): which attention is a step of a library's instead of our kernel.
//
// In     plan.programs with named kernels, without places; on the module `plan.device`, what is known of the device, and `plan.attention`, if not what is quicker
// Out    kernels of heads' matrices that compute softmax attention of bf16, and those that are their ways back, are plan.attention; every other such kernel says why not
//        (kAttentionNote)
// Errs   internal only: nothing is known of the device, or kernels have no names
// Why here  after kernels are formed, whose bodies are asked what they compute; before layouts: what a library reads may lie in tables
//
// What is quicker  a library's attention multiplies by tensor cores and keeps no scores; ours takes whatever stands between the products, in f32 by threads. The library's
// is asked for by this process, outside of what a device does as one, and copied to where it was planned: that costs the same however short the texts are.
#include "compiler/passes/plan/Attention.h"
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kHeadSizes = 8, kLargestHead = 256; ///< of LibTorch's flash attention: multiples of that, up to this
constexpr double kAsked = 12e-6;                      ///< seconds that a library's step costs beside its work: to end what is done as one, to ask, to copy results
constexpr double kLibraryShare = 0.4, kOurShare = 0.1; ///< of the rates at which products of bf16, and f32, are done at best: neither has been timed here
constexpr double kBackward = 2.5;                     ///< times the products of forward

class Choice {
public:
  Choice(DictionaryAttr device, StringAttr word) : word(word ? word.getValue() : "auto") {
    auto number = [&](StringRef name) { return static_cast<double>(cast<IntegerAttr>(device.get(name)).getInt()); };
    halfRate = number("bf16") * 1e9, rate = number("f32") * 1e9, tokens = number("tokens"), length = number("length");
  }

  /// Whether it is the library's, and for people why. `times`: the products of a forward pass.
  bool isLibrarys(PackedType q, const Sight &sight, double times, std::string &why) const {
    const double heads = static_cast<double>(q.getDims()[1].constant), size = static_cast<double>(q.getDims()[2].constant);
    double seen = sight.right == 0 ? length / 2 : length;
    if (sight.left)
      seen = std::min(seen, static_cast<double>(*sight.left) + 1);
    const double operations = 4 * times * tokens * seen * heads * size, library = kAsked + operations / (halfRate * kLibraryShare), ours = operations / (rate * kOurShare);
    const bool chosen = word == "library" || (word != "generated" && library < ours);
    why = llvm::formatv("{0}: {1:f1} us by the library, {2:f1} us generated{3}", chosen ? "library" : "generated", library * 1e6, ours * 1e6, word == "auto" ? "" : ", as `attention` says").str();
    return chosen;
  }

private:
  StringRef word;
  double halfRate, rate, tokens, length;
};

void note(Operation *op, const Twine &text) { op->setAttr(kAttentionNote, StringAttr::get(op->getContext(), text)); }

/// Attention and all its ways back.
struct Found {
  ForwardAttention forward;
  SmallVector<BackwardAttention> backwards;
  bool isRead = false; ///< its numbers of rows, by something that is no way back
};

class Program {
public:
  Program(ProgramOp program, const Choice &choice, AttentionReader &reader) : program(program), choice(choice), reader(reader) {}

  void run() {
    findForward();
    findBackward();
    for (auto &[kernel, found] : attentions)
      if (isChosen(found))
        rewrite(found);
  }

private:
  void findForward() {
    for (auto kernel : program.getBody().front().getOps<KernelOp>()) {
      if (kernel.getSpace() != nameOf(Space::tiles))
        continue;
      std::string why;
      if (auto forward = reader.forward(kernel, why))
        attentions[kernel].forward = *forward;
      else
        note(kernel, "generated: " + why);
    }
  }

  /// What reads q, k and v of an attention as it does, or its numbers of rows.
  void findBackward() {
    for (auto &[kernel, found] : attentions) {
      ForwardAttention &forward = found.forward;
      llvm::SmallSetVector<Operation *, 4> users;
      for (Value result : forward.kernel.getResults())
        if (result != forward.kernel.getResult(forward.context))
          users.insert(result.user_begin(), result.user_end());
      for (Operation *user : users) {
        std::string why;
        auto kernel = dyn_cast<KernelOp>(user);
        if (auto back = kernel ? reader.backward(kernel, forward, why) : std::nullopt) {
          found.backwards.push_back(*back);
          continue;
        }
        found.isRead = true;
        if (kernel)
          note(kernel, "generated: " + why);
      }
    }
  }

  bool isChosen(Found &found) {
    ForwardAttention &forward = found.forward;
    auto type = cast<PackedType>(forward.operand(forward.q).getType());
    const int64_t size = type.getDims()[2].constant;
    std::string refused = found.isRead                                    ? "what it sums of a row is read by something else than its way back"
                          : size % kHeadSizes != 0 || size > kLargestHead ? "the library has no heads of this size"
                                                                          : "";
    std::string why = "generated: " + refused;
    const bool chosen = refused.empty() && choice.isLibrarys(type, forward.sight, 1 + kBackward * static_cast<double>(found.backwards.size()), why);
    note(forward.kernel, why + (found.backwards.empty() ? "" : ", with its way back") + (chosen && forward.dropout ? "; it draws numbers of its own" : ""));
    for (BackwardAttention &back : found.backwards)
      note(back.kernel, chosen ? "library: a way back" : "generated: a way back");
    return chosen;
  }

  static IntegerAttr boundOf(OpBuilder &builder, std::optional<int64_t> bound) { return bound ? builder.getI64IntegerAttr(*bound) : IntegerAttr(); }

  static AttentionOp made(KernelOp kernel, const ForwardAttention &forward, TypeRange results, ValueRange inputs, bool isBackward) {
    OpBuilder builder(kernel);
    auto op = AttentionOp::create(builder, kernel.getLoc(), results, inputs, isBackward, llvm::APFloat(forward.scale), boundOf(builder, forward.sight.left),
                                  boundOf(builder, forward.sight.right), FloatAttr(), IntegerAttr(), DenseI64ArrayAttr());
    if (forward.dropout) {
      op.setDropoutAttr(builder.getF64FloatAttr(forward.dropout->rate));
      op.setSiteAttr(builder.getI64IntegerAttr(KernelOp(forward.kernel).getSites()[forward.dropout->site]));
    }
    op->setAttr(kAttentionNote, kernel->getAttr(kAttentionNote));
    return op;
  }

  static void rewrite(Found &found) {
    ForwardAttention &forward = found.forward;
    const Value q = forward.operand(forward.q), k = forward.operand(forward.k), v = forward.operand(forward.v);
    auto type = cast<PackedType>(q.getType());
    auto lse = PackedType::get(type.getContext(), true, type.getDims().take_front(2), Float32Type::get(type.getContext()));
    SmallVector<Type> results = {forward.kernel.getResult(forward.context).getType(), lse};
    if (forward.dropout)
      results.push_back(AttentionOp::drawnType(type.getContext()));
    AttentionOp attention = made(forward.kernel, forward, results, {q, k, v}, false);
    for (BackwardAttention &back : found.backwards) {
      SmallVector<Value> read = {back.kernel.getInputs()[back.gradient], q, k, v};
      llvm::append_range(read, attention.getResults());
      AttentionOp gradients = made(back.kernel, forward, {q.getType(), k.getType(), v.getType()}, read, true);
      const std::optional<unsigned> results[] = {back.q, back.k, back.v};
      for (auto [place, which] : llvm::enumerate(results))
        if (which)
          back.kernel.getResult(*which).replaceAllUsesWith(gradients.getResult(place));
      back.kernel.erase();
    }
    forward.kernel.getResult(forward.context).replaceAllUsesWith(attention.getResult(0));
    forward.kernel.erase();
  }

  ProgramOp program;
  const Choice &choice;
  AttentionReader &reader;
  llvm::MapVector<Operation *, Found> attentions; ///< by their kernels
};
} // namespace

LogicalResult mlir::plan::chooseAttention(ModuleOp module) {
  auto device = module->getAttrOfType<DictionaryAttr>(kDevice);
  if (!device)
    return module.emitError("nothing says what the device can do (`") << kDevice << "`)";
  const Choice choice(device, module->getAttrOfType<StringAttr>(kAttention));
  if (module.walk([](KernelOp kernel) { return kernel.getSymbol() ? WalkResult::advance() : WalkResult::interrupt(); }).wasInterrupted())
    return module.emitError("kernels have no names");
  AttentionReader reader;
  for (ProgramOp program : module.getOps<ProgramOp>())
    Program(program, choice, reader).run();
  return success();
}

/// Attention that is alike is one line.
std::string mlir::plan::attentionReport(ModuleOp module) {
  std::string text = "attention on the GPU: by a library, or by a generated kernel\n";
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    llvm::MapVector<StringRef, int64_t> lines;
    for (Operation &op : program.getBody().front())
      if (auto said = op.getAttrOfType<StringAttr>(kAttentionNote))
        ++lines[said.getValue()];
    if (!lines.empty())
      text += (program.getName() + ":\n").str();
    for (auto &[what, count] : lines)
      text += llvm::formatv("  ×{0,-4} {1}\n", count, what).str();
  }
  return text;
}
