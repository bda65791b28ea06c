// Engine: collects what is wrong with a program, as data; renderers turn it into text.
//
// A diagnostic is `{kind, severity, message, labels, notes, helps, fixits}`. Kinds are rows of `Kinds.def`
// (`PEFT_DIAG(E0401, Error, "selector matches no site in `{0}`")`); arguments are formatted by the caller's
// `std::string`s in order. Nothing here prints.
#pragma once
#include "lang/source/Source.h"
#include <string>
#include <vector>

namespace peftc::diag {

enum class Severity { Error, Warning };

enum class Kind {
#define PEFT_DIAG(CODE, SEVERITY, TEXT) CODE,
#include "lang/diag/Kinds.def"
#undef PEFT_DIAG
};

/// "E0401"
const char *code(Kind kind);
/// The text of the catalogue, with `{0}`, `{1}` … for arguments.
const char *text(Kind kind);
Severity severity(Kind kind);

struct Label {
  Range range;
  std::string text; ///< may be empty: underline only
};
struct FixIt {
  Range range; ///< empty range: insert
  std::string replacement;
};
struct Diagnostic {
  Kind kind;
  std::string message;
  Range range; ///< the primary place; underlined with ^^^^
  std::string primaryLabel;
  std::vector<Label> labels; ///< further places; underlined with ----
  std::vector<std::string> notes;
  std::vector<std::string> helps;
  std::vector<FixIt> fixits;
};

/// Fluent handle on a diagnostic just reported; valid until the next `report`.
class Builder {
public:
  Builder(std::vector<Diagnostic> &all, size_t index) : all_(all), index_(index) {}
  /// Text beside the primary underline.
  Builder &here(std::string text) { all_[index_].primaryLabel = std::move(text); return *this; }
  Builder &label(Range range, std::string text) { all_[index_].labels.push_back({range, std::move(text)}); return *this; }
  Builder &note(std::string text) { all_[index_].notes.push_back(std::move(text)); return *this; }
  Builder &help(std::string text) { all_[index_].helps.push_back(std::move(text)); return *this; }
  Builder &fixit(Range range, std::string replacement) { all_[index_].fixits.push_back({range, std::move(replacement)}); return *this; }

private:
  std::vector<Diagnostic> &all_;
  size_t index_;
};

class Engine {
public:
  explicit Engine(const SourceMap &sources) : sources_(sources) {}
  Builder report(Kind kind, Range range, std::vector<std::string> args = {});
  bool hasErrors() const;
  const std::vector<Diagnostic> &all() const { return all_; }
  const SourceMap &sources() const { return sources_; }

private:
  const SourceMap &sources_;
  std::vector<Diagnostic> all_;
};

} // namespace peftc::diag
