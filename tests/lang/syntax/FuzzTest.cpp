// Random damage to the standard library: no crash, no exception, and either a clean parse or a message with a place.
#include "tests/lang/Check.h"
#include <random>

/// Cuts a text into words, numbers, signs and white space.
static std::vector<std::string> pieces(const std::string &text) {
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

static std::string join(const std::vector<std::string> &all) {
  std::string out;
  for (const auto &piece : all)
    out += piece;
  return out;
}

int main() {
  std::mt19937 random(20240607);
  std::vector<std::vector<std::string>> texts;
  for (const auto &path : stdlibFiles())
    texts.push_back(pieces(readFile(path)));
  int clean = 0, total = 2000;
  for (int round = 0; round < total; ++round) {
    auto text = texts[random() % texts.size()];
    const auto &other = texts[random() % texts.size()];
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0 && text.size() > 2; --edits) {
      size_t at = random() % (text.size() - 1);
      switch (random() % 5) {
      case 0: text.erase(text.begin() + static_cast<long>(at)); break;
      case 1: text.insert(text.begin() + static_cast<long>(at), text[at]); break;
      case 2: std::swap(text[at], text[at + 1]); break;
      case 3: text[at] = other[random() % other.size()]; break;
      case 4: text[at] = std::string(1, static_cast<char>(random() % 256)); break;
      }
    }
    Parsed parsed(join(text));
    clean += parsed.diags.all().empty();
    for (const auto &diagnostic : parsed.diags.all()) {
      CHECK(diagnostic.range.valid());
      CHECK(diagnostic.range.begin <= diagnostic.range.end);
      CHECK(diagnostic.range.end <= parsed.sources.file(0).text().size());
    }
    CHECK(parsed.diags.all().size() <= 60);
    for (auto format : {peftc::diag::Format::Rich, peftc::diag::Format::Short, peftc::diag::Format::Json})
      CHECK(!peftc::diag::render(parsed.diags, format).empty() || parsed.diags.all().empty());
    if (failures) {
      std::cerr << "round " << round << ":\n" << join(text) << "\n";
      return 1;
    }
  }
  std::cout << clean << " of " << total << " damaged texts were still well-formed\n";
  // Damage must be noticed: most edits of tokens are errors.
  CHECK(clean < total * 7 / 10);
  return failures != 0;
}
