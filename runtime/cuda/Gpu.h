// Gpu: one GPU, its context and the one stream on which everything runs in the order in which it is asked for.
//
// LibTorch shares both: the context is the device's primary one, the stream is LibTorch's where it has CUDA. Where it has not, its steps run on the CPU if the GPU
// reaches the same memory (an integrated one), and wait for the stream.
// Errs  R0162 LibTorch has no CUDA, and the GPU has memory of its own
#pragma once
#include "runtime/cuda/Driver.h"
#include <c10/core/Device.h>
#include <memory>
#include <vector>

namespace peftrt::cuda {

/// What decides which code it runs.
struct Facts {
  std::string name;
  int major = 0, minor = 0, multiprocessors = 1;
  bool integrated = false; ///< it and the CPU have one memory
  size_t memory = 0;
  std::string architecture() const { return "sm_" + std::to_string(major) + std::to_string(minor); }
};
/// Of the first GPU that the driver shows.
Facts factsOf(const Driver &driver);

class Gpu {
public:
  /// `library`: LibTorch's for CUDA; `none` for none; empty: the one beside libtorch_cpu.so.
  explicit Gpu(const std::string &library);
  ~Gpu();
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;

  const Driver driver;
  const Facts facts;
  size_t bytesLeft() const;
  /// When it was opened: with its context, and LibTorch's.
  size_t bytesLeftAtFirst() const { return bytesLeftAtFirst_; }
  Stream stream() const { return stream_; }
  /// The device of tensors in its memory: the CPU where LibTorch's steps run there.
  c10::Device tensors() const { return tensors_; }
  void synchronize(const std::string &doing) const { driver.check(driver.streamSynchronize(stream_), doing); }

private:
  Context context_ = nullptr;
  Stream stream_ = nullptr;
  bool ownsStream_ = false;
  size_t bytesLeftAtFirst_ = 0;
  c10::Device tensors_;
};

} // namespace peftrt::cuda
