// LawsNumbers: two ways to the same numbers: attached and plain at the start, plan and reference, merged and unmerged.
#include "runtime/generation/Continuation.h"
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Laws.h"
#include "runtime/modes/Merged.h"
#include "runtime/plan/Shapes.h"
#include <ATen/ATen.h>
#include <cmath>

namespace peftrt::laws {
namespace {

using nlohmann::json;

constexpr double kStartTolerance = 1e-5; ///< initial values are kept in fp32
constexpr double kExactTolerance = 1e-9; ///< two orders of the same fp64 sums
constexpr double kPlanTolerance = 1e-4;  ///< fp32 against fp64 through a whole network and back
constexpr double kGradientFloor = 3e-3;  ///< of the largest gradient: below it a gradient is a sum that cancels, and what is left of it a few roundings of the largest
constexpr double kMetricFloor = 1e-3;    ///< below it a metric is a difference that cancels
constexpr uint32_t kStream = 5u << 16;

/// The first program that both run at the same numbers.
void compare(Subject &subject, Executor &plan, Executor &reference, const std::string &program, Comparison &comparison,
             const std::map<std::string, at::Tensor> &tensors = {}) {
  const Results expected = subject.run(reference, program, tensors), found = subject.run(plan, program, tensors);
  double largest = 0;
  for (const auto &[name, value] : expected)
    if (name.rfind("grad.", 0) == 0 && value.numel() > 0)
      largest = std::max(largest, value.abs().max().item<double>());
  for (const auto &[name, value] : expected) {
    const auto other = found.find(name);
    if (other == found.end())
      comparison.fail("`" + program + "` has no `" + name + "`");
    else
      comparison.add(program + " " + name, other->second.reshape(value.sizes()), value, name.rfind("grad.", 0) == 0 ? kGradientFloor * largest : 0);
  }
}

/// Two steps of an optimizer program: the second one starts from states that a step has made.
void compareOptimizer(Subject &subject, Executor &plan, Executor &reference, const std::string &program, Comparison &comparison) {
  const int64_t size = 37;
  const auto scalar = [](double value) { return at::full({}, value, at::kFloat); };
  std::map<std::string, at::Tensor> tensors = {{"p", normalNumbers(subject.seed, kStream, {size}).to(at::kFloat)}, {"steps", scalar(10)}};
  for (const json &state : subject.session->manifest().at("optimizer").at("states"))
    tensors["state." + state.get<std::string>()] = at::zeros({size}, at::kFloat);
  for (int step = 0; step < 2; ++step) {
    tensors["g"] = normalNumbers(subject.seed, kStream + 1 + static_cast<uint32_t>(step), {size}).to(at::kFloat);
    tensors["t"] = scalar(step + 1);
    tensors["step"] = scalar(step);
    compare(subject, plan, reference, program, comparison, tensors);
    for (const auto &[name, value] : subject.run(reference, program, tensors))
      tensors[name] = value.to(at::kFloat).reshape({size});
  }
}

/// What methods make of gradients, of any: numbers that belong to no row will do.
void compareReplaced(Subject &subject, Executor &plan, Executor &reference, const std::string &program, Comparison &comparison) {
  std::map<std::string, at::Tensor> tensors = {{"step", at::full({}, 3.0, at::kFloat)}, {"steps", at::full({}, 10.0, at::kFloat)}};
  uint32_t stream = kStream;
  for (const std::string &name : subject.trainables())
    tensors["grad." + name] = normalNumbers(subject.seed, ++stream, subject.session->parameters.get(name).sizes()).to(at::kFloat);
  compare(subject, plan, reference, program, comparison, tensors);
}

/// A metric that is made of all rows, from those of the batch.
void compareMetric(Subject &subject, Executor &plan, Executor &reference, const std::string &program, Comparison &comparison) {
  std::map<std::string, at::Tensor> totals, rows;
  for (const auto &[name, value] : subject.run(reference, "eval"))
    if (name.rfind("total." + program.substr(7) + ".", 0) == 0)
      totals[name] = value.sum().to(at::kFloat);
    else if (name.rfind("rows." + program.substr(7) + ".", 0) == 0)
      rows[name] = value.to(at::kFloat);
  const Program metric = *programNamed(subject.bundle, program);
  const double expected = metricOfAll(metric, reference, totals, rows, subject.random), found = metricOfAll(metric, plan, totals, rows, subject.random);
  comparison.add(program, at::tensor(found, at::kDouble), at::tensor(expected, at::kDouble), kMetricFloor);
}

/// The way back from the tensors of other software's files gives the parameters that they are made of; `P in key` is P once more.
void compareImport(Subject &subject, Executor &plan, Executor &reference, const ParameterStore &store, Comparison &comparison) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[key, value] : subject.run(reference, "export"))
    tensors[key] = value.to(at::kFloat);
  compare(subject, plan, reference, "import", comparison, tensors);
  for (const auto &[name, value] : subject.run(reference, "import", tensors))
    comparison.add("import " + name, value.to(at::kDouble), store.get(name.substr(0, name.find(" in "))).to(at::kDouble).reshape(value.sizes()), 0);
}

