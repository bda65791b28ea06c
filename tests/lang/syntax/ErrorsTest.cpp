// What is said about slips: one message each, in plain words, with the place; and reading goes on after it.
#include "lang/ast/Dump.h"
#include "tests/lang/Check.h"

static void testOneSlipOneMessage() {
  struct Case {
    const char *text, *says;
  };
  const Case cases[] = {
      {"attach lora(r = 8 to layers[*].q\ntrain head\n", "spec.peft:1:12: error[E0102]: this `(` is never closed\n"},
      {"attach lora(r = 8] to layers[*].q\n", "spec.peft:1:12: error[E0102]: this `(` is never closed\n"},
      {"attach lora(r = 8) layers[*]\n", "spec.peft:1:20: error[E0101]: unexpected `layers`\n"},
      {"attach lora(r: 8) to layers\n", "spec.peft:1:14: error[E0101]: unexpected `:`\n"},
      {"method m on linear {\n  y <- y + (x @ A.T\n  let z = 3\n}\n", "spec.peft:2:12: error[E0102]: this `(` is never closed\n"},
      {"method m on linear {\n  if r > 3 {\n    let z = 3\n  y <- y\n\nfn f(x) = x\n", "spec.peft:2:12: error[E0102]: this `{` is never closed\n"},
      {"method m on linear {\n  let z = 3\n  }\n}\ntrain head\n", "spec.peft:4:1: error[E0103]: nothing is open that this `}` would close\n"},
      {"let y = 'hello'\n", "spec.peft:1:9: error[E0104]: the character `'` has no meaning here\n"},
      {"let y = f(\"open, 3)\nlet z = 3\n", "spec.peft:1:11: error[E0105]: this string never ends\n"},
      {"let x = if a then b\n", "spec.peft:1:20: error[E0101]: unexpected end of the statement\n"},
      {"let x =", "spec.peft:1:8: error[E0101]: unexpected end of the text\n"},
      {"let x = f(1, )\nlet y = (,)\n", "spec.peft:2:10: error[E0101]: unexpected `,`\n"},
      {"method m on linear\n  param A: [r] = zeros\n  y <- y\n}\ntrain head\n", "spec.peft:1:19: error[E0101]: unexpected end of the line\n"},
      {"method m on linear {{\n  y <- y\n}\ntrain head\n", "spec.peft:1:21: error[E0101]: unexpected `{`\n"},
      {"task t(a: string = \"text) on model {\n  loss = x\n}\n", "spec.peft:1:20: error[E0105]: this string never ends\n"},
      {"let x = f(g(h[a)), 3)\n", "spec.peft:1:14: error[E0102]: this `[` is never closed\n"},
      {"budget params < 3%\n", "spec.peft:1:15: error[E0101]: unexpected `<`\n"},
      {"method m on linear { param A [r] = zeros }\n", "spec.peft:1:30: error[E0101]: unexpected `[`\n"},
      {"let s = \"{a +}\"\n", "spec.peft:1:14: error[E0101]: unexpected end of the text\n"},
  };
  for (const Case &one : cases)
    CHECK_EQ(Parsed(one.text).brief(), one.says);
}

static void testSeveralSlipsSeveralMessages() {
  Parsed parsed("method m(r: rank = 8) on linear {\n"
                "  param A [r, in] = zeros\n"
                "  let s = \n"
                "  let ok = 3\n"
                "  y <- y + s *\n"
                "  let t 4\n"
                "}\n"
                "optimize adamw(lr = 1) {\n"
                "  schedul linear()\n"
                "  group lr = 3 head\n"
                "}\n"
                "kind k { dims a; x [a]; y: [a] }\n"
                "metod f on linear { }\n"
                "train head\n");
  CHECK_EQ(parsed.codes(), "E0101 E0101 E0101 E0101 E0101 E0101 E0101 E0101");
  CHECK_EQ(parsed.file.statements.size(), size_t(4)); // the method, optimize, kind, train
  std::string tree = peftc::ast::dump(parsed.file);
  CHECK(tree.find("let ok") != std::string::npos);
  CHECK(tree.find("point y") != std::string::npos);
  std::string said = parsed.rich();
  CHECK(said.find("did you mean `method`?") != std::string::npos);
  CHECK(said.find("did you mean `schedule`?") != std::string::npos);
  for (const char *internal : {"RBRACE", "LBRACE", "SEP", "EOF", "STRING", "NUMBER", "stmt", "primary", "mismatched", "viable"})
    CHECK(said.find(internal) == std::string::npos);
  CHECK(peftc::diag::applyFixIts(parsed.diags, 0).find("\nmethod f on linear") != std::string::npos);
  CHECK(peftc::diag::applyFixIts(parsed.diags, 0).find("\n  schedule linear()") != std::string::npos);
}

