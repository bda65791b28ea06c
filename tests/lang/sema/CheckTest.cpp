// What `check` says without a checkpoint: nothing about the library and the examples, and something about each slip.
#include "lang/sema/Check.h"
#include "lang/sema/Space.h"
#include "tests/lang/Mutate.h"
using namespace peftc;

static const std::filesystem::path kRoot = PEFT_ROOT;

static std::vector<StdlibFile> library() {
  std::vector<StdlibFile> files;
  for (const auto &path : stdlibFiles())
    files.push_back({std::filesystem::relative(path, kRoot / "stdlib").generic_string(), readFile(path)});
  return files;
}

/// The messages about a text, in short form, without the file's name.
static std::string messages(const std::string &text, Library &stdlib, const std::vector<MadeChoice> &choices = {}) {
  SourceMap sources;
  diag::Engine diags(sources);
  check(sources, "s", stdlib, {}, diags, [&](const std::string &path) { return path == "s" ? std::optional(text) : std::nullopt; }, choices);
  std::string all = diag::render(diags, diag::Format::Short, 100), out;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);)
    out += (line.starts_with("s:") ? line.substr(2) : line) + "\n";
  return out;
}

/// The points of a program, each as its choices; one point, without any, where nothing is left open.
static std::vector<std::vector<MadeChoice>> pointsOf(const std::string &text) {
  Library stdlib(library());
  SourceMap sources;
  diag::Engine diags(sources);
  return sema::coveringPoints(readSpace(sources, "s", stdlib, {}, diags, [&](const std::string &) { return std::optional(text); })->space);
}

static std::string messages(const std::string &text, const std::vector<MadeChoice> &choices = {}) {
  static Library stdlib(library());
  return messages(text, stdlib, choices);
}

/// Of the library a program reads what it may mean, and all of it once something is wrong.
static void testReach() {
  std::vector<StdlibFile> files = library();
  files.push_back({"methods/torn.peft", "/// torn\nmethod torn on linear { y <- "});
  files.push_back({"tasks/torn_task.peft", "task torn_task(k: int) {"});
  Library torn(files);
  const std::string program = "use peft.methods.{lora}\nmodel base = bert // torn_task\ntask classify(labels = 2)\nattach lora to layers[*].** where kind == linear\noptimize adamw(lr = 1e-3)\n";
  CHECK_EQ(messages(program, torn), "");
  for (const char *one : {"use peft.methods.{torn}\n", "let k = \"{torn_task}\"\n", "method m on linear { y <- y + xx }\n"})
    CHECK(messages(program + one, torn).find("torn") != std::string::npos);
  CHECK(messages("method m on linear { y <- 2 * y }", torn).find("torn") != std::string::npos); // for any network
  const std::string again = messages(program + "use peft.methods.{torn}\n", torn);
  CHECK_EQ(messages(program + "use peft.methods.{torn}\n", torn), again); // slips of what is kept are said each time
  std::string everything;
  for (const StdlibFile &file : library())
    if (file.name.starts_with("methods/")) {
      const std::string name = file.name.substr(8, file.name.size() - 13);
      everything = "use peft.methods.{" + name + "}\n" + program;
      SourceMap sources;
      diag::Engine diags(sources);
      Library whole(library());
      auto spec = check(sources, "s", whole, {}, diags, [&](const std::string &) { return std::optional(everything); });
      CHECK_EQ(name + diag::render(diags, diag::Format::Short), name);
      CHECK(spec->files.size() < whole.files().size() / 2);
    }
}

static void testSilent() {
  CHECK_EQ(messages(""), ""); // the library itself
  for (const auto &path : stdlibFiles())
    CHECK_EQ(path.string() + "\n" + messages(readFile(path)), path.string() + "\n");
  CHECK_EQ(messages(readFile(kRoot / "tests/lang/sema/methods.peft")), "");
  for (const auto &entry : std::filesystem::recursive_directory_iterator(kRoot / "examples"))
    if (entry.path().extension() == ".peft")
      for (const auto &point : pointsOf(readFile(entry.path())))
        CHECK_EQ(entry.path().string() + "\n" + messages(readFile(entry.path()), point), entry.path().string() + "\n");
}

struct Case {
  const char *text, *expected;
};

static void expect(const Case &c) { CHECK_EQ(std::string(c.text) + "\n" + messages(c.text), std::string(c.text) + "\n" + c.expected); }

