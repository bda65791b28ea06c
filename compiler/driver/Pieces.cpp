// Pieces: see the header.
#include "compiler/driver/Pieces.h"
#include "compiler/driver/Cache.h"
#include "compiler/target/Lowering.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;

namespace peftc {
namespace {

constexpr size_t kChunks = 4; ///< a thread, of kernels that are lowered together: fewer leave threads idle at the end, more gather the passes' patterns more often

size_t sizeOf(Piece *piece) { return piece->kernel.getBody().front().getOperations().size(); }

/// A copy that stands alone under another name.
OwningOpRef<plan::KernelOp> renamed(plan::KernelOp kernel, StringRef name) {
  OwningOpRef<plan::KernelOp> alone(cast<plan::KernelOp>(kernel->clone()));
  alone->setSymbol(name);
  return alone;
}

/// Kernels of any machines, each in a module of its own inside one on which all passes run.
class Chunk {
public:
  explicit Chunk(MLIRContext *context) : context(context) {}
  void add(Piece *piece) { pieces.emplace_back(piece, renamed(piece->kernel, piece->name)); }

  void compile() {
    OwningOpRef<ModuleOp> all(ModuleOp::create(UnknownLoc::get(context)));
    OpBuilder builder = OpBuilder::atBlockEnd(all->getBody());
    std::vector<ModuleOp> modules;
    for (auto &[piece, kernel] : pieces) {
      modules.push_back(ModuleOp::create(builder, UnknownLoc::get(context)));
      OpBuilder inside = OpBuilder::atBlockEnd(modules.back().getBody());
      piece->backend->emit(*kernel, inside);
    }
    if (failed(target::lowerToLlvm(*all)))
      return;
    for (auto [one, module] : llvm::zip_equal(pieces, modules)) {
      Piece *piece = one.first;
      module->remove();
      const OwningOpRef<ModuleOp> alone(module);
      FailureOr<std::string> code = piece->backend->compile(*alone);
      if (failed(code))
        continue;
      piece->code = std::move(*code);
      writeCache(piece->entry, piece->code);
    }
  }

private:
  MLIRContext *context;
  std::vector<std::pair<Piece *, OwningOpRef<plan::KernelOp>>> pieces;
};

} // namespace

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

std::string nameOf(StringRef text) { return "k" + llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true).substr(0, 32); }

Piece *Pieces::of(plan::KernelOp kernel, const std::string &text, const Backend &backend) {
  const std::string name = nameOf(text);
  Piece *&piece = known[backend.machine + " " + name];
  if (!piece)
    piece = &pieces.emplace_back(Piece{kernel, &backend, name, cacheEntry(folder, {backend.machine, text}, backend.suffix), ""});
  return piece;
}

void Pieces::make(ArrayRef<Piece *> wanted) {
  llvm::SetVector<Piece *> missing(wanted.begin(), wanted.end());
  missing.remove_if([](Piece *piece) {
    if (piece->code.empty())
      piece->code = readCache(piece->entry, piece->backend->begin);
    return !piece->code.empty();
  });
  if (missing.empty())
    return;
  // Large ones first, each chunk with its share of them.
  SmallVector<Piece *, 0> order = missing.takeVector();
  llvm::stable_sort(order, [](Piece *a, Piece *b) { return sizeOf(a) > sizeOf(b); });
  context->enableMultithreading(); // from here on: what stands before is one thread's
  std::vector<Chunk> chunks;
  for (size_t count = std::min<size_t>(order.size(), kChunks * context->getNumThreads()); chunks.size() < count;)
    chunks.emplace_back(context);
  for (auto [index, piece] : llvm::enumerate(order))
    chunks[index % chunks.size()].add(piece);
  trimCache(order.front()->entry);
  parallelForEach(context, chunks, [](Chunk &chunk) { chunk.compile(); });
}

} // namespace peftc
