// RunTrainer: from a command line to a mode; the border that no exception crosses.
#include "runtime/modes/Modes.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace peftrt {
namespace {

std::vector<Mode> allModes() { return {trainMode(), evalMode(), predictMode(), generateMode(), mergeMode(), exportMode(), importMode(), inspectMode(), infoMode(), lawsMode()}; }

void printUsage(FILE *where) {
  std::fprintf(where, "usage: trainer MODE [options]    (trainer MODE --help)\n\n");
  for (const Mode &mode : allModes())
    std::fprintf(where, "  %-9s %s\n", mode.spec.name.c_str(), mode.spec.summary.c_str());
  std::fprintf(where, "\nWithout a bundle of its own: peft-runner --bundle FILE_OR_FOLDER MODE …\n");
}

void printError(const std::string &code, const std::string &message, const std::string &help) {
  std::fprintf(stderr, "error[%s]: %s\n", code.c_str(), message.c_str());
  if (!help.empty())
    std::fprintf(stderr, "help: %s\n", help.c_str());
}

/// Only what a signal handler may do.
void onBusError(int) {
  static constexpr char kText[] = "error[R0111]: a file was cut short while it was read (model, adapter or rows)\nhelp: leave files alone while a trainer reads them\n";
  [[maybe_unused]] const ssize_t written = ::write(2, kText, sizeof kText - 1);
  ::_exit(1);
}

/// LibTorch has no type for a failed allocation on the CPU.
bool isOutOfMemory(const c10::Error &error) { return std::string(error.what_without_backtrace()).find("DefaultCPUAllocator") != std::string::npos; }

constexpr const char *kMemoryHelp = "a smaller batch or max_length needs less: --set run.batch=8";

int dispatch(Bundle (*openBundle)(const std::string &), std::vector<std::string> words, const Surroundings &surroundings) {
  std::string bundlePath;
  if (words.size() == 1 && words[0] == "--bundle")
    throw UsageError{"--bundle needs a value", "--bundle FILE_OR_FOLDER MODE …"};
  if (words.size() >= 2 && words[0] == "--bundle") {
    bundlePath = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    printUsage(words.empty() ? stderr : stdout);
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "--version") {
    std::printf("trainer of peftc %s\n", openBundle(bundlePath).manifest.at("compiler").get<std::string>().c_str());
    return 0;
  }
  const std::string name = words[0];
  words.erase(words.begin());
  std::vector<std::string> names;
  for (const Mode &mode : allModes()) {
    names.push_back(mode.spec.name);
    if (mode.spec.name != name)
      continue;
    for (const std::string &word : words)
      if (word == "--help" || word == "-h") {
        std::printf("%s", helpText(mode.spec).c_str());
        return 0;
      }
    const Arguments arguments = Arguments::parse(mode.spec, words);
    return mode.run(openBundle(bundlePath), arguments, surroundings);
  }
  const std::string close = nearest(name, names);
  throw UsageError{"there is no mode `" + name + "`", close.empty() ? "see --help" : "did you mean " + close + "?"};
}

} // namespace

int runTrainer(Bundle (*openBundle)(const std::string &), const std::vector<std::string> &words, const Surroundings &surroundings) {
  std::signal(SIGBUS, onBusError);
  const at::NoGradGuard noAutograd; // gradients come from the compiler
  try {
    const int code = dispatch(openBundle, words, surroundings);
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      throw RuntimeError("R0117", "cannot write to standard output", "it is closed, or its disk is full");
    return code;
  } catch (const UsageError &error) {
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
    if (!error.help.empty())
      std::fprintf(stderr, "help: %s\n", error.help.c_str());
    return 2;
  } catch (const RuntimeError &error) {
    printError(error.code, error.message, error.help);
  } catch (const std::bad_alloc &) {
    printError("R0205", "out of memory", kMemoryHelp);
  } catch (const nlohmann::json::exception &error) {
    printError("R0102", std::string("the bundle lacks something or has it in another form: ") + error.what(), "compile the spec again with this version of peftc");
  } catch (const c10::Error &error) {
    if (isOutOfMemory(error))
      printError("R0205", "out of memory", kMemoryHelp);
    else
      printError("R0900", std::string("internal: ") + error.what_without_backtrace(), "this is a bug of peftc; please report it with the spec");
  } catch (const std::exception &error) {
    printError("R0900", std::string("internal: ") + error.what(), "this is a bug of peftc; please report it with the spec");
  }
  return 1;
}

} // namespace peftrt
