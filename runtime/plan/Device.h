// Device: where a plan's steps run: its memory, its kernels, and when its work is done. This CPU (CpuDevice.cpp), or what runtime/cuda makes.
//
// Invariant  steps run in the order in which they are asked for, whoever does them: kernels, or LibTorch on the device's tensors.
#pragma once
#include <ATen/core/Tensor.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace peftrt {

struct Bundle;
struct PlanOptions;
namespace plan {
class Kernels;
class Recorder;
}
namespace products {
struct Call;
struct PairFunctions;
}

/// Of products whose algorithms a device chose itself, by shapes.
struct GemmUse {
  int64_t timed = 0;   ///< the fastest, here and now
  int64_t cached = 0;  ///< known from an earlier process
  int64_t untimed = 0; ///< the library's first, or the fastest of some: there was no time left
  int64_t library = 0; ///< LibTorch's
  double seconds = 0;  ///< for choosing
};

/// Tells how long steps take that are asked for one after the other.
class StepClock {
public:
  virtual ~StepClock() = default;
  virtual void begin() = 0;
  virtual void mark() = 0; ///< behind a step
  /// Of each mark since it began: from the one before it on. Waits until all that was asked for is done.
  virtual std::vector<double> seconds() = 0;
};

class Device {
public:
  virtual ~Device() = default;
  virtual std::string name() const = 0; ///< `cpu`, `cuda`
  /// Whether threads of this process do the steps: then they take rows through several of them (Bands.h) and multiply by code of their own (runtime/products).
  virtual bool isThreads() const = 0;
  /// Memory that steps reach, with anything in it. Errs R0205.
  virtual at::Tensor empty(at::IntArrayRef shape, at::ScalarType type) = 0;
  /// How many bytes it could still have; nothing is known of a process's own memory.
  virtual std::optional<int64_t> bytesLeft() { return std::nullopt; }
  /// How many bytes of it are taken since it was opened, by whoever; nothing is known of a process's own memory.
  virtual std::optional<int64_t> bytesTaken() { return std::nullopt; }
  /// The tensor where steps reach it: itself if it lies there, else a copy.
  virtual at::Tensor here(const at::Tensor &tensor) = 0;
  /// The same for what comes anew with each run: a copy lies in `room`, which is made when it is too small, and else stays where it is.
  virtual at::Tensor here(const at::Tensor &tensor, at::Tensor &room) = 0;
  /// Where this process reads it, when all steps that were asked for are done: itself, or a copy.
  virtual at::Tensor onHost(const at::Tensor &tensor) = 0;
  /// Before LibTorch does a step: it must see what kernels did.
  virtual void beginLibraryStep() = 0;
  /// C = A B, or that and a sum, by an algorithm that the device chose; behind what was asked for. False: nothing is done, and it is LibTorch's (Stretches.h).
  virtual bool multiply(const products::Call &) { return false; }
  virtual GemmUse gemms() const { return {}; }
  /// Behind the last step of a program.
  virtual void endRun() = 0;
  /// Of this process, if the device has none of its own.
  virtual std::unique_ptr<StepClock> clock();
  /// The bundle's kernels. `pairs`: products that a CPU's use instead of their own loops, or null.
  virtual std::unique_ptr<plan::Kernels> kernels(const Bundle &bundle, const PlanOptions &options, const products::PairFunctions *pairs) = 0;
  /// For one executor, whose kernels outlive it; null where nothing is gained by recording steps.
  virtual std::unique_ptr<plan::Recorder> recorder() = 0;
};

/// This process's own threads and memory.
std::shared_ptr<Device> makeCpuDevice();

} // namespace peftrt
