// Driver: a libcuda.so.1 for tests: the functions of runtime/cuda/Api.h, served by the machine.
#include "tests/gpu/driver/Machine.h"
#include <cstdlib>
#include <cstring>

using namespace peftrt::cuda;
using driver::Machine;

namespace {

Machine &machine() { return Machine::here(); }
driver::Module *moduleOf(ModuleHandle handle) { return reinterpret_cast<driver::Module *>(handle); }

} // namespace

extern "C" {
// What is defined below with other types than Api.h has does not compile.
#define PEFT_CUDA_DECLARE(FIELD, SYMBOL, PARAMETERS) Status SYMBOL PARAMETERS;
PEFT_CUDA_API(PEFT_CUDA_DECLARE)
#undef PEFT_CUDA_DECLARE

Status cuInit(unsigned) { return machine().settings.devices == 0 ? kNoDevice : kSuccess; }
Status cuDriverGetVersion(int *version) { return *version = static_cast<int>(machine().settings.driver), kSuccess; }

Status cuGetErrorName(Status status, const char **name) {
  switch (status) {
  case kOutOfMemory:
    *name = "CUDA_ERROR_OUT_OF_MEMORY";
    break;
  case kNoDevice:
    *name = "CUDA_ERROR_NO_DEVICE";
    break;
  case kNoBinaryForGpu:
    *name = "CUDA_ERROR_NO_BINARY_FOR_GPU";
    break;
  case driver::kInvalidPtx:
    *name = "CUDA_ERROR_INVALID_PTX";
    break;
  case driver::kNotFound:
    *name = "CUDA_ERROR_NOT_FOUND";
    break;
  case driver::kNotReady:
    *name = "CUDA_ERROR_NOT_READY";
    break;
  case driver::kIllegalAddress:
    *name = "CUDA_ERROR_ILLEGAL_ADDRESS";
    break;
  case driver::kLaunchFailed:
    *name = "CUDA_ERROR_LAUNCH_FAILED";
    break;
  case driver::kNotPermitted:
    *name = "CUDA_ERROR_NOT_PERMITTED";
    break;
  case driver::kCaptureUnsupported:
    *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
    break;
  case driver::kCaptureInvalidated:
    *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED";
    break;
  default:
    return driver::kInvalidValue;
  }
  return kSuccess;
}

Status cuDeviceGetCount(int *count) { return *count = static_cast<int>(machine().settings.devices), kSuccess; }
Status cuDeviceGet(Ordinal *device, int index) { return *device = index, index < machine().settings.devices ? kSuccess : driver::kInvalidValue; }
Status cuDeviceGetName(char *name, int size, Ordinal) { return std::strncpy(name, "emulated GPU", static_cast<size_t>(size)), kSuccess; }

Status cuDeviceGetAttribute(int *value, int attribute, Ordinal) {
  const driver::Settings &settings = machine().settings;
  switch (attribute) {
  case kMultiprocessors:
    return *value = static_cast<int>(settings.multiprocessors), kSuccess;
  case kIntegrated:
    return *value = static_cast<int>(settings.integrated), kSuccess;
  case kMajor:
    return *value = static_cast<int>(settings.major), kSuccess;
  case kMinor:
    return *value = static_cast<int>(settings.minor), kSuccess;
  case kManagedMemory:
    return *value = 1, kSuccess;
  default:
    return driver::kInvalidValue;
  }
}

Status cuDeviceTotalMem_v2(size_t *bytes, Ordinal) { return *bytes = static_cast<size_t>(machine().settings.memory), kSuccess; }
Status cuDevicePrimaryCtxRetain(Context *context, Ordinal) { return *context = reinterpret_cast<Context>(&machine()), kSuccess; }
Status cuDevicePrimaryCtxRelease_v2(Ordinal) { return kSuccess; }
Status cuCtxSetCurrent(Context) { return machine().enter(), kSuccess; }

Status cuMemGetInfo_v2(size_t *left, size_t *all) {
  *all = static_cast<size_t>(machine().settings.memory), *left = *all - machine().bytesInUse();
  return machine().state();
}
Status cuMemAlloc_v2(Address *address, size_t bytes) { return machine().allocate(address, bytes); }
Status cuMemAllocManaged(Address *address, size_t bytes, unsigned) { return machine().allocate(address, bytes); }
Status cuMemFree_v2(Address address) { return machine().release(address); }
Status cuMemAllocHost_v2(void **memory, size_t bytes) {
  if (const Status status = machine().unsafe())
    return status;
  return *memory = std::malloc(bytes), *memory ? kSuccess : kOutOfMemory;
}
Status cuMemFreeHost(void *memory) {
  if (const Status status = machine().unsafe(); status == driver::kCaptureUnsupported)
    return status;
  return std::free(memory), kSuccess;
}
Status cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream) { return machine().copyIn(to, from, bytes, false); }
Status cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) { return machine().copyIn(to, from, bytes, true); }

