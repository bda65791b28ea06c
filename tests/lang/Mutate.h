// Mutate: random damage to the texts of the standard library, the same on every run.
#pragma once
#include "tests/lang/Check.h"
#include <random>

/// Cuts a text into words, numbers, signs and white space.
inline std::vector<std::string> pieces(const std::string &text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    auto word = [&](size_t at) { return std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_'; };
    size_t end = i + 1;
    if (word(i))
      while (end < text.size() && word(end))
        ++end;
    out.push_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

inline std::string join(const std::vector<std::string> &all) {
  std::string out;
  for (const auto &piece : all)
    out += piece;
  return out;
}

class Mutator {
public:
  explicit Mutator(unsigned seed) : random_(seed) {
    for (const auto &path : stdlibFiles())
      texts_.push_back(pieces(readFile(path)));
  }
  /// One file with one to three edits: a piece deleted, doubled, swapped with the next, or replaced; `bytes`: also by any byte.
  std::string next(bool bytes) {
    auto text = texts_[random_() % texts_.size()];
    const auto &other = texts_[random_() % texts_.size()];
    for (int edits = 1 + static_cast<int>(random_() % 3); edits > 0 && text.size() > 2; --edits) {
      size_t at = random_() % (text.size() - 1);
      switch (random_() % (bytes ? 5 : 4)) {
      case 0: text.erase(text.begin() + static_cast<long>(at)); break;
      case 1: text.insert(text.begin() + static_cast<long>(at), std::string(text[at])); break;
      case 2: std::swap(text[at], text[at + 1]); break;
      case 3: text[at] = other[random_() % other.size()]; break;
      case 4: text[at] = std::string(1, static_cast<char>(random_() % 256)); break;
      }
    }
    return join(text);
  }

private:
  std::mt19937 random_;
  std::vector<std::vector<std::string>> texts_;
};
