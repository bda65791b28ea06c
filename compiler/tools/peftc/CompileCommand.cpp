// CompileCommand: peftc SPEC --model DIR -o OUT
#include "compiler/driver/Compile.h"
#include "compiler/search/Report.h"
#include "compiler/tools/peftc/Commands.h"
#include "runtime/bundle/Writer.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace fs = std::filesystem;
using nlohmann::json;

namespace peftc::tool {
namespace {

const std::map<std::string, Stop> kStops = {{"ast", Stop::Parse}, {"space", Stop::Check}, {"chosen", Stop::Check}, {"spec", Stop::Check}, {"peft", Stop::Import}, {"sites", Stop::Sites}, {"nn", Stop::Nn}, {"plan", Stop::Plan}, {"kernels", Stop::Kernels}, {"ptx", Stop::Ptx}};

std::vector<OptionSpec> options() {
  return {{"--model", "-m"}, {"--output", "-o"}, {"--set", ""}, {"--choose", ""}, {"--emit", "", true, {"ast", "space", "chosen", "spec", "peft", "sites", "nn", "plan", "kernels", "ptx"}},
          {"--target", ""}, {"--bundle", ""}, diagFormatOption(), {"--explain", "", true, {"kernels", "layout", "merge", "memory", "params"}}, {"--timing", "", false},
          {"--stdlib", ""}, {"--runner", ""}};
}

std::string gpuNames() {
  std::string names;
  for (const target::GpuTarget &gpu : target::gpuTargets())
    names += (names.empty() ? "" : ", ") + gpu.name.str();
  return names;
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
  if (line.has("--target") && emits && stop < Stop::Plan)
    return UsageError{"`--target` says nothing about `--emit=" + line.get("--emit") + "`", "it goes with a trainer, `--emit=plan`, `--emit=kernels` and `--emit=ptx`"};
  if (emits && line.get("--target").find(',') != std::string::npos)
    return UsageError{"`--emit=" + line.get("--emit") + "` prints the code for one target", "several go into a trainer: -o FILE"};
  if (const std::vector<std::string> explained = line.all("--explain"); !line.has("--target") && std::find(explained.begin(), explained.end(), "layout") != explained.end())
    return UsageError{"layouts of which GPU? `--target` is missing", "it is one of " + gpuNames()};
  if (stop == Stop::Ptx && !line.has("--target"))
    return UsageError{"for which GPU? `--target` is missing", "it is one of " + gpuNames()};
  return std::nullopt;
}

/// What the program leaves open, as JSON.
int printSpace(const CommandLine &line, const Request &request) {
  SourceMap sources;
  diag::Engine diags(sources);
  auto spec = readSpace(sources, request.specPath, *request.stdlib, request.overrides, diags, loaderOf(request));
  const int code = show(diags, line.get("--diag-format", "text"));
  if (code == 0)
    std::printf("%s\n", search::spaceJson(spec->space).dump(2).c_str());
  return code;
}

/// The program's text as it was compiled: with its choices made.
std::string programText(const SourceMap &sources, const std::string &path) {
  for (size_t file = 0; file < sources.size(); ++file)
    if (sources.file(static_cast<int32_t>(file)).name() == path)
      return sources.file(static_cast<int32_t>(file)).text();
  return "";
}

/// False, with a message, where one of the names after `--target` is none.
bool targetsFrom(const CommandLine &line, Request &request) {
  llvm::SmallVector<llvm::StringRef> names;
  const std::string text = line.get("--target");
  llvm::StringRef(text).split(names, ',', -1, /*KeepEmpty=*/!text.empty());
  for (llvm::StringRef name : names) {
    const target::GpuTarget *gpu = target::gpuTargetNamed(name);
    if (!gpu)
      return refuse(line, diag::Kind::E0608, {name.str()}, "it is one of " + gpuNames() + "; a trainer holds code for every CPU, and `--target` names none") == 0;
    if (!llvm::is_contained(request.gpus, gpu))
      request.gpus.push_back(gpu);
  }
  return true;
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
      std::fputs((what == "kernels" ? outcome.kernels : what == "layout" ? outcome.layout : outcome.memory).c_str(), stdout);
  }
}

/// Files that the command reads, which no output may replace.
std::vector<std::string> inputsOf(const SourceMap &sources, const std::string &model, const std::string &runner) {
  std::vector<std::string> paths = {runner};
  for (size_t file = 0; file < sources.size(); ++file)
    paths.push_back(sources.file(static_cast<int32_t>(file)).name());
  std::error_code error;
  for (fs::directory_iterator it(model, error), end; !error && it != end; it.increment(error))
    paths.push_back(it->path());
  return paths;
}

/// Why the trainer cannot be written to `path`; "" where nothing stands against it.
std::string unwritable(const std::string &path, const std::vector<std::string> &inputs) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return "it is a folder";
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))
    return "it is not a regular file";
  for (const std::string &input : inputs)
    if (fs::equivalent(path, input, error))
      return "this command reads it";
  const std::string folder = fs::absolute(path, error).parent_path();
  if (!fs::is_directory(folder, error))
    return "there is no folder `" + folder + "`";
  return ::access(folder.c_str(), W_OK) == 0 ? "" : std::strerror(errno);
}

