// Texts: see the header.
#include "lang/sema/Texts.h"
#include "lang/syntax/Parse.h"
#include <algorithm>

namespace peftc::sema {
using namespace ast;
using diag::Kind;

Used::Used(const UseStmt &use) : names(use.names) {
  const size_t last = use.path.size() - (names.empty() ? 1 : 0);
  for (size_t i = 0; i < last; ++i)
    if (!(i == 0 && use.path[i].text == "peft"))
      path += (path.empty() ? "" : ".") + use.path[i].text;
  if (names.empty())
    names.push_back(use.path.back());
}

Texts::Texts(SourceMap &sources, Library &library, const FileLoader &load, diag::Engine &diags) : sources_(sources), texts_(library), load_(load), diags_(diags) {
  library.addTo(sources);
}

template <typename Parse> FilePtr Texts::parsed(Parse parse) {
  const auto before = static_cast<ptrdiff_t>(diags_.all().size());
  FilePtr file = parse();
  const std::vector<diag::Diagnostic> &all = diags_.all();
  readable_ = readable_ && std::none_of(all.begin() + before, all.end(), [](const diag::Diagnostic &slip) { return std::string_view(diag::code(slip.kind)).starts_with("E01"); });
  return file;
}

void Texts::add(const std::string &name, const std::string &path, const std::string &text) {
  const int32_t id = sources_.add(name, text);
  own_.push_back(parsed([&] { return std::make_shared<const File>(parse(sources_, id, diags_)); }));
  paths_[path] = own_.back();
}

bool Texts::read(const std::string &mainPath) {
  auto text = load_(mainPath);
  if (!text) {
    diags_.report(Kind::E0201, Range{}, {mainPath, "there is no such text"});
    return false;
  }
  folder_ = std::filesystem::path(mainPath).parent_path();
  add(mainPath, (folder_ / std::filesystem::path(mainPath).filename()).lexically_normal(), *text); // a text may `use` itself
  for (size_t i = 0; i < own_.size(); ++i) // grows while files are used
    loadUses(*own_[i]);
  return true;
}

void Texts::loadUses(const File &file) {
  for (const StmtPtr &stmt : file.statements) {
    auto *use = stmt->as<UseStmt>();
    if (!use || !use->file || paths_.count(pathOf(*use)))
      continue;
    const std::string path = pathOf(*use);
    auto text = load_(path);
    if (!text) {
      diags_.report(Kind::E0201, use->range, {*use->file, "there is no text at `" + path + "`"});
      continue;
    }
    add(path, path, *text);
    for (const StmtPtr &inner : own_.back()->statements)
      if (!dynamic_cast<const Declaration *>(inner.get()) && !inner->as<UseStmt>())
        reportNoDeclaration(*inner);
  }
}

/// What a program does is said by itself: a text that it uses only declares.
void Texts::reportNoDeclaration(const Stmt &stmt) {
  const std::string_view text = sources_.text(stmt.range);
  diags_.report(Kind::E0199, stmt.range, {std::string(text.substr(0, text.find(' '))) + " in a text that is used"}).help("the program itself may say it");
}

FilePtr Texts::used(const UseStmt &use) const {
  auto it = paths_.find(pathOf(use));
  return it == paths_.end() ? nullptr : it->second;
}

FilePtr Texts::take(size_t index) {
  FilePtr &file = read_[texts_.module(index)];
  if (!file)
    file = parsed([&] { return texts_.parsed(index, sources_, diags_); });
  return file;
}

bool Texts::mayUse(const File &file, size_t index) const {
  return std::any_of(file.statements.begin(), file.statements.end(), [&](const StmtPtr &stmt) {
    auto *use = stmt->as<UseStmt>();
    if (!use || use->file)
      return false;
    const Used used(*use);
    return used.covers(texts_.module(index)) && std::any_of(used.names.begin(), used.names.end(), [&](const Ident &name) { return texts_.mayDeclare(index, name.text); });
  });
}

void Texts::reach(const std::vector<InputOverride> &overrides) {
  std::set<std::string> words;
  for (const InputOverride &override : overrides)
    words.merge(wordsOf(override.text));
  std::vector<FilePtr> next = own_;
  for (size_t index = 0; index < texts_.files().size(); ++index)
    if (texts_.module(index) == kPrelude)
      next.push_back(take(index));
  while (!next.empty()) {
    const FilePtr file = next.back();
    next.pop_back();
    words.merge(wordsOf(sources_.file(file->source).text()));
    for (size_t index = 0; index < texts_.files().size(); ++index)
      if (!read_.count(texts_.module(index)) && (texts_.mayShow(index, words) || mayUse(*file, index)))
        next.push_back(take(index));
  }
}

void Texts::readLibrary() {
  for (size_t index = 0; index < texts_.files().size(); ++index)
    take(index);
}

} // namespace peftc::sema