/// What a program that writes on reads beside a batch's rows: any numbers will do.
void addKept(Subject &subject, const Program &program) {
  for (const NamedValue &input : program.inputs)
    if (const Value &value = program.values[static_cast<size_t>(input.value)]; value.perExample && isKept(input.name))
      subject.batch.columns[input.name] = normalNumbers(subject.seed, kStream, {elementsOf(value, sizeOf(program, subject.batch, {}))}).to(at::kFloat);
}

} // namespace

Verdict startsAsBase(Subject &subject) {
  for (const json &attach : subject.session->manifest().value("attaches", json::array()))
    if (attach.contains("changes_at_init") && attach.at("changes_at_init").is_string())
      return {Verdict::Word::None, "`" + attach.at("name").get<std::string>() + "` changes: " + attach.at("changes_at_init").get<std::string>()};
  const ParameterStore store = subject.exact(/*atStart=*/true);
  const auto reference = makeReferenceExecutor(subject.bundle, store, at::kDouble);
  Comparison comparison(kStartTolerance);
  const Results attached = subject.run(*reference, "predict"), base = subject.run(*reference, kBasePredict);
  for (const char *name : kSaid)
    if (attached.count(name))
      comparison.add(name, attached.at(name), base.at(name));
  return comparison.verdict("between the logits with and without the attaches");
}

Verdict planIsReference(Subject &subject) {
  const ParameterStore store = subject.exact();
  const auto reference = makeReferenceExecutor(subject.bundle, store, at::kDouble);
  Comparison comparison(kPlanTolerance);
  size_t programs = 0;
  for (const Program &program : programsOf(subject.bundle.programs.value())) {
    const std::string &name = program.name;
    addKept(subject, program);
    ++programs;
    if (name.rfind("optimizer.", 0) == 0)
      compareOptimizer(subject, *subject.session->executor, *reference, name, comparison);
    else if (name == "on_grad")
      compareReplaced(subject, *subject.session->executor, *reference, name, comparison);
    else if (name == "import")
      compareImport(subject, *subject.session->executor, *reference, store, comparison);
    else if (name.rfind("metric.", 0) == 0)
      compareMetric(subject, *subject.session->executor, *reference, name, comparison);
    else
      compare(subject, *subject.session->executor, *reference, name, comparison);
  }
  return comparison.verdict("over the results of " + std::to_string(programs) + " programs");
}

Verdict mergedIsUnmerged(Subject &subject) {
  if (const std::string why = whyNotMergeable(subject.session->manifest()); !why.empty())
    return {Verdict::Word::None, why};
  ParameterStore store = subject.exact();
  const auto reference = makeReferenceExecutor(subject.bundle, store, at::kDouble);
  const Results unmerged = subject.run(*reference, "predict");
  for (const auto &[name, value] : subject.run(*reference, "merge"))
    store.set(name, value.reshape(store.get(name).sizes()));
  Comparison exact(kExactTolerance);
  const Results inFp64 = subject.run(*reference, kBasePredict);
  for (const char *name : kSaid)
    if (unmerged.count(name))
      exact.add(std::string(name) + " in fp64", inFp64.at(name), unmerged.at(name));
  const Verdict verdict = exact.verdict("between the logits of merged and unmerged weights");
  if (verdict.word != Verdict::Word::Pass)
    return verdict;
  const ParameterStore merged = mergedStore(*subject.session);
  const auto plan = subject.session->makeExecutor(merged);
  Comparison single(kPlanTolerance);
  const Results ofPlan = subject.run(*plan, kBasePredict);
  for (const char *name : kSaid)
    if (unmerged.count(name))
      single.add(std::string(name) + " of the plan", ofPlan.at(name), unmerged.at(name));
  const Verdict planned = single.verdict("between the plan's merged logits and the exact unmerged ones");
  return planned.word == Verdict::Word::Pass ? verdict : planned;
}

} // namespace peftrt::laws
