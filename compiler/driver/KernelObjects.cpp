// KernelObjects: see the header.
#include "compiler/driver/KernelObjects.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/driver/Cache.h"
#include "compiler/driver/Pieces.h"
#include "compiler/target/Cpu.h"
#include "dialects/nn/Nn.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"

using namespace mlir;

namespace peftc {
namespace {

constexpr llvm::StringRef kElf = "\x7f" "ELF", kPtx = "//"; ///< how entries of the cache begin

/// A program's kernels: each name once.
struct Kernels {
  Kernels() = default;
  explicit Kernels(ModuleOp plan) {
    plan.walk([&](plan::KernelOp op) { named.insert({*op.getSymbol(), op}); });
    for (auto &[symbol, kernel] : named)
      texts.push_back(textOf(kernel));
  }

  llvm::MapVector<StringRef, plan::KernelOp> named;
  std::vector<std::string> texts; ///< of each
};

/// What passes say while it lives, for an internal error.
class Said {
public:
  explicit Said(MLIRContext *context) : handler(context, [this](Diagnostic &diagnostic) {
      llvm::raw_string_ostream(text) << "\n  " << diagnostic.str();
      return success();
    }) {}
  std::string text;

private:
  ScopedDiagnosticHandler handler;
};

/// Whether any of its values is bf16. If none is, the code is the same with instructions for them and without.
bool hasBf16(plan::KernelOp kernel) {
  const auto isBf16 = [](Value value) { return cast<nn::NNType>(value.getType()).getElement().isBF16(); };
  Block &body = kernel.getBody().front();
  return llvm::any_of(body.getArguments(), isBf16) || llvm::any_of(body, [&](Operation &op) { return llvm::any_of(op.getResults(), isBf16); });
}

/// The shared objects that a program needs: one for each CPU whose code is another than that of the one before.
class CpuKernels {
public:
  CpuKernels(ModuleOp plan, const Kernels &kernels, Pieces &pieces, bool here, const std::string &cacheFolder) : at(plan), pieces(pieces), folder(cacheFolder) {
    const target::CpuTarget *const only = here ? target::cpuHere() : nullptr;
    for (const target::CpuTarget &target : target::cpuTargets())
      if (!kernels.named.empty() && (!only || &target == only))
        add(target, kernels);
  }

  void make(KernelObjects &result) {
    Said said(at.getContext());
    std::vector<Piece *> wanted;
    for (Shared &one : shared)
      if (one.bytes.empty())
        for (auto &[symbol, piece] : one.kernels)
          wanted.push_back(piece);
    pieces.make(wanted);
    for (Shared &one : shared) {
      link(one);
      if (!one.unwritten.empty())
        result.unwritten = one.unwritten;
      else if (one.bytes.empty())
        result.internalError = "phase `kernels` failed for " + one.target->name.str() + said.text;
      result.objects[one.target->name.str()] = std::move(one.bytes);
    }
  }

private:
  /// Its kernels' names, and which pieces they are.
  struct Shared {
    const target::CpuTarget *target;
    std::vector<std::pair<std::string, Piece *>> kernels;
    std::string entry, bytes, unwritten;
  };

  static Backend backendOf(const target::CpuTarget &target) {
    const auto emit = [&target](plan::KernelOp kernel, OpBuilder &builder) {
      for (StringRef which : conversion::functionsOf(kernel))
        conversion::emitFunction(kernel, which, builder, {target.lanes, target.pairs});
    };
    return {target.name.str(), ".o", kElf, emit, [&target](ModuleOp module) { return target::objectOf(module, target); }};
  }

  void add(const target::CpuTarget &target, const Kernels &kernels) {
    // With pairs of bf16 it may differ from the CPU before, which has as wide registers.
    Shared *before = target.pairs && !shared.empty() && shared.back().target->lanes == target.lanes ? &shared.back() : nullptr;
    Shared made{&target, {}, "", "", ""};
    std::string all;
    bool differs = !before;
    const Backend &backend = pieces.add(backendOf(target));
    for (auto [index, entry] : llvm::enumerate(kernels.named)) {
      auto [symbol, kernel] = entry;
      const bool isAsBefore = before && !hasBf16(kernel);
      differs |= !isAsBefore;
      made.kernels.emplace_back(symbol.str(), isAsBefore ? before->kernels[index].second : pieces.of(kernel, kernels.texts[index], backend));
      all += symbol.str() + " " + made.kernels.back().second->name + "\n";
    }
    if (!differs)
      return;
    made.entry = cacheEntry(folder, {target.name, all}, ".so");
    made.bytes = readCache(made.entry, kElf);
    shared.push_back(std::move(made));
  }

