// Library: see the header.
#include "lang/sema/Library.h"
#include "lang/syntax/Parse.h"
#include <algorithm>
#include <cassert>

namespace peftc {
namespace {

/// Calls `use` with each word of a text, in order.
template <typename Use> void eachWord(std::string_view text, Use use) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  bool inString = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (letter(text[at])) {
      while (end < text.size() && letter(text[end]))
        ++end;
      use(std::string(text.substr(at, end - at)));
    } else if (inString && text[at] == '\\') {
      ++end;
    } else if (text[at] == '"' || text[at] == '\n') { // no string goes on over a line's end
      inString = text[at] == '"' && !inString;
    } else if (!inString && text.substr(at, 2) == "//") {
      end = std::min(text.find('\n', at), text.size());
    }
    at = end;
  }
}

constexpr std::string_view kVisible[] = {"arch", "optimizer", "schedule", "task"}, kUsed[] = {"method", "fn", "module", "kind"};

template <size_t N> bool isOneOf(const std::string_view (&words)[N], std::string_view word) { return std::find(words, words + N, word) != words + N; }

} // namespace

std::set<std::string> wordsOf(const std::string &text) {
  std::set<std::string> words;
  eachWord(text, [&](std::string word) { words.insert(std::move(word)); });
  return words;
}

Library::Library(std::vector<StdlibFile> files) : files_(std::move(files)), entries_(files_.size()) {
  for (size_t index = 0; index < files_.size(); ++index) {
    Entry &entry = entries_[index];
    entry.module = files_[index].name;
    if (entry.module.ends_with(".peft"))
      entry.module.resize(entry.module.size() - 5);
    std::replace(entry.module.begin(), entry.module.end(), '/', '.');
    std::string before;
    eachWord(files_[index].text, [&](std::string word) {
      if (isOneOf(kVisible, before))
        entry.visible.insert(word);
      if (isOneOf(kVisible, before) || isOneOf(kUsed, before))
        entry.declared.insert(word);
      before = std::move(word);
    });
  }
}

void Library::addTo(SourceMap &sources) const {
  assert(sources.size() == 0);
  for (const StdlibFile &file : files_)
    sources.add("<stdlib>/" + file.name, file.text);
}

std::shared_ptr<const ast::File> Library::parsed(size_t index, const SourceMap &sources, diag::Engine &diags) {
  std::shared_ptr<const ast::File> &kept = entries_[index].tree;
  if (kept)
    return kept;
  const size_t before = diags.all().size();
  auto tree = std::make_shared<const ast::File>(parse(sources, static_cast<int32_t>(index), diags));
  if (diags.all().size() == before)
    kept = tree;
  return tree;
}

bool Library::mayShow(size_t index, const std::set<std::string> &words) const {
  const std::set<std::string> &visible = entries_[index].visible;
  return std::any_of(visible.begin(), visible.end(), [&](const std::string &name) { return words.count(name) > 0; });
}

} // namespace peftc
