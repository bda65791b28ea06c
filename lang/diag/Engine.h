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
  Builder(std::vector<Diagnostic> &all, size_t index, bool blamed = false) : all_(all), index_(index), blamed_(blamed) {}
  /// Text beside the underline of the place that was reported.
  Builder &here(std::string text) { (blamed_ ? all_[index_].labels[0].text : all_[index_].primaryLabel) = std::move(text); return *this; }
  Builder &label(Range range, std::string text) { all_[index_].labels.push_back({range, std::move(text)}); return *this; }
  Builder &note(std::string text) { all_[index_].notes.push_back(std::move(text)); return *this; }
  Builder &help(std::string text) { all_[index_].helps.push_back(std::move(text)); return *this; }
  Builder &fixit(Range range, std::string replacement) { all_[index_].fixits.push_back({range, std::move(replacement)}); return *this; }

private:
  std::vector<Diagnostic> &all_;
  size_t index_;
  bool blamed_; ///< the reported place is the first label
};

class Engine {
public:
  explicit Engine(const SourceMap &sources) : sources_(sources) {}
  Builder report(Kind kind, Range range, std::vector<std::string> args = {});
  bool hasErrors() const;
  const std::vector<Diagnostic> &all() const { return all_; }
  const SourceMap &sources() const { return sources_; }

private:
  friend class Blame;
  bool inLibrary(Range range) const;
  const SourceMap &sources_;
  std::vector<Diagnostic> all_;
  std::vector<Range> blamed_;
};

/// While it lives, a message about a place in the library points at `range`, a text of the user's that led there, and the library's
/// place is its first label. The innermost counts; one of the library's own places changes nothing.
class Blame {
public:
  Blame(Engine &engine, Range range) : engine_(engine), counts_(range.valid() && !engine.inLibrary(range)) {
    if (counts_)
      engine_.blamed_.push_back(range);
  }
  ~Blame() {
    if (counts_)
      engine_.blamed_.pop_back();
  }
  Blame(const Blame &) = delete;

private:
  Engine &engine_;
  bool counts_;
};

} // namespace peftc::diag
