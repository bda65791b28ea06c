// Events: moments of the machine's stream, in its own time.
#include "tests/gpu/driver/Machine.h"

namespace driver {

Status Machine::createEvent(Event *event) {
  if (const Status status = state())
    return status;
  *event = reinterpret_cast<Event>(nextHandle_++);
  events_[*event] = std::nullopt;
  return 0;
}

Status Machine::destroyEvent(Event event) { return events_.erase(event) ? 0 : kInvalidValue; }

Status Machine::recordEvent(Event event) {
  if (const Status status = state())
    return status;
  const auto found = events_.find(event);
  if (found == events_.end())
    return kInvalidValue;
  found->second = std::nullopt;
  return enqueue([this, event] {
    if (const auto still = events_.find(event); still != events_.end())
      still->second = clock_;
  });
}

Status Machine::synchronizeEvent(Event event) { return events_.count(event) ? synchronize() : kInvalidValue; }

Status Machine::elapsed(float *milliseconds, Event begin, Event end) {
  if (const Status status = state())
    return status;
  const auto first = events_.find(begin), last = events_.find(end);
  if (first == events_.end() || last == events_.end())
    return kInvalidValue;
  if (!first->second || !last->second)
    return kNotReady;
  *milliseconds = static_cast<float>(static_cast<double>(*last->second) - static_cast<double>(*first->second)) * 1e-6f;
  return 0;
}

} // namespace driver
