// Open: see the header.
#include "runtime/cuda/Open.h"
#include "runtime/cuda/EventClock.h"
#include "runtime/cuda/Graphs.h"
#include "runtime/cuda/Launches.h"
#include <ATen/ATen.h>
#include <cstdio>

namespace peftrt::cuda {
namespace {

class CudaDevice final : public Device {
public:
  CudaDevice(std::shared_ptr<const Gpu> gpu, const GemmOptions &gemms) : gpu_(gpu), pool_(std::make_shared<Pool>(gpu)), staging_(std::make_shared<Staging>(gpu)), gemms_(Gemms::make(gpu, pool_, gemms)) {}
  std::string name() const override { return "cuda"; }
  bool isThreads() const override { return false; }

  at::Tensor empty(at::IntArrayRef shape, at::ScalarType type) override { return tensorIn(pool_, *gpu_, shape, type); }

  std::optional<int64_t> bytesLeft() override { return static_cast<int64_t>(pool_->bytesLeft()); }

  std::optional<int64_t> bytesTaken() override { return static_cast<int64_t>(gpu_->bytesLeftAtFirst()) - static_cast<int64_t>(gpu_->bytesLeft()); }

  at::Tensor here(const at::Tensor &tensor) override {
    if (!tensor.is_cpu() || tensor.numel() == 0 || pool_->holds(tensor.data_ptr()))
      return tensor;
    const at::Tensor whole = tensor.contiguous(), copy = empty(whole.sizes(), whole.scalar_type());
    staging_->send(reinterpret_cast<Address>(copy.data_ptr()), whole.data_ptr(), whole.nbytes());
    return copy;
  }

  at::Tensor here(const at::Tensor &tensor, at::Tensor &room) override {
    if (!tensor.is_cpu() || tensor.numel() == 0 || pool_->holds(tensor.data_ptr()))
      return tensor;
    const at::Tensor whole = tensor.contiguous();
    const auto bytes = static_cast<int64_t>(whole.nbytes());
    if (!room.defined() || room.numel() < bytes) {
      room = at::Tensor(); // before, so that both are never there
      room = empty({Pool::sizeFor(bytes)}, at::kByte);
    }
    staging_->send(reinterpret_cast<Address>(room.data_ptr()), whole.data_ptr(), whole.nbytes());
    return room.narrow(0, 0, bytes).view(whole.scalar_type()).view(whole.sizes());
  }

  at::Tensor onHost(const at::Tensor &tensor) override {
    gpu_->synchronize("waiting for the results");
    return tensor.cpu();
  }

  void beginLibraryStep() override {
    if (gpu_->tensors().is_cpu())
      gpu_->synchronize("waiting for kernels");
  }

  bool multiply(const products::Call &call) override { return gemms_ && gemms_->multiply(call); }
  GemmUse gemms() const override { return gemms_ ? gemms_->use() : GemmUse{}; }

  /// What LibTorch does with the results follows on the same stream, or on the CPU.
  void endRun() override {
    beginLibraryStep();
    if (gemms_)
      gemms_->save();
  }

  std::unique_ptr<plan::Kernels> kernels(const Bundle &bundle, const PlanOptions &, const products::PairFunctions *) override {
    return std::make_unique<Launches>(gpu_, pool_, staging_, bundle);
  }

  std::unique_ptr<StepClock> clock() override { return std::make_unique<EventClock>(gpu_); }

  std::unique_ptr<plan::Recorder> recorder() override { return std::make_unique<Graphs>(gpu_); }

private:
  std::shared_ptr<const Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Staging> staging_;
  std::unique_ptr<Gemms> gemms_;
};

} // namespace

std::shared_ptr<Device> open(const Bundle &bundle, const OpenOptions &options) {
  { // before anything is opened
    const Driver driver;
    choiceFor(bundle, factsOf(driver));
  }
  auto gpu = std::make_shared<const Gpu>(options.torchCuda);
  if (gpu->tensors().is_cpu())
    std::fprintf(stderr, "note: this LibTorch has no CUDA: products run on the CPU, in the memory that the %s shares with it\n", gpu->facts.name.c_str());
  return std::make_shared<CudaDevice>(std::move(gpu), options.gemms);
}

nlohmann::json describe(const Bundle &bundle, const OpenOptions &options) {
  const Driver driver;
  const Facts facts = factsOf(driver);
  const Choice choice = choiceFor(bundle, facts);
  return {{"gpu", facts.name}, {"architecture", facts.architecture()}, {"memory", facts.memory}, {"driver", versionText(driver.version())}, {"code", choice.target + (choice.isCubin ? " cubin" : " ptx")}};
}

bool isAbsence(const RuntimeError &error) { return error.code == "R0160" || error.code == "R0161" || error.code == "R0162"; }

} // namespace peftrt::cuda
