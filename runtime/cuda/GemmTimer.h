// GemmTimer: how long a product takes on the stream, by events.
//
// Why graphs  between an event and a short product the stream waits for this process, which takes longer to ask for it: so a few of them are asked for as one, as they
//             will be when stretches are (Graphs.h). Where the driver captures nothing, one by one.
// Errs  R0206
#pragma once
#include "runtime/cuda/BlasApi.h"
#include "runtime/cuda/Gpu.h"
#include <chrono>
#include <functional>
#include <optional>

namespace peftrt::cuda {

class GemmTimer {
public:
  using Ask = std::function<BlasStatus()>; ///< behind what the stream does

  /// `seconds`: how long this may take, of all candidates together.
  GemmTimer(const Gpu &gpu, double seconds);
  ~GemmTimer();
  GemmTimer(const GemmTimer &) = delete;
  GemmTimer &operator=(const GemmTimer &) = delete;

  double left() const;
  /// Seconds, of the fastest of some; infinitely many where it is refused. `best`: of other candidates; one that is much worse is not asked for again. The first time,
  /// which loads code, counts if there is no time for another.
  double secondsOf(const Ask &ask, double best) const;

private:
  double once(const Ask &ask) const;
  std::optional<double> inGraph(const Ask &ask) const;
  GraphExec graphOf(const Ask &ask) const;

  const Gpu &gpu_;
  const double seconds_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  Event events_[2] = {};
};

} // namespace peftrt::cuda
