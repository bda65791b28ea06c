// What a program leaves open: names, values, what a search cannot be, and the text with the choices made.
#include "lang/ast/Dump.h"
#include "lang/sema/Check.h"
#include "lang/sema/Space.h"
#include "tests/lang/Check.h"
using namespace peftc;

static const std::filesystem::path kRoot = PEFT_ROOT;

static Library &library() {
  static Library files([] {
    std::vector<StdlibFile> all;
    for (const auto &path : stdlibFiles())
      all.push_back({std::filesystem::relative(path, kRoot / "stdlib").generic_string(), readFile(path)});
    return all;
  }());
  return files;
}

/// A program's space with the messages about it.
struct Read {
  SourceMap sources;
  diag::Engine diags{sources};
  std::string text;
  std::unique_ptr<Spec> spec;
  explicit Read(const std::string &text) : text(text) {
    spec = readSpace(sources, "s", library(), {}, diags, [&](const std::string &path) { return path == "s" ? std::optional(this->text) : std::nullopt; });
  }
  /// "lora.r: 4 8 (lora)\n": a line a choice, and in brackets what it is within.
  std::string choices() const {
    std::string out;
    for (const OpenChoice &choice : spec->space.choices) {
      out += choice.name + ":";
      for (const std::string &value : choice.values)
        out += " " + value;
      out += (choice.within.empty() ? "" : " (" + choice.within + ")") + "\n";
    }
    return out;
  }
  std::string said() const { return diag::render(diags, diag::Format::Short, 100); }
};

static std::string checked(const std::string &text, const std::vector<MadeChoice> &made) {
  SourceMap sources;
  diag::Engine diags(sources);
  check(sources, "s", library(), {}, diags, [&](const std::string &path) { return path == "s" ? std::optional(text) : std::nullopt; }, made);
  return diag::render(diags, diag::Format::Short, 100);
}

static const std::string kHead = "use peft.methods.{lora, serial_adapter, prefix}\nmodel base = bert\ntask classify(labels = 2)\n";

static void testNames() {
  const std::string text = kHead + "let k = choose(1, 2)\ninput n: int = choose(3, 4)\n"
                                   "attach lora(choose(4, 8), alpha = 2 * choose(16, 2 * 16)) to layers[choose(0, 1)..].attention.q\n"
                                   "attach maybe lora(r = choose(4, 8)) to choose subset(layers, 1..3).attention.v\n"
                                   "attach serial_adapter(reduction = choose(2, 4) + choose(1, 3)) to layers[*].ffn as small\n"
                                   "optimize adamw(lr = choose(1e-3, 2e-3)) {\n  schedule linear(warmup = choose(0%, 6%))\n  group lr = choose(1, 2) for head\n}\nrun { epochs = choose(1, 2) }\n";
  const Read read(text);
  CHECK_EQ(read.said(), "");
  CHECK_EQ(read.choices(), "k: 1 2\nn: 3 4\nlora.r: 4 8\nlora.alpha: 16 2 * 16\nlora.layers: 0 1\nlora2: yes no\nlora2.r: 4 8 (lora2)\nlora2.layers[1]: yes no (lora2)\nlora2.layers[2]: yes no (lora2)\n"
                           "small.reduction: 2 4\nsmall.reduction#2: 1 3\nadamw.lr: 1e-3 2e-3\nlinear.warmup: 0% 6%\ngroup.lr: 1 2\nrun.epochs: 1 2\n");
  CHECK_EQ(read.spec->space.objectives.size(), 1u); // the loss, unless said otherwise
  CHECK_EQ(read.spec->space.strategy.name, "tpe");
}

static void testSearch() {
  const Read read(kHead + "let k = choose(1, 2)\nsearch {\n  maximize accuracy\n  minimize params\n  strategy nsga2(trials = 7, seed = 3)\n}\n");
  CHECK_EQ(read.said(), "");
  const Space &space = read.spec->space;
  CHECK_EQ(space.objectives.size(), 2u);
  CHECK(space.objectives[0].name == "accuracy" && space.objectives[0].maximize && space.objectives[1].name == "params" && !space.objectives[1].maximize);
  CHECK(space.strategy.name == "nsga2" && space.strategy.trials == 7 && space.strategy.seed == 3);
  const std::vector<std::pair<const char *, const char *>> wrong = {
      {"search { minimize accurcy }", "s:4:19: error[E0357]: `search` has no `accurcy`\n"},
      {"search { minimize loss; maximize loss }", "s:4:34: error[E0206]: `loss` is said twice\n"},
      {"search { strategy supernet(trials = 3) }", "s:4:19: error[E0353]: `strategy` must be tpe, random or nsga2, not `supernet`\n"},
      {"search { strategy tpe(trial = 3) }", "s:4:23: error[E0209]: `tpe` has no argument `trial`\n"},
      {"search { strategy tpe(trials = 0) }", "s:4:32: error[E0353]: `trials` must be a whole number, at least 1, not `0`\n"},
      {"search { minimize loss }\nsearch { minimize loss }", "s:5:1: error[E0206]: `search` is said twice\ns:5:19: error[E0206]: `loss` is said twice\n"},
      {"let k = choose(4, 4)", "s:4:19: error[E0206]: `4` is said twice\n"},
      {"attach lora to choose subset(layers, 3..3).attention.q", "s:4:38: error[E0353]: `choose subset` must be of a range like 0..12, not this\n"},
      {"attach lora to choose subset(layers, 0..4)[1].attention.q", "s:4:16: error[E0101]: unexpected index\n"}};
  for (const auto &[text, said] : wrong)
    CHECK_EQ(std::string(text) + "\n" + Read(kHead + text).said(), std::string(text) + "\n" + said);
}

