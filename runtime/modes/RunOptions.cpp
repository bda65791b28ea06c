// RunOptions: see RunOptions.h.
#include "runtime/modes/RunOptions.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <algorithm>
#include <cmath>

namespace peftrt {
namespace {

using nlohmann::json;

/// Options that the user may give by name; their order is that of --help.
const std::vector<std::string> kShortForms = {"epochs", "batch", "tokens-per-batch", "max-length", "accumulate", "seed", "clip", "eval-every", "save-every", "patience"};
/// Options that only the compiler can act on.
const std::vector<std::string> kCompiledIn = {"precision", "recompute", "memory", "layout", "attention", "branches", "sums", "chunk_rows", "base_dropout"};

/// No count of a run is larger; products of two of them fit.
constexpr int64_t kMost = 1'000'000'000;

std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

int64_t integerOf(const json &run, const std::string &name, int64_t fallback, int64_t least, int64_t most = kMost) {
  if (!run.contains(name) || run[name].is_null())
    return fallback;
  const json &value = run[name];
  const bool whole = value.is_number_integer() || (value.is_number() && value.get<double>() == std::floor(value.get<double>()) && std::fabs(value.get<double>()) < 9e15);
  if (!whole || (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(most)) || value.get<int64_t>() < least || value.get<int64_t>() > most)
    throw RuntimeError("R0150", "run." + name + " is " + value.dump().substr(0, 40) + ", an integer from " + std::to_string(least) + " to " + std::to_string(most) + " is needed", "");
  return value.get<int64_t>();
}

double numberOf(const json &run, const std::string &name) {
  if (!run.contains(name) || run[name].is_null())
    return 0;
  if (!run[name].is_number() || !(run[name].get<double>() >= 0))
    throw RuntimeError("R0150", "run." + name + " is " + run[name].dump().substr(0, 40) + ", a number of at least 0 is needed", "");
  return run[name].get<double>();
}

void apply(json &run, const std::string &name, const std::string &text) {
  if (std::find(kCompiledIn.begin(), kCompiledIn.end(), name) != kCompiledIn.end())
    throw RuntimeError("R0150", "run." + name + " is compiled into the trainer", "change it in the spec and compile again");
  const std::vector<std::string> known = {"epochs", "batch", "tokens_per_batch", "max_length", "accumulate", "seed", "clip", "eval_every", "save_every", "patience", "shuffle", "best"};
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const std::string close = nearest(name, known);
    throw RuntimeError("R0150", "there is no run option `" + name + "`", close.empty() ? "only run options can be set; the rest is compiled in" : "did you mean run." + close + "?");
  }
  const json value = parseJson(text);
  run[name] = value.is_discarded() || text == "none" ? (text == "none" ? json() : json(text)) : value;
}

} // namespace

std::vector<OptionSpec> overrideOptions() {
  std::vector<OptionSpec> options;
  for (const std::string &name : kShortForms)
    options.push_back({name, "N", "short for --set run." + underscored(name) + "=N"});
  options.push_back({"set", "NAME=VALUE", "override a run option: run.shuffle=false, run.best=accuracy:max, …", true});
  return options;
}

std::map<std::string, std::string> overridesOf(const Arguments &arguments) {
  std::map<std::string, std::string> overrides;
  for (const std::string &assignment : arguments.all("set")) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos)
      throw UsageError{"--set needs NAME=VALUE, got `" + assignment + "`", "--set run.epochs=1"};
    const std::string name = assignment.substr(0, equals);
    if (name.rfind("run.", 0) != 0)
      throw RuntimeError("R0150", "`" + name + "` is compiled into the trainer; only run.… can be set here", "compile again: peftc SPEC --set " + assignment);
    if (!overrides.emplace(name.substr(4), assignment.substr(equals + 1)).second)
      throw UsageError{name + " is given twice", ""};
  }
  for (const std::string &name : kShortForms)
    if (arguments.has(name) && !overrides.emplace(underscored(name), arguments.get(name)).second)
      throw UsageError{"run." + underscored(name) + " is given twice", ""};
  return overrides;
}

RunOptions runOptionsOf(const json &manifest, const std::map<std::string, std::string> &overrides) {
  json run = manifest.value("run", json::object());
  for (const auto &[name, text] : overrides)
    apply(run, name, text);
  RunOptions options;
  options.epochs = integerOf(run, "epochs", 1, 1);
  options.batch = integerOf(run, "batch", 32, 1);
  options.tokensPerBatch = integerOf(run, "tokens_per_batch", 0, 1);
  if (overrides.count("batch") && !overrides.count("tokens_per_batch"))
    options.tokensPerBatch = 0;
  const int64_t positions = integerOf(manifest.at("model"), "max_positions", 0, 0);
  options.maxLength = integerOf(run, "max_length", positions, 1);
  if (positions > 0 && options.maxLength > positions)
    throw RuntimeError("R0150", "run.max_length is " + std::to_string(options.maxLength) + ", the model has " + std::to_string(positions) + " positions", "");
  options.accumulate = integerOf(run, "accumulate", 1, 1);
  options.seed = static_cast<uint64_t>(integerOf(run, "seed", 0, 0, INT64_MAX));
  options.clip = numberOf(run, "clip");
  options.evalEvery = integerOf(run, "eval_every", 0, 1);
  options.saveEvery = integerOf(run, "save_every", 0, 1);
  options.patience = integerOf(run, "patience", 0, 1);
  if (run.contains("shuffle")) {
    if (!run["shuffle"].is_boolean())
      throw RuntimeError("R0150", "run.shuffle is " + run["shuffle"].dump().substr(0, 40) + ", true or false is needed", "");
    options.shuffle = run["shuffle"];
  }
  if (run.contains("best") && !run["best"].is_null()) {
    const std::string best = run["best"].is_string() ? run["best"].get<std::string>() : run["best"].dump();
    const std::string metric = best.substr(0, best.find(':')), direction = best.find(':') == std::string::npos ? "" : best.substr(best.find(':') + 1);
    bool known = metric == "loss";
    for (const json &name : manifest.value("metrics", json::array()))
      known = known || name == metric;
    if (!known || (direction != "min" && direction != "max"))
      throw RuntimeError("R0150", "run.best is `" + best + "`; METRIC:min or METRIC:max is needed", "the metrics are loss and " + manifest.value("metrics", json::array()).dump());
    options.best = best;
  }
  return options;
}

json RunOptions::toJson() const {
  return {{"epochs", epochs}, {"batch", batch}, {"tokens_per_batch", tokensPerBatch ? json(tokensPerBatch) : json()}, {"max_length", maxLength ? json(maxLength) : json()}, {"accumulate", accumulate},
          {"seed", seed}, {"clip", clip}, {"eval_every", evalEvery ? json(evalEvery) : json()}, {"save_every", saveEvery ? json(saveEvery) : json()},
          {"patience", patience ? json(patience) : json()}, {"shuffle", shuffle}, {"best", best}};
}

} // namespace peftrt
