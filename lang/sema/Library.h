// Library: the texts of the standard library, each parsed once, and only where something may mean it.
//
// What a text may mean is told by its words, before anything is parsed: whoever is meant is named. Words in comments do not count; words in strings do, for
// a string may hold expressions. Too much may be found this way, never too little.
#pragma once
#include "lang/ast/Ast.h"
#include "lang/diag/Engine.h"
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace peftc {

/// One file of the standard library: `methods/lora.peft` and its text.
struct StdlibFile {
  std::string name;
  std::string text;
};

class Library {
public:
  explicit Library(std::vector<StdlibFile> files);
  const std::vector<StdlibFile> &files() const { return files_; }
  /// "methods/lora.peft" → "methods.lora"
  const std::string &module(size_t index) const { return entries_[index].module; }
  /// Puts all texts into `sources`, which holds none yet: a file's index is its source's.
  void addTo(SourceMap &sources) const;
  /// Slips are reported each time.
  std::shared_ptr<const ast::File> parsed(size_t index, const SourceMap &sources, diag::Engine &diags);
  /// Whether `use peft.MODULE.{name}` may find this in the file.
  bool mayDeclare(size_t index, const std::string &name) const { return entries_[index].declared.count(name) > 0; }
  /// The same of what is visible without a `use`.
  bool mayShow(size_t index, const std::set<std::string> &words) const;

private:
  struct Entry {
    std::string module;
    std::set<std::string> declared, visible; ///< visible: without a `use`
    std::shared_ptr<const ast::File> tree;
  };
  std::vector<StdlibFile> files_;
  std::vector<Entry> entries_;
};

/// Every word of a text but for those in comments.
std::set<std::string> wordsOf(const std::string &text);

} // namespace peftc
