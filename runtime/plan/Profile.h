// Profile: how long a plan's steps take, and how much of memory kernels move.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/plan/Device.h"
#include "runtime/plan/Executor.h"
#include "runtime/plan/Shapes.h"
#include <map>
#include <memory>
#include <string>

namespace peftrt::plan {

/// What a kernel reads and writes in a run: each operand and result once; of a table of the run that is larger than all results as much as they are (rows are looked up in it).
/// Of other steps 0.
double movedBy(const Program &program, const Op &op, const BatchSize &size);

class Profile {
public:
  explicit Profile(std::unique_ptr<StepClock> clock) : clock_(std::move(clock)) {}
  /// A run begins.
  void start() { clock_->begin(), pending_.clear(); }
  /// The time since the last step's, or since the run began, is this step's.
  void add(const Program &program, const Op &op, double bytes);
  /// Seconds that were measured otherwise.
  void add(const Program &program, const Op &op, double bytes, double seconds);
  /// The run is over.
  void end();
  std::vector<StepTime> steps() const;

private:
  struct Entry {
    double seconds = 0, bytes = 0;
    int64_t count = 0;
  };
  Entry &entryOf(const Program &program, const Op &op, double bytes);

  std::unique_ptr<StepClock> clock_;
  std::vector<Entry *> pending_; ///< by mark; null where the seconds are known
  std::map<std::string, std::map<std::string, Entry>> programs_; ///< program -> step
};

} // namespace peftrt::plan
