// Gemms: see the header.
#include "runtime/cuda/Gemms.h"
#include "runtime/cuda/GemmTimer.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

namespace peftrt::cuda {
namespace {

constexpr double kMostSeconds = 3;   ///< for choosing, of a process
constexpr double kLastSeconds = 0.25; ///< of these, for what a last candidate may take to be loaded
constexpr int kCandidates = 8;
constexpr double kReserve = 16;      ///< runs of the best so far for which there must be time, so that a slow candidate does not end beyond kMostSeconds
constexpr int64_t kWorkspace = int64_t{32} << 20; ///< what NVIDIA recommends for Hopper (cublasSetWorkspace)

double secondsSince(std::chrono::steady_clock::time_point begin) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); }

/// What decides which algorithm is fast: a part of a GPU has fewer multiprocessors than the GPU of its name.
std::string deviceOf(const Facts &facts) { return facts.name + " " + facts.architecture() + " " + std::to_string(facts.multiprocessors); }

} // namespace

std::unique_ptr<Gemms> Gemms::make(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, const GemmOptions &options) {
  if (options.library || (options.blas.empty() && gpu->tensors().is_cpu()))
    return nullptr;
  std::string why;
  std::shared_ptr<const Blas> blas = Blas::load(options.blas, why);
  if (blas)
    return std::unique_ptr<Gemms>(new Gemms(std::move(gpu), std::move(pool), std::move(blas), options.folder));
  std::fprintf(stderr, "note: products are LibTorch's, with the algorithms that it has: cuBLASLt is not to be had (%s)\n", why.c_str());
  return nullptr;
}

Gemms::Gemms(std::shared_ptr<const Gpu> gpu, std::shared_ptr<Pool> pool, std::shared_ptr<const Blas> blas, const std::string &folder)
    : gpu_(std::move(gpu)), pool_(std::move(pool)), blas_(std::move(blas)), cache_(folder, deviceOf(gpu_->facts), blas_->version()) {
  try {
    workspace_ = tensorIn(pool_, *gpu_, {kWorkspace}, at::kByte);
  } catch (const RuntimeError &error) { // algorithms that need none are left
    if (error.code != "R0205")
      throw;
  }
}

BlasStatus Gemms::run(const Matmul &matmul, const products::Call &call, void *to, const Algorithm &algorithm) const {
  return matmul.run(call, to, algorithm, workspace_.defined() ? workspace_.data_ptr() : nullptr, workspaceBytes(), gpu_->stream());
}

bool Gemms::multiply(const products::Call &call) {
  const std::optional<GemmShape> shape = shapeOf(call);
  if (!shape)
    return false;
  auto found = chosen_.find(*shape);
  if (found == chosen_.end()) {
    int captures = kCapturesNothing;
    gpu_->driver.check(gpu_->driver.captureStatus(gpu_->stream(), &captures), "asking for a product");
    if (captures != kCapturesNothing)
      return false; // whatever comes first in a capture is asked for step by step before: this is the case of two stretches with one hash
    found = chosen_.emplace(*shape, choose(*shape, call)).first;
  }
  Chosen &chosen = found->second;
  while (!chosen.algorithms.empty()) {
    const BlasStatus status = run(*chosen.matmul, call, call.c, chosen.algorithms.front());
    if (status == kBlasSuccess)
      return true;
    chosen.algorithms.erase(chosen.algorithms.begin());
    if (chosen.algorithms.empty())
      leave(*shape, status);
  }
  return false;
}

double Gemms::secondsLeft() const { return kMostSeconds - kLastSeconds - use_.seconds; }

/// LibTorch does it from now on.
void Gemms::leave(const GemmShape &shape, BlasStatus status) {
  if (use_.library++ == 0)
    std::fprintf(stderr, "note: cuBLASLt does not do the product %s (%s): LibTorch does, and others for which that is so\n", shape.name().c_str(), blas_->nameOf(status).c_str());
}

Gemms::Chosen Gemms::choose(const GemmShape &shape, const products::Call &call) {
  Chosen chosen{std::make_unique<const Matmul>(blas_, shape), {}};
  BlasStatus status = chosen.matmul->status();
  if (const FastestGemm *const known = cache_.find(shape.name()); known && status == kBlasSuccess && chosen.matmul->takes(known->algorithm, workspaceBytes())) {
    ++use_.cached;
    chosen.algorithms = {known->algorithm};
    return chosen;
  }
  gpu_->synchronize("waiting for what comes before a product"); // which is no time of choosing
  const auto begin = std::chrono::steady_clock::now();
  if (status == kBlasSuccess)
    chosen.algorithms = chosen.matmul->candidates(kCandidates, workspaceBytes(), status);
  if (chosen.algorithms.empty())
    leave(shape, status);
  else if (secondsLeft() > secondsSince(begin) && time(shape, call, chosen, begin))
    ++use_.timed;
  else
    ++use_.untimed;
  if (secondsLeft() > 0)
    use_.seconds += secondsSince(begin);
  return chosen;
}

/// The fastest first, among those that there is time for. False: there was no time, or no memory, to compare them all, which is not kept.
bool Gemms::time(const GemmShape &shape, const products::Call &call, Chosen &chosen, std::chrono::steady_clock::time_point begin) {
  const GemmTimer timer(*gpu_, secondsLeft() - secondsSince(begin));
  void *to = call.c;
  at::Tensor apart;
  if (shape.sum == GemmShape::Sum::inPlace)
    try {
      apart = tensorIn(pool_, *gpu_, {shape.rows * shape.cPitch}, shape.resultIsBf16 ? at::kBFloat16 : at::kFloat);
      to = apart.data_ptr();
    } catch (const RuntimeError &error) {
      if (error.code != "R0205")
        throw;
      return false;
    }
  double best = std::numeric_limits<double>::infinity();
  Algorithm fastest{};
  bool isWhole = true;
  for (const Algorithm &algorithm : chosen.algorithms) {
    if (best < std::numeric_limits<double>::infinity() && timer.left() < kReserve * best) {
      isWhole = false;
      break;
    }
    const double seconds = timer.secondsOf([&] { return run(*chosen.matmul, call, to, algorithm); }, best);
    if (seconds < best)
      best = seconds, fastest = algorithm;
  }
  if (!(best < std::numeric_limits<double>::infinity()))
    return false; // all refuse: so will they when they are asked again, which is said then
  chosen.algorithms = {fastest};
  if (isWhole)
    cache_.add(shape.name(), {fastest, best * 1e6});
  return isWhole;
}

} // namespace peftrt::cuda
