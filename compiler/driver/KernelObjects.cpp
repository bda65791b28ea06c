// KernelObjects: see the header.
#include "compiler/driver/KernelObjects.h"
#include "compiler/conversion/Kernels.h"
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SHA256.h"
#include <functional>
#include <thread>

using namespace mlir;

namespace peftc {
namespace {

constexpr llvm::StringRef kWhole = "whole"; ///< what an entry ends with

/// What is made for a target.
struct Form {
  llvm::StringRef suffix, begin; ///< of an entry's file; of its bytes
};
constexpr Form kShared = {".so", "\x7f" "ELF"}, kPtx = {".ptx", "//"};

/// Changes whenever this program is built anew.
std::string ownIdentity() {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status("/proc/self/exe", status))
    return "";
  return llvm::formatv("{0} {1}", status.getSize(), status.getLastModificationTime().time_since_epoch().count()).str();
}

std::string entryFor(const std::string &folder, llvm::StringRef text, llvm::StringRef target, const Form &form) {
  static const std::string identity = ownIdentity();
  if (folder.empty() || identity.empty())
    return "";
  llvm::SHA256 hash;
  for (llvm::StringRef part : {llvm::StringRef(identity), target, text}) {
    hash.update(part);
    hash.update(llvm::StringRef("\0", 1));
  }
  return folder + "/" + llvm::toHex(hash.final(), /*LowerCase=*/true) + form.suffix.str();
}

std::string readEntry(const std::string &path, const Form &form) {
  if (path.empty())
    return "";
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  llvm::StringRef bytes = buffer ? (*buffer)->getBuffer() : "";
  return bytes.starts_with(form.begin) && bytes.consume_back(kWhole) ? bytes.str() : "";
}

void writeEntry(const std::string &path, llvm::StringRef bytes) {
  if (path.empty() || llvm::sys::fs::create_directories(llvm::StringRef(path).rsplit('/').first))
    return;
  std::string beside = path + llvm::formatv(".new-{0}-{1}", llvm::sys::Process::getProcessId(), std::hash<std::thread::id>()(std::this_thread::get_id())).str();
  std::error_code code;
  {
    llvm::raw_fd_ostream file(beside, code);
    if (code)
      return;
    file << bytes << kWhole;
    file.close();
    code = file.error();
    file.clear_error();
  }
  if (code || llvm::sys::fs::rename(beside, path))
    llvm::sys::fs::remove(beside);
}

struct Job {
  llvm::StringRef target;
  Form form;
  std::function<FailureOr<std::string>(ModuleOp, std::string &unwritten)> make;
  std::string text, bytes, said, unwritten;
};

void run(Job &job, const std::string &cacheFolder) {
  std::string entry = entryFor(cacheFolder, job.text, job.target, job.form);
  job.bytes = readEntry(entry, job.form);
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
  writeEntry(entry, job.bytes);
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
    auto kernels = conversion::kernelModule(module, target.lanes);
    if (kernels->getBody()->empty())
      return {};
    auto make = [&target](ModuleOp code, std::string &unwritten) { return target::compileShared(code, target, unwritten); };
    jobs.push_back({target.name, kShared, make, textOf(*kernels), "", "", ""});
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
