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
constexpr int64_t kLoss = 1, kGradient = 2, kReplaced = 3, kNext = 4; ///< what was not finite; from kNext on, what a step makes, by name

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

at::Tensor number(double value) { return at::full({}, value, at::kDouble); }
at::Tensor scalar(int64_t value) { return at::full({}, static_cast<double>(value), at::kFloat); }

/// In one order, whatever the number of threads; on another device in LibTorch's.
at::Tensor sumOfSquares(const at::Tensor &values) {
  constexpr int64_t kBlock = 1 << 15;
  if (!values.is_cpu())
    return at::linalg_vector_norm(values, 2, {}, false, at::kDouble).square();
  const float *data = values.data_ptr<float>();
  std::vector<double> sums((values.numel() + kBlock - 1) / kBlock);
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 2, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      sums[block] = sumOfSquares(data + block * kBlock, std::min(kBlock, values.numel() - block * kBlock));
  });
  return number(std::accumulate(sums.begin(), sums.end(), 0.0));
}

/// As sumOfSquares.
at::Tensor sumOf(const at::Tensor &values) {
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  if (!wide.is_cpu())
    return wide.sum();
  double sum = 0;
  for (int64_t index = 0; index < wide.numel(); ++index)
    sum += wide.data_ptr<double>()[index];
  return number(sum);
}

} // namespace

Stepper::Stepper(Session &session) : session_(session), replaces_(programNamed(session.bundle, "on_grad").has_value()), waits_(session.device().isThreads()), gradient_(zeros()),
      failed_(session.device().empty({}, at::kLong).zero_()) {
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

void Stepper::start(const std::vector<Batch> &microBatches, int64_t step, int64_t steps) {
  Asked asked{step, 0, 0, {}};
  at::Tensor loss, targets;
  const auto add = [](at::Tensor &sum, const at::Tensor &part) { sum = sum.defined() ? sum + part : part; };
  gradient_.zero_();
  for (size_t pass = 0; pass < microBatches.size(); ++pass) {
    const Batch &batch = microBatches[pass];
    const Results results = session_.executor->runInPlace("train_step", batch, {}, {session_.options.seed, step, static_cast<int64_t>(pass)});
    add(loss, sumOf(results.at("loss")));
    const auto count = results.find("count");
    add(targets, count == results.end() ? number(static_cast<double>(batch.examples())) : sumOf(count->second));
    accumulate(results);
    asked.examples += batch.examples();
    asked.tokens += batch.tokens();
  }
  loss = loss / targets;
  gradient_.div_(targets.to(at::kFloat));
  require(loss.isfinite(), kLoss);
  at::Tensor length = norm();
  require(length.isfinite(), kGradient);
  if (replaces_ && !isKnownToFail()) {
    replaceGradients(step, steps);
    length = norm();
    require(length.isfinite(), kReplaced);
  }
  if (!isKnownToFail()) {
    clip(length);
    optimize(step, steps);
  }
  asked.numbers = at::stack({loss, length, failed_.to(at::kDouble)});
  asked_.push_back(std::move(asked));
}

StepResults Stepper::finish() {
  StepResults results;
  if (asked_.empty())
    return results;
  std::vector<at::Tensor> rows;
  for (const Asked &asked : asked_)
    rows.push_back(asked.numbers);
  const at::Tensor numbers = session_.device().onHost(at::stack(rows));
  const double *next = numbers.data_ptr<double>();
  for (size_t index = 0; index < asked_.size() && !results.failure; ++index, next += 3) {
    const Asked &asked = asked_[index];
    if (const auto what = static_cast<int64_t>(next[2]))
      results.failure = failureOf(asked, next[0], what);
    else
      results.done.push_back({next[0], next[1], asked.examples, asked.tokens});
  }
  asked_.clear();
  return results;
}

/// What fails first is remembered; nothing of it, and of what is behind it, is written.
void Stepper::require(const at::Tensor &finite, int64_t what) { failed_ = at::where(failed_.eq(0).logical_and(finite.logical_not()), at::full_like(failed_, what), failed_); }

bool Stepper::isKnownToFail() const { return waits_ && failed_.item<int64_t>() != 0; }

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

at::Tensor Stepper::norm() { return sumOfSquares(gradient_).sqrt(); }

void Stepper::clip(const at::Tensor &norm) {
  const double most = session_.options.clip;
  if (most <= 0 || (waits_ && norm.item<double>() <= most))
    return;
  const at::Tensor share = most / (norm + 1e-6);
  gradient_.mul_(at::where(norm > most, share, at::ones_like(share)).to(at::kFloat));
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
      const auto next = next_.find(name);
      moves.emplace_back(part(next->second), tensors.at(name));
      moves.back().first.copy_(value.reshape({range.size}));
      require(sumOfSquares(moves.back().first).isfinite(), kNext + std::distance(next_.begin(), next));
    }
  }
  if (!isKnownToFail())
    for (const auto &[from, to] : moves)
      move(from, to);
}

void Stepper::move(const at::Tensor &from, const at::Tensor &to) { to.copy_(waits_ ? from : at::where(failed_.eq(0), from, to)); }

RuntimeError Stepper::failureOf(const Asked &asked, double loss, int64_t what) {
  const std::string step = std::to_string(asked.step + 1);
  if (what == kLoss)
    return {"R0201", "the loss is " + (std::isnan(loss) ? "nan" : std::to_string(loss)) + " at step " + step, kDivergedHelp};
  if (what >= kNext) {
    const std::string name = std::next(next_.begin(), what - kNext)->first;
    return {"R0201", "step " + step + " would make " + (name == "p" ? "parameters" : "the optimizer's " + name) + " not finite", kDivergedHelp};
  }
  std::string which = "a gradient";
  for (const Trainable &trainable : trainables_)
    if (&asked == &asked_.back() && !std::isfinite(sumOfSquares(gradientOf(trainable)).item<double>())) { // else the steps behind it have theirs there
      which = "the gradient of `" + trainable.name + "`";
      break;
    }
  return {"R0201", which + " is not finite at step " + step, kDivergedHelp};
}

} // namespace peftrt