static void testMade() {
  const std::string text = kHead + "attach maybe lora(r = choose(4, 8), alpha = choose(1, 2)) to layers[*].attention.q\nlet k = choose(1, 2)\n";
  CHECK_EQ(checked(text, {}), "s:4:8: error[E0504]: the program leaves `lora` and 3 choices more open\n");
  CHECK_EQ(checked(text, {{"lora", "yes"}, {"lora.r", "8"}, {"k", "1"}}), "s:4:45: error[E0504]: the program leaves `lora.alpha` open\n");
  CHECK_EQ(checked(text, {{"lora", "yes"}, {"lora.r", "6"}, {"k", "1"}}), "s:4:23: error[E0506]: `lora.r` cannot be `6`\n");
  CHECK_EQ(checked(text, {{"lora", "yes"}, {"lora.rank", "8"}}), "error[E0505]: the program has no choice `lora.rank`\n");
  CHECK_EQ(checked(kHead, {{"lora.r", "8"}}), "error[E0505]: the program has no choice `lora.r`\n");
  CHECK_EQ(checked(text, {{"lora", "no"}, {"k", "1"}}), ""); // what it holds need not be chosen
  CHECK_EQ(checked(text, {{"lora", "yes"}, {"lora.r", "8"}, {"lora.alpha", "2"}, {"k", "1"}}), "");
  // What is wrong with a value is found with that value.
  CHECK_EQ(checked(kHead + "attach lora(r = choose(4, 0)) to layers[*].attention.q\n", {{"lora.r", "0"}}), "s:4:17: error[E0353]: `r` must be at least 1, not 0\n");
  CHECK_EQ(checked(kHead + "attach lora(r = choose(4, 0)) to layers[*].attention.q\n", {{"lora.r", "4"}}), "");
  CHECK_EQ(sema::coveringPoints(Read(text).spec->space).size(), 2u);
}

static std::string with(const std::string &text, const std::vector<MadeChoice> &made) { return sema::withChoices(Read(text).spec->space, text, made); }

static void testText() {
  const std::string text = "// mine\nmodel base = bert   // the base\nattach maybe lora(r = choose(4, 8),   // rank\n  alpha = 3 * choose(2, 1 + 1)) to choose subset(layers, 0..6).q   // why\n"
                           "search {\n  // what counts\n  minimize loss\n}\nlet k = choose([1, 2], [3])  // k\n";
  std::vector<MadeChoice> made = {{"lora", "yes"}, {"lora.r", "8"}, {"lora.alpha", "1 + 1"}, {"k", "[3]"}};
  for (int layer = 0; layer < 6; ++layer)
    made.push_back({"lora.layers[" + std::to_string(layer) + "]", layer == 1 || layer == 3 || layer == 4 ? "yes" : "no"});
  CHECK_EQ(with(text, made), "// mine\nmodel base = bert   // the base\nattach lora(r = 8,   // rank\n  alpha = 3 * (1 + 1)) to {layers[1], layers[3..5]}.q   // why\nlet k = [3]  // k\n");
  made[0].value = "no";
  const std::string without = "// mine\nmodel base = bert   // the base\n// not chosen: attach maybe lora(r = choose(4, 8),   // rank\n//   alpha = 3 * choose(2, 1 + 1)) to choose subset(layers, 0..6).q   // why\nlet k = [3]  // k\n";
  CHECK_EQ(with(text, made), without);
  made[0].value = "yes";
  for (MadeChoice &choice : made)
    choice.value = choice.value == "yes" && choice.name != "lora" ? "no" : choice.value;
  CHECK_EQ(with(text, made), without); // at no layer
  for (MadeChoice &choice : made)
    choice.value = choice.value == "no" ? "yes" : choice.value;
  CHECK(with(text, made).find("to layers[0..6].q") != std::string::npos);
  CHECK_EQ(with("let k = choose(1, 2)\n\nsearch { minimize loss }\n", {{"k", "2"}}), "let k = 2\n");
  CHECK_EQ(with("attach maybe lora to x; attach lora to y\n", {{"lora", "no"}}), "; attach lora to y\n"); // no comment swallows a neighbour
  CHECK_EQ(Parsed(with("attach maybe lora to x; attach lora to y\n", {{"lora", "no"}})).codes(), "");
}

int main() {
  testNames();
  testSearch();
  testMade();
  testText();
  return failures != 0;
}
