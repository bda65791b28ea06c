// KernelObjects: see the header.
//
// A kernel is known by its text in the plan, before any code is made: programs that differ in a rank or a method have most kernels in common, and of a kernel
// that is kept not even loops are made. Which number it has in its program is not in its code: there it is named by what it does, and its own name is given to
// it where the objects are linked.
#include "compiler/driver/KernelObjects.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/driver/Cache.h"
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "dialects/nn/Nn.h"
#include "dialects/plan/Plan.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/SHA256.h"
#include <list>

using namespace mlir;

namespace peftc {
namespace {

constexpr llvm::StringRef kElf = "\x7f" "ELF", kPtx = "//"; ///< how entries of the cache begin
constexpr size_t kChunks = 4; ///< a thread, of kernels that are lowered together: fewer leave threads idle at the end, more gather the passes' patterns more often

/// One kernel for one CPU.
struct Piece {
  plan::KernelOp kernel;
  const target::CpuTarget *target;
  std::string name, entry, object; ///< of its function; where it is kept
};

/// A shared object: its kernels' names, and which pieces they are.
struct Shared {
  const target::CpuTarget *target;
  std::vector<std::pair<std::string, Piece *>> kernels;
  std::string entry, bytes, unwritten;
};

std::string hashOf(llvm::StringRef text) { return llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true).substr(0, 32); }

/// The kernel as the plan says it, without its name, its places and what each of its uses draws.
std::string textOf(plan::KernelOp kernel) {
  auto alone = cast<plan::KernelOp>(kernel->clone());
  alone.removeSymbolAttr();
  alone.removeSlotsAttr();
  alone.setSites(ArrayRef<int64_t>());
  std::string text;
  llvm::raw_string_ostream out(text);
  alone->print(out, OpPrintingFlags().useLocalScope());
  alone->erase();
  return text;
}

/// Whether any of its values is bf16. If none is, the code is the same with instructions for them and without.
bool hasBf16(plan::KernelOp kernel) {
  const auto isBf16 = [](Value value) { return cast<nn::NNType>(value.getType()).getElement().isBF16(); };
  Block &body = kernel.getBody().front();
  return llvm::any_of(body.getArguments(), isBf16) || llvm::any_of(body, [&](Operation &op) { return llvm::any_of(op.getResults(), isBf16); });
}

/// The code that a program needs, for each CPU whose code is another than that of the one before.
class Kernels {
public:
  Kernels(ModuleOp plan, bool here, const std::string &cacheFolder) : context(plan.getContext()), folder(cacheFolder) {
    llvm::MapVector<StringRef, plan::KernelOp> kernels;
    plan.walk([&](plan::KernelOp op) { kernels.insert({*op.getSymbol(), op}); });
    const target::CpuTarget *const only = here ? target::cpuHere() : nullptr;
    std::vector<std::string> texts;
    for (auto &[symbol, kernel] : kernels)
      texts.push_back(textOf(kernel));
    for (const target::CpuTarget &target : target::cpuTargets())
      if (!kernels.empty() && (!only || &target == only))
        add(target, kernels, texts);
  }

  KernelObjects make() {
    std::string said;
    ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
      llvm::raw_string_ostream(said) << "\n  " << diagnostic.str();
      return success();
    });
    makePieces();
    KernelObjects result;
    for (Shared &one : shared) {
      link(one);
      if (!one.unwritten.empty())
        result.unwritten = one.unwritten;
      else if (one.bytes.empty())
        result.internalError = "phase `kernels` failed for " + one.target->name.str() + said;
      result.objects[one.target->name.str()] = std::move(one.bytes);
    }
    return result;
  }

