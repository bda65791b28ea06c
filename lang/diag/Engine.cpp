// Engine: the catalogue's rows as tables, and the collecting of diagnostics.
#include "lang/diag/Engine.h"
#include <algorithm>
#include <cstddef>

namespace peftc::diag {
namespace {

struct Row {
  const char *code;
  Severity severity;
  const char *text;
};
const Row kCatalogue[] = {
#define PEFT_DIAG(CODE, SEVERITY, TEXT) {#CODE, Severity::SEVERITY, TEXT},
#include "lang/diag/Kinds.def"
#undef PEFT_DIAG
};
const Row &row(Kind kind) { return kCatalogue[static_cast<size_t>(kind)]; }

/// `{0}`, `{1}` … replaced by the arguments; any other brace stands for itself.
std::string fill(std::string_view text, const std::vector<std::string> &args) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool hole = text[i] == '{' && i + 2 < text.size() && text[i + 2] == '}' && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (!hole) {
      out += text[i];
      continue;
    }
    size_t index = static_cast<size_t>(text[i + 1] - '0');
    out += index < args.size() ? args[index] : std::string("?");
    i += 2;
  }
  return out;
}

} // namespace

const char *code(Kind kind) { return row(kind).code; }
const char *text(Kind kind) { return row(kind).text; }
Severity severity(Kind kind) { return row(kind).severity; }

Builder Engine::report(Kind kind, Range range, std::vector<std::string> args) {
  Diagnostic diagnostic;
  diagnostic.kind = kind;
  diagnostic.message = fill(text(kind), args);
  diagnostic.range = range;
  const bool blamed = !blamed_.empty() && inLibrary(range);
  if (blamed) {
    diagnostic.range = blamed_.back();
    diagnostic.labels.push_back({range, ""});
  }
  all_.push_back(std::move(diagnostic));
  return Builder(all_, all_.size() - 1, blamed);
}

bool Engine::inLibrary(Range range) const { return range.valid() && sources_.file(range.file).name().starts_with("<stdlib>/"); }

bool Engine::hasErrors() const {
  return std::any_of(all_.begin(), all_.end(),
                     [](const Diagnostic &d) { return diag::severity(d.kind) == Severity::Error; });
}

} // namespace peftc::diag
