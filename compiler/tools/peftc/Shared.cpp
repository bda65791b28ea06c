// Shared: what several commands do in the same way.
#include "compiler/driver/Compile.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/diag/Render.h"
#include "stdlib/Embedded.h"
#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace fs = std::filesystem;

namespace peftc::tool {

int usage(const UsageError &error) {
  std::fprintf(stderr, "peftc: %s\n", error.message.c_str());
  if (!error.help.empty())
    std::fprintf(stderr, "  %s\n", error.help.c_str());
  return 2;
}

int failed(const std::string &message, const std::string &help) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  if (!help.empty())
    std::fprintf(stderr, "  = help: %s\n", help.c_str());
  return 1;
}

int show(const diag::Engine &diags, const std::string &format) {
  diag::Format layout = diag::Format::Rich;
  diag::formatNamed(format == "text" ? "rich" : format, layout);
  std::string text = diag::render(diags, layout);
  std::fputs(text.c_str(), layout == diag::Format::Json ? stdout : stderr);
  return diags.hasErrors() ? 1 : 0;
}

OptionSpec diagFormatOption() { return {"--diag-format", "", true, {"text", "short", "json"}}; }

std::optional<UsageError> overridesFrom(const CommandLine &line, std::vector<InputOverride> &overrides) {
  for (const std::string &word : line.all("--set")) {
    size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
      return UsageError{"`--set` takes name=value, not `" + word + "`", "for example --set r=16"};
    overrides.push_back({word.substr(0, equals), word.substr(equals + 1)});
  }
  return std::nullopt;
}

std::string runnerPath(const CommandLine &line, const Surroundings &surroundings) {
  if (line.has("--runner"))
    return line.get("--runner");
  return surroundings.runner.empty() ? surroundings.folder + "/peft-runner" : surroundings.runner;
}

bool libraryFrom(const std::string &folder, std::vector<StdlibFile> &files) {
  if (folder.empty()) {
    files = stdlib::embedded();
    return true;
  }
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".peft") {
      auto text = readFile(it->path());
      if (!text)
        return false;
      files.push_back({fs::relative(it->path(), folder).generic_string(), *text});
    }
  std::sort(files.begin(), files.end(), [](const StdlibFile &a, const StdlibFile &b) { return a.name < b.name; });
  return !error;
}

} // namespace peftc::tool