static void testKinds() {
  CHECK_EQ(Parsed("let s = \"\\q\"\n").codes(), "E0106");
  CHECK_EQ(Parsed("h\n").codes(), "E0107");
  CHECK_EQ(Parsed("y = 3\n").codes(), "E0108");
  CHECK_EQ(Parsed("method m on linear { weight W: [d] }\n").codes(), "E0108");
  CHECK_EQ(Parsed("let s = \"a {} b\"\n").codes(), "E0109");
  CHECK_EQ(Parsed("let s = \"a {b\"\n").codes(), "E0109");
  CHECK_EQ(Parsed("let s = 3 // \xff\n").codes(), "E0110");
  CHECK_EQ(Parsed("interop peft { r = 1 }\n").codes(), "E0108");
  CHECK_EQ(Parsed("task t on model { interop peft { \"a\" = b; task_type = \"X\" } }\n").codes(), "E0108");
  CHECK_EQ(Parsed("method m on linear { interop peft { r = 1 except } }\n").codes(), "E0101");
  CHECK_EQ(Parsed("let s = 1e999\n").codes(), "E0111");
  CHECK_EQ(Parsed("let s = f(a = 1, 2)\n").codes(), "E0112");
  CHECK_EQ(Parsed("let s = " + std::string(100000, '(') + "\n").codes(), "E0113");
  std::string minus;
  for (int i = 0; i < 50000; ++i)
    minus += "- ";
  CHECK_EQ(Parsed("let s = " + minus + "1\n").codes(), "E0113");
  CHECK_EQ(Parsed("fn f(x) = { let a = 1 }\n").codes(), "E0114");
}

static void testReserved() {
  for (const char *text : {"phase warm(steps = 3) { train W }", "phase rewind { W <- W0 }",
                           "method m { on finish { g <- 0 } }", "method m { on start { g <- 0 } }", "method m { after step { g <- sign(g) * 3 } }",
                           "method m { every n steps from a to b { reset part } }", "method m { every 100 steps { g <- 0 } }",
                           "method m { carry s: [seq, k] = 3 }", "method m { score s: like(W) = abs(W) }", "method m { reset part }",
                           "method m { module side: like(layer, hidden_size = k) }", "method m { module side: bert.layer(hidden_size = k) }",
                           "method m { variant e[i in 0 .. n] = base with attach lora(r) to {gate, up} }",
                           "method m { sparse param d at top(all(F), share) = zeros }", "method m on linear where has(gate) { }"})
    CHECK_EQ(std::string(text) + ": " + Parsed(text).codes(), std::string(text) + ": E0199");
  // The words stay names.
  CHECK_EQ(Parsed("module m(phase: dim): norm { score = phase + search(every).carry; after: linear(d, d); reset = x.grad.start }").codes(), "");
}

