// Shared: what several commands do in the same way.
#include "compiler/driver/Compile.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/diag/Render.h"
#include "stdlib/Embedded.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

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

int refuse(const CommandLine &line, diag::Kind kind, std::vector<std::string> args, const std::string &help) {
  SourceMap none;
  diag::Engine diags(none);
  auto report = diags.report(kind, Range{}, std::move(args));
  if (!help.empty())
    report.help(help);
  return show(diags, line.get("--diag-format", "text"));
}

std::string unreadable(const std::string &path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return "it is a folder";
  return std::ifstream(path, std::ios::binary) ? "" : std::strerror(errno);
}

namespace {
/// Written beside it and renamed: all of it, or nothing.
bool putInPlace(const fs::path &place, const std::string &text) {
  const fs::path beside = place.string() + ".new-" + std::to_string(::getpid());
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  const bool written = static_cast<bool>((out << text).flush());
  std::error_code error, ignored;
  if (written && fs::exists(place, ignored))
    fs::permissions(beside, fs::status(place, ignored).permissions(), ignored);
  if (written)
    fs::rename(beside, place, error);
  if (written && !error)
    return true;
  fs::remove(beside, ignored);
  return false;
}
} // namespace

int writeText(const CommandLine &line, const std::string &path, const std::string &text) {
  return putInPlace(path, text) ? 0 : refuse(line, diag::Kind::E0701, {path, "not all of it was written"}, "the folder must be writable, and the disk have room");
}

int replaceText(const CommandLine &line, const std::string &path, const std::string &text) {
  std::error_code error;
  const fs::path place = fs::canonical(path, error); // behind links
  if (!error && ::access(place.c_str(), W_OK) == 0 && putInPlace(place, text))
    return 0;
  return refuse(line, diag::Kind::E0701, {path, "it is as it was"}, "it must be writable, and the disk have room");
}

int failureOf(const CommandLine &line, const Outcome &outcome) {
  if (!outcome.internalError.empty())
    return failed("internal error: " + outcome.internalError, "this is a bug of peftc; please report it with the reproducer");
  if (!outcome.unwritten.empty())
    return refuse(line, diag::Kind::E0701, {outcome.unwritten, "not all of it was written"}, "TMPDIR names a folder for temporary files with room");
  if (!outcome.notAssembled.empty())
    return refuse(line, diag::Kind::E0703, {outcome.notAssembled}, "PEFT_PTXAS names another ptxas, or `none`: the GPU's driver then compiles the kernels when the trainer starts");
  return 0;
}

int show(const diag::Engine &diags, const std::string &format) {
  diag::Format layout = diag::Format::Rich;
  diag::formatNamed(format == "text" ? "rich" : format, layout);
  std::string text = diag::render(diags, layout);
  std::fwrite(text.data(), 1, text.size(), layout == diag::Format::Json ? stdout : stderr);
  return diags.hasErrors() ? 1 : 0;
}

OptionSpec diagFormatOption() { return {"--diag-format", "", true, {"text", "short", "json"}}; }

namespace {
/// The name=values of an option.
template <typename Pair> std::optional<UsageError> pairsFrom(const CommandLine &line, const std::string &option, const std::string &example, std::vector<Pair> &pairs) {
  for (const std::string &word : line.all(option)) {
    size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
      return UsageError{"`" + option + "` takes name=value, not `" + word + "`", "for example " + option + " " + example};
    pairs.push_back({word.substr(0, equals), word.substr(equals + 1)});
  }
  return std::nullopt;
}
} // namespace

std::optional<UsageError> overridesFrom(const CommandLine &line, std::vector<InputOverride> &overrides) { return pairsFrom(line, "--set", "r=16", overrides); }
std::optional<UsageError> choicesFrom(const CommandLine &line, std::vector<MadeChoice> &choices) { return pairsFrom(line, "--choose", "r=16", choices); }

std::string runnerPath(const CommandLine &line, const Surroundings &surroundings) {
  if (line.has("--runner"))
    return line.get("--runner");
  return surroundings.runner.empty() ? surroundings.folder + "/peft-runner" : surroundings.runner;
}

std::shared_ptr<Library> libraryFrom(const CommandLine &line) {
  const std::string folder = line.get("--stdlib");
  if (folder.empty())
    return std::make_shared<Library>(stdlib::embedded());
  std::vector<StdlibFile> files;
  std::error_code error;
  std::string unread;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".peft") {
      if (auto text = readFile(it->path()))
        files.push_back({fs::relative(it->path(), folder).generic_string(), *text});
      else
        unread = it->path();
    }
  std::sort(files.begin(), files.end(), [](const StdlibFile &a, const StdlibFile &b) { return a.name < b.name; });
  if (!error && unread.empty())
    return std::make_shared<Library>(std::move(files));
  refuse(line, diag::Kind::E0201, {unread.empty() ? folder : unread, error ? error.message() : unreadable(unread)});
  return nullptr;
}

} // namespace peftc::tool
