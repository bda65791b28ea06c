// KernelObjects: see the header.
#include "compiler/driver/KernelObjects.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/driver/Cache.h"
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include <functional>
#include <thread>

using namespace mlir;

namespace peftc {
namespace {

/// What is made for a target.
struct Form {
  llvm::StringRef suffix, begin; ///< of an entry's file; of its bytes
};
constexpr Form kShared = {".so", "\x7f" "ELF"}, kPtx = {".ptx", "//"};

struct Job {
  llvm::StringRef target;
  Form form;
  std::function<FailureOr<std::string>(ModuleOp, std::string &unwritten)> make;
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
  FailureOr<std::string> made = module ? job.make(*module, job.unwritten) : FailureOr<std::string>(failure());
  if (failed(made))
    return;
  job.bytes = std::move(*made);
  writeCache(entry, job.bytes);
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

KernelObjects compileKernels(ModuleOp module, const std::string &cacheFolder) {
  std::vector<Job> jobs;
  for (const target::CpuTarget &target : target::cpuTargets()) {
    auto kernels = conversion::kernelModule(module, {target.lanes, target.pairs});
    if (kernels->getBody()->empty())
      return {};
    std::string text = textOf(*kernels);
    if (!jobs.empty() && jobs.back().text == text)
      continue; // what this CPU has more than the one before, these kernels do not use
    auto make = [&target](ModuleOp code, std::string &unwritten) { return target::compileShared(code, target, unwritten); };
    jobs.push_back({target.name, kShared, make, std::move(text), "", "", ""});
  }
  return runAll(jobs, cacheFolder);
}

KernelObjects compileGpuKernels(ModuleOp module, const target::GpuTarget &target, const std::string &cacheFolder) {
  auto kernels = conversion::gpuKernelModule(module, target.lanes);
  if (kernels->getBody()->empty())
    return {};
  auto make = [&target](ModuleOp code, std::string &) { return target::compilePtx(code, target); };
  std::vector<Job> jobs;
  jobs.push_back({target.name, kPtx, make, textOf(*kernels), "", "", ""});
  return runAll(jobs, cacheFolder);
}

} // namespace peftc