  void link(Shared &one) {
    if (!one.bytes.empty())
      return;
    std::vector<std::string> objects;
    std::vector<std::pair<std::string, std::string>> names;
    llvm::StringSet<> linked;
    for (auto &[symbol, piece] : one.kernels) {
      if (piece->code.empty())
        return; // which was said
      for (StringRef which : conversion::functionsOf(piece->kernel))
        names.emplace_back(symbol + which.str(), piece->name + which.str());
      if (linked.insert(piece->name).second)
        objects.push_back(piece->code);
    }
    FailureOr<std::string> bytes = target::linkObjects(at, objects, names, one.unwritten);
    if (failed(bytes))
      return;
    one.bytes = std::move(*bytes);
    trimCache(one.entry);
    writeCache(one.entry, one.bytes);
  }

  ModuleOp at;
  Pieces &pieces;
  std::string folder;
  std::vector<Shared> shared;
};

/// The texts of a program's kernels for one GPU as one. A text is its header, then functions; of all the headers one stays.
class GpuKernels {
public:
  GpuKernels(const Kernels &kernels, Pieces &pieces, const target::GpuTarget &target) : target(target), pieces(pieces) {
    const auto emit = [&target](plan::KernelOp kernel, OpBuilder &builder) { conversion::emitGpuFunctions(kernel, builder, target.lanes); };
    const Backend &backend = pieces.add({target.name.str(), ".ptx", kPtx, emit, [&target](ModuleOp module) { return target::ptxOf(module, target); }});
    for (auto [index, entry] : llvm::enumerate(kernels.named))
      wanted.push_back({entry.first.str(), pieces.of(entry.second, kernels.texts[index], backend)});
  }

  /// "" where there is no kernel.
  std::string make(MLIRContext *context, std::string &internalError) {
    Said said(context);
    pieces.make(llvm::to_vector(llvm::make_second_range(wanted)));
    std::string text;
    for (auto &[symbol, piece] : wanted) {
      const auto [header, functions] = StringRef(piece->code).split(kBehindHeader);
      if (functions.empty())
        return internalError = "phase `kernels` failed for " + target.name.str() + said.text, "";
      if (text.empty())
        text = (header + kBehindHeader).str();
      append(text, functions, piece->name, symbol);
    }
    return text;
  }

private:
  static constexpr StringRef kBehindHeader = ".address_size 64\n";

  /// Another name for the kernel wherever its text has one.
  static void append(std::string &text, StringRef functions, StringRef name, StringRef symbol) {
    for (size_t place = functions.find(name); place != StringRef::npos; place = functions.find(name)) {
      text += functions.take_front(place);
      text += symbol;
      functions = functions.drop_front(place + name.size());
    }
    text += functions;
  }

  const target::GpuTarget &target;
  Pieces &pieces;
  std::vector<std::pair<std::string, Piece *>> wanted;
};

/// A GPU's text, assembled; kept as it is. Errs: what the assembler says.
std::string assembled(const std::string &text, const target::GpuTarget &target, const std::string &assembler, const std::string &cacheFolder, std::string &said) {
  const std::string entry = cacheEntry(cacheFolder, {target.name, assembler, text}, ".cubin");
  std::string bytes = readCache(entry, kElf);
  if (!bytes.empty())
    return bytes;
  llvm::Expected<std::string> made = target::assemblePtx(text, target, assembler);
  if (!made) {
    said = target.name.str() + ": " + llvm::toString(made.takeError());
    return "";
  }
  writeCache(entry, *made);
  return std::move(*made);
}

/// The text for one GPU alone.
void compileFor(ModuleOp module, const Kernels &kernels, Pieces &pieces, const target::GpuTarget &target, KernelObjects &result) {
  std::string text = GpuKernels(kernels, pieces, target).make(module.getContext(), result.internalError);
  if (!text.empty())
    result.gpu[target.name.str()] = {std::move(text), "", target.lanes};
}

} // namespace

KernelObjects compileKernels(ModuleOp module, ModuleOp gpuModule, const KernelTargets &targets, const std::string &cacheFolder) {
  KernelObjects result;
  const Kernels kernels(module), gpuKernels = gpuModule ? Kernels(gpuModule) : Kernels();
  Pieces pieces(module.getContext(), cacheFolder);
  CpuKernels cpu(module, kernels, pieces, targets.here, cacheFolder);
  cpu.make(result);
  for (const target::GpuTarget *gpu : targets.gpus) {
    if (!result.internalError.empty())
      break;
    compileFor(module, gpuKernels, pieces, *gpu, result);
    const auto made = result.gpu.find(gpu->name.str());
    if (made != result.gpu.end() && !targets.assembler.empty())
      made->second.cubin = assembled(made->second.ptx, *gpu, targets.assembler, cacheFolder, result.notAssembled);
  }
  return result;
}

KernelObjects compileGpuKernels(ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder) {
  KernelObjects result;
  Pieces pieces(module.getContext(), cacheFolder);
  compileFor(module, Kernels(module), pieces, target, result);
  return result;
}

} // namespace peftc
