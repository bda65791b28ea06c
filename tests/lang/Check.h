// Check: the few macros that the tests of lang need, and the texts that they read.
#pragma once
#include "lang/diag/Render.h"
#include "lang/syntax/Parse.h"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

inline int failures = 0;

#define CHECK(CONDITION)                                                                                               \
  do {                                                                                                                 \
    if (!(CONDITION)) {                                                                                                \
      std::cerr << __FILE__ << ":" << __LINE__ << ": not true: " #CONDITION "\n";                                      \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (false)
#define CHECK_EQ(ACTUAL, EXPECTED)                                                                                     \
  do {                                                                                                                 \
    std::ostringstream actual_, expected_;                                                                             \
    actual_ << (ACTUAL);                                                                                               \
    expected_ << (EXPECTED);                                                                                           \
    if (actual_.str() != expected_.str()) {                                                                            \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " #ACTUAL "\n--- is\n"                                            \
                << actual_.str() << "\n--- should be\n" << expected_.str() << "\n---\n";                               \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (false)

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Every .peft file of the standard library, sorted.
inline std::vector<std::filesystem::path> stdlibFiles() {
  std::set<std::filesystem::path> found;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(PEFT_ROOT) / "stdlib"))
    if (entry.path().extension() == ".peft")
      found.insert(entry.path());
  return {found.begin(), found.end()};
}

/// A parsed text with all that belongs to it.
struct Parsed {
  peftc::SourceMap sources;
  peftc::diag::Engine diags{sources};
  peftc::ast::File file;
  explicit Parsed(const std::string &text, const std::string &name = "spec.peft") {
    int32_t source = sources.add(name, text);
    file = peftc::parse(sources, source, diags);
  }
  /// "E0101 E0199": in order of place.
  std::string codes() const {
    std::string out;
    for (const auto *diagnostic : peftc::diag::inOrder(diags))
      out += (out.empty() ? "" : " ") + std::string(peftc::diag::code(diagnostic->kind));
    return out;
  }
  std::string brief() const { return peftc::diag::render(diags, peftc::diag::Format::Short, 100); }
  std::string rich() const { return peftc::diag::render(diags); }
};
