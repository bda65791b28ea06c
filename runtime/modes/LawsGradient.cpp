// LawsGradient: the derived gradient is the slope of the loss, in fp64, with samples and `stop_grad` values pinned.
//
// Each trainable parameter is moved along random directions; the central difference must be the gradient's product with the
// direction. Between two sides of a kink (relu), or where the loss bends sharply, the difference is not yet the slope: another
// direction is tried with a shorter step. A gradient that is wrong is wrong along every direction and with every step.
#include "runtime/modes/Laws.h"
#include "runtime/bundle/Errors.h"
#include "runtime/reference/Pins.h"
#include <ATen/ATen.h>
#include <cmath>
#include <set>

namespace peftrt::laws {
namespace {

using nlohmann::json;

constexpr int kDirections = 2, kTries = 4;
constexpr double kStep = 1e-5;      ///< times the size of the parameter's numbers
constexpr double kTolerance = 1e-6; ///< of the slope's size; the truncation error is about kStep²
constexpr double kNoise = 1e-9;     ///< of the loss: rounding in fp64 divided by kStep
constexpr uint32_t kStream = 4u << 16;

/// `train_step` with the ops that the loss needs and no others.
Bundle lossOnly(const Bundle &bundle) {
  std::vector<Program> kept;
  for (Program &program : programsOf(bundle.programs.value())) {
    if (program.name.rfind("train_step.", 0) == 0)
      kept.push_back(program); // makes values that the step takes
    if (program.name != "train_step")
      continue;
    std::vector<NamedValue> results;
    std::set<int64_t> needed;
    for (const NamedValue &result : program.results)
      if (result.name == "loss") {
        results.push_back(result);
        needed.insert(result.value);
      }
    std::vector<Op> ops;
    for (auto op = program.ops.rbegin(); op != program.ops.rend(); ++op)
      if (needed.count(op->out[0])) {
        needed.insert(op->in.begin(), op->in.end());
        ops.insert(ops.begin(), *op);
      }
    program.results = results;
    program.ops = ops;
    kept.push_back(program);
  }
  Bundle loss;
  loss.manifest = bundle.manifest;
  loss.programs = toJson(kept);
  return loss;
}

class Slopes {
public:
  explicit Slopes(Subject &subject)
      : subject_(subject), store_(subject.exact()), bundle_(lossOnly(subject.bundle)), loss_(makeReferenceExecutor(bundle_, store_, at::kDouble, &pins_)) {
    const auto whole = makeReferenceExecutor(subject.bundle, store_, at::kDouble);
    results_ = subject.run(*whole, "train_step");
    base_ = loss();
  }

  Verdict check() {
    Comparison comparison(1);
    for (const std::string &name : subject_.trainables()) {
      const auto gradient = results_.find("grad." + name);
      if (gradient == results_.end()) {
        comparison.fail("`" + name + "` is trained and `train_step` gives no gradient of it");
        continue;
      }
      for (int direction = 0; direction < kDirections; ++direction)
        checkAlong(name, gradient->second.reshape(store_.get(name).sizes()), comparison);
    }
    return comparison.verdict("in units of what finite differences allow, " + std::to_string(subject_.trainables().size()) + " parameters");
  }

private:
  double loss() { return subject_.run(*loss_, "train_step").at("loss").sum().item<double>(); }

  double lossAt(const at::Tensor &parameter, const at::Tensor &start, const at::Tensor &direction, double step) {
    parameter.copy_(start + direction * step);
    const double moved = loss();
    parameter.copy_(start);
    return moved;
  }

  /// Notes the difference as a multiple of what is allowed.
  void checkAlong(const std::string &name, const at::Tensor &gradient, Comparison &comparison) {
    const at::Tensor parameter = store_.get(name);
    if (parameter.numel() == 0)
      return;
    const at::Tensor start = parameter.clone();
    const double size = std::max(0.05, start.pow(2).mean().sqrt().item<double>());
    double least = INFINITY;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const double step = kStep * size / std::pow(4.0, attempt);
      const at::Tensor direction = normalNumbers(subject_.seed, kStream + ++streams_, parameter.sizes());
      const double above = lossAt(parameter, start, direction, step), below = lossAt(parameter, start, direction, -step);
      const double slope = (above - below) / (2 * step), derived = (gradient * direction).sum().item<double>();
      const double typical = gradient.norm().item<double>(); // what the product with a random direction is about
      const double allowed = kTolerance * std::max(typical, std::abs(slope)) + kNoise * std::max(1.0, std::abs(base_)) * kStep / step;
      const double difference = std::abs(slope - derived) / allowed;
      least = std::isnan(difference) ? least : std::min(least, difference);
      if (least <= 1)
        break;
    }
    comparison.note(name, least);
  }

  Subject &subject_;
  ParameterStore store_;
  Bundle bundle_;
  Pins pins_;
  std::unique_ptr<Executor> loss_;
  Results results_;
  double base_ = 0;
  uint32_t streams_ = 0;
};

} // namespace

Verdict gradientIsSlope(Subject &subject) { return Slopes(subject).check(); }

} // namespace peftrt::laws
