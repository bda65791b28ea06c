// What texts mean: the tree of every construct, and all of the standard library.
#include "lang/ast/Dump.h"
#include "tests/lang/Check.h"

void testErrors();

/// The dump of an expression on one line: `(binary + (name a) (number 1))`.
static std::string expression(const std::string &text) {
  peftc::SourceMap sources;
  int32_t source = sources.add("expression", text);
  peftc::diag::Engine diags(sources);
  auto value = peftc::parseExpression(sources, source, diags);
  if (!value)
    return "error: " + peftc::diag::render(diags, peftc::diag::Format::Short);
  std::istringstream lines(peftc::ast::dump(*value));
  std::string out, line;
  size_t depth = 0;
  bool first = true;
  while (std::getline(lines, line)) {
    size_t here = line.find_first_not_of(' ') / 2;
    if (!first)
      out += here > depth ? " " : std::string(depth - here + 1, ')') + " ";
    out += "(" + line.substr(2 * here);
    depth = here;
    first = false;
  }
  return out + std::string(depth + 1, ')');
}

static void testStdlib() {
  CHECK(stdlibFiles().size() >= 15);
  for (const auto &path : stdlibFiles()) {
    Parsed parsed(readFile(path), path.filename().string());
    CHECK_EQ(parsed.brief(), "");
    CHECK(!parsed.file.statements.empty());
  }
}

static void testExpressions() {
  CHECK_EQ(expression("a + b * c"), "(binary + (name a) (binary * (name b) (name c)))");
  CHECK_EQ(expression("a - b - c"), "(binary - (binary - (name a) (name b)) (name c))");
  CHECK_EQ(expression("-x ** 2"), "(unary - (binary ** (name x) (number 2)))");
  CHECK_EQ(expression("x ** -y ** 2"), "(binary ** (name x) (unary - (binary ** (name y) (number 2))))");
  CHECK_EQ(expression("x @ A.T @ B"), "(binary @ (binary @ (name x) (member T (name A))) (name B))");
  CHECK_EQ(expression("not a == b and c or d"), "(binary or (binary and (unary not (binary == (name a) (name b))) (name c)) (name d))");
  CHECK_EQ(expression("a else b else c"), "(binary else (name a) (binary else (name b) (name c)))");
  CHECK_EQ(expression("if a then b else c else d"), "(if (name a) (name b) (binary else (name c) (name d)))");
  CHECK_EQ(expression("0 .. n + 1"), "(binary .. (number 0) (binary + (name n) (number 1)))");
  CHECK_EQ(expression("a[:, None, 2:4, ..., i]"),
           "(index (name a) (slice) (new axis) (slice (start (number 2)) (stop (number 4))) (ellipsis) (at (index (name i))))");
  CHECK_EQ(expression("x => x + 1"), "(lambda x (binary + (name x) (number 1)))");
  CHECK_EQ(expression("(P, i) => P[i]"), "(lambda P i (index (name P) (at (index (name i)))))");
  CHECK_EQ(expression("(a, b)"), "(tuple (name a) (name b))");
  CHECK_EQ(expression("(a)"), "(name a)");
  CHECK_EQ(expression("[]"), "(list)");
  CHECK_EQ(expression("[for i in 0 .. n: i]"), "(for i (binary .. (number 0) (name n)) (name i))");
  CHECK_EQ(expression("sum(i in 0 .. n) a * b + c"),
           "(binary + (call (name sum) (argument (for i (binary .. (number 0) (name n)) (binary * (name a) (name b))))) (name c))");
  CHECK_EQ(expression("f(1, b = 2)(c)"), "(call (call (name f) (argument (number 1)) (argument b (number 2))) (argument (name c)))");
  CHECK_EQ(expression("lora(r) from \"run1\" frozen"), "(call frozen (name lora) (argument (name r)) (from (string (\"run1\"))))");
  CHECK_EQ(expression("\"a\\n{i + 1}b\\{\""), "(string (\"a\\n\") (binary + (name i) (number 1)) (\"b{\"))");
  CHECK_EQ(expression("in"), "(name in)");
  CHECK_EQ(expression("true == none"), "(binary == (true) (none))");
}

static void testPercent() {
  CHECK_EQ(expression("6%"), "(number 6%)");
  CHECK_EQ(expression("10%3"), "(binary % (number 10) (number 3))");
  CHECK_EQ(expression("10 % x"), "(binary % (number 10) (name x))");
  CHECK_EQ(expression("10% x"), "(binary % (number 10) (name x))");
  CHECK_EQ(expression("5% * 2"), "(binary * (number 5%) (number 2))");
  CHECK_EQ(expression("if p > 5% then 1% else 0.5%"), "(if (binary > (name p) (number 5%)) (number 1%) (number 0.5%))");
  peftc::SourceMap sources;
  int32_t source = sources.add("", "0.5%");
  peftc::diag::Engine diags(sources);
  auto value = peftc::parseExpression(sources, source, diags);
  const auto *number = value->as<peftc::ast::NumberExpr>();
  CHECK(number && number->isPercent && !number->isInteger && number->value == 0.005);
}

