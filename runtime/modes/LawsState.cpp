// LawsState: what is kept, what moves, and that stopping leaves no trace.
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Laws.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Step.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace peftrt::laws {
namespace {

using nlohmann::json;

constexpr int64_t kRows = 7; ///< batches of 2, 2, 2 and 1

bool same(const at::Tensor &left, const at::Tensor &right) { return left.sizes() == right.sizes() && at::equal(left, right); }

Verdict fail(const std::string &why) { return {Verdict::Word::Fail, why}; }

std::string writeAdapter(const Subject &subject) {
  const std::string path = subject.scratch + "/adapter.safetensors";
  writeSafetensors(path, subject.session->saved(), subject.session->adapterMetadata());
  return path;
}

/// A trainer that has read what the subject wrote. Its own seed is another one: nothing may come from that.
std::unique_ptr<Session> reopen(const Subject &subject) {
  SessionOptions options = subject.options;
  options.adapter = writeAdapter(subject);
  options.overrides["seed"] = std::to_string(subject.seed + 1);
  return openLoadedSession(subject.bundle, options);
}

/// `train` speaks to a person; while a law runs it, its words go nowhere.
class Silence {
public:
  Silence() : kept_(::dup(2)) {
    std::fflush(stderr);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, 2);
    ::close(nowhere);
  }
  ~Silence() {
    std::fflush(stderr);
    ::dup2(kept_, 2);
    ::close(kept_);
  }

private:
  int kept_;
};

void train(const Subject &subject, const std::string &run, std::vector<std::string> words) {
  words.insert(words.end(), {"--out", run, "--set", "run.batch=2", "--set", "run.tokens_per_batch=null", "--set", "run.accumulate=1"});
  for (const auto &[name, value] : subject.options.overrides)
    words.insert(words.end(), {"--set", "run." + name + "=" + value});
  if (!subject.options.model.empty())
    words.insert(words.end(), {"--model", subject.options.model});
  const Mode mode = trainMode();
  const Silence silence;
  if (mode.run(subject.bundle, Arguments::parse(mode.spec, words), subject.surroundings) != 0)
    throw RuntimeError("R0900", "internal: training into `" + run + "` failed", "");
}

std::string textOf(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// By name: the loss's, or what methods make of them.
std::map<std::string, at::Tensor> optimizersGradients(const Subject &subject, Executor &executor) {
  std::map<std::string, at::Tensor> gradients;
  for (const auto &[name, value] : subject.run(executor, "train_step"))
    if (name.rfind("grad.", 0) == 0)
      gradients[name] = value.to(at::kFloat).reshape(subject.session->parameters.get(name.substr(5)).sizes());
  if (!programNamed(subject.bundle, "on_grad"))
    return gradients;
  std::map<std::string, at::Tensor> tensors = gradients;
  tensors["step"] = at::zeros({}, at::kFloat);
  tensors["steps"] = at::full({}, 10.0, at::kFloat);
  for (const auto &[name, value] : subject.run(executor, "on_grad", tensors))
    gradients[name] = value;
  return gradients;
}

std::string firstDifference(const std::map<std::string, at::Tensor> &left, const std::map<std::string, at::Tensor> &right) {
  for (const auto &[name, value] : left)
    if (!right.count(name) || !same(value, right.at(name)))
      return name;
  return left.size() == right.size() ? "" : "their number";
}

} // namespace

Verdict savedIsLoaded(Subject &subject) {
  const auto other = reopen(subject);
  for (const json &parameter : subject.session->manifest().at("parameters")) {
    const std::string name = parameter.at("name");
    if (!same(subject.session->parameters.get(name), other->parameters.get(name)))
      return fail("`" + name + "` differs after saving and loading");
  }
  const Results before = subject.run(*subject.session->executor, "predict"), after = subject.run(*other->executor, "predict");
  for (const char *name : kSaid)
    if (before.count(name) && !same(before.at(name), after.at(name)))
      return fail("the " + std::string(name) + " of rows differ after saving and loading");
  return {Verdict::Word::Pass, std::to_string(subject.session->saved().size()) + " tensors and what is predicted, bit for bit"};
}

Verdict stepMovesDeclared(Subject &subject) {
  const auto session = reopen(subject);
  std::map<std::string, at::Tensor> before;
  for (const json &parameter : session->manifest().at("parameters"))
    before[parameter.at("name")] = session->parameters.get(parameter.at("name")).clone();
  std::vector<bool> taken(static_cast<size_t>(session->parameters.flat.numel()), false);
  for (const std::string &name : subject.trainables())
    for (int64_t offset = subject.parameter(name).at("offset"), end = offset + before.at(name).numel(); offset < end; ++offset) {
      if (offset >= static_cast<int64_t>(taken.size()) || taken[static_cast<size_t>(offset)])
        return fail("`" + name + "` shares its place in the flat buffer, or lies beyond it");
      taken[static_cast<size_t>(offset)] = true;
    }
  const std::map<std::string, at::Tensor> gradients = optimizersGradients(subject, *session->executor);
  const auto isPulled = [&](const std::string &name) {
    const auto found = gradients.find("grad." + name);
    return found != gradients.end() && found->second.numel() > 0 && found->second.abs().max().item<double>() > 0;
  };
  Stepper stepper(*session);
  stepper.start({subject.batch}, 0, 10);
  if (const auto failure = stepper.finish().failure)
    throw *failure;
  size_t moved = 0, still = 0;
  for (const auto &[name, value] : before) {
    const bool trainable = subject.parameter(name).value("trainable", false), changed = !same(value, session->parameters.get(name));
    if (changed && !trainable)
      return fail("`" + name + "` is not trained and moved");
    if (!changed && isPulled(name))
      return fail("`" + name + "` is trained and did not move");
    ++(changed ? moved : still);
  }
  return {Verdict::Word::Pass, std::to_string(moved) + " parameters moved, " + std::to_string(still) + " stayed"};
}

Verdict resumedIsWhole(Subject &subject) {
  const std::string rows = writeRows(subject, kRows), adapter = writeAdapter(subject), whole = subject.scratch + "/whole", parts = subject.scratch + "/parts";
  train(subject, whole, {"--data", rows, "--valid", rows, "--init", adapter, "--epochs", "2"});
  train(subject, parts, {"--data", rows, "--valid", rows, "--init", adapter, "--epochs", "2", "--limit-steps", "3"}); // within an epoch
  std::ofstream(parts + "/metrics.jsonl", std::ios::app) << "{\"step\": 4, \"lo";                                      // as a kill leaves it
  train(subject, parts, {"--resume", "--epochs", "2", "--limit-steps", "4"});                                           // at an epoch's end
  train(subject, parts, {"--resume", "--epochs", "2"});
  const LastCheckpoint one = RunFolder(whole).readLast(), other = RunFolder(parts).readLast();
  if (one.progress.step != other.progress.step || one.progress.step != 8)
    return fail("the whole run took " + std::to_string(one.progress.step) + " steps, the stopped one " + std::to_string(other.progress.step) + ", 8 were due");
  if (const std::string name = firstDifference(one.parameters, other.parameters); !name.empty())
    return fail("`" + name + "` differs after stopping and resuming");
  if (const std::string name = firstDifference(one.states, other.states); !name.empty())
    return fail("the optimizer's `" + name + "` differs after stopping and resuming");
  if (textOf(whole + "/metrics.jsonl") != textOf(parts + "/metrics.jsonl"))
    return fail("the losses differ after stopping and resuming");
  return {Verdict::Word::Pass, "8 steps, stopped twice, once as if killed, bit for bit"};
}

} // namespace peftrt::laws
