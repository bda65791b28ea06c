// MethodList: see the header.
#include "lang/sema/MethodList.h"
#include "lang/syntax/Parse.h"
#include <algorithm>
#include <sstream>

namespace peftc {
namespace {
using namespace ast;

/// Lines from one that begins with `source:` on are the papers.
void takeDoc(const std::string &doc, MethodEntry &entry) {
  static const std::string mark = "source:";
  std::istringstream lines(doc);
  bool sources = false;
  for (std::string line; std::getline(lines, line);) {
    size_t at = sources ? std::string::npos : line.find(mark);
    std::string before = line.substr(0, at), after = at == std::string::npos ? "" : line.substr(at + mark.size());
    if (sources)
      std::swap(before, after);
    sources = sources || at != std::string::npos;
    auto append = [](std::string &text, std::string part) {
      part.erase(0, part.find_first_not_of(' '));
      part.erase(part.find_last_not_of(' ') + 1);
      if (!part.empty())
        text += (text.empty() ? "" : "\n") + part;
    };
    append(entry.doc, before);
    append(entry.source, after);
  }
  entry.summary = entry.doc.substr(0, entry.doc.find('\n'));
}

void takeFormats(const Block &body, std::vector<std::string> &formats) {
  for (const StmtPtr &stmt : body)
    if (auto *interop = stmt->as<InteropStmt>()) {
      if (std::find(formats.begin(), formats.end(), interop->format.text) == formats.end())
        formats.push_back(interop->format.text);
    } else if (auto *on = stmt->as<OnStmt>()) {
      takeFormats(on->body, formats);
    } else if (auto *choice = stmt->as<IfStmt>()) {
      takeFormats(choice->thenBody, formats);
      takeFormats(choice->elseBody, formats);
    }
}

MethodEntry entryOf(const MethodStmt &method, const SourceMap &sources, const StdlibFile &file) {
  auto text = [&](Range range) { return std::string(sources.text(range)); };
  MethodEntry entry;
  entry.name = method.name.text;
  if (method.site)
    entry.kinds.push_back(method.site->text);
  for (const StmtPtr &stmt : method.body)
    if (auto *on = stmt->as<OnStmt>())
      entry.kinds.push_back(on->site.text);
  for (const Parameter &param : method.params)
    entry.arguments.push_back({param.name.text, param.type ? text(param.type->range) : "", param.defaultValue ? text(param.defaultValue->range) : ""});
  takeDoc(method.doc, entry);
  takeFormats(method.body, entry.formats);
  entry.file = file.name;
  entry.text = file.text;
  return entry;
}
} // namespace

std::vector<MethodEntry> methodList(const std::vector<StdlibFile> &library) {
  std::vector<MethodEntry> entries;
  SourceMap sources;
  diag::Engine diags(sources);
  for (const StdlibFile &file : library) {
    const File tree = parse(sources, sources.add(file.name, file.text), diags);
    for (const StmtPtr &stmt : tree.statements)
      if (auto *method = stmt->as<MethodStmt>())
        entries.push_back(entryOf(*method, sources, file));
  }
  std::sort(entries.begin(), entries.end(), [](const MethodEntry &a, const MethodEntry &b) { return a.name < b.name; });
  return entries;
}

std::string signature(const MethodEntry &entry) {
  std::string arguments, kinds;
  for (const MethodEntry::Argument &argument : entry.arguments)
    arguments += (arguments.empty() ? "" : ", ") + argument.name + (argument.type.empty() ? "" : ": " + argument.type) +
                 (argument.defaultValue.empty() ? "" : " = " + argument.defaultValue);
  for (const std::string &kind : entry.kinds)
    kinds += (kinds.empty() ? "" : ", ") + kind;
  return entry.name + (arguments.empty() ? "" : "(" + arguments + ")") + (kinds.empty() ? "" : " on " + kinds);
}

} // namespace peftc
