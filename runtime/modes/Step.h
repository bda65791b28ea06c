// Step: one optimizer step: passes over micro-batches, accumulate, average over targets, what methods make of gradients, clip, optimizer programs.
//
// Errs   R0201 a loss or gradient that is not finite; the parameters are then as before the step
#pragma once
#include "runtime/modes/Session.h"

namespace peftrt {

struct StepResult {
  double loss = 0;     ///< mean over the step's targets
  double gradNorm = 0; ///< of what is clipped
  int64_t examples = 0, tokens = 0;
};

/// Gradients and optimizer state in the flat layout of the trainables.
class Stepper {
public:
  explicit Stepper(Session &session);
  /// `step` counts from 0, `steps` is the whole run's. Throws before anything moved if a number is not finite.
  StepResult run(const std::vector<Batch> &microBatches, int64_t step, int64_t steps);
  std::map<std::string, at::Tensor> states() const; ///< on the host
  void restoreStates(const std::map<std::string, at::Tensor> &states);

private:
  struct Range {
    int64_t group, begin, size;
  };
  struct Trainable {
    std::string name;
    int64_t offset, size;
    std::vector<int64_t> shape;
  };
  at::Tensor zeros() const; ///< where steps run
  at::Tensor gradientOf(const Trainable &trainable) { return gradient_.narrow(0, trainable.offset, trainable.size); }
  void accumulate(const Results &results);
  void replaceGradients(int64_t step, int64_t steps);
  double finiteNorm(int64_t step, double loss);
  void optimize(int64_t step, int64_t steps);
  [[noreturn]] void failNotFinite(int64_t step, double loss);

  Session &session_;
  std::vector<Trainable> trainables_;
  const bool replaces_; ///< the bundle has `on_grad`
  std::vector<Range> ranges_; ///< maximal contiguous stretches of one group
  at::Tensor gradient_;
  std::map<std::string, at::Tensor> states_;
  std::map<std::string, at::Tensor> next_; ///< what a step makes of `p` and the states, until all of it is known to be finite
};

} // namespace peftrt
