// CompileCommand: peftc SPEC --model DIR -o OUT
#include "compiler/driver/Compile.h"
#include "compiler/tools/peftc/Commands.h"
#include "runtime/bundle/Writer.h"
#include <cstdio>
#include <filesystem>
#include <map>

namespace fs = std::filesystem;
using nlohmann::json;

namespace peftc::tool {
namespace {

const std::map<std::string, Stop> kStops = {{"ast", Stop::Parse}, {"spec", Stop::Check}, {"peft", Stop::Import}, {"sites", Stop::Sites}, {"nn", Stop::Nn}, {"plan", Stop::Plan}};

std::vector<OptionSpec> options() {
  return {{"--model", "-m"}, {"--output", "-o"}, {"--set", ""}, {"--emit", "", true, {"ast", "spec", "peft", "sites", "nn", "plan"}},
          {"--bundle", ""}, diagFormatOption(), {"--explain", "", true, {"merge", "memory", "params"}}, {"--timing", "", false},
          {"--stdlib", ""}, {"--runner", ""}};
}

std::optional<UsageError> complain(const CommandLine &line) {
  bool emits = line.has("--emit");
  if (line.operands().empty())
    return UsageError{"which program? no .peft file is named", "peftc SPEC.peft --model DIR -o OUT"};
  if (line.operands().size() > 1)
    return UsageError{"one program at a time: `" + line.operands()[0] + "` and `" + line.operands()[1] + "`", ""};
  Stop stop = emits ? kStops.at(line.get("--emit")) : Stop::Bundle;
  if (stop > Stop::Check && !line.has("--model"))
    return UsageError{"for which checkpoint? `--model DIR` is missing", "DIR holds config.json and model.safetensors"};
  if (!emits && !line.has("--output") && !line.has("--bundle") && !line.has("--explain"))
    return UsageError{"where should the trainer go? `-o FILE` is missing", "or `--bundle DIR` for a folder to read, `--emit=nn` for a text"};
  return std::nullopt;
}

void explainMerge(const json &manifest) {
  std::printf("merge: %s\n", manifest["merge"]["possible"].get<bool>() ? "every site merges" : "not every site merges");
  for (const json &site : manifest["merge"]["sites"]) {
    std::string reason = site["reason"];
    std::printf("  %-40s %s\n", site["site"].get<std::string>().c_str(), reason.empty() ? "merges" : reason.c_str());
  }
}

void explainParams(const json &manifest) {
  double base = std::max<int64_t>(1, manifest["counts"]["base"].get<int64_t>());
  auto row = [&](const std::string &name, int64_t count) { std::printf("%-40s %12lld  %8.4f%%\n", name.c_str(), static_cast<long long>(count), 100 * count / base); };
  row("base model", manifest["counts"]["base"]);
  row("trainable", manifest["counts"]["trainable"]);
  row("  head", manifest["counts"]["head"]);
  for (const json &attach : manifest["attaches"])
    row("  " + attach["text"].get<std::string>() + " (" + std::to_string(attach["sites"].size()) + " sites)", attach["params"]);
}

void explain(const Outcome &outcome, const CommandLine &line) {
  for (const std::string &what : line.all("--explain")) {
    if (what == "merge")
      explainMerge(outcome.bundle->manifest);
    else if (what == "params")
      explainParams(outcome.bundle->manifest);
    else
      std::fputs(outcome.memory.c_str(), stdout);
  }
}

int write(const Outcome &outcome, const CommandLine &line, const Surroundings &surroundings) {
  try {
    if (line.has("--bundle"))
      peftrt::writeDirectory(*outcome.bundle, line.get("--bundle"));
    if (!line.has("--output"))
      return 0;
    std::string runner = runnerPath(line, surroundings);
    if (!fs::exists(runner))
      return failed("there is no runner at `" + runner + "`", "`--runner FILE` or PEFT_RUNNER names the peft-runner that a trainer starts with");
    if (fs::is_directory(line.get("--output")))
      return failed("`" + line.get("--output") + "` is a folder", "`-o` names the trainer file");
    peftrt::writeTrainer(*outcome.bundle, runner, line.get("--output"));
  } catch (const std::exception &error) {
    return failed(error.what());
  }
  return 0;
}

} // namespace

int compileCommand(const std::vector<std::string> &words, const Surroundings &surroundings) {
  CommandLine line;
  Request request;
  auto wrong = line.parse(words, options());
  if (!wrong)
    wrong = complain(line);
  if (!wrong)
    wrong = overridesFrom(line, request.overrides);
  if (wrong)
    return usage(*wrong);
  request.specPath = line.operands()[0];
  request.modelPath = line.get("--model");
  request.stopAfter = line.has("--emit") ? kStops.at(line.get("--emit")) : Stop::Bundle;
  request.explainMemory = line.has("--explain");
  if (!fs::exists(request.specPath))
    return failed("there is no file `" + request.specPath + "`");
  if (!libraryFrom(line.get("--stdlib"), request.stdlib))
    return failed("cannot read the standard library in `" + line.get("--stdlib") + "`");

  SourceMap sources;
  diag::Engine diags(sources);
  Outcome outcome = compile(request, sources, diags);
  int code = show(diags, line.get("--diag-format", "text"));
  if (line.has("--timing"))
    std::fputs(outcome.timing.c_str(), stderr);
  if (!outcome.internalError.empty())
    return failed("internal error: " + outcome.internalError, "this is a bug of peftc; please report it with the reproducer");
  if (code != 0)
    return code;
  std::fputs(outcome.text.c_str(), stdout);
  if (!outcome.bundle)
    return 0;
  explain(outcome, line);
  return write(outcome, line, surroundings);
}

} // namespace peftc::tool
