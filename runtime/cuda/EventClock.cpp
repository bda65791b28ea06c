// EventClock: see the header.
#include "runtime/cuda/EventClock.h"

namespace peftrt::cuda {
namespace {
constexpr const char *kWhat = "timing steps";
} // namespace

EventClock::~EventClock() {
  for (const Event event : events_)
    gpu_->driver.eventDestroy(event);
}

void EventClock::mark() {
  if (marked_ == events_.size()) {
    Event event = nullptr;
    gpu_->driver.check(gpu_->driver.eventCreate(&event, kEventDefault), kWhat);
    events_.push_back(event);
  }
  gpu_->driver.check(gpu_->driver.eventRecord(events_[marked_++], gpu_->stream()), kWhat);
}

std::vector<double> EventClock::seconds() {
  std::vector<double> seconds;
  if (marked_ == 0)
    return seconds;
  gpu_->driver.check(gpu_->driver.eventSynchronize(events_[marked_ - 1]), kWhat);
  for (size_t mark = 1; mark < marked_; ++mark) {
    float milliseconds = 0;
    gpu_->driver.check(gpu_->driver.eventElapsed(&milliseconds, events_[mark - 1], events_[mark]), kWhat);
    seconds.push_back(milliseconds * 1e-3);
  }
  return seconds;
}

} // namespace peftrt::cuda
