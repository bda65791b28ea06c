// runtime/cuda/Api.h says of the driver's functions and numbers what cuda.h says. Only built where cuda.h is.
#include "runtime/cuda/Api.h"
#include <cuda.h>
#include <type_traits>

namespace {

using namespace peftrt::cuda;

/// Passed in the same way: numbers of one size and kind, or pointers.
template <typename Ours, typename Theirs>
constexpr bool isSame = std::is_pointer_v<Ours> ? std::is_pointer_v<Theirs> : !std::is_pointer_v<Theirs> && sizeof(Ours) == sizeof(Theirs) && std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;

template <typename Ours, typename Theirs> struct Functions : std::false_type {};
template <typename... Ours, typename... Theirs> struct Functions<Status (*)(Ours...), CUresult (*)(Theirs...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs))
      return (isSame<Ours, Theirs> && ...);
    else
      return false;
  }();
};

#define PEFT_CUDA_COMPARE(FIELD, SYMBOL, PARAMETERS) static_assert(Functions<Status(*) PARAMETERS, decltype(&SYMBOL)>::value, #SYMBOL);
PEFT_CUDA_API(PEFT_CUDA_COMPARE)
#undef PEFT_CUDA_COMPARE
static_assert(!Functions<Status (*)(int *), decltype(&cuMemFree_v2)>::value, "a comparison that finds nothing compares nothing");

constexpr bool same(int ours, int theirs) { return ours == theirs; }
static_assert(same(kSuccess, CUDA_SUCCESS) && same(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY) && same(kNoDevice, CUDA_ERROR_NO_DEVICE) && same(kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU) &&
              same(kUnsupportedPtx, CUDA_ERROR_UNSUPPORTED_PTX_VERSION));
static_assert(same(kMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) && same(kIntegrated, CU_DEVICE_ATTRIBUTE_INTEGRATED) && same(kMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) &&
              same(kMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) && same(kManagedMemory, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY));
static_assert(same(kAttachGlobal, CU_MEM_ATTACH_GLOBAL) && same(kNonBlocking, CU_STREAM_NON_BLOCKING) && same(kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) &&
              same(kCapturesNothing, CU_STREAM_CAPTURE_STATUS_NONE) && same(kEventDefault, CU_EVENT_DEFAULT));
static_assert(same(kJitErrorLog, CU_JIT_ERROR_LOG_BUFFER) && same(kJitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES));
static_assert(sizeof(Address) == sizeof(CUdeviceptr));

} // namespace

int main() { return 0; }
