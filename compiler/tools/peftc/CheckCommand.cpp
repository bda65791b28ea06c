// CheckCommand: peftc check SPEC: all that can be found without making a trainer; with --model, everything up to `sites`;
// with --laws, LawsCommand.
#include "compiler/driver/Compile.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/diag/Render.h"
#include "lang/sema/Space.h"
#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace peftc::tool {
namespace {

bool leavesOpen(const diag::Engine &diags) {
  return std::any_of(diags.all().begin(), diags.all().end(), [](const diag::Diagnostic &slip) { return slip.kind == diag::Kind::E0504; });
}

/// A program that leaves values open is right where it is with any of them: one point after the other, each value once.
int checkSpace(Request request, const CommandLine &line) {
  SourceMap read;
  diag::Engine readDiags(read);
  const auto spec = readSpace(read, request.specPath, *request.stdlib, request.overrides, readDiags, loaderOf(request));
  const auto points = sema::coveringPoints(spec->space);
  for (size_t point = 0; point < points.size(); ++point) {
    request.choices = points[point];
    SourceMap sources;
    diag::Engine diags(sources);
    Outcome outcome = compile(request, sources, diags);
    if (!outcome.internalError.empty())
      return failed("internal error: " + outcome.internalError);
    if (!diags.hasErrors() && point + 1 < points.size())
      continue;
    const int code = show(diags, line.get("--diag-format", "text"));
    std::string chosen;
    for (const MadeChoice &choice : request.choices)
      chosen += " --choose " + choice.name + "=" + choice.value;
    if (code != 0)
      std::fprintf(stderr, "the program is shown with these choices:%s\n", chosen.c_str());
    return code;
  }
  return 0;
}

int checkFile(Request request, const CommandLine &line) {
  if (std::string why = unreadable(request.specPath); !why.empty())
    return refuse(line, diag::Kind::E0201, {request.specPath, why});
  SourceMap sources;
  diag::Engine diags(sources);
  Outcome outcome = compile(request, sources, diags);
  if (!outcome.internalError.empty())
    return failed("internal error: " + outcome.internalError);
  if (request.choices.empty() && leavesOpen(diags))
    return checkSpace(std::move(request), line);
  if (!line.has("--fix"))
    return show(diags, line.get("--diag-format", "text"));
  for (size_t file = 0; file < sources.size(); ++file) {
    const SourceFile &source = sources.file(static_cast<int32_t>(file));
    if (source.name() != request.specPath)
      continue;
    std::string fixed = diag::applyFixIts(diags, static_cast<int32_t>(file));
    if (fixed == source.text())
      return show(diags, line.get("--diag-format", "text"));
    if (int code = replaceText(line, request.specPath, fixed))
      return code;
    std::fprintf(stderr, "fixed %s; check it again\n", request.specPath.c_str());
  }
  return diags.hasErrors() ? 1 : 0;
}

} // namespace

int checkCommand(const std::vector<std::string> &words, const Surroundings &surroundings) {
  CommandLine line;
  Request request;
  auto wrong = line.parse(words, {{"--model", "-m"}, {"--set", ""}, {"--choose", ""}, {"--fix", "", false}, {"--stdlib", ""}, {"--laws", "", false}, {"--method", ""}, {"--seed", ""}, {"--json", "", false},
                                 {"--runner", ""}, {"--keep", ""}, diagFormatOption()});
  if (!wrong)
    wrong = overridesFrom(line, request.overrides);
  if (!wrong)
    wrong = choicesFrom(line, request.choices);
  if (!wrong && line.has("--choose") && line.has("--fix"))
    wrong = UsageError{"`--choose` goes without `--fix`", "`--emit=chosen` writes the program with its choices made"};
  for (const char *option : {"--method", "--seed", "--json", "--runner", "--keep"})
    if (!wrong && line.has(option) && !line.has("--laws"))
      wrong = UsageError{std::string("`") + option + "` goes with `--laws`", ""};
  if (!wrong && line.operands().empty())
    wrong = UsageError{"which program? no .peft file is named", "peftc check SPEC.peft [--model DIR]"};
  if (wrong)
    return usage(*wrong);
  if (line.has("--laws"))
    return lawsCommand(line, surroundings);
  request.modelPath = line.get("--model");
  request.stopAfter = line.has("--model") ? Stop::Sites : Stop::Check;
  if (!(request.stdlib = libraryFrom(line)))
    return 1;
  int code = 0;
  for (const std::string &path : line.operands()) {
    request.specPath = path;
    code = std::max(code, checkFile(request, line));
  }
  return code;
}

} // namespace peftc::tool
