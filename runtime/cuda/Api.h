// Api: the part of NVIDIA's driver interface that is used here, declared here, so that nothing of CUDA need be installed to build. tests/runtime/cuda holds it
// against cuda.h where that is.
#pragma once
#include <cstddef>

namespace peftrt::cuda {

using Status = int; // CUresult
using Ordinal = int; // CUdevice
using Address = unsigned long long; // CUdeviceptr
using Context = struct CUctx_st *;
using Stream = struct CUstream_st *;
using ModuleHandle = struct CUmod_st *;
using Function = struct CUfunc_st *;
using Graph = struct CUgraph_st *;
using GraphExec = struct CUgraphExec_st *;
using Event = struct CUevent_st *;
using HostFunction = void (*)(void *); // CUhostFn

constexpr Status kSuccess = 0, kOutOfMemory = 2, kNoDevice = 100, kNoBinaryForGpu = 209, kUnsupportedPtx = 222;

enum Attribute { kMultiprocessors = 16, kIntegrated = 18, kMajor = 75, kMinor = 76, kManagedMemory = 83 }; // CUdevice_attribute
constexpr unsigned kAttachGlobal = 1;       // CU_MEM_ATTACH_GLOBAL
constexpr unsigned kNonBlocking = 1;        // CU_STREAM_NON_BLOCKING
constexpr int kCaptureThreadLocal = 1;      // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
constexpr int kCapturesNothing = 0;         // CU_STREAM_CAPTURE_STATUS_NONE
constexpr unsigned kEventDefault = 0;       // CU_EVENT_DEFAULT
enum JitOption { kJitErrorLog = 5, kJitErrorLogBytes = 6 }; // CUjit_option

// X(field, symbol, parameters): the symbols with the suffixes that cuda.h's macros give them.
#define PEFT_CUDA_API(X)                                                                                                                     \
  X(init, cuInit, (unsigned))                                                                                                                \
  X(driverVersion, cuDriverGetVersion, (int *))                                                                                              \
  X(errorName, cuGetErrorName, (Status, const char **))                                                                                      \
  X(deviceCount, cuDeviceGetCount, (int *))                                                                                                  \
  X(deviceGet, cuDeviceGet, (Ordinal *, int))                                                                                                \
  X(deviceName, cuDeviceGetName, (char *, int, Ordinal))                                                                                     \
  X(deviceAttribute, cuDeviceGetAttribute, (int *, int, Ordinal))                                                                            \
  X(deviceMemory, cuDeviceTotalMem_v2, (size_t *, Ordinal))                                                                                  \
  X(contextRetain, cuDevicePrimaryCtxRetain, (Context *, Ordinal))                                                                           \
  X(contextRelease, cuDevicePrimaryCtxRelease_v2, (Ordinal))                                                                                 \
  X(contextSet, cuCtxSetCurrent, (Context))                                                                                                  \
  X(memoryInfo, cuMemGetInfo_v2, (size_t *, size_t *))                                                                                       \
  X(allocate, cuMemAlloc_v2, (Address *, size_t))                                                                                            \
  X(allocateManaged, cuMemAllocManaged, (Address *, size_t, unsigned))                                                                       \
  X(release, cuMemFree_v2, (Address))                                                                                                        \
  X(allocatePinned, cuMemAllocHost_v2, (void **, size_t))                                                                                    \
  X(releasePinned, cuMemFreeHost, (void *))                                                                                                  \
  X(copyIn, cuMemcpyHtoDAsync_v2, (Address, const void *, size_t, Stream))                                                                   \
  X(copyInNow, cuMemcpyHtoD_v2, (Address, const void *, size_t))                                                                             \
  X(streamCreate, cuStreamCreate, (Stream *, unsigned))                                                                                      \
  X(streamDestroy, cuStreamDestroy_v2, (Stream))                                                                                             \
  X(streamSynchronize, cuStreamSynchronize, (Stream))                                                                                        \
  X(eventCreate, cuEventCreate, (Event *, unsigned))                                                                                         \
  X(eventDestroy, cuEventDestroy_v2, (Event))                                                                                                \
  X(eventRecord, cuEventRecord, (Event, Stream))                                                                                             \
  X(eventSynchronize, cuEventSynchronize, (Event))                                                                                           \
  X(eventElapsed, cuEventElapsedTime, (float *, Event, Event))                                                                               \
  X(moduleLoad, cuModuleLoadDataEx, (ModuleHandle *, const void *, unsigned, int *, void **))                                                \
  X(moduleUnload, cuModuleUnload, (ModuleHandle))                                                                                            \
  X(moduleFunction, cuModuleGetFunction, (Function *, ModuleHandle, const char *))                                                           \
  X(captureBegin, cuStreamBeginCapture_v2, (Stream, int))                                                                                    \
  X(captureEnd, cuStreamEndCapture, (Stream, Graph *))                                                                                       \
  X(captureStatus, cuStreamIsCapturing, (Stream, int *))                                                                                     \
  X(graphInstantiate, cuGraphInstantiateWithFlags, (GraphExec *, Graph, unsigned long long))                                                 \
  X(graphLaunch, cuGraphLaunch, (GraphExec, Stream))                                                                                         \
  X(graphExecDestroy, cuGraphExecDestroy, (GraphExec))                                                                                       \
  X(graphDestroy, cuGraphDestroy, (Graph))                                                                                                   \
  X(launchHost, cuLaunchHostFunc, (Stream, HostFunction, void *))                                                                            \
  X(launch, cuLaunchKernel, (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void **, void **))

} // namespace peftrt::cuda
