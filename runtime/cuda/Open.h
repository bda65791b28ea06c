// Open: START HERE: a GPU as a device of plans.
//
// Errs  R0160 no driver or no GPU, R0161 no code for it, R0162 LibTorch has no CUDA, R0205 its memory is full, R0206 it failed
#pragma once
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Format.h"
#include "runtime/cuda/Gemms.h"

namespace peftrt::cuda {

struct OpenOptions {
  std::string torchCuda; ///< LibTorch's library for CUDA; `none` for none; empty: the one beside libtorch_cpu.so
  GemmOptions gemms{};
};

/// The first GPU that the driver shows.
std::shared_ptr<Device> open(const Bundle &bundle, const OpenOptions &options);
/// What `open` would use: the GPU, its memory, which code, and who does LibTorch's steps. Opens nothing.
nlohmann::json describe(const Bundle &bundle, const OpenOptions &options);
/// Whether the error says that there is no GPU to use here, which `auto` takes for a no.
bool isAbsence(const RuntimeError &error);

} // namespace peftrt::cuda