static void testNames() {
  const Case cases[] = {
      {"method m on linear { y <- y + xx }", "1:31: error[E0356]: nothing is called `xx` here\n"},
      {"method m on linear { y <- relo(y) }", "1:27: error[E0356]: nothing is called `relo` here\n"},
      {"method m on linaer { y <- y }", "1:13: error[E0356]: nothing is called `linaer` here\n"},
      {"method m on linear { W <- W0 + b0[:, None] }", ""},
      {"method m on linear { let a = B; param B: [in] = zeros; y <- y * a * B }", "1:30: error[E0356]: nothing is called `B` here\n"},
      {"method m on linear { param A: [r, in] = zeros; y <- A @ x }", "1:32: error[E0356]: nothing is called `r` here\n"},
      {"method m on linear { y <- y + sum(y, axis = seq) + max(y, axis = out)[:, None] }", ""},
      {"method m on layer { y <- y * attention.u + ffn.y }", ""},
      {"method m(n: int, f: fn = relu) on linear { for i in 0 .. n { param A: [in] = zeros }\n y <- f(y) + i }", ""},
      {"method m on linear { y <- y * split(y) }", "1:31: error[E0199]: `split` is not supported yet\n"},
      {"method m on linear { y <- base(2 * x) }", ""},
      {"method m on linear { y <- topk(x) + batch_mean(y) }",
       "1:27: error[E0199]: `topk` is not supported yet\n1:37: error[E0199]: `batch_mean` is not supported yet\n"},
      {"method m on linear { shared per layer param a: [in] = ones; shared per model param b: [in] = ones; y <- y }", ""},
      {"method m on linear { shared per W param a: [in] = ones; y <- y }", ""},
      {"method m on linear { shared per layr param a: [in] = ones; y <- y }", "1:33: error[E0356]: nothing is called `layr` here\n"},
      {"method m on linear { shared per task param a: [in] = ones; y <- y }", "1:33: error[E0199]: `per task` is not supported yet\n"},
      {"method m on linear { sample z ~ normal(0, 1, [out]) per step; y <- y * z }", ""},
      {"method m on linear { sample z ~ normal(0, 1, [out]) per run; y <- y * z }", "1:57: error[E0353]: `per` must be pass or step, not `run`\n"},
      {"method m on linear { sample z ~ normal(0, 1, [out]) per token; y <- y * z }", "1:57: error[E0199]: `per token` is not supported yet\n"},
      {"use peft.methods.{lorra, ia3}\nattach lorra(r = 8) to layers[*].attention.q\nmethod m on linear { y <- y + zzz }",
       "1:19: error[E0204]: `peft.methods` has no `lorra`\n3:31: error[E0356]: nothing is called `zzz` here\n"},
      {"use peft.nothing.{lora}\nmodel base = brt\nattach lora(r = 8) to layers[*]", "1:10: error[E0203]: there is no module `peft.nothing`\n2:14: error[E0356]: nothing is called `brt` here\n"},
      {"method m on linear { param l: [out] = ones; y <- l * y; interop peft { r = len([l]); \"{module}.l\" = l; train as \"{tensor}\" } }", ""},
      {"method m on linear { param l: [out] = ones; y <- l * y; interop peft in \"X\" { \"{module}.l\" = l }\n interop peft { \"{module}.m\" = l } }", ""},
      {"method m on linear { param l: [out] = ones; y <- l * y; interop adapters { \"{module}.l\" = l } }", "1:65: error[E0212]: files of `adapters` are not known\n"},
      {"method m on linear { param l: [out] = ones; y <- l * y; interop peft { \"{module}.l\" = ll; r = 1; r in [2] } }",
       "1:87: error[E0356]: nothing is called `ll` here\n1:98: error[E0206]: `r` is said twice\n"},
      {"method m on linear { y <- y; interop peft { \"{tensor}.l\" = y } }", "1:47: error[E0356]: nothing is called `tensor` here\n"},
      {"run { precision = fp32, best = \"accuracy:max\" }", ""},
      {"run { precision = bf16, best = accuracy }",
       "1:32: error[E0353]: `best` must be a metric with its direction, not `accuracy`\n"},
      {"run { precision = half, best = \"accuracy\" }",
       "1:19: error[E0353]: `precision` must be auto, fp32 or bf16, not `half`\n1:32: error[E0353]: `best` must be a metric with its direction, not `\"accuracy\"`\n"},
      {"arch a(cfg: config): model {\n module h(n: dim) { p: linear(n, 2); input x: [n]; y = p(x) + cfg.a }\n p: h(3)\n}\ntask t on model { head: h(2); other: token_head(3) }", ""},
      {"arch a(cfg: config): model { module h(n: dim) { input x: [n]; y = zz * x }\n p: g(3) }", "1:67: error[E0356]: nothing is called `zz` here\n2:5: error[E0356]: nothing is called `g` here\n"},
      {"task t on model { head: nowhere(2) }", "1:25: error[E0356]: nothing is called `nowhere` here\n"},
      {"method m on model { module h(n: dim) { input x: [n]; y = x } }", "1:21: error[E0108]: `module` cannot stand in a method\n"},
      {"fn f(x) = { let a = x\n a + c }", "2:6: error[E0356]: nothing is called `c` here\n"},
      {"let k = 2\nfn f(x) = [for i in 0 .. k: (y => y + i)(x)]", ""},
      {"optimize adam(lr = 1)", "1:10: error[E0356]: nothing is called `adam` here\n"},
      {"optimize adamw(lr = rate) { schedule linaer }",
       "1:21: error[E0356]: nothing is called `rate` here\n1:38: error[E0356]: nothing is called `linaer` here\n"},
      {"model base = bret", "1:14: error[E0356]: nothing is called `bret` here\n"},
      {"task clasify(labels = 2)", "1:6: error[E0356]: nothing is called `clasify` here\n"},
      {"attach lora to layers[*]", "1:8: error[E0356]: nothing is called `lora` here\n"},
      {"use peft.methods.lora\nattach lora(r = 2 + layer.index) to layers[*].** where kind == linaer",
       "2:64: error[E0356]: nothing is called `linaer` here\n"},
      {"run { epochs = n, precision = auto }", ""},
      {"optimizer o(lr: real = 1) { state m = zeros; m <- m + g; p <- p - lr * m * q }",
       "1:76: error[E0356]: nothing is called `q` here\n"},
  };
  for (const Case &c : cases)
    expect(c);
}

