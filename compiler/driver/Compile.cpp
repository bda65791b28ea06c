// Compile: the whole compiler on one page. START HERE, then Phases.cpp.
//
// In     a Request
// Out    an Outcome: the bundle, or the text of the phase after which to stop
// Errs   a user's: in `diags`, phases parse to sites; ours: Outcome::internalError
#include "compiler/driver/Compile.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/driver/Cache.h"
#include "compiler/driver/DevicePlan.h"
#include "compiler/driver/FitMemory.h"
#include "compiler/driver/KernelObjects.h"
#include "compiler/driver/Lengths.h"
#include "compiler/driver/Phases.h"
#include "compiler/emit/Emit.h"
#include "compiler/import/Import.h"
#include "compiler/model/Checkpoint.h"
#include "compiler/passes/plan/Passes.h"
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "dialects/plan/Plan.h"
#include "lang/ast/Dump.h"
#include "lang/sema/Sites.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Reader.h"
#include "runtime/bundle/Writer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <fstream>
#include <sstream>

namespace peftc {
namespace {

class Watch {
public:
  explicit Watch(std::string &lines) : lines(lines) {}
  void start() { last = std::chrono::steady_clock::now(); }
  void lap(const char *name) {
    auto now = std::chrono::steady_clock::now();
    lines += llvm::formatv("{0,-24} {1,8:f3} s\n", name, std::chrono::duration<double>(now - last).count()).str();
    last = now;
  }

private:
  std::string &lines;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

std::string print(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text + "\n";
}

void loadDialects(mlir::MLIRContext &context) {
  context.loadDialect<mlir::func::FuncDialect, mlir::nn::NNDialect, mlir::peft::PEFTDialect, mlir::plan::PlanDialect>();
  target::loadKernelDialects(context);
}

EmitInfo infoOf(const Spec &spec, const SourceMap &sources, const model::Checkpoint &checkpoint) {
  EmitInfo info;
  info.specText = sources.file(spec.main().source).text(); // a pipe is read once
  info.modelPath = checkpoint.directory;
  info.configFnv64 = checkpoint.configFnv64;
  info.config = checkpoint.config;
  return info;
}

/// Text that is the end of a compilation: kernels as a module, or as a GPU's code.
void printKernels(mlir::ModuleOp module, const Request &request, Outcome &outcome) {
  if (request.stopAfter == Stop::Kernels) {
    outcome.text = print(!request.gpus.empty() ? *conversion::gpuKernelModule(module, request.gpus[0]->lanes) : *conversion::kernelModule(module, {target::cpuTargets().front().lanes}));
    return;
  }
  KernelObjects kernels = compileGpuKernels(module, *request.gpus.at(0), request.cacheFolder);
  outcome.internalError = kernels.internalError;
  outcome.text = kernels.gpu[request.gpus[0]->name.str()].ptx;
}

/// Where the whole bundle is kept for the next compile: by everything that is read for it.
/// Nowhere where tables for people are asked for, which come of the module.
std::string bundleEntry(const Request &request, const SourceMap &sources, const model::Checkpoint &checkpoint) {
  if (request.stopAfter != Stop::Bundle || request.explain)
    return "";
  std::vector<std::string> parts = {request.exact ? "exact" : "", request.here ? "here" : "", request.budgets ? "budgets" : "", request.appended, checkpoint.directory, checkpoint.config.dump()};
  for (const target::GpuTarget *gpu : request.gpus)
    parts.insert(parts.end(), {gpu->name.str(), request.assembler});
  for (const InputOverride &override : request.overrides)
    parts.insert(parts.end(), {override.name, override.text});
  for (size_t file = 0; file < sources.size(); ++file)
    parts.insert(parts.end(), {sources.file(static_cast<int32_t>(file)).name(), std::string(sources.file(static_cast<int32_t>(file)).text())});
  for (const auto &[name, tensor] : checkpoint.tensors)
    parts.insert(parts.end(), {name, tensor.dtype, tensor.file, model::toString(tensor.shape)});
  return cacheEntry(request.cacheFolder, llvm::to_vector(llvm::map_range(parts, [](const std::string &part) { return llvm::StringRef(part); })), ".bundle");
}

std::optional<peftrt::Bundle> keptBundle(const std::string &entry) {
  try {
    if (!entry.empty() && std::ifstream(entry))
      return peftrt::readBundle(entry);
  } catch (const peftrt::RuntimeError &) { // damaged: it is made again
  }
  return std::nullopt;
}

void keepBundle(const peftrt::Bundle &bundle, const std::string &entry) {
  if (entry.empty())
    return;
  trimCache(entry);
  try {
    peftrt::writeArchive(bundle, entry);
  } catch (const peftrt::RuntimeError &) { // nowhere to keep it
  }
}

/// "" or the text of an internal error. Where training does not fit (E0503) the plan's phase is not run.
std::string runPhase(const Phase &phase, mlir::ModuleOp module, MemoryChoice &memory, const PhaseOptions &options) {
  if (phase.stop == Stop::Plan)
    if (std::string wrong = memory.choose(module); !wrong.empty() || !memory.fits())
      return wrong;
  return runPhase(phase, module, options);
}

/// Null where none are asked for.
mlir::OwningOpRef<mlir::ModuleOp> gpuProgramsOf(mlir::ModuleOp module, const EmitInfo &info, const Request &request, const diag::Engine &diags, Outcome &outcome) {
  if (request.gpus.empty() || diags.hasErrors())
    return {};
  return devicePlan(module, info, *request.gpus[0], {request.reproducerFolder, &outcome.timing}, outcome.internalError);
}

/// `gpu`: null where none is asked for.
void explain(mlir::ModuleOp module, mlir::ModuleOp gpu, const EmitInfo &info, Outcome &outcome) {
  const NominalBatch batch = nominalBatchOf(info);
  outcome.memory = mlir::plan::memoryReport(module, batch.examples, batch.length, nominalThreads());
  outcome.kernels = mlir::plan::kernelReport(module, batch.examples, batch.length);
  if (gpu) {
    outcome.memory += "\n" + mlir::plan::gpuMemoryReport(module, gpu, batch.examples, batch.length);
    outcome.layout = mlir::plan::attentionReport(gpu) + mlir::plan::layoutReport(gpu) + mlir::plan::branchReport(gpu);
  }
}

/// The last phases: kernels and bundle. `gpu`: null where none is asked for.
void finish(mlir::ModuleOp module, mlir::ModuleOp gpu, const EmitInfo &info, const Request &request, Watch &watch, Outcome &outcome) {
  if (request.explain)
    explain(module, gpu, info, outcome);
  watch.start();
  if (request.stopAfter != Stop::Bundle) {
    printKernels(gpu ? gpu : module, request, outcome); // compiler/conversion, compiler/target
    watch.lap("kernels");
    return;
  }
  KernelObjects kernels = compileKernels(module, gpu, {request.here, request.gpus, request.assembler}, request.cacheFolder); // compiler/conversion, compiler/target
  watch.lap("kernels");
  outcome.internalError = kernels.internalError;
  outcome.unwritten = kernels.unwritten;
  outcome.notAssembled = kernels.notAssembled;
  if (!kernels.internalError.empty() || !kernels.unwritten.empty() || !kernels.notAssembled.empty())
    return;
  outcome.bundle = emit::emit(module, gpu, info); // compiler/emit
  watch.lap("bundle");
  if (outcome.bundle)
    outcome.bundle->kernels = std::move(kernels.objects), outcome.bundle->gpuKernels = std::move(kernels.gpu);
  else
    outcome.internalError = "phase `bundle` failed";
}

} // namespace

std::optional<std::string> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  if (file && file.peek() == std::ifstream::traits_type::eof() && !file.bad())
    return ""; // `<<` of nothing counts as a failure
  if (!file || !(bytes << file.rdbuf()))
    return std::nullopt;
  return bytes.str();
}

FileLoader loaderOf(const Request &request) {
  return [request](const std::string &path) {
    auto text = readFile(path);
    return text && path == request.specPath ? *text + request.appended : text;
  };
}

Outcome compile(const Request &request, SourceMap &sources, diag::Engine &diags) {
  Outcome outcome;
  Watch watch(outcome.timing);
  auto stopAt = [&](Stop stop, auto &&text) { // whether this was the last phase asked for
    if (diags.hasErrors() || request.stopAfter == stop)
      outcome.text = diags.hasErrors() ? "" : text();
    return diags.hasErrors() || request.stopAfter == stop;
  };

  FileLoader load = loaderOf(request);
  auto spec = check(sources, request.specPath, *request.stdlib, request.overrides, diags, load, request.choices); // lang: parse, check
  if (request.stopAfter == Stop::Check && !diags.hasErrors())
    sema::checkSites(*spec, diags); // as far as the arch's text decides; with a checkpoint, the sites phase
  if (!request.budgets)
    spec->budgets.clear();
  watch.lap("check");
  auto tree = [&] { return ast::dump(spec->main()); };
  if (stopAt(Stop::Parse, tree) || stopAt(Stop::Check, tree))
    return outcome;

  auto checkpoint = model::readCheckpoint(request.modelPath, diags); // compiler/model
  if (!checkpoint)
    return outcome;
  const std::string entry = diags.all().empty() ? bundleEntry(request, sources, *checkpoint) : ""; // what was said is not kept
  outcome.bundle = keptBundle(entry);
  watch.lap("cache");
  if (outcome.bundle)
    return outcome;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  loadDialects(context);
  mlir::OwningOpRef<mlir::ModuleOp> module(mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  EmitInfo info = infoOf(*spec, sources, *checkpoint);
  auto printed = [&] { return print(*module); };

  import::Importer importer(*spec, *checkpoint, diags, *module, info); // compiler/import
  bool imported = importer.import();
  watch.lap("import");
  if (stopAt(Stop::Import, printed) || !imported)
    return outcome;
  bool placed = importer.sites() && checkLengths(*module, *spec, info, diags);
  watch.lap("sites");
  if (stopAt(Stop::Sites, printed) || !placed)
    return outcome;

  if (info.run.value("precision", "") == "bf16" && !request.exact)
    (*module)->setAttr(mlir::plan::kBf16, mlir::UnitAttr::get(&context));
  MemoryChoice memory(*spec, info, diags);
  memory.markLayers(*module);
  for (const Phase &phase : phases()) { // nn, plan
    outcome.internalError = runPhase(phase, *module, memory, {request.reproducerFolder, &outcome.timing});
    if (!outcome.internalError.empty() || (phase.stop != Stop::Plan && stopAt(phase.stop, printed)))
      return outcome;
  }
  mlir::OwningOpRef<mlir::ModuleOp> gpu = gpuProgramsOf(*module, info, request, diags, outcome);
  if (!outcome.internalError.empty() || stopAt(Stop::Plan, [&] { return print(gpu ? *gpu : *module); }))
    return outcome;
  finish(*module, gpu ? *gpu : mlir::ModuleOp(), info, request, watch, outcome);
  if (outcome.bundle && diags.all().empty() && !info.readsRuns)
    keepBundle(*outcome.bundle, entry);
  return outcome;
}

} // namespace peftc