static std::string tree(const std::string &text) {
  Parsed parsed(text);
  return parsed.diags.all().empty() ? peftc::ast::dump(parsed.file) : parsed.brief();
}

static void testStatementEnds() {
  CHECK_EQ(tree("let a = b\n  + c\nlet d = [1,\n  2]\n"), tree("let a = b + c; let d = [1, 2]"));
  CHECK_EQ(tree("let a =\n  b *\n c"), tree("let a = b * c"));
  CHECK_EQ(tree("let a = if b\n then c\n else d"), tree("let a = if b then c else d"));
  CHECK_EQ(tree("let a = x\n  .y(\n\n3\n)"), tree("let a = x.y(3)"));
  CHECK_EQ(tree("train layers.*\ntrain head"), tree("train layers.*;train head"));
  CHECK_EQ(tree("run {\n epochs = 3\n batch = 4,\n}\n"), tree("run { epochs = 3, batch = 4 }"));
  CHECK_EQ(tree("method m on linear\n{ train b }"), tree("method m on linear { train b }"));
  CHECK_EQ(tree("let a = 1\r\nlet b = 2\r\n"), tree("let a = 1\nlet b = 2\n"));
  CHECK_EQ(tree(""), "file\n");
  CHECK_EQ(tree("// only a comment"), "file\n");
}

static void testSoftWords() {
  CHECK_EQ(tree("module x(in: dim, new: dim, list: int): linear, norm {\n  norm: linear(in, new) @ new \"state\"\n  input input: [in, row]\n"
                "  state = norm(input)\n  head = embeddings.norm(state.train) + for_all\n}\n")
               .substr(0, 34),
           "file\n  module declaration : linear");
  CHECK(tree("arch a { p: linear(1, 2) @ \"x\" or new\n q: linear(1, 2) @ \"y\" }").find("checkpoint name or new") != std::string::npos);
  CHECK_EQ(tree("arch a { module m(or_new: dim) { input x: [d]; y = x or new } }").find("error"), std::string::npos);
  CHECK_EQ(tree("task t on model { loss = x; logits = head.classifier(pooled); metric metric = loss }").find("error"), std::string::npos);
  CHECK_EQ(tree("method m on linear { loss += x; W.on <- to; state <- 3; use += 4 }").find("error"), std::string::npos);
}

static void testSelectors() {
  const char *selectors[] = {"layers[*].attention.{q, v}", "layers[6..].ffn", "layers[0..6]", "layers[..6]", "layers[-4..]", "layers[::2]",
                             "layers[3]", "layers[*].**.norm.{weight, bias}", "\"q_proj\"", "head, layers.*.x, \"a.b\"",
                             "{a.b, c[1]}.d", "layers[*] where kind == linear and index % 2 == 0 except layers[3], \"x\""};
  std::set<std::string> trees;
  for (const char *selector : selectors) {
    std::string one = tree(std::string("train ") + selector + "\n");
    CHECK(one.find("error") == std::string::npos);
    trees.insert(one);
  }
  CHECK_EQ(trees.size(), std::size(selectors));
}

static void testDocs() {
  Parsed parsed("// no\n/// One.\n///   Two.\nfn f(x) = x\nfn g(x) = x\n");
  CHECK_EQ(parsed.file.statements[0]->as<peftc::ast::FnStmt>()->doc, "One.\n  Two.");
  CHECK_EQ(parsed.file.statements[1]->as<peftc::ast::FnStmt>()->doc, "");
}

static void testRanges() {
  Parsed parsed("/// ä\nlet ä = 3");
  CHECK_EQ(parsed.brief().substr(0, 26), "spec.peft:2:5: error[E0104");
  Parsed good("// äö\nlet x = a.b + 6%");
  const auto *let = good.file.statements[0]->as<peftc::ast::LetStmt>();
  CHECK_EQ(good.sources.text(let->range), "let x = a.b + 6%");
  const auto *sum = let->value->as<peftc::ast::BinaryExpr>();
  CHECK_EQ(good.sources.text(sum->lhs->range), "a.b");
  CHECK_EQ(good.sources.text(sum->opRange), "+");
  CHECK_EQ(good.sources.text(sum->rhs->range), "6%");
}

int main() {
  testStdlib();
  testExpressions();
  testPercent();
  testStatementEnds();
  testSoftWords();
  testSelectors();
  testDocs();
  testRanges();
  testErrors();
  return failures != 0;
}
