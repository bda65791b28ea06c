// Step: see Step.h.
#include "runtime/modes/Step.h"
#include "runtime/bundle/Errors.h"
#include "runtime/modes/Evaluation.h"
#include "runtime/plan/Device.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace peftrt {
namespace {

using nlohmann::json;

constexpr const char *kDivergedHelp = "a lower lr, a longer warm-up or clip = 1.0 usually helps";

double sumOfSquares(const float *data, int64_t count) {
  double lanes[8] = {};
  int64_t place = 0;
  for (; place + 8 <= count; place += 8)
    for (int lane = 0; lane < 8; ++lane)
      lanes[lane] += static_cast<double>(data[place + lane]) * data[place + lane];
  for (; place < count; ++place)
    lanes[0] += static_cast<double>(data[place]) * data[place];
  double sum = 0;
  for (const double lane : lanes)
    sum += lane;
  return sum;
}

/// In one order, whatever the number of threads; on another device in LibTorch's.
double sumOfSquares(const at::Tensor &values) {
  constexpr int64_t kBlock = 1 << 15;
  if (!values.is_cpu()) {
    const double norm = at::linalg_vector_norm(values, 2, {}, false, at::kDouble).item<double>();
    return norm * norm;
  }
  const float *data = values.data_ptr<float>();
  std::vector<double> sums((values.numel() + kBlock - 1) / kBlock);
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 2, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      sums[block] = sumOfSquares(data + block * kBlock, std::min(kBlock, values.numel() - block * kBlock));
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

at::Tensor scalar(int64_t value) { return at::full({}, static_cast<double>(value), at::kFloat); }

double sumOf(const at::Tensor &values) {
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  double sum = 0;
  for (int64_t index = 0; index < wide.numel(); ++index)
    sum += wide.data_ptr<double>()[index];
  return sum;
}

} // namespace

Stepper::Stepper(Session &session) : session_(session), replaces_(programNamed(session.bundle, "on_grad").has_value()), gradient_(zeros()) {
  std::vector<std::pair<Trainable, int64_t>> ordered;
  for (const json &parameter : session.manifest().at("parameters"))
    if (parameter.value("trainable", false)) {
      const std::string name = parameter.at("name");
      const at::Tensor value = session.parameters.get(name);
      ordered.push_back({{name, parameter.at("offset"), value.numel(), value.sizes().vec()}, parameter.value("group", int64_t{0})});
    }
  std::sort(ordered.begin(), ordered.end(), [](const auto &a, const auto &b) { return a.first.offset < b.first.offset; });
  for (const auto &[trainable, group] : ordered) {
    trainables_.push_back(trainable);
    if (!ranges_.empty() && ranges_.back().group == group && ranges_.back().begin + ranges_.back().size == trainable.offset)
      ranges_.back().size += trainable.size;
    else
      ranges_.push_back({group, trainable.offset, trainable.size});
  }
  for (const json &name : session.manifest().at("optimizer").at("states"))
    states_[name.get<std::string>()] = zeros();
  next_["p"] = zeros();
  for (const auto &[name, state] : states_)
    next_["state." + name] = zeros();
}

at::Tensor Stepper::zeros() const { return session_.device().empty(session_.parameters.flat.sizes(), at::kFloat).zero_(); }

std::map<std::string, at::Tensor> Stepper::states() const {
  std::map<std::string, at::Tensor> states;
  for (const auto &[name, state] : states_)
    states[name] = session_.device().onHost(state);
  return states;
}

void Stepper::restoreStates(const std::map<std::string, at::Tensor> &states) {
  for (auto &[name, state] : states_) {
    const auto found = states.find(name);
    if (found == states.end() || found->second.sizes() != state.sizes())
      throw RuntimeError("R0119", "the checkpoint has no optimizer state `" + name + "` of " + std::to_string(state.numel()) + " elements", "the run folder is damaged; start again with --overwrite");
    state.copy_(found->second);
  }
}

void Stepper::accumulate(const Results &results) {
  for (const Trainable &trainable : trainables_) {
    const auto found = results.find("grad." + trainable.name);
    if (found == results.end())
      continue; // nothing of the loss depends on it
    gradientOf(trainable).add_(found->second.reshape({trainable.size}).to(at::kFloat));
  }
}

StepResult Stepper::run(const std::vector<Batch> &microBatches, int64_t step, int64_t steps) {
  StepResult result;
  double lossSum = 0, targets = 0;
  gradient_.zero_();
  for (size_t pass = 0; pass < microBatches.size(); ++pass) {
    const Batch &batch = microBatches[pass];
    const Results results = session_.executor->runInPlace("train_step", batch, {}, {session_.options.seed, step, static_cast<int64_t>(pass)});
    lossSum += sumOf(session_.executor->onHost(results.at("loss")));
    const auto count = results.find("count");
    targets += count == results.end() ? static_cast<double>(batch.examples()) : sumOf(session_.executor->onHost(count->second));
    accumulate(results);
    result.examples += batch.examples();
    result.tokens += batch.tokens();
  }
  result.loss = lossSum / targets;
  gradient_.div_(static_cast<float>(targets));
  result.gradNorm = finiteNorm(step, result.loss);
  if (replaces_) {
    replaceGradients(step, steps);
    result.gradNorm = finiteNorm(step, result.loss);
  }
  const double clip = session_.options.clip;
  if (clip > 0 && result.gradNorm > clip)
    gradient_.mul_(static_cast<float>(clip / (result.gradNorm + 1e-6)));
  optimize(step, steps);
  return result;
}

/// All that `on_grad` makes is made of gradients as backward left them: a result may be one of its inputs.
void Stepper::replaceGradients(int64_t step, int64_t steps) {
  std::map<std::string, at::Tensor> tensors = {{"step", scalar(step)}, {"steps", scalar(steps)}};
  for (const Trainable &trainable : trainables_)
    tensors["grad." + trainable.name] = gradientOf(trainable).view(trainable.shape);
  std::map<std::string, at::Tensor> made;
  for (const auto &[name, value] : session_.executor->runInPlace("on_grad", Batch{}, tensors, {session_.options.seed, step, 0}))
    made[name] = value.is_alias_of(gradient_) ? value.clone() : value;
  for (const Trainable &trainable : trainables_)
    if (const auto found = made.find("grad." + trainable.name); found != made.end())
      gradientOf(trainable).copy_(found->second.reshape({trainable.size}));
}

double Stepper::finiteNorm(int64_t step, double loss) {
  const double norm = std::sqrt(sumOfSquares(gradient_));
  if (!std::isfinite(loss) || !std::isfinite(norm))
    failNotFinite(step, loss);
  return norm;
}

void Stepper::optimize(int64_t step, int64_t steps) {
  // Results may be planned buffers or the inputs themselves: all are computed and looked at before anything is written.
  std::vector<std::pair<at::Tensor, at::Tensor>> moves; // from, to
  for (const Range &range : ranges_) {
    const auto part = [&](const at::Tensor &flat) { return flat.narrow(0, range.begin, range.size); };
    std::map<std::string, at::Tensor> tensors = {
        {"p", part(session_.parameters.flat)}, {"g", part(gradient_)}, {"t", scalar(step + 1)}, {"step", scalar(step)}, {"steps", scalar(steps)}};
    for (const auto &[name, state] : states_)
      tensors["state." + name] = part(state);
    const Results results = session_.executor->runInPlace("optimizer." + std::to_string(range.group), Batch{}, tensors, {session_.options.seed, step, 0});
    for (const auto &[name, value] : results) {
      moves.emplace_back(part(next_.at(name)), tensors.at(name));
      moves.back().first.copy_(value.reshape({range.size}));
      if (!std::isfinite(sumOfSquares(moves.back().first)))
        throw RuntimeError("R0201", "step " + std::to_string(step + 1) + " would make " + (name == "p" ? "parameters" : "the optimizer's " + name) + " not finite", kDivergedHelp);
    }
  }
  for (const auto &[from, to] : moves)
    to.copy_(from);
}

void Stepper::failNotFinite(int64_t step, double loss) {
  std::string where = "the loss is " + (std::isnan(loss) ? "nan" : std::to_string(loss));
  for (const Trainable &trainable : trainables_)
    if (std::isfinite(loss) && !std::isfinite(sumOfSquares(gradientOf(trainable)))) {
      where = "the gradient of `" + trainable.name + "` is not finite";
      break;
    }
  throw RuntimeError("R0201", where + " at step " + std::to_string(step + 1), kDivergedHelp);
}

} // namespace peftrt