static void testSpaces() {
  for (const char *text : {"let a = choose(4, 8)", "input a: int = choose(4, 8)", "run { epochs = choose(1, 2) }", "optimize adamw(lr = choose(1e-3, 2e-3)) {\n  group lr = choose(1, 2) for head\n}",
                           "attach maybe lora(r = 2 * choose(4, 8)) to layers[choose(0, 1)..].x", "attach lora to choose subset(layers, 0..12).attention.{q, v}", "attach choose(lora(4), lora(8)) to x",
                           "search { minimize loss; maximize accuracy\n strategy tpe(trials = 40) }", "search { }"})
    CHECK_EQ(std::string(text) + ": " + Parsed(text).codes(), std::string(text) + ": ");
  const std::vector<std::pair<const char *, const char *>> wrong = {
      {"let a = choose(4)", "1:9: error[E0211]: `choose` takes two values or more\n"},
      {"let a = choose(a = 4, b = 8)", "1:9: error[E0211]: `choose` takes values without names\n"},
      {"let a = choose(4, choose(8, 16))", "1:19: error[E0108]: `choose` cannot stand in another `choose`\n"},
      {"let a = \"{choose(4, 8)}\"", "1:11: error[E0108]: `choose` cannot stand in a value that no statement of a program holds\n"},
      {"method m on linear { let a = choose(4, 8) }", "1:30: error[E0108]: `choose` cannot stand in a method\n"},
      {"method m(r: int = choose(4, 8)) on linear { }", "1:19: error[E0108]: `choose` cannot stand in a declaration\n"},
      {"task classify(labels = choose(2, 3))", "1:24: error[E0108]: `choose` cannot stand in `task`\n"},
      {"train choose subset(layers, 0..2)", "1:7: error[E0108]: `choose` cannot stand in `train`\n"},
      {"optimize adamw(lr = 1) {\n  group lr = 2 for choose subset(layers, 0..2)\n}", "2:20: error[E0108]: `choose` cannot stand in `group`\n"},
      {"attach lora to choose any(layers, 0..2)", "1:23: error[E0101]: unexpected `any`\n"},
      {"search { reduce loss }", "1:10: error[E0101]: unexpected `reduce`\n"},
      {"search { minimize 3 }", "1:19: error[E0101]: unexpected value\n"},
      {"search { strategy tpe; strategy random }", "1:24: error[E0206]: `strategy` is said twice\n"},
      {"method m on linear { search { minimize loss } }", "1:22: error[E0108]: `search` cannot stand in a method\n"}};
  for (const auto &[text, said] : wrong)
    CHECK_EQ(Parsed(text, "").brief(), std::string(":") + said);
  CHECK_EQ(peftc::ast::dump(Parsed("attach maybe lora(r = choose(4, 8)) to choose subset(layers, 0..12).q\nsearch { minimize loss; maximize accuracy; strategy tpe(trials = 4) }").file),
           "file\n  attach maybe\n    call\n      name lora\n      argument r\n        choose\n          number 4\n          number 8\n    selector\n      path\n        subset layers\n"
           "          start\n            number 0\n          stop\n            number 12\n        name q\n  search\n    minimize loss\n    maximize accuracy\n    strategy\n      call\n        name tpe\n"
           "        argument trials\n          number 4\n");
  // The words stay names.
  CHECK_EQ(Parsed("let subset = maybe + search + minimize\nlet strategy = subset.choose").codes(), "");
}

/// Every page's failing text fails with its code, its fixed text has no slip.
static void testExplainPages() {
  for (const auto &entry : std::filesystem::directory_iterator(std::filesystem::path(PEFT_ROOT) / "lang/diag/explain")) {
    std::string code = entry.path().stem().string(), page = readFile(entry.path());
    if (code.substr(0, 3) != "E01")
      continue;
    auto block = [&](const std::string &what) {
      std::string open = "```peft " + what + "\n";
      size_t at = page.find(open);
      return at == std::string::npos ? std::string() : page.substr(at + open.size(), page.find("```", at + 3) - at - open.size());
    };
    CHECK_EQ(code + " ok: " + Parsed(block("ok")).codes(), code + " ok: ");
    if (code != "E0110") // no page can hold bytes that are not UTF-8
      CHECK_EQ("fails: " + Parsed(block("fail")).codes(), "fails: " + code);
    CHECK(peftc::diag::explainPage(code) != nullptr && page == peftc::diag::explainPage(code));
  }
  for (int kind = 0; std::string(peftc::diag::code(static_cast<peftc::diag::Kind>(kind))) != "E0199"; ++kind)
    CHECK(peftc::diag::explainPage(peftc::diag::code(static_cast<peftc::diag::Kind>(kind))) != nullptr);
  CHECK(peftc::diag::explainPage("E0000") == nullptr);
}

void testErrors() {
  testOneSlipOneMessage();
  testSeveralSlipsSeveralMessages();
  testKinds();
  testReserved();
  testSpaces();
  testExplainPages();
}
