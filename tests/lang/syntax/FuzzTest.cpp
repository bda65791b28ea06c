// Random damage to the standard library: no crash, no exception, and either a clean parse or a message with a place.
#include "tests/lang/Mutate.h"

int main() {
  Mutator mutator(20240607);
  int clean = 0, total = 2000;
  for (int round = 0; round < total; ++round) {
    std::string text = mutator.next(true);
    Parsed parsed(text);
    clean += parsed.diags.all().empty();
    for (const auto &diagnostic : parsed.diags.all()) {
      CHECK(diagnostic.range.valid());
      CHECK(diagnostic.range.begin <= diagnostic.range.end);
      CHECK(diagnostic.range.end <= text.size());
    }
    CHECK(parsed.diags.all().size() <= 20); // of at most three slips
    for (auto format : {peftc::diag::Format::Rich, peftc::diag::Format::Short, peftc::diag::Format::Json})
      CHECK(!peftc::diag::render(parsed.diags, format).empty() || parsed.diags.all().empty());
    if (failures) {
      std::cerr << "round " << round << ":\n" << parsed.brief() << text << "\n";
      return 1;
    }
  }
  std::cout << clean << " of " << total << " damaged texts were still well-formed\n";
  // Damage must be noticed: most edits of tokens are errors.
  CHECK(clean < total * 7 / 10);
  return failures != 0;
}
