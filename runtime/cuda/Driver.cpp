// Driver: see the header.
#include "runtime/cuda/Driver.h"
#include <dlfcn.h>

namespace peftrt::cuda {
namespace {

constexpr const char *kLibrary = "libcuda.so.1";
constexpr int kOldest = 12000; ///< that knows the PTX of every target of compiler/target/Targets.def before sm_100, and the functions here
constexpr const char *kInstallHelp = "install NVIDIA's driver for this machine's GPU, or leave out --device cuda";

} // namespace

std::string versionText(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

Driver::Driver() {
  void *library = ::dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (!library)
    throw RuntimeError("R0160", std::string("there is no NVIDIA driver: ") + ::dlerror(), kInstallHelp);
  std::string missing;
#define PEFT_CUDA_FIND(FIELD, SYMBOL, PARAMETERS)                                                                                            \
  FIELD = reinterpret_cast<decltype(FIELD)>(::dlsym(library, #SYMBOL));                                                                       \
  if (!FIELD && missing.empty())                                                                                                             \
    missing = #SYMBOL;
  PEFT_CUDA_API(PEFT_CUDA_FIND)
#undef PEFT_CUDA_FIND
  if (driverVersion)
    driverVersion(&version_);
  if (!missing.empty() || version_ < kOldest)
    throw RuntimeError("R0160", "the NVIDIA driver is for CUDA " + versionText(version_) + ", at least " + versionText(kOldest) + " is needed" + (missing.empty() ? "" : " (it has no " + missing + ")"),
                       "install a newer driver, or leave out --device cuda");
  if (const Status status = init(0); status != kSuccess)
    throw RuntimeError("R0160", "the NVIDIA driver does not start: " + nameOf(status), status == kNoDevice ? "this machine has no NVIDIA GPU that this process may use (CUDA_VISIBLE_DEVICES?)" : kInstallHelp);
  int devices = 0;
  check(deviceCount(&devices), "counting the GPUs");
  if (devices == 0)
    throw RuntimeError("R0160", "the NVIDIA driver finds no GPU", "this machine has none, or this process may not use it (CUDA_VISIBLE_DEVICES?)");
}

std::string Driver::nameOf(Status status) const {
  const char *name = nullptr;
  return errorName && errorName(status, &name) == kSuccess && name ? name : "error " + std::to_string(status);
}

void Driver::check(Status status, const std::string &doing) const {
  if (status == kSuccess)
    return;
  if (status == kOutOfMemory)
    throw RuntimeError("R0205", "the GPU is out of memory while " + doing, kLessMemoryHelp);
  throw RuntimeError("R0206", "the GPU failed while " + doing + ": " + nameOf(status), "`dmesg` and `nvidia-smi` may say more; what is saved is whole: train --resume goes on");
}

} // namespace peftrt::cuda
