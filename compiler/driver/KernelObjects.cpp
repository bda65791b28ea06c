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
#include <thread>

using namespace mlir;

namespace peftc {
namespace {

constexpr llvm::StringRef kElfMagic = "\x7f" "ELF", kWhole = "whole"; ///< what an entry begins and ends with

/// Changes whenever this program is built anew.
std::string ownIdentity() {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status("/proc/self/exe", status))
    return "";
  return llvm::formatv("{0} {1}", status.getSize(), status.getLastModificationTime().time_since_epoch().count()).str();
}

std::string entryFor(const std::string &folder, llvm::StringRef text, const target::CpuTarget &target) {
  static const std::string identity = ownIdentity();
  if (folder.empty() || identity.empty())
    return "";
  llvm::SHA256 hash;
  for (llvm::StringRef part : {llvm::StringRef(identity), target.name, text}) {
    hash.update(part);
    hash.update(llvm::StringRef("\0", 1));
  }
  return folder + "/" + llvm::toHex(hash.final(), /*LowerCase=*/true) + ".so";
}

std::string readEntry(const std::string &path) {
  if (path.empty())
    return "";
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  llvm::StringRef bytes = buffer ? (*buffer)->getBuffer() : "";
  return bytes.starts_with(kElfMagic) && bytes.consume_back(kWhole) ? bytes.str() : "";
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
  const target::CpuTarget *target;
  std::string text, bytes, said, unwritten;
};

void run(Job &job, const std::string &cacheFolder) {
  std::string entry = entryFor(cacheFolder, job.text, *job.target);
  job.bytes = readEntry(entry);
  if (!job.bytes.empty())
    return;
  MLIRContext context(MLIRContext::Threading::DISABLED);
  target::loadKernelDialects(context);
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(job.said) << "\n  " << diagnostic.str();
    return success();
  });
  auto module = parseSourceString<ModuleOp>(job.text, &context);
  FailureOr<std::string> made = module ? target::compileShared(*module, *job.target, job.unwritten) : FailureOr<std::string>(failure());
  if (failed(made))
    return;
  job.bytes = std::move(*made);
  writeEntry(entry, job.bytes);
}

} // namespace

KernelObjects compileKernels(ModuleOp module, const std::string &cacheFolder) {
  KernelObjects result;
  std::vector<Job> jobs;
  for (const target::CpuTarget &target : target::cpuTargets()) {
    auto kernels = conversion::kernelModule(module, target.lanes);
    if (kernels->getBody()->empty())
      return result;
    jobs.push_back({&target, "", "", "", ""});
    llvm::raw_string_ostream(jobs.back().text) << *kernels;
  }
  std::vector<std::thread> threads; // each with a context of its own
  for (Job &job : jobs)
    threads.emplace_back([&job, &cacheFolder] { run(job, cacheFolder); });
  for (std::thread &thread : threads)
    thread.join();
  for (Job &job : jobs) {
    if (job.bytes.empty() && job.unwritten.empty())
      result.internalError = "phase `kernels` failed for " + job.target->name.str() + job.said;
    if (!job.unwritten.empty())
      result.unwritten = job.unwritten;
    result.objects[job.target->name.str()] = std::move(job.bytes);
  }
  return result;
}

} // namespace peftc
