// Gpu: see the header.
#include "runtime/cuda/Gpu.h"
#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <algorithm>
#include <filesystem>

namespace peftrt::cuda {
namespace {

/// The folder of the libtorch_cpu.so that runs.
std::filesystem::path folderOfTorch() {
  Dl_info found;
  return ::dladdr(reinterpret_cast<const void *>(&at::globalContext), &found) && found.dli_fname ? std::filesystem::path(found.dli_fname).parent_path() : std::filesystem::path();
}

/// Whether LibTorch has CUDA, now that its library is loaded. Errs R0162 a library that was named and is none.
bool loadTorchCuda(const std::string &library) {
  if (library == "none")
    return false;
  const std::string path = library.empty() ? (folderOfTorch() / "libtorch_cuda.so").string() : library;
  std::error_code ignored;
  if (library.empty() && !std::filesystem::exists(path, ignored))
    return false; // LibTorch for CPUs only
  if (!::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL))
    throw RuntimeError("R0162", std::string("LibTorch's library for CUDA cannot be loaded: ") + ::dlerror(), "install torch with its CUDA libraries, or leave out --device cuda");
  return at::hasCUDA();
}

} // namespace

Facts factsOf(const Driver &driver) {
  Ordinal device = 0;
  driver.check(driver.deviceGet(&device, 0), "looking at the first GPU");
  const auto attribute = [&](Attribute which) {
    int value = 0;
    driver.check(driver.deviceAttribute(&value, which, device), "asking what the GPU is");
    return value;
  };
  Facts facts;
  char name[256] = {};
  driver.check(driver.deviceName(name, sizeof name - 1, device), "asking what the GPU is");
  facts.name = name;
  facts.major = attribute(kMajor), facts.minor = attribute(kMinor), facts.multiprocessors = std::max(1, attribute(kMultiprocessors));
  facts.integrated = attribute(kIntegrated) != 0 && attribute(kManagedMemory) != 0;
  driver.check(driver.deviceMemory(&facts.memory, device), "asking how much memory the GPU has");
  return facts;
}

Gpu::Gpu(const std::string &library) : facts(factsOf(driver)), tensors_(c10::kCPU) {
  const bool torchHasCuda = loadTorchCuda(library);
  if (!torchHasCuda && !facts.integrated)
    throw RuntimeError("R0162", "this LibTorch has no CUDA, and the memory of the " + facts.name + " is its own",
                       "PEFT_TORCH_LIB names the folder of a LibTorch with CUDA (pip install torch), or leave out --device cuda");
  Ordinal device = 0;
  driver.check(driver.deviceGet(&device, 0), "opening the GPU");
  driver.check(driver.contextRetain(&context_, device), "opening the GPU");
  driver.check(driver.contextSet(context_), "opening the GPU");
  if (torchHasCuda) {
    tensors_ = c10::Device(c10::kCUDA, 0);
    at::globalContext().lazyInitDevice(c10::kCUDA);
    const c10::impl::VirtualGuardImpl guard(c10::kCUDA);
    const c10::Stream shared = guard.getStreamFromGlobalPool(tensors_);
    guard.exchangeStream(shared);
    stream_ = static_cast<Stream>(shared.native_handle());
  } else {
    driver.check(driver.streamCreate(&stream_, kNonBlocking), "opening the GPU");
    ownsStream_ = true;
  }
  bytesLeftAtFirst_ = bytesLeft();
}

size_t Gpu::bytesLeft() const {
  size_t left = 0, all = 0;
  driver.check(driver.memoryInfo(&left, &all), "asking how much memory is left");
  return left;
}

Gpu::~Gpu() {
  if (ownsStream_)
    driver.streamDestroy(stream_);
  if (Ordinal device = 0; context_ && driver.deviceGet(&device, 0) == kSuccess)
    driver.contextRelease(device);
}

} // namespace peftrt::cuda