/// The same of a folder for `--bundle`: nothing but an older bundle is replaced.
std::string unwritableFolder(const std::string &path) {
  std::error_code error;
  if (!fs::exists(path, error))
    return "";
  if (!fs::is_directory(path, error))
    return "it is not a folder";
  return fs::is_empty(path, error) || fs::exists(path + "/manifest.json", error) ? "" : "it holds other files";
}

std::string notRunner(const std::string &path) {
  std::error_code error;
  if (!fs::exists(path, error))
    return "there is no such file";
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0 ? "" : "it is not a program";
}

int write(const Outcome &outcome, const SourceMap &sources, const CommandLine &line, const Surroundings &surroundings) {
  using diag::Kind;
  const std::string runner = runnerPath(line, surroundings), output = line.get("--output"), folder = line.get("--bundle");
  if (line.has("--bundle"))
    if (std::string why = unwritableFolder(folder); !why.empty())
      return refuse(line, Kind::E0701, {folder, why}, "`--bundle` names a folder of its own");
  if (line.has("--output")) {
    if (std::string why = notRunner(runner); !why.empty())
      return refuse(line, Kind::E0702, {runner, why}, "`--runner FILE` or PEFT_RUNNER names peft-runner");
    if (std::string why = unwritable(output, inputsOf(sources, line.get("--model"), runner)); !why.empty())
      return refuse(line, Kind::E0701, {output, why}, "`-o` names the trainer: a new file or an older trainer");
  }
  std::string path = folder;
  try {
    if (line.has("--bundle"))
      peftrt::writeDirectory(*outcome.bundle, folder);
    path = output;
    if (line.has("--output"))
      peftrt::writeTrainer(*outcome.bundle, runner, output);
  } catch (const std::exception &) {
    return refuse(line, Kind::E0701, {path, "not all of it was written"}, "the folder must be writable, and the disk have room");
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
  if (!wrong)
    wrong = choicesFrom(line, request.choices);
  if (wrong)
    return usage(*wrong);
  request.specPath = line.operands()[0];
  request.modelPath = line.get("--model");
  request.stopAfter = line.has("--emit") ? kStops.at(line.get("--emit")) : Stop::Bundle;
  if (!targetsFrom(line, request))
    return 1;
  request.assembler = surroundings.assembler;
  request.explain = line.has("--explain");
  request.cacheFolder = surroundings.cacheFolder;
  if (std::string why = unreadable(request.specPath); !why.empty())
    return refuse(line, diag::Kind::E0201, {request.specPath, why});
  if (!(request.stdlib = libraryFrom(line)))
    return 1;

  if (line.get("--emit") == "space")
    return printSpace(line, request);
  SourceMap sources;
  diag::Engine diags(sources);
  // Left to the end of the process, which is near: to give back every value of a large bundle by itself takes as long as a pass.
  const Outcome &outcome = *new Outcome(compile(request, sources, diags));
  int code = diags.all().empty() ? 0 : show(diags, line.get("--diag-format", "text"));
  if (line.has("--timing"))
    std::fputs(outcome.timing.c_str(), stderr);
  if (int broken = failureOf(line, outcome); broken != 0 || code != 0)
    return broken != 0 ? broken : code;
  std::fputs(line.get("--emit") == "chosen" ? programText(sources, request.specPath).c_str() : outcome.text.c_str(), stdout);
  if (!outcome.bundle)
    return 0;
  explain(outcome, line);
  code = write(outcome, sources, line, surroundings);
  return code == 0 && diags.all().empty() ? show(diags, line.get("--diag-format", "text")) : code; // JSON: an empty list
}

} // namespace peftc::tool
