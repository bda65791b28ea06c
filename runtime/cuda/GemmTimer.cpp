// GemmTimer: see the header.
#include "runtime/cuda/GemmTimer.h"
#include <algorithm>
#include <limits>

namespace peftrt::cuda {
namespace {

constexpr int kRuns = 3;          ///< behind the first; of a graph, its launches
constexpr int kInGraph = 8;       ///< products
constexpr double kWorse = 1.5;    ///< times the best
constexpr double kAsking = 20e-6; ///< what it may take to ask for one, beyond which an event sees how long it takes
constexpr double kLong = 10 * kAsking;
constexpr double kRefused = std::numeric_limits<double>::infinity();

} // namespace

GemmTimer::GemmTimer(const Gpu &gpu, double seconds) : gpu_(gpu), seconds_(seconds) {
  for (Event &event : events_)
    gpu_.driver.check(gpu_.driver.eventCreate(&event, kEventDefault), "timing a product");
}

GemmTimer::~GemmTimer() {
  for (const Event event : events_)
    if (event)
      gpu_.driver.eventDestroy(event);
}

double GemmTimer::left() const { return seconds_ - std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

double GemmTimer::secondsOf(const Ask &ask, double best) const {
  double least = once(ask);
  for (int index = 0; index < kRuns && least < kRefused && left() >= 2 * least; ++index) {
    const double seconds = once(ask);
    least = index == 0 ? seconds : std::min(least, seconds);
    if (least > kWorse * best + kAsking)
      break;
    if (index == 0 && least < kLong)
      if (const std::optional<double> among = inGraph(ask))
        return *among;
  }
  return least;
}

double GemmTimer::once(const Ask &ask) const {
  const Driver &driver = gpu_.driver;
  driver.check(driver.eventRecord(events_[0], gpu_.stream()), "timing a product");
  if (ask() != kBlasSuccess)
    return kRefused;
  driver.check(driver.eventRecord(events_[1], gpu_.stream()), "timing a product");
  driver.check(driver.eventSynchronize(events_[1]), "timing a product");
  float milliseconds = 0;
  driver.check(driver.eventElapsed(&milliseconds, events_[0], events_[1]), "timing a product");
  return milliseconds * 1e-3;
}

std::optional<double> GemmTimer::inGraph(const Ask &ask) const {
  const GraphExec graph = graphOf(ask);
  if (!graph)
    return std::nullopt;
  const Ask launch = [&] { return gpu_.driver.graphLaunch(graph, gpu_.stream()) == kSuccess ? kBlasSuccess : !kBlasSuccess; };
  double least = once(launch); // which also brings it there
  for (int index = 0; index < kRuns && least < kRefused; ++index)
    least = std::min(least, once(launch));
  gpu_.driver.graphExecDestroy(graph);
  return least < kRefused ? std::optional(least / kInGraph) : std::nullopt;
}

/// Null: it cannot be had.
GraphExec GemmTimer::graphOf(const Ask &ask) const {
  const Driver &driver = gpu_.driver;
  if (driver.captureBegin(gpu_.stream(), kCaptureThreadLocal) != kSuccess)
    return nullptr;
  bool isWhole = true;
  for (int index = 0; index < kInGraph; ++index)
    isWhole &= ask() == kBlasSuccess;
  Graph graph = nullptr;
  GraphExec made = nullptr;
  isWhole &= driver.captureEnd(gpu_.stream(), &graph) == kSuccess;
  if (isWhole && driver.graphInstantiate(&made, graph, 0) != kSuccess)
    made = nullptr;
  if (graph)
    driver.graphDestroy(graph);
  return made;
}

} // namespace peftrt::cuda
