// TextCommands: peftc fmt, explain and methods: what needs no compilation.
#include "compiler/driver/Compile.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/diag/Render.h"
#include "lang/diag/Suggest.h"
#include "lang/format/Format.h"
#include "lang/sema/MethodList.h"
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace peftc::tool {
namespace {

int formatFile(const std::string &path, const CommandLine &line) {
  auto text = readFile(path);
  if (!text)
    return refuse(line, diag::Kind::E0201, {path, unreadable(path)});
  SourceMap sources;
  diag::Engine diags(sources);
  std::string formatted = format(sources, sources.add(path, *text), diags);
  if (int code = show(diags, line.get("--diag-format", "text")))
    return code;
  if (line.has("--check")) {
    if (formatted != *text)
      std::printf("%s\n", path.c_str());
    return formatted == *text ? 0 : 1;
  }
  if (!line.has("--write")) {
    std::fputs(formatted.c_str(), stdout);
    return 0;
  }
  if (formatted == *text)
    return 0;
  return replaceText(line, path, formatted);
}

nlohmann::ordered_json asJson(const MethodEntry &entry) {
  auto arguments = nlohmann::ordered_json::array();
  for (const MethodEntry::Argument &argument : entry.arguments) {
    nlohmann::ordered_json one = {{"name", argument.name}, {"type", argument.type}};
    one["default"] = argument.defaultValue.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(argument.defaultValue);
    arguments.push_back(one);
  }
  return {{"name", entry.name}, {"kinds", entry.kinds},   {"arguments", arguments}, {"summary", entry.summary},
          {"doc", entry.doc},   {"source", entry.source}, {"interop", entry.formats}, {"file", entry.file}};
}

} // namespace

int fmtCommand(const std::vector<std::string> &words) {
  CommandLine line;
  auto wrong = line.parse(words, {{"--check", "", false}, {"--write", "-w", false}, diagFormatOption()});
  if (!wrong && line.operands().empty())
    wrong = UsageError{"which file? no .peft file is named", "peftc fmt [--check | -w] FILE…"};
  if (!wrong && line.has("--check") && line.has("--write"))
    wrong = UsageError{"`--check` and `--write` exclude each other", ""};
  if (wrong)
    return usage(*wrong);
  int code = 0;
  for (const std::string &path : line.operands())
    code = std::max(code, formatFile(path, line));
  return code;
}

int explainCommand(const std::vector<std::string> &words) {
  CommandLine line;
  auto wrong = line.parse(words, {});
  if (!wrong && line.operands().size() != 1)
    wrong = UsageError{"which code?", "peftc explain E0401"};
  if (wrong)
    return usage(*wrong);
  std::string code = line.operands()[0];
  std::transform(code.begin(), code.end(), code.begin(), [](unsigned char c) { return std::toupper(c); });
  const char *page = diag::explainPage(code);
  if (!page)
    return usage({"there is no page about `" + code + "`", "codes look like E0401 and stand in brackets before a message"});
  std::fputs(page, stdout);
  return 0;
}

int methodsCommand(const std::vector<std::string> &words) {
  CommandLine line;
  auto wrong = line.parse(words, {{"--stdlib", ""}, {"--json", "", false}});
  if (!wrong && line.operands().size() > 1)
    wrong = UsageError{"one method at a time", "peftc methods [NAME] [--json]"};
  if (wrong)
    return usage(*wrong);
  const std::shared_ptr<Library> library = libraryFrom(line);
  if (!library)
    return 1;
  const std::vector<MethodEntry> entries = methodList(library->files());
  auto formats = [](const MethodEntry &entry) {
    std::string all;
    for (const std::string &format : entry.formats)
      all += (all.empty() ? "    files of " : ", ") + format;
    return all.empty() ? all : all + "\n";
  };
  if (line.operands().empty()) {
    auto all = nlohmann::ordered_json::array();
    for (const MethodEntry &entry : entries)
      if (line.has("--json"))
        all.push_back(asJson(entry));
      else
        std::printf("%s\n    %s\n%s", signature(entry).c_str(), entry.summary.c_str(), formats(entry).c_str());
    if (line.has("--json"))
      std::printf("%s\n", all.dump(2).c_str());
    return 0;
  }
  std::vector<std::string> names;
  for (const MethodEntry &entry : entries) {
    names.push_back(entry.name);
    if (entry.name == line.operands()[0]) {
      std::fputs(line.has("--json") ? (asJson(entry).dump(2) + "\n").c_str() : entry.text.c_str(), stdout);
      return 0;
    }
  }
  auto meant = diag::suggest(line.operands()[0], names);
  return failed("the standard library has no method `" + line.operands()[0] + "`", meant ? "did you mean `" + *meant + "`?" : "`peftc methods` lists them");
}

} // namespace peftc::tool