static void testGradients() {
  const std::string head = "method m(a: real = 1, T: real = 1) on linear { param A: [out, in] = zeros; param v: [out] = ones; frozen F: [out] = ones; y <- v * y; ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"on grad { let h = grad(v) * step / steps + lr0(F); grad(v) <- lr * h + mean(W, axis = in) }", "1:178: error[E0356]: nothing is called `lr0` here\n"},
      {"on grad { let h = grad(v) * step / steps; grad(v) <- lr * h + mean(W, axis = in) + sum(F) / a; grad(A) <- inverse(grad(A) @ A.T) @ W }", ""},
      {"if a > 1 { on grad { for i in 0 .. 3 { require a > 2 else \"small\"; if a > 3 { grad(v) <- 2 * grad(v) } else { grad(v) <- grad(v) } } } }", ""},
      {"on grad { grad(v) <- grad(A) }", "1:156: error[E0350]: the gradient is [out], this is [out, in]\n"},
      {"on grad { grad(v) <- 0 }", "1:156: error[E0350]: the gradient is [out], this is a number\n"},
      {"on grad { grad(F) <- grad(F) }", "1:150: error[E0358]: `F` has no gradient here\n"},
      {"freeze v; on grad { grad(v) <- grad(v) }", "1:160: error[E0358]: `v` has no gradient here\n"},
      {"on grad { grad(T) <- grad(v) }", "1:150: error[E0358]: `T` has no gradient here\n"},
      {"on grad { grad(x) <- grad(x) }", "1:150: error[E0358]: `x` has no gradient here\n"},
      {"on grad { grad(v[0]) <- grad(v) }", "1:150: error[E0358]: `v[0]` has no gradient here\n"},
      {"on grad { grad(v) <- grad(v) * mean(x) }", "1:171: error[E0359]: `on grad` is once a step and reads `x`, which each example has of its own\n"},
      {"let h = mean(y); on grad { let g = h * h; grad(v) <- grad(v) * g }", "1:198: error[E0359]: `on grad` is once a step and reads `y`, which each example has of its own\n"},
      {"on grad { grad(v) <- grad(v); grad(v) <- 2 * grad(v) }", "1:170: error[E0206]: `grad(v)` is said twice\n"},
      {"on grad { grad(v) <- grad(v) }; on grad { grad(v) <- grad(v) }", "1:182: error[E0206]: `grad(v)` is said twice\n"},
      {"on grad { y <- y }", "1:145: error[E0108]: `y <- …` cannot stand in `on grad`\n"},
      {"on grad { param B: [in] = zeros }", "1:145: error[E0108]: `param` cannot stand in `on grad`\n"},
      {"grad(v) <- grad(v)", "1:135: error[E0108]: `grad(…) <- …` cannot stand in a method\n"},
      {"v <- lr", "1:135: error[E0199]: `<- on a parameter` is not supported yet\n1:140: error[E0356]: nothing is called `lr` here\n"}};
  for (const auto &[text, said] : cases) {
    const std::string whole = head + text + " }";
    expect({whole.c_str(), said.c_str()});
  }
  expect({"method m { on linear { param v: [out] = ones; y <- v * y }\n on grad { grad(v) <- grad(v) } }", "2:2: error[E0108]: `on grad` cannot stand in a method beside its clauses\n"});
  expect({"on grad { }", "1:1: error[E0108]: `on grad` cannot stand in a file, outside of any declaration\n"});
}

