// CpuDevice: this process as a device: every tensor lies where steps reach it, and what is asked for is done when the call returns.
#include "runtime/plan/Device.h"
#include "runtime/plan/Stretches.h"
#include <ATen/ATen.h>
#include <chrono>

namespace peftrt {
namespace {

class HostClock final : public StepClock {
public:
  void begin() override { seconds_.clear(), last_ = std::chrono::steady_clock::now(); }
  void mark() override {
    const auto now = std::chrono::steady_clock::now();
    seconds_.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  std::vector<double> seconds() override { return seconds_; }

private:
  std::chrono::steady_clock::time_point last_;
  std::vector<double> seconds_;
};

class CpuDevice final : public Device {
public:
  std::string name() const override { return "cpu"; }
  bool isThreads() const override { return true; }
  at::Tensor empty(at::IntArrayRef shape, at::ScalarType type) override { return at::empty(shape, type); }
  at::Tensor here(const at::Tensor &tensor) override { return tensor; }
  at::Tensor here(const at::Tensor &tensor, at::Tensor &) override { return tensor; }
  at::Tensor onHost(const at::Tensor &tensor) override { return tensor; }
  void beginLibraryStep() override {}
  void endRun() override {}
  std::unique_ptr<plan::Kernels> kernels(const Bundle &bundle, const PlanOptions &options, const products::PairFunctions *pairs) override {
    return std::make_unique<plan::KernelRunner>(bundle, options.cpuTarget, pairs);
  }
  std::unique_ptr<plan::Recorder> recorder() override { return nullptr; }
};

} // namespace

std::unique_ptr<StepClock> Device::clock() { return std::make_unique<HostClock>(); }

std::shared_ptr<Device> makeCpuDevice() { return std::make_shared<CpuDevice>(); }

} // namespace peftrt
