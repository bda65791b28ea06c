// The formatter keeps tokens, comments and meaning, and itself.
#include "lang/ast/Dump.h"
#include "lang/format/Format.h"
#include "tests/lang/Mutate.h"

static std::string formatted(const std::string &text) {
  peftc::SourceMap sources;
  int32_t source = sources.add("x.peft", text);
  peftc::diag::Engine diags(sources);
  return peftc::format(sources, source, diags);
}

static size_t count(const std::string &text, const std::string &what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++n;
  return n;
}

static void testStdlib() {
  for (const auto &path : stdlibFiles()) {
    std::string text = readFile(path), once = formatted(text);
    CHECK_EQ(once, text); // it is laid out
    CHECK_EQ(formatted(once), once);
    CHECK_EQ(peftc::ast::dump(Parsed(once).file), peftc::ast::dump(Parsed(text).file));
    CHECK_EQ(count(once, "//"), count(text, "//"));
  }
}

/// What opens behind the end of a long list is as deep as the list's first line.
static void testLongLists() {
  const char *text = "module m(a: dim,\n"
                     "  b: dim): layer {\n"
                     "  y = f(a,\n"
                     "    b)\n"
                     "}\n";
  std::string wide = text;
  wide.replace(wide.find("  b: dim"), 8, "         b: dim");
  CHECK_EQ(formatted(text), text);
  CHECK_EQ(formatted(wide), text);
}

/// White space thrown about: the layout comes back.
static void testMessy() {
  const char *messy = "method   lora( r:rank=8,alpha : real=r )on linear{\n"
                      "      param A:[r,in]=kaiming_uniform( a=sqrt( 5 ) )   // first\n"
                      "  let s=alpha/( if rs then sqrt(r)else r )// second\n\n\n\n"
                      " // alone\n"
                      "y<-y+s*( x@A.T )[:,None]- -x**2;  let z = f(-1,[ 2:4 ])\n"
                      "   if s>6% {\n let b=\n 3\n}   else {\n}\n}\n"
                      "train   layers[ - 4..].** . norm.{weight,bias},layers.*\n";
  const char *clean = "method lora(r: rank = 8, alpha: real = r) on linear {\n"
                      "  param A: [r, in] = kaiming_uniform(a = sqrt(5))  // first\n"
                      "  let s = alpha / (if rs then sqrt(r) else r)      // second\n"
                      "\n"
                      "  // alone\n"
                      "  y <- y + s * (x @ A.T)[:, None] - -x ** 2;  let z = f(-1, [2:4])\n"
                      "  if s > 6% {\n"
                      "    let b =\n"
                      "      3\n"
                      "  } else {\n"
                      "  }\n"
                      "}\n"
                      "train layers[-4..].**.norm.{weight, bias}, layers.*\n";
  std::string text = messy;
  text.replace(text.find("[ 2:4 ]"), 7, "a[ 2:4 ]");
  std::string expected = clean;
  expected.replace(expected.find(" [2:4]"), 6, " a[2:4]");
  CHECK_EQ(formatted(text), expected);
  CHECK_EQ(formatted(expected), expected);
  CHECK_EQ(Parsed(text).codes(), "");
  CHECK_EQ(peftc::ast::dump(Parsed(text).file), peftc::ast::dump(Parsed(expected).file));
}

static void testBroken() {
  CHECK_EQ(formatted("let   x = = 3\n"), "let   x = = 3\n"); // a text with errors is left alone
  CHECK_EQ(formatted(""), "");
  CHECK_EQ(formatted("attach maybe lora( r=choose( 4,8 ) ) to choose subset( layers,0..12 ).q\nsearch {\nminimize   loss ;strategy tpe(trials=4)\n}\n"),
           "attach maybe lora(r = choose(4, 8)) to choose subset(layers, 0..12).q\nsearch {\n  minimize loss;  strategy tpe(trials = 4)\n}\n");
  CHECK_EQ(formatted("phase   warm( steps = 3 ) {\ntrain W\n}\n"), "phase warm(steps = 3) {\n  train W\n}\n");
}

/// Damaged texts that are still well-formed, in odd layouts.
static void testMutated() {
  Mutator mutator(7);
  int seen = 0;
  for (int round = 0; round < 1500 && failures == 0; ++round) {
    std::string text = mutator.next(false);
    Parsed parsed(text);
    if (!parsed.diags.all().empty())
      continue;
    ++seen;
    std::string once = formatted(text);
    CHECK_EQ(formatted(once), once);
    CHECK_EQ(peftc::ast::dump(Parsed(once).file), peftc::ast::dump(parsed.file));
  }
  CHECK(seen > 300);
}

int main() {
  testStdlib();
  testLongLists();
  testMutated();
  testMessy();
  testBroken();
  return failures != 0;
}