static void testArguments() {
  for (const Case &c : std::initializer_list<Case>{
           {"use peft.methods.lora\nattach lora(r = 8, lora_alpha = 16) to layers[*]", "2:20: error[E0209]: `lora` has no argument `lora_alpha`\n"},
           {"use peft.methods.lora\nattach lora(8, r = 8) to layers[*]", "2:16: error[E0206]: `r` is said twice\n"},
           {"use peft.methods.lora\nattach lora(8, 16, 0, false, 3) to layers[*]", "2:30: error[E0211]: `lora` takes 4 arguments\n"},
           {"method m(n: int) on linear { y <- n * y }\nattach m to layers[*]", "2:8: error[E0210]: `m` needs `n`\n"},
           {"task classify", "1:6: error[E0210]: `classify` needs `labels`\n"},
           {"task classify(num_labels = 2)", "1:15: error[E0209]: `classify` has no argument `num_labels`\n"},
           {"optimize adamw(lr = 1, weightdecay = 0) { schedule cosine(warm = 1)\n group lrr = 2, lr = 1, lr = 2 for head }",
            "1:24: error[E0209]: `adamw` has no argument `weightdecay`\n1:59: error[E0209]: `cosine` has no argument `warm`\n"
            "2:8: error[E0357]: `adamw` has no `lrr`\n2:25: error[E0206]: `lr` is said twice\n"},
           {"run { epoch = 3, batch = 2, batch = 3, base_dropout = 0 }",
            "1:7: error[E0357]: `run` has no `epoch`\n1:29: error[E0206]: `batch` is said twice\n"},
           {"run { mine = 3 }\nmethod m on linear { y <- y * run.mine }", ""},
           {"method m on linear { y <- sum(y, dim = 1) }", "1:34: error[E0209]: `sum` has no argument `dim`\n"},
           {"method m on linear { param A: [in] = normal(std = 0.02)\n y <- y * A }", "1:38: error[E0210]: `normal` needs `mean`\n"},
           {"method m on linear { y <- max(y) + max(y, 0) + sum(concat(y, y, y, axis = 0)) + sum(rearrange(y, \"s (a b) -> s a b\", a = 2)) }", ""},
           {"method m on linear { y <- concat(axis = 0) + exp() + relu(y, 1) }",
            "1:27: error[E0210]: `concat` needs `part`\n1:46: error[E0210]: `exp` needs `x`\n1:62: error[E0211]: `relu` takes one argument\n"},
           {"method m on linear { sample z ~ bernoulli(0.5, [in]) per pass\n y <- y * sum(x * z) + einsum(\"a b, c b -> a c\", x, W) }", ""},
       })
    expect(c);
}

