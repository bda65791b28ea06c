// Graphs: what the machine's stream captures, and graphs of it, by the rules of NVIDIA's driver: strictly, where that leaves a choice.
//
// In a capture the stream's work is recorded and not done. Waiting for the stream, and in every mode but the relaxed one what could wait for it or free what it
// uses (allocating, freeing, copying at once, loading code), is refused and ends the capture: what follows is refused too, and no graph comes of it.
#include "tests/gpu/driver/Machine.h"
#include <utility>

namespace driver {
namespace {

constexpr int kRelaxed = 2; ///< CU_STREAM_CAPTURE_MODE_RELAXED

} // namespace

Status Machine::enqueue(Action action) {
  if (!capture_) {
    stream_.push_back(std::move(action));
    return 0;
  }
  if (capture_->isInvalid)
    return kCaptureInvalidated;
  capture_->actions.push_back(std::move(action));
  return 0;
}

Status Machine::invalidated(Status status) {
  capture_->isInvalid = true;
  return status;
}

Status Machine::unsafe() {
  if (const Status status = state())
    return status;
  return capture_ && capture_->mode != kRelaxed && capture_->thread == std::this_thread::get_id() ? invalidated(kCaptureUnsupported) : 0;
}

Status Machine::synchronize() {
  ++waits_;
  if (isInHost_)
    return kNotPermitted;
  return capture_ ? invalidated(kCaptureUnsupported) : doAll();
}

Status Machine::callHost(HostFunction function, void *argument) {
  if (const Status status = state())
    return status;
  return enqueue([this, function, argument] {
    if (failed_)
      return;
    ++hostCalls_;
    isInHost_ = true; // it may not ask the driver for anything
    function(argument);
    isInHost_ = false;
  });
}

Status Machine::beginCapture(int mode) {
  if (const Status status = state())
    return status;
  if (capture_)
    return kIllegalState;
  capture_ = Capture{mode, std::this_thread::get_id(), {}};
  capture_->isInvalid = ++captures_ == settings.captures_fail;
  return 0;
}

Status Machine::endCapture(Graph *graph) {
  *graph = nullptr;
  if (!capture_)
    return kIllegalState;
  if (capture_->mode != kRelaxed && capture_->thread != std::this_thread::get_id())
    return invalidated(kCaptureWrongThread);
  const Capture done = *std::exchange(capture_, std::nullopt);
  if (const Status status = done.isInvalid ? kCaptureInvalidated : state())
    return status;
  *graph = reinterpret_cast<Graph>(nextHandle_++);
  graphs_[*graph] = std::make_shared<const Actions>(done.actions);
  return 0;
}

Status Machine::instantiate(GraphExec *made, Graph graph) {
  if (const Status status = state())
    return status;
  const auto found = graphs_.find(graph);
  if (found == graphs_.end())
    return kInvalidValue;
  if (static_cast<int64_t>(execs_.size()) >= settings.graphs_fit)
    return peftrt::cuda::kOutOfMemory;
  ++made_;
  *made = reinterpret_cast<GraphExec>(nextHandle_++);
  execs_[*made] = found->second;
  return 0;
}

Status Machine::launchGraph(GraphExec graph) {
  if (const Status status = state())
    return status;
  const auto found = execs_.find(graph);
  if (found == execs_.end())
    return kInvalidValue;
  if (++graphLaunches_ == settings.graphs_fail)
    return failed_ = kLaunchFailed;
  return enqueue([actions = found->second] {
    for (const Action &action : *actions)
      action();
  });
}

Status Machine::destroyGraph(Graph graph) { return graphs_.erase(graph) ? 0 : kInvalidValue; }
Status Machine::destroyExec(GraphExec graph) { return execs_.erase(graph) ? 0 : kInvalidValue; }

} // namespace driver
