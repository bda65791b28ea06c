// Step: one optimizer step: passes over micro-batches, accumulate, average over targets, what methods make of gradients, clip, optimizer programs.
//
// A device does steps while this process asks for more: their numbers come back when somebody needs them, all at once, and nothing before waits for any. A step
// whose numbers are not finite changes nothing, and none that was asked for behind it does.
//
// Errs   R0201 a loss, gradient, parameter or state that is not finite; the parameters are then as before that step
#pragma once
#include "runtime/bundle/Errors.h"
#include "runtime/modes/Session.h"
#include <optional>

namespace peftrt {

struct StepResult {
  double loss = 0;     ///< mean over the step's targets
  double gradNorm = 0; ///< of what is clipped
  int64_t examples = 0, tokens = 0;
};

struct StepResults {
  std::vector<StepResult> done;        ///< in order
  std::optional<RuntimeError> failure; ///< of the step behind them
};

/// Gradients and optimizer state in the flat layout of the trainables.
class Stepper {
public:
  explicit Stepper(Session &session);
  /// Asks for a step. `step` counts from 0, `steps` is the whole run's.
  void start(const std::vector<Batch> &microBatches, int64_t step, int64_t steps);
  /// What the steps since the last call came to; waits for them.
  StepResults finish();
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
  /// A step that was asked for: what is known, and [loss, norm, failed] where steps run.
  struct Asked {
    int64_t step, examples, tokens;
    at::Tensor numbers;
  };
  at::Tensor zeros() const; ///< where steps run
  at::Tensor gradientOf(const Trainable &trainable) { return gradient_.narrow(0, trainable.offset, trainable.size); }
  void accumulate(const Results &results);
  void replaceGradients(int64_t step, int64_t steps);
  void require(const at::Tensor &finite, int64_t what);
  at::Tensor norm();
  void clip(const at::Tensor &norm);
  void optimize(int64_t step, int64_t steps);
  void move(const at::Tensor &from, const at::Tensor &to);
  bool isKnownToFail() const;
  RuntimeError failureOf(const Asked &asked, double loss, int64_t what);

  Session &session_;
  std::vector<Trainable> trainables_;
  const bool replaces_; ///< the bundle has `on_grad`
  std::vector<Range> ranges_; ///< maximal contiguous stretches of one group
  const bool waits_; ///< threads of this process do the steps: nothing is gained by not looking
  at::Tensor gradient_;
  at::Tensor failed_; ///< what was not finite first, a number as Step.cpp has them; 0 while all is
  std::vector<Asked> asked_;
  std::map<std::string, at::Tensor> states_;
  std::map<std::string, at::Tensor> next_; ///< what a step makes of `p` and the states, until all of it is known to be finite
};

} // namespace peftrt
