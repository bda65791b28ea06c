// Laws: see Laws.h; the mode `laws` runs them all and prints a line each.
#include "runtime/modes/Laws.h"
#include "runtime/modes/Modes.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Reader.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace peftrt {
namespace laws {
namespace {

/// In the order in which a failure explains the later ones.
const std::vector<Law> &all() {
  static const std::vector<Law> laws = {
      {"at_init", "what is attached leaves the logits as they were, unless it declares a change", startsAsBase},
      {"gradient", "the derived gradient is the slope of the loss", gradientIsSlope},
      {"plan", "the plan gives what the reference gives", planIsReference},
      {"merge", "merged weights give what the attached ones give", mergedIsUnmerged},
      {"decode", "a text that is written on beside a cache is the text as a whole", keptIsComputed},
      {"save", "what is saved is what is loaded", savedIsLoaded},
      {"step", "a step moves what is trained and nothing else", stepMovesDeclared},
      {"resume", "a run that was stopped and resumed is the run that was not", resumedIsWhole}};
  return laws;
}

std::string shortNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

/// A folder that goes with the object.
class Scratch {
public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "peftc-laws-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      throw RuntimeError("R0117", "cannot make a folder in `" + std::filesystem::temp_directory_path().string() + "`", "");
    path_ = pattern;
  }
  Scratch(const Scratch &) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

Verdict verdictOf(const Law &law, Subject &subject) {
  try {
    return law.check(subject);
  } catch (const RuntimeError &error) {
    return {Verdict::Word::Fail, "error[" + error.code + "]: " + error.message};
  }
}

/// Checks one trainer and prints a line a law; whether none is broken.
bool holds(Bundle bundle, int64_t place, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string only = arguments.get("only");
  const Scratch scratch;
  Subject subject = makeSubject(std::move(bundle), sessionOptionsOf(arguments, surroundings), surroundings, static_cast<uint64_t>(arguments.integer("seed", 1, 0)), scratch.path());
  bool broken = false;
  for (const Law &law : all()) {
    if (!only.empty() && law.name != only)
      continue;
    const Verdict verdict = verdictOf(law, subject);
    const char *word = verdict.word == Verdict::Word::Pass ? "pass" : verdict.word == Verdict::Word::Fail ? "FAIL" : "none";
    broken = broken || verdict.word == Verdict::Word::Fail;
    if (arguments.has("json"))
      std::printf("%s\n", nlohmann::json({{"bundle", place}, {"law", law.name}, {"verdict", word}, {"says", law.says}, {"detail", verdict.detail}}).dump().c_str());
    else
      std::printf("%s  %-9s %s\n", word, law.name.c_str(), verdict.detail.c_str());
    std::fflush(stdout);
  }
  return !broken;
}

int run(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string only = arguments.get("only");
  std::vector<std::string> names;
  for (const Law &law : all())
    names.push_back(law.name);
  if (!only.empty() && std::find(names.begin(), names.end(), only) == names.end()) {
    const std::string close = nearest(only, names);
    throw UsageError{"there is no law `" + only + "`", close.empty() ? "" : "did you mean " + close + "?"};
  }
  if (!arguments.has("threads"))
    at::set_num_threads(1); // the tensors are tiny: threads would only wait for each other
  bool hold = holds(std::move(bundle), 0, arguments, surroundings);
  const std::vector<std::string> &others = arguments.all("also"); // in one process: loading LibTorch takes longer than most laws
  for (size_t other = 0; other < others.size(); ++other)
    hold = holds(readBundle(others[other]), static_cast<int64_t>(other) + 1, arguments, surroundings) && hold;
  return hold ? 0 : 1;
}

} // namespace

void Comparison::add(const std::string &where, const at::Tensor &found, const at::Tensor &expected, double least) {
  if (found.sizes() != expected.sizes())
    return fail("`" + where + "` has another shape");
  if (expected.numel() == 0)
    return;
  const double scale = std::max(expected.abs().max().item<double>(), least);
  const double difference = (found - expected).abs().max().item<double>();
  note(where, difference == 0 ? 0 : difference / scale);
}

void Comparison::fail(const std::string &why) {
  if (failure_.empty())
    failure_ = why;
}

void Comparison::note(const std::string &where, double difference) {
  if (where_.empty() || !(difference <= largest_)) {
    largest_ = difference;
    where_ = where;
  }
}

Verdict Comparison::verdict(const std::string &compared) const {
  if (!failure_.empty())
    return {Verdict::Word::Fail, failure_};
  if (where_.empty())
    return {Verdict::Word::None, "there is nothing to compare"};
  const bool holds = largest_ <= tolerance_; // not a number: does not hold
  return {holds ? Verdict::Word::Pass : Verdict::Word::Fail,
          "largest difference " + shortNumber(largest_) + (holds ? "" : ", more than " + shortNumber(tolerance_)) + ", at `" + where_ + "`, " + compared};
}

} // namespace laws

Mode lawsMode() {
  ModeSpec spec{"laws", "check what holds for every method, on random parameters and rows; needs no data", "", {
      {"seed", "N", "of the random parameters and rows (default 1)"},
      {"only", "LAW", "this law alone"},
      {"also", "FILE_OR_FOLDER", "the bundle of another trainer, to be checked next", true},
      {"json", "", "one JSON object a law"}}};
  for (const auto &option : sessionOptions())
    if (option.name != "reference")
      spec.options.push_back(option);
  return {spec, laws::run};
}

} // namespace peftrt