static void testPoints() {
  for (const Case &c : std::initializer_list<Case>{
           {"method m on linear { z <- x }", "1:22: error[E0357]: `linear` has no `z`\n"},
           {"method m on model { d <- d\n pooled <- pooled }", "1:21: error[E0357]: `model` has no `d`\n"},
           {"method m on sublayer { W <- d }", "1:24: error[E0357]: `sublayer` has no `W`\n"},
           {"method m on linear { param A: [out] = zeros; A <- A }", "1:46: error[E0199]: `<- on a parameter` is not supported yet\n"},
           {"method m on linear { x <- x + sum(y) }", "1:35: error[E0404]: `y` is read to change `x`, from which it is computed\n"},
           {"method m on linear { let s = sum(y * 2)\n x <- x + s }", "2:11: error[E0404]: `y` is read to change `x`, from which it is computed\n"},
           {"method m on linear { W <- W * sum(y)\n b <- b + x[0] }", "1:35: error[E0404]: `y` is read to change `W`, from which it is computed\n"},
           {"method m(f: bool) on linear { let s = if f then x else y\n x <- x + s }", ""}, // may never be
           {"method m(f: bool) on linear { if f { let s = y } else { let s = x }\n x <- x + s }", ""},
           {"method m(f: bool) on linear { if f { let s = y } else { let s = -y }\n x <- x + s }",
            "2:11: error[E0404]: `y` is read to change `x`, from which it is computed\n"},
           {"method m(y: real) on linear { x <- x + y }", ""}, // an argument of that name
           {"method m on attention { q <- q + k\n v <- v + q }", "1:34: error[E0405]: `k` is read to change `q`, which is computed before it\n"}, // beside each other
           {"method m on attention { k <- k + sum(context)\n k0 <- k }",
            "1:38: error[E0404]: `context` is read to change `k`, from which it is computed\n"
            "2:8: error[E0404]: `k` is read to change `k0`, from which it is computed\n"},
           {"method m on layer { x <- x + sum(y) }", "1:34: error[E0404]: `y` is read to change `x`, from which it is computed\n"},
           {"method m on model { embeds <- embeds + sum(hidden)\n hidden <- hidden + sum(embeds) + sum(positions) }",
            "1:44: error[E0404]: `hidden` is read to change `embeds`, from which it is computed\n"},
           {"method m on model { hidden <- hidden * loss\n pooled <- pooled * 2 }",
            "1:40: error[E0404]: `loss` is read to change `hidden`, from which it is computed\n"},
           {"method m { on linear { y <- x }\n on linear { y <- 2 * y } }", "2:5: error[E0206]: `linear` is said twice\n"},
           {"method m { on linear { y <- 2 * y }\n on nrom { y <- 2 * y } }", "2:5: error[E0356]: nothing is called `nrom` here\n"},
           {"method m on layer { attention.y <- attention.y + ffn.u }", ""},
       })
    expect(c);
}

static void testLiterals() {
  const std::string lora = "use peft.methods.lora\nattach lora(";
  for (const auto &[args, expected] : std::initializer_list<std::pair<const char *, const char *>>{
           {"r = 0", "2:17: error[E0353]: `r` must be at least 1, not 0\n"},
           {"-8", "2:13: error[E0353]: `r` must be at least 1, not -8\n"},
           {"r = 2.5", "2:17: error[E0351]: `r` is 2.5, not a whole number\n"},
           {"r = \"8\"", "2:17: error[E0353]: `r` must be a whole number, not a string\n"},
           {"dropout = 1.5", "2:23: error[E0353]: `dropout` must be in [0, 1), not 1.5\n"},
           {"dropout = 10%, alpha = 16", ""},
           {"alpha = true", "2:21: error[E0353]: `alpha` must be a number, not true\n"},
           {"rs = 1", "2:18: error[E0353]: `rs` must be true or false, not 1\n"},
       })
    expect({(lora + args + ") to layers[*]").c_str(), expected});
  for (const Case &c : std::initializer_list<Case>{
           {"task classify(labels = 2, text = 3)", "1:34: error[E0353]: `text` must be a string, not 3\n"},
           {"task classify(labels = 2, pair = none)", ""},
           {"task classify(labels = relu)", "1:24: error[E0353]: `labels` must be a whole number, not a function\n"},
           {"optimize adamw(betas = 0.9, lr = \"x\") {\n group eps = false for head }",
            "1:24: error[E0353]: `betas` must be a list, not 0.9\n1:34: error[E0353]: `lr` must be a number, not a string\n"
            "2:14: error[E0353]: `eps` must be a number, not false\n"},
           {"optimize adamw(betas = [0.9, \"x\"])", "1:30: error[E0353]: `betas` must be a number, not a string\n"},
           {"run { epochs = 0, batch = 1.5, shuffle = 1, seed = 0, clip = 1, base_dropout = 1 }",
            "1:16: error[E0353]: `epochs` must be at least 1, not 0\n1:27: error[E0351]: `batch` is 1.5, not a whole number\n"
            "1:42: error[E0353]: `shuffle` must be true or false, not 1\n1:80: error[E0353]: `base_dropout` must be in [0, 1), not 1\n"},
           {"input r: rank = 0", "1:17: error[E0353]: `r` must be at least 1, not 0\n"},
           {"method m(n: integer, a: float = 1) on linear { y <- n * a * y }",
            "1:13: error[E0356]: nothing is called `integer` here\n1:25: error[E0356]: nothing is called `float` here\n"},
           {"method m(p: prob = 2, part: method on linaer) on linear { y <- p * part(y) }",
            "1:20: error[E0353]: `p` must be in [0, 1), not 2\n1:29: error[E0356]: nothing is called `linaer` here\n"},
           {"use peft.methods.{lora, prefix}\nmethod m(part: method on linear) on linear { y <- part(y) }\n"
            "attach m(prefix(n = 2)) to layers[*]\nattach m(lora) to layers[*]\nattach m(part = 3) to layers[*]",
            "3:10: error[E0402]: `prefix` is for attention sites, `part` is for linear sites\n5:17: error[E0353]: `part` must be a method, not 3\n"},
       })
    expect(c);
}

