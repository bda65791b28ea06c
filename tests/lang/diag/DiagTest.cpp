// Layout of messages, suggestions, fix-its.
#include "lang/diag/Suggest.h"
#include "tests/lang/Check.h"
using namespace peftc;
using namespace peftc::diag;

static Range find(const SourceMap &sources, int32_t file, const std::string &what) {
  auto at = static_cast<uint32_t>(sources.file(file).text().find(what));
  return {file, at, at + static_cast<uint32_t>(what.size())};
}

static void testRich() {
  SourceMap sources;
  std::string spec = "use a\n\n\n\nattach lora(r = 32) to x\n\n\n\nbudget params <= 0.5%\n";
  int32_t a = sources.add("spec.peft", spec), b = sources.add("<stdlib>/methods/lora.peft", "\tmethod lora(r: rank = 8) on linear {\n");
  Engine diags(sources);
  diags.report(Kind::E0101, find(sources, a, "params <= 0.5%"), {"`x`"})
      .label(find(sources, a, "r = 32"), "0.71% from here, at 64 sites")
      .label(find(sources, b, "lora"), "declared here")
      .note("first\nsecond")
      .help("r = 16 would use 0.48%");
  CHECK_EQ(render(diags), "error[E0101]: unexpected `x`\n"
                          " --> spec.peft:9:8\n"
                          "  |\n"
                          "5 | attach lora(r = 32) to x\n"
                          "  |             ------ 0.71% from here, at 64 sites\n"
                          "9 | budget params <= 0.5%\n"
                          "  |        ^^^^^^^^^^^^^^\n"
                          " ::: <stdlib>/methods/lora.peft:1:9\n"
                          "  |\n"
                          "1 |     method lora(r: rank = 8) on linear {\n"
                          "  |            ---- declared here\n"
                          "  |\n"
                          "  = note: first\n"
                          "          second\n"
                          "  = help: r = 16 would use 0.48%\n");
}

static void testMarksOnOneLine() {
  SourceMap sources;
  int32_t a = sources.add("s", "\n\n\n\n\n\n\n\n\nlet ä = aa + bb * cc\n");
  Engine diags(sources);
  diags.report(Kind::E0107, find(sources, a, "bb")).here("primary").label(find(sources, a, "aa"), "first").label(find(sources, a, "cc"), "last");
  CHECK_EQ(render(diags), "error[E0107]: this value is not used\n"
                          "  --> s:10:14\n"
                          "   |\n"
                          "10 | let ä = aa + bb * cc\n"
                          "   |         --   ^^   -- last\n"
                          "   |         |    |\n"
                          "   |         |    primary\n"
                          "   |         first\n");
}

static void testOrderLimitAndShort() {
  SourceMap sources;
  int32_t a = sources.add("s.peft", std::string(60, 'x'));
  Engine diags(sources);
  for (uint32_t i = 30; i-- > 0;)
    diags.report(Kind::E0107, {a, i, i + 1});
  diags.report(Kind::E0107, {a, 3, 4}); // the same again
  CHECK_EQ(inOrder(diags).size(), size_t(30));
  std::string text = render(diags, Format::Short);
  CHECK_EQ(text.substr(0, 46), "s.peft:1:1: error[E0107]: this value is not us");
  CHECK(text.find("s.peft:1:20:") != std::string::npos && text.find("s.peft:1:21:") == std::string::npos);
  CHECK(text.find("20 of 30 are shown\n") != std::string::npos);
}

static void testNoPlace() {
  SourceMap sources;
  Engine diags(sources);
  diags.report(Kind::E0107, Range{}).help("do");
  CHECK_EQ(render(diags), "error[E0107]: this value is not used\n  = help: do\n");
  CHECK_EQ(render(diags, Format::Short), "error[E0107]: this value is not used\n");
  CHECK(render(Engine(sources), Format::Json) == "[]\n");
}

static void testJson() {
  SourceMap sources;
  int32_t a = sources.add("s\".peft", "a\nbc\n");
  Engine diags(sources);
  diags.report(Kind::E0101, {a, 2, 4}, {"`\t`"}).here("l").help("h").fixit({a, 2, 3}, "x\\");
  CHECK_EQ(render(diags, Format::Json),
           "[\n  {\"code\": \"E0101\", \"severity\": \"error\", \"message\": \"unexpected `\\u0009`\", \"file\": \"s\\\".peft\", \"line\": 2, "
           "\"column\": 1, \"end_line\": 2, \"end_column\": 3, \"begin\": 2, \"end\": 4, \"label\": \"l\", \"labels\": [], \"notes\": [], "
           "\"helps\": [\"h\"], \"fixits\": [{\"file\": \"s\\\".peft\", \"line\": 2, \"column\": 1, \"end_line\": 2, \"end_column\": 2, "
           "\"begin\": 2, \"end\": 3, \"replacement\": \"x\\\\\"}]}\n]\n");
}

