// Code: see the header.
#include "runtime/cuda/Code.h"
#include <cstdio>

namespace peftrt::cuda {
namespace {

constexpr size_t kLogBytes = 4096;

/// `sm_90a` → 90, true: what ends in a letter runs on that generation only.
std::pair<int, bool> generationOf(const std::string &target) {
  const std::string digits = target.substr(target.find('_') + 1);
  return {std::atoi(digits.c_str()), !digits.empty() && digits.back() >= 'a'};
}

std::string namesOf(const Bundle &bundle) {
  std::string names;
  for (const auto &[target, code] : bundle.gpuKernels)
    names += (names.empty() ? "" : ", ") + target;
  return names;
}

} // namespace

Choice choiceFor(const Bundle &bundle, const Facts &facts) {
  const std::string help = "compile it with --target for this GPU (peftc --help lists them), or leave out --device cuda";
  if (bundle.gpuKernels.empty())
    throw RuntimeError("R0161", "the trainer has no code for a GPU", help);
  const int own = facts.major * 10 + facts.minor;
  Choice best;
  int newest = -1;
  for (const auto &[target, code] : bundle.gpuKernels) {
    const auto [generation, onlyThere] = generationOf(target);
    if (generation > own || (onlyThere && generation != own) || generation < newest || (generation == newest && !onlyThere))
      continue;
    newest = generation;
    // A cubin runs within its major version, on what is not older.
    best = {target, !code.cubin.empty() && generation / 10 == facts.major};
  }
  if (newest < 0)
    throw RuntimeError("R0161", "the trainer's code is for " + namesOf(bundle) + ", and the " + facts.name + " is " + facts.architecture(), help);
  return best;
}

Code::Code(std::shared_ptr<const Gpu> gpu, const Bundle &bundle) : gpu_(std::move(gpu)) {
  const Choice choice = choiceFor(bundle, gpu_->facts);
  const GpuCode &code = bundle.gpuKernels.at(choice.target);
  flatShare_ = code.flatShare;
  std::string log(kLogBytes, '\0');
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  const auto load = [&](const std::string &bytes) { return gpu_->driver.moduleLoad(&module_, bytes.c_str(), 2, options, values); };
  Status status = kNoBinaryForGpu;
  if (choice.isCubin)
    status = load(code.cubin);
  if (status == kNoBinaryForGpu) {
    std::fprintf(stderr, "note: the driver compiles the kernels for %s (%s): the trainer has %s of %s\n", gpu_->facts.architecture().c_str(), gpu_->facts.name.c_str(), choice.isCubin ? "other code" : "the text", choice.target.c_str());
    status = load(code.ptx);
  }
  if (status == kUnsupportedPtx)
    throw RuntimeError("R0160", "the NVIDIA driver is for CUDA " + versionText(gpu_->driver.version()) + " and does not know the text of the kernels for " + choice.target, "install a newer driver, or leave out --device cuda");
  if (status != kSuccess && status != kOutOfMemory)
    throw RuntimeError("R0103", "the driver does not take the kernels for " + choice.target + ": " + gpu_->driver.nameOf(status) + (log[0] ? std::string(": ") + log.c_str() : ""), "copy the file again, or compile the spec again");
  gpu_->driver.check(status, "loading the kernels");
}

Code::~Code() {
  if (module_)
    gpu_->driver.moduleUnload(module_);
}

const Code::Entry &Code::find(const std::string &symbol) {
  const auto found = entries_.find(symbol);
  if (found != entries_.end())
    return found->second;
  Function function = nullptr;
  if (const Status status = gpu_->driver.moduleFunction(&function, module_, (symbol + "__entry").c_str()); status != kSuccess)
    failBundle("there is no kernel `" + symbol + "` for GPUs: " + gpu_->driver.nameOf(status));
  return entries_.emplace(symbol, Entry{symbol, function}).first->second;
}

} // namespace peftrt::cuda