static void testBounds() {
  for (const Case &c : std::initializer_list<Case>{
           {"use peft.methods.prefix\nattach prefix(hidden = -3) to x", "2:24: error[E0353]: `hidden` must be at least 0, not -3\n"},
           {"use peft.methods.prefix\nattach prefix(hidden = 0, n = 1) to x", ""},
           {"optimize adamw(lr = -1)", "1:21: error[E0353]: `lr` must be at least 0, not -1\n"},
           {"optimize adamw(betas = [0.9, 1.5])", "1:30: error[E0353]: `betas` must be in [0, 1), not 1.5\n"},
           {"optimize adamw() { group lr = -1 for head }", "1:31: error[E0353]: `lr` must be at least 0, not -1\n"},
           {"method m(a: real > 0 <= 1) on linear { y <- a * y }\nattach m(a = 0) to x\nattach m(a = 1) to x\nattach m(2) to x",
            "2:14: error[E0353]: `a` must be above 0, not 0\n4:10: error[E0353]: `a` must be at most 1, not 2\n"},
           {"fn f(a: list[int < 3]) = a\nlet x = f([1, 3])", "2:15: error[E0353]: `a` must be below 3, not 3\n"},
           {"input lr: real >= -0.5 = -1", "1:26: error[E0353]: `lr` must be at least -0.5, not -1\n"},
           {"method m(a: real > x) on linear { y <- a * y }", "1:20: error[E0101]: unexpected `x`\n"},
       })
    expect(c);
}

static void testConstants() {
  for (const Case &c : std::initializer_list<Case>{
           {"let a = 1 / 0", "1:9: error[E0350]: `1 / 0` is not a finite number\n"},
           {"let n = 2\nlet a = 1 / (n - 2)\nlet b = a + 1", "2:9: error[E0350]: `1 / (n - 2)` is not a finite number\n"},
           {"let n = 0\nlet a = if n > 0 then 1 / n else 0", ""},
           {"method m(n: int) on linear { let s = if n > 0 then 1 / 0 else 0\n y <- s * y }", ""},
           {"use peft.methods.lora\nattach lora(alpha = 1 / 0) to x", "2:21: error[E0350]: `1 / 0` is not a finite number\n"},
           {"use peft.methods.lora\nattach lora(alpha = if layer.index < 3 then 1 / 0 else 1) to x", ""},
           {"run { epochs = 10 ** 400 }", "1:16: error[E0350]: `10 ** 400` is not a finite number\n"},
           {"run { batch = 1 / 2, epochs = 3 - 3, precision = auto, shuffle = false }", "1:15: error[E0351]: `batch` is 0.5, not a whole number\n1:31: error[E0353]: `epochs` must be at least 1, not 0\n"},
           {"fn half(x) = x / 2\nfn bad(x) = half(x) % 0\nlet a = half(4)\nlet b = bad(4)", "2:13: error[E0350]: `half(x) % 0` is not a finite number\n"},
           {"fn f(x) = f(x)", "1:11: error[E0350]: calls are nested more than 200 deep\n"},
           {"fn f(x) = g(x) + g(x)\nfn g(x) = f(x) + f(x)", "1:11: error[E0350]: calls are nested more than 200 deep\n"},
           {"fn f(n) = if n == 0 then 0 else f(n - 1)\nlet a = f(100)", ""},
           {"fn f(n) = if n == 0 then 0 else f(n - 1)\nlet a = f(-1)", "1:33: error[E0350]: calls are nested more than 200 deep\n"},
           {"fn f(n) = if n == 0 then 0 else f(n - 1)", ""},
           {"method m(n: int) on linear { let s = 1 / 0\n y <- s * y }", "1:38: error[E0350]: `1 / 0` is not a finite number\n"},
           {"method m(n: int) on linear { let s = 1 / n\n y <- s * y }", ""},
           {"use peft.methods.prefix\nlet h = 2 - 5\nattach prefix(hidden = h) to x", "3:24: error[E0353]: `hidden` must be at least 0, not -3\n"},
           {"use peft.methods.lora\nlet n = 5\nattach lora(r = n / 2) to x", "3:17: error[E0351]: `r` is 2.5, not a whole number\n"},
           {"input lr: real = 1e-3\noptimize adamw(lr = lr - 1)", "2:21: error[E0353]: `lr` must be at least 0, not -0.999\n"},
       })
    expect(c);
  std::string doubling = "fn f0(x) = x + 1\n"; // 2^60 calls: not followed to the end, and nothing is said
  for (int i = 1; i < 60; ++i)
    doubling += "fn f" + std::to_string(i) + "(x) = f" + std::to_string(i - 1) + "(x) + f" + std::to_string(i - 1) + "(x)\n";
  CHECK_EQ(messages(doubling), "");
}

