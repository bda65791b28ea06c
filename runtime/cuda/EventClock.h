// EventClock: how long steps take on the stream: an event behind each, read when the run is over. The stream goes on meanwhile, so a step's time is its own as long as this
// process asks sooner than the GPU does.
// Errs  R0206
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/plan/Device.h"
#include <memory>

namespace peftrt::cuda {

class EventClock final : public StepClock {
public:
  explicit EventClock(std::shared_ptr<const Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~EventClock() override;
  EventClock(const EventClock &) = delete;
  EventClock &operator=(const EventClock &) = delete;
  void begin() override { marked_ = 0, mark(); }
  void mark() override;
  std::vector<double> seconds() override;

private:
  std::shared_ptr<const Gpu> gpu_;
  std::vector<Event> events_; ///< as many as the longest run needed
  size_t marked_ = 0;
};

} // namespace peftrt::cuda
