// KernelObjects: see the header.
#include "compiler/driver/KernelObjects.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/driver/Cache.h"
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SHA256.h"
#include <functional>
#include <thread>

using namespace mlir;

namespace peftc {
namespace {

/// What is made for a target.
struct Form {
  llvm::StringRef suffix, begin; ///< of an entry's file; of its bytes
};
constexpr Form kShared = {".so", "\x7f" "ELF"}, kObject = {".o", "\x7f" "ELF"}, kPtx = {".ptx", "//"};

struct Job {
  llvm::StringRef target;
  Form form;
  /// Of the text as a module. What is kept of its parts is looked for behind `cacheFolder`.
  std::function<FailureOr<std::string>(ModuleOp, const std::string &cacheFolder, std::string &unwritten)> make;
  std::string text, bytes, said, unwritten;
};

void run(Job &job, const std::string &cacheFolder) {
  std::string entry = cacheEntry(cacheFolder, {job.target, job.text}, job.form.suffix);
  job.bytes = readCache(entry, job.form.begin);
  if (!job.bytes.empty())
    return;
  MLIRContext context(MLIRContext::Threading::DISABLED);
  target::loadKernelDialects(context);
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(job.said) << "\n  " << diagnostic.str();
    return success();
  });
  auto module = parseSourceString<ModuleOp>(job.text, &context);
  FailureOr<std::string> made = module ? job.make(*module, cacheFolder, job.unwritten) : FailureOr<std::string>(failure());
  if (failed(made))
    return;
  job.bytes = std::move(*made);
  trimCache(entry);
  writeCache(entry, job.bytes);
}

/// The code of one kernel, which is taken out of its module.
FailureOr<std::string> objectOf(LLVM::LLVMFuncOp kernel, const std::string &text, const target::CpuTarget &target, const std::string &cacheFolder) {
  const std::string entry = cacheEntry(cacheFolder, {target.name, text}, kObject.suffix);
  if (std::string kept = readCache(entry, kObject.begin); !kept.empty())
    return kept;
  OwningOpRef<ModuleOp> alone(ModuleOp::create(kernel.getLoc()));
  kernel->moveBefore(alone->getBody(), alone->getBody()->end());
  FailureOr<std::string> made = target::compileObject(*alone, target);
  if (succeeded(made))
    writeCache(entry, *made);
  return made;
}

/// A kernel at a time: programs that differ in a rank or a method have most kernels in common. Which number a kernel has in its program is not in its code:
/// there it is named by what it does, and its own name is given to it where the objects are linked.
FailureOr<std::string> sharedOf(ModuleOp module, const target::CpuTarget &target, const std::string &cacheFolder, std::string &unwritten) {
  std::vector<std::string> objects;
  std::vector<std::pair<std::string, std::string>> names;
  llvm::StringSet<> compiled;
  for (auto kernel : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>())) {
    const std::string name = kernel.getSymName().str();
    kernel.setSymName("kernel");
    std::string text;
    llvm::raw_string_ostream(text) << kernel;
    const std::string code = "k" + llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true).substr(0, 32);
    kernel.setSymName(code);
    names.emplace_back(name, code);
    if (!compiled.insert(code).second)
      continue;
    FailureOr<std::string> object = objectOf(kernel, text, target, cacheFolder);
    if (failed(object))
      return failure();
    objects.push_back(std::move(*object));
  }
  return target::linkObjects(module, objects, names, unwritten);
}

std::string textOf(ModuleOp kernels) {
  std::string text;
  llvm::raw_string_ostream(text) << kernels;
  return text;
}

KernelObjects runAll(std::vector<Job> &jobs, const std::string &cacheFolder) {
  std::vector<std::thread> threads; // each with a context of its own
  for (Job &job : jobs)
    threads.emplace_back([&job, &cacheFolder] { run(job, cacheFolder); });
  for (std::thread &thread : threads)
    thread.join();
  KernelObjects result;
  for (Job &job : jobs) {
    if (job.bytes.empty() && job.unwritten.empty())
      result.internalError = "phase `kernels` failed for " + job.target.str() + job.said;
    if (!job.unwritten.empty())
      result.unwritten = job.unwritten;
    result.objects[job.target.str()] = std::move(job.bytes);
  }
  return result;
}

} // namespace

KernelObjects compileKernels(ModuleOp module, bool here, const std::string &cacheFolder) {
  std::vector<Job> jobs;
  const target::CpuTarget *const only = here ? target::cpuHere() : nullptr;
  for (const target::CpuTarget &target : target::cpuTargets()) {
    if (only && &target != only)
      continue;
    auto kernels = conversion::kernelModule(module, {target.lanes, target.pairs});
    if (kernels->getBody()->empty())
      return {};
    std::string text = textOf(*kernels);
    if (!jobs.empty() && jobs.back().text == text)
      continue; // what this CPU has more than the one before, these kernels do not use
    auto make = [&target](ModuleOp code, const std::string &folder, std::string &unwritten) { return sharedOf(code, target, folder, unwritten); };
    jobs.push_back({target.name, kShared, make, std::move(text), "", "", ""});
  }
  return runAll(jobs, cacheFolder);
}

KernelObjects compileGpuKernels(ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder) {
  auto kernels = conversion::gpuKernelModule(module, target.lanes);
  if (kernels->getBody()->empty())
    return {};
  auto make = [&target](ModuleOp code, const std::string &, std::string &) { return target::compilePtx(code, target); };
  std::vector<Job> jobs;
  jobs.push_back({target.name, kPtx, make, textOf(*kernels), "", "", ""});
  return runAll(jobs, cacheFolder);
}

} // namespace peftc