static void testShapes() {
  for (const Case &c : std::initializer_list<Case>{
           {"method m on linear { param P: [in] = zeros; y <- y + P }",
            "1:50: error[E0350]: shapes [seq, out] and [in] do not match\n"},
           {"method m(r: rank = 8) on linear { param A: [r, in] = zeros; y <- y + x @ A }",
            "1:70: error[E0350]: `@` of [seq, in] and [r, in]\n"},
           {"method m(r: rank = 8) on linear { param A: [r, in] = zeros; y <- y + x @ A.T }",
            "1:66: error[E0350]: shapes [seq, out] and [seq, r] do not match\n"},
           {"method m on linear { param A: [out, out] = zeros; W <- A @ W0 @ A }",
            "1:56: error[E0350]: `@` of [out, in] and [out, out]\n"},
           {"method m on linear { y <- linear(y, W, b) }", "1:27: error[E0350]: `@` of [seq, out] and [in, out]\n"},
           {"method m on linear { y <- x @ W.T + b }", ""},
           {"method m on linear { y <- sum(y, axis = 2) }", "1:27: error[E0350]: axis 2 of [seq, out]\n"},
           {"method m on linear { y <- mean(y, axis = seq) }", "1:27: error[E0350]: `y` is [seq, out], this is [out]\n"},
           {"method m on linear { y <- y * mean(y, axis = seq) + y * mean(y, axis = out)[:, None] }", ""},
           {"method m on linear { y <- y * mean(x, axis = seq) }", "1:27: error[E0350]: shapes [seq, out] and [in] do not match\n"},
           {"method m on linear { y <- y[0, 0, 0] }", "1:27: error[E0350]: too many indices for [seq, out]\n"},
           {"method m on linear { y <- softmax(y) * log_softmax(x) }", "1:27: error[E0350]: shapes [seq, out] and [seq, in] do not match\n"},
           {"method m on linear { require in == out else \"square\"\n y <- y + x }", ""},
           {"method m on linear { y <- if in == out then y + x else y }", ""},
           {"method m(f: bool) on linear { y <- if f then y + x else y }",
            "1:46: error[E0350]: shapes [seq, out] and [seq, in] do not match\n"},
           {"method m(n: int = 1) on linear { param a: [n] = zeros; y <- y + a }", ""}, // n may be 1
           {"method m on attention { let p = attention_scores(q, k)\n context <- attention_context(softmax(p + scores), v) }", ""},
           {"method m on attention { context <- einsum(\"s h e, k h -> s h e\", q, k) }",
            "1:36: error[E0350]: `s h e, k h -> s h e` takes 2 axes, this is [keys, kv_heads, head_dim]\n"},
           {"method m(n: int) on attention { param P: [n, kv_heads, d] = zeros; k <- concat(P, k, axis = keys) }",
            "1:73: error[E0350]: shapes [n, kv_heads, d] and [keys, kv_heads, head_dim] do not match\n"},
           {"method m on linear { param m: [out] = row_norm(W.T); y <- y * m }",
            "1:39: error[E0350]: `m` is [out], its initial value is [in]\n"},
           {"method m on linear { y <- W(x) + x.size }",
            "1:27: error[E0350]: a tensor is not called\n1:36: error[E0357]: `a tensor` has no `size`\n"},
           {"method m on linear { y <- y * tanh }", "1:31: error[E0350]: this is a function, not a tensor\n"},
           {"let mean = 2\nlet lora = 3\ninput relu: real = 1\nmethod m on linear { y <- y * mean * relu + lora }\nfn f(x) = x + mean", ""},
           {"use peft.methods.lora\ninput r: rank = 8\nlet k = r * 2\nattach lora(r = r, alpha = k, dropout = k / 100) to layers[*].** as first", ""},
           {"method m on linear { y <- y * m }", "1:31: error[E0350]: this is a function, not a tensor\n"},
           {"method m(r: real) on linear { y <- if r then y else 2 * y }", "1:39: error[E0354]: the condition of an `if` must be known when compiling\n"},
           {"method m on linear { param a: [y, 0, sum] = zeros; y <- y }",
            "1:32: error[E0354]: a length must be known when compiling\n1:35: error[E0353]: `0` must be at least 1, not 0\n"
            "1:38: error[E0354]: a length must be known when compiling\n"},
           {"method m on linear { y <- mean(y, axis = in) + y * normal(y) }",
            "1:27: error[E0350]: no axis of [seq, out] is called `in`\n1:52: error[E0354]: a parameter of a distribution must be known when compiling\n"},
           {"method m on linear { y <- rearrange(y, \"s (a b) -> s b a\") + rearrange(y, \"s a -> s\") + rearrange(y, \"s a -> s b\") }",
            "1:27: error[E0350]: the lengths of more than one of `s (a b) -> s b a` in brackets are unknown\n"
            "1:62: error[E0350]: `s a -> s` loses an axis\n1:89: error[E0350]: `b` is not on the left of `s a -> s b`\n"},
           {"method m on linear { y <- rearrange(y, \"s a -> a s\") @ x + W }",
            "1:27: error[E0350]: `y` is [seq, out], this is [out, in]\n"},
           {"model base = 8", "1:14: error[E0356]: nothing is called `8` here\n"},
           {"method m(s: real = 1) on linear { param a: [out] = ones; y <- s * a\n W <- s\n x <- x + (s + sum(x, axis = -1))[:, None] }", ""}, // s may be a tensor
           {"method m(s: real = 1) on linear { y <- s * x }", "1:40: error[E0350]: `y` is [seq, out], this is [seq, in]\n"},
           {"method m(c: int = 16) on layer { let k = d / c\n param D: [k, d] = zeros; param U: [d, k] = zeros\n y <- y + y @ D @ U.T }",
            "3:11: error[E0350]: `@` of [seq, d] and [k, d]\n"},
           {"method m(c: int = 16) on layer { let k = d / c\n param D: [k, d] = zeros; y <- y + relu(y @ D.T) }",
            "2:32: error[E0350]: shapes [seq, d] and [seq, k] do not match\n"},
           {"method m(c: int) on layer { let k = d / c\n param D: [k, d] = zeros; param U: [d, d / c] = zeros; y <- y + (y @ D.T) @ U.T }", ""},
           {"method m on layer { param D: [2 * d, d] = zeros; y <- y + y @ D.T }",
            "1:55: error[E0350]: shapes [seq, d] and [seq, 2 * d] do not match\n"},
           {"method m(n: int) on attention { param O: [d, heads * head_dim] = zeros; param P: [n, d] = zeros; u <- u @ O + u @ P.T @ P }", ""},
           {"method m on model { loss <- hidden }", "1:29: error[E0350]: a loss is one number, this is [seq, d]\n"},
           {"method m on linear { for i in 0 .. 2 { let a = y\n }\n let c = x\n for i in 0 .. 2 { let c = c @ W.T + i }\n y <- c }", ""},
       })
    expect(c);
}

