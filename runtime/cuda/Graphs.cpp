// Graphs: see the header.
#include "runtime/cuda/Graphs.h"
#include "runtime/plan/Mix.h"
#include <c10/core/CachingDeviceAllocator.h>
#include <cstdio>
#include <numeric>

namespace peftrt::cuda {
namespace {

constexpr size_t kMostGraphs = 64;   ///< some hundred kernels each
constexpr size_t kMostSeen = 4096;   ///< batches of all lengths come and never come again

uint64_t hashOf(const plan::Given &given) {
  return std::accumulate(given.begin(), given.end(), kMixBegin, mix);
}

/// How often LibTorch's allocator for the GPU gave memory.
int64_t allocationsOn(c10::Device device) {
  if (device.is_cpu())
    return 0;
  const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return c10::getDeviceAllocator(device.type())->getDeviceStats(device.index()).allocation[all].allocated;
}

/// Called by a thread of the driver's. What it throws ends the process: it multiplies what was multiplied like that before.
void callStep(void *step) noexcept { (*static_cast<const std::function<void()> *>(step))(); }

} // namespace

Graphs::~Graphs() {
  while (!graphs_.empty())
    drop(graphs_.begin());
}

/// The driver keeps a graph that it is still doing; what that calls is ours.
void Graphs::waitForHostSteps(const Recorded &recorded) const {
  if (!recorded.hostSteps.empty())
    gpu_->driver.streamSynchronize(gpu_->stream());
}

void Graphs::drop(Place place) {
  waitForHostSteps(*place);
  if (place->graph)
    gpu_->driver.graphExecDestroy(place->graph);
  byHash_.erase(hashOf(place->given));
  graphs_.erase(place);
}

Graphs::Recorded *Graphs::find(uint64_t hash, const plan::Given &given) {
  const auto found = byHash_.find(hash);
  if (found == byHash_.end() || found->second->given != given)
    return nullptr;
  graphs_.splice(graphs_.begin(), graphs_, found->second);
  return &graphs_.front();
}

/// Whether it was asked for before; it is from now on.
bool Graphs::isSeen(uint64_t hash) {
  if (!seen_.insert(hash).second)
    return true;
  order_.push_back(hash);
  if (order_.size() > kMostSeen) {
    seen_.erase(order_.front());
    order_.pop_front();
  }
  return false;
}

void Graphs::run(const std::string &name, int64_t steps, plan::Given given, const std::function<void()> &ask) {
  if (isOff_)
    return ask();
  const uint64_t hash = hashOf(given);
  const Recorded *recorded = find(hash, given);
  if (!recorded && !isSeen(hash))
    return ask();
  if (!recorded) {
    std::string why;
    recorded = record(hash, std::move(given), ask, why);
    if (!recorded) {
      isOff_ = true;
      std::fprintf(stderr, "note: %s cannot be recorded as a CUDA graph (%s): steps are asked for one by one, which is slower and gives the same numbers\n", name.c_str(), why.c_str());
      return ask();
    }
  }
  gpu_->driver.check(gpu_->driver.graphLaunch(recorded->graph, gpu_->stream()), "starting " + name + " as a graph");
  ++use_.launches, use_.steps += steps;
}

Graphs::Recorded *Graphs::record(uint64_t hash, plan::Given given, const std::function<void()> &ask, std::string &why) {
  if (const auto other = byHash_.find(hash); other != byHash_.end())
    drop(other->second); // of another stretch, with this one's hash
  if (graphs_.size() == kMostGraphs)
    drop(std::prev(graphs_.end()));
  graphs_.push_front({std::move(given)});
  byHash_[hash] = graphs_.begin();
  why = capture(graphs_.front(), ask);
  if (!why.empty()) {
    drop(graphs_.begin());
    return nullptr;
  }
  ++use_.graphs;
  return &graphs_.front();
}

/// Returns why not.
std::string Graphs::capture(Recorded &recorded, const std::function<void()> &ask) {
  const Driver &driver = gpu_->driver;
  if (const Status status = driver.captureBegin(gpu_->stream(), kCaptureThreadLocal))
    return driver.nameOf(status);
  std::string why;
  const int64_t before = allocationsOn(gpu_->tensors());
  recording_ = &recorded;
  try {
    ask();
  } catch (const std::exception &error) {
    why = error.what();
  }
  recording_ = nullptr;
  Graph graph = nullptr;
  Status status = driver.captureEnd(gpu_->stream(), &graph);
  if (why.empty() && allocationsOn(gpu_->tensors()) != before)
    why = "LibTorch took memory for it that is not kept";
  if (why.empty() && status == kSuccess)
    status = driver.graphInstantiate(&recorded.graph, graph, 0);
  if (graph)
    driver.graphDestroy(graph);
  return why.empty() && status != kSuccess ? driver.nameOf(status) : why;
}

void Graphs::library(std::function<void()> step) {
  if (!gpu_->tensors().is_cpu())
    return step(); // it comes to the stream, whatever that does with it
  if (!recording_) {
    gpu_->synchronize("waiting for kernels");
    return step();
  }
  recording_->hostSteps.push_back(std::move(step));
  gpu_->driver.check(gpu_->driver.launchHost(gpu_->stream(), callStep, &recording_->hostSteps.back()), "asking for a product");
}

} // namespace peftrt::cuda
