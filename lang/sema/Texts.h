// Texts: the program's texts and those of the library, read as far as they are needed.
//
// Errs   E01xx, E0199 a text that is used does more than to declare, E0201 cannot read
#pragma once
#include "lang/sema/Check.h"
#include <filesystem>

namespace peftc::sema {

/// Where `use` looks for what: `peft.methods.{a, b}`, or `peft.methods.a` for a file or a declaration of this name.
struct Used {
  explicit Used(const ast::UseStmt &use);
  std::string path; ///< without `peft.`
  std::vector<ast::Ident> names;
  bool covers(const std::string &module) const { return module.starts_with(path + ".") || module == path; }
};

class Texts {
public:
  Texts(SourceMap &sources, Library &library, const FileLoader &load, diag::Engine &diags);
  /// The program and what it uses by path, directly or not.
  bool read(const std::string &mainPath);
  /// What of the library the program may mean: what is visible everywhere by its words, what is used, and so on from there.
  void reach(const std::vector<InputOverride> &overrides);
  void readLibrary();

  const std::vector<FilePtr> &own() const { return own_; } ///< the program's come first
  /// By module; what has been read of it.
  const std::map<std::string, FilePtr> &library() const { return read_; }
  /// What `use "path"` names; null where it could not be read.
  FilePtr used(const ast::UseStmt &use) const;
  /// False: something of a text was misread, which would mislead all checks behind it.
  bool readable() const { return readable_; }

private:
  FilePtr take(size_t index);
  void add(const std::string &name, const std::string &path, const std::string &text);
  void loadUses(const ast::File &file);
  void reportNoDeclaration(const ast::Stmt &stmt);
  bool mayUse(const ast::File &file, size_t index) const;
  std::string pathOf(const ast::UseStmt &use) const { return (folder_ / *use.file).lexically_normal(); }
  template <typename Parse> FilePtr parsed(Parse parse);

  SourceMap &sources_;
  Library &texts_;
  const FileLoader &load_;
  diag::Engine &diags_;
  std::vector<FilePtr> own_;
  std::map<std::string, FilePtr> paths_; ///< own texts, as `use "path"` finds them
  std::map<std::string, FilePtr> read_;
  std::filesystem::path folder_; ///< the program's
  bool readable_ = true;
};

inline constexpr const char *kPrelude = "prelude"; ///< the module that every text sees

} // namespace peftc::sema