Status cuStreamCreate(Stream *stream, unsigned) { return *stream = reinterpret_cast<Stream>(&machine()), machine().state(); }
Status cuStreamDestroy_v2(Stream) { return kSuccess; }
Status cuStreamSynchronize(Stream) { return machine().synchronize(); }
Status cuStreamIsCapturing(Stream, int *status) { return machine().captureStatus(status); }
Status cuStreamBeginCapture_v2(Stream, int mode) { return machine().beginCapture(mode); }
Status cuStreamEndCapture(Stream, Graph *graph) { return machine().endCapture(graph); }
Status cuLaunchHostFunc(Stream, HostFunction function, void *argument) { return machine().callHost(function, argument); }

Status cuEventCreate(Event *event, unsigned) { return machine().createEvent(event); }
Status cuEventDestroy_v2(Event event) { return machine().destroyEvent(event); }
Status cuEventRecord(Event event, Stream) { return machine().recordEvent(event); }
Status cuEventSynchronize(Event event) { return machine().synchronizeEvent(event); }
Status cuEventElapsedTime(float *milliseconds, Event begin, Event end) { return machine().elapsed(milliseconds, begin, end); }
/// Of the machine alone: for what other libraries for tests do on its stream, by a function of the host.
void gpuForTestsPass(unsigned long long nanoseconds) { machine().pass(nanoseconds); }

Status cuGraphInstantiateWithFlags(GraphExec *made, Graph graph, unsigned long long) { return machine().instantiate(made, graph); }
Status cuGraphLaunch(GraphExec graph, Stream) { return machine().launchGraph(graph); }
Status cuGraphExecDestroy(GraphExec graph) { return machine().destroyExec(graph); }
Status cuGraphDestroy(Graph graph) { return machine().destroyGraph(graph); }

Status cuModuleLoadDataEx(ModuleHandle *handle, const void *image, unsigned options, int *names, void **values) {
  std::string said;
  driver::Module *module = nullptr;
  const Status status = machine().load(static_cast<const char *>(image), &module, said);
  for (unsigned index = 0; index < options; ++index)
    if (names[index] == kJitErrorLog && !said.empty())
      std::strcpy(static_cast<char *>(values[index]), said.substr(0, 1000).c_str());
  *handle = reinterpret_cast<ModuleHandle>(module);
  return status;
}
Status cuModuleUnload(ModuleHandle) { return kSuccess; }
Status cuModuleGetFunction(peftrt::cuda::Function *handle, ModuleHandle module, const char *name) {
  driver::Function *function = nullptr;
  const Status status = machine().find(&function, moduleOf(module), name);
  *handle = reinterpret_cast<peftrt::cuda::Function>(function);
  return status;
}

Status cuLaunchKernel(peftrt::cuda::Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, unsigned, Stream, void **parameters, void **) {
  return machine().launch(*reinterpret_cast<const driver::Function *>(function), {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, parameters);
}
}