private:
  void add(const target::CpuTarget &target, const llvm::MapVector<StringRef, plan::KernelOp> &kernels, ArrayRef<std::string> texts) {
    // With pairs of bf16 it may differ from the CPU before, which has as wide registers.
    Shared *before = target.pairs && !shared.empty() && shared.back().target->lanes == target.lanes ? &shared.back() : nullptr;
    Shared made{&target, {}, "", "", ""};
    std::string all;
    bool differs = !before;
    for (auto [index, entry] : llvm::enumerate(kernels)) {
      auto [symbol, kernel] = entry;
      const std::string name = "k" + hashOf(texts[index]);
      all += symbol.str() + " " + name + "\n";
      if (before && !hasBf16(kernel)) {
        made.kernels.emplace_back(symbol.str(), before->kernels[index].second);
        continue;
      }
      differs = true;
      made.kernels.emplace_back(symbol.str(), pieceOf({kernel, &target, name, cacheEntry(folder, {target.name, texts[index]}, ".o"), ""}));
    }
    if (!differs)
      return;
    made.entry = cacheEntry(folder, {target.name, all}, ".so");
    made.bytes = readCache(made.entry, kElf);
    shared.push_back(std::move(made));
  }

  /// One for kernels that do the same.
  Piece *pieceOf(Piece piece) {
    Piece *&known = byKernel[piece.target->name.str() + " " + piece.name];
    if (!known)
      known = &pieces.emplace_back(std::move(piece));
    return known;
  }

  /// Those that are missing somewhere and not kept.
  void makePieces() {
    llvm::SetVector<Piece *> missing;
    for (Shared &one : shared)
      if (one.bytes.empty())
        for (auto &[symbol, piece] : one.kernels)
          missing.insert(piece);
    missing.remove_if([](Piece *piece) { return !(piece->object = readCache(piece->entry, kElf)).empty(); });
    if (missing.empty())
      return;
    context->enableMultithreading(); // from here on: what stands before is one thread's
    // Large ones first, each chunk with its share of them.
    SmallVector<Piece *, 0> order = missing.takeVector();
    llvm::stable_sort(order, [](Piece *a, Piece *b) { return sizeOf(*a) > sizeOf(*b); });
    std::vector<std::vector<Piece *>> chunks(std::min<size_t>(order.size(), kChunks * context->getNumThreads()));
    for (auto [index, piece] : llvm::enumerate(order))
      chunks[index % chunks.size()].push_back(piece);
    parallelForEach(context, chunks, [&](std::vector<Piece *> &chunk) { compile(chunk); });
  }

  static size_t sizeOf(Piece &piece) { return piece.kernel.getBody().front().getOperations().size(); }

  void compile(ArrayRef<Piece *> chunk) {
    OwningOpRef<ModuleOp> module(ModuleOp::create(UnknownLoc::get(context)));
    OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
    std::vector<std::vector<LLVM::LLVMFuncOp>> functions; // of each piece
    for (Piece *piece : chunk) {
      functions.emplace_back();
      for (StringRef which : conversion::functionsOf(piece->kernel)) {
        LLVM::LLVMFuncOp function = conversion::emitFunction(piece->kernel, which, builder, {piece->target->lanes, piece->target->pairs});
        function.setSymName(piece->name + which.str() + "." + piece->target->name.str()); // others have the same kernel for another CPU
        functions.back().push_back(function);
      }
    }
    if (failed(target::lowerToLlvm(*module)))
      return;
    for (auto [piece, own] : llvm::zip_equal(chunk, functions)) {
      OwningOpRef<ModuleOp> alone(ModuleOp::create(UnknownLoc::get(context)));
      for (auto [which, function] : llvm::zip_equal(conversion::functionsOf(piece->kernel), own)) {
        function->moveBefore(alone->getBody(), alone->getBody()->end());
        function.setSymName(piece->name + which.str());
      }
      FailureOr<std::string> object = target::objectOf(*alone, *piece->target);
      if (failed(object))
        continue;
      piece->object = std::move(*object);
      writeCache(piece->entry, piece->object);
    }
  }

  void link(Shared &one) {
    if (!one.bytes.empty())
      return;
    std::vector<std::string> objects;
    std::vector<std::pair<std::string, std::string>> names;
    llvm::StringSet<> linked;
    for (auto &[symbol, piece] : one.kernels) {
      if (piece->object.empty())
        return; // which was said
      for (StringRef which : conversion::functionsOf(piece->kernel))
        names.emplace_back(symbol + which.str(), piece->name + which.str());
      if (linked.insert(piece->name).second)
        objects.push_back(piece->object);
    }
    OwningOpRef<ModuleOp> at(ModuleOp::create(UnknownLoc::get(context)));
    FailureOr<std::string> bytes = target::linkObjects(*at, objects, names, one.unwritten);
    if (failed(bytes))
      return;
    one.bytes = std::move(*bytes);
    trimCache(one.entry);
    writeCache(one.entry, one.bytes);
  }

  MLIRContext *context;
  std::string folder;
  std::list<Piece> pieces;
  llvm::StringMap<Piece *> byKernel; ///< by target and name
  std::vector<Shared> shared;
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

} // namespace

KernelObjects compileKernels(ModuleOp module, const KernelTargets &targets, const std::string &cacheFolder) {
  KernelObjects result = Kernels(module, targets.here, cacheFolder).make();
  for (const target::GpuTarget *gpu : targets.gpus) {
    if (!result.internalError.empty())
      break;
    KernelObjects made = compileGpuKernels(module, *gpu, cacheFolder);
    result.internalError = made.internalError;
    for (auto &[name, code] : made.gpu) {
      if (!targets.assembler.empty() && made.internalError.empty())
        code.cubin = assembled(code.ptx, *gpu, targets.assembler, cacheFolder, result.notAssembled);
      result.gpu[name] = std::move(code);
    }
  }
  return result;
}

KernelObjects compileGpuKernels(ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder) {
  auto kernels = conversion::gpuKernelModule(module, target.lanes);
  KernelObjects result;
  if (kernels->getBody()->empty())
    return result;
  std::string text, said;
  llvm::raw_string_ostream(text) << *kernels;
  const std::string entry = cacheEntry(cacheFolder, {target.name, text}, ".ptx");
  std::string &bytes = (result.gpu[target.name.str()] = {readCache(entry, kPtx), "", target.lanes}).ptx;
  if (!bytes.empty())
    return result;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(said) << "\n  " << diagnostic.str();
    return success();
  });
  FailureOr<std::string> made = target::compilePtx(*kernels, target);
  if (failed(made)) {
    result.internalError = "phase `kernels` failed for " + target.name.str() + said;
    return result;
  }
  bytes = std::move(*made);
  trimCache(entry);
  writeCache(entry, bytes);
  return result;
}

} // namespace peftc