/// Bytes that a terminal would obey or that are no text, and lines that nobody can read.
static void testStrangeTexts() {
  SourceMap sources;
  int32_t a = sources.add("s", std::string("a\x1b[2J\0b \xff\xc3\xa4 c\n", 14) + std::string(3000, 'x') + "y" + std::string(3000, 'z'));
  Engine diags(sources);
  diags.report(Kind::E0107, find(sources, a, "c")).note("\x07");
  CHECK_EQ(render(diags), "error[E0107]: this value is not used\n --> s:1:12\n  |\n1 | a\uFFFD[2J\uFFFDb \uFFFDä c\n  |            ^\n  |\n  = note: \uFFFD\n");
  CHECK(render(diags, Format::Json).find("\\u0007") != std::string::npos);
  Engine inText(sources), second(sources);
  inText.report(Kind::E0101, {a, 0, 1}, {"\xff"});
  CHECK(render(inText, Format::Json).find("unexpected \uFFFD") != std::string::npos);
  second.report(Kind::E0107, find(sources, a, "y")).label({a, 20, 5000}, "long");
  const std::string x(40, 'x'), z(119, 'z');
  CHECK_EQ(render(second), "error[E0107]: this value is not used\n --> s:2:3001\n  |\n2 | …" + x + "y" + z + "…\n  |  " + std::string(40, '-') + "^" +
                               std::string(119, '-') + "\n  |  |\n  |  long\n");
}

/// A place in the library is a label; the user's text that led there comes first.
static void testBlame() {
  SourceMap sources;
  int32_t library = sources.add("<stdlib>/a.peft", "fn f(x) = x"), user = sources.add("s", "f(1) g(f)");
  Engine diags(sources);
  {
    Blame outer(diags, find(sources, user, "g(f)"));
    Blame inner(diags, find(sources, user, "f(1)"));
    Blame own(diags, find(sources, library, "f(x)"));
    diags.report(Kind::E0107, find(sources, library, "= x")).here("so");
    diags.report(Kind::E0101, find(sources, user, "g"), {"`g`"}).here("and here");
  }
  diags.report(Kind::E0114, find(sources, library, "fn"));
  CHECK_EQ(render(diags, Format::Short), "<stdlib>/a.peft:1:1: error[E0114]: this block has no value\ns:1:1: error[E0107]: this value is not used\n"
                                         "s:1:6: error[E0101]: unexpected `g`\n");
  CHECK(render(diags).find(" --> s:1:1\n  |\n1 | f(1) g(f)\n  | ^^^^\n ::: <stdlib>/a.peft:1:9\n  |\n1 | fn f(x) = x\n  |         --- so\n") != std::string::npos);
  CHECK(render(diags).find("^ and here\n") != std::string::npos);
}

static void testFixIts() {
  SourceMap sources;
  int32_t a = sources.add("s", "abcdef");
  Engine diags(sources);
  diags.report(Kind::E0107, {a, 4, 5}).fixit({a, 4, 5}, "E");
  diags.report(Kind::E0107, {a, 1, 3}).fixit({a, 1, 3}, "").fixit({a, 6, 6}, "!");
  diags.report(Kind::E0107, {a, 2, 4}).fixit({a, 2, 4}, "overlaps");
  CHECK_EQ(applyFixIts(diags, a), "adEf!");
}

static void testSuggest() {
  const std::vector<std::string> names = {"alpha", "dropout", "r", "rs", "weight_decay", "attention", "layers", "q", "v"};
  auto of = [&](const char *written) { return suggest(written, names).value_or("-"); };
  CHECK_EQ(of("Alpha"), "alpha");
  CHECK_EQ(of("lora_alpha"), "alpha");
  CHECK_EQ(of("lora_dropout"), "dropout");
  CHECK_EQ(of("aplha"), "alpha");
  CHECK_EQ(of("atention"), "attention");
  CHECK_EQ(of("attn"), "attention");
  CHECK_EQ(of("decay_weight"), "weight_decay");
  CHECK_EQ(of("layer"), "layers");
  CHECK_EQ(of("k"), "-");
  CHECK_EQ(of("zebra"), "-");
  CHECK_EQ(of("target_modules"), "-"); // `to` is none of the candidates
  CHECK_EQ(editDistance("ab", "ba"), size_t(1));
  CHECK_EQ(editDistance("ca", "abc"), size_t(3)); // restricted: no edits between the swapped
  CHECK_EQ(editDistance("", "abc"), size_t(3));
}

int main() {
  testRich();
  testMarksOnOneLine();
  testOrderLimitAndShort();
  testNoPlace();
  testJson();
  testStrangeTexts();
  testBlame();
  testFixIts();
  testSuggest();
  return failures != 0;
}