/// Each page of E02 and E03 says about its failing text what its title says, or leaves it to the compiler.
static void testExplainPages() {
  for (const auto &entry : std::filesystem::directory_iterator(kRoot / "lang/diag/explain")) {
    std::string page = readFile(entry.path()), code = entry.path().stem().string();
    auto block = [&](const std::string &what) {
      const std::string open = "```peft " + what + "\n";
      size_t at = page.find(open);
      return at == std::string::npos ? std::string() : page.substr(at + open.size(), page.find("```", at + 3) - at - open.size());
    };
    if (code < "E0200")
      continue;
    CHECK_EQ(code + messages(block("ok")), code);
    std::istringstream lines(messages(block("fail")));
    for (std::string line; std::getline(lines, line);)
      CHECK_EQ(line + (line.find("[" + code + "]") == std::string::npos ? " instead of " + code : ""), line);
  }
}

/// Damaged texts: an answer, whatever it is.
static void testMutated() {
  Mutator mutator(11);
  for (int round = 0; round < 250; ++round)
    messages(mutator.next(round % 2));
}

/// With arguments: the messages about these files.
int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    std::cout << argv[i] << "\n" << messages(readFile(argv[i]));
  if (argc > 1)
    return 0;
  testSilent();
  testReach();
  testNames();
  testGradients();
  testArguments();
  testPoints();
  testLiterals();
  testBounds();
  testConstants();
  testShapes();
  testExplainPages();
  testMutated();
  return failures != 0;
}
