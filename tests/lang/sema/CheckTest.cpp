// What `check` says without a checkpoint: nothing about the library and the examples, and something about each slip.
#include "lang/sema/Check.h"
#include "tests/lang/Check.h"
using namespace peftc;

static const std::filesystem::path kRoot = PEFT_ROOT;

static std::vector<StdlibFile> library() {
  std::vector<StdlibFile> files;
  for (const auto &path : stdlibFiles())
    files.push_back({std::filesystem::relative(path, kRoot / "stdlib").generic_string(), readFile(path)});
  return files;
}

/// The messages about a text, in short form, without the file's name.
static std::string messages(const std::string &text) {
  static const std::vector<StdlibFile> stdlib = library();
  SourceMap sources;
  diag::Engine diags(sources);
  check(sources, "s", stdlib, {}, diags, [&](const std::string &path) { return path == "s" ? std::optional(text) : std::nullopt; });
  std::string all = diag::render(diags, diag::Format::Short, 100), out;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);)
    out += (line.starts_with("s:") ? line.substr(2) : line) + "\n";
  return out;
}

static void testSilent() {
  CHECK_EQ(messages(""), ""); // the library itself
  for (const auto &path : stdlibFiles())
    CHECK_EQ(path.string() + "\n" + messages(readFile(path)), path.string() + "\n");
  for (const auto &entry : std::filesystem::recursive_directory_iterator(kRoot / "examples"))
    if (entry.path().extension() == ".peft")
      CHECK_EQ(entry.path().string() + "\n" + messages(readFile(entry.path())), entry.path().string() + "\n");
}

struct Case {
  const char *text, *expected;
};

static void testNames() {
  const Case cases[] = {
      {"method m on linear { y <- y + xx }", "1:31: error[E0356]: nothing is called `xx` here\n"},
      {"method m on linear { y <- relo(y) }", "1:27: error[E0356]: nothing is called `relo` here\n"},
      {"method m on linaer { y <- y }", "1:13: error[E0356]: nothing is called `linaer` here\n"},
      {"method m on linear { W <- W0 + b0 }", ""},
      {"method m on linear { let a = B; param B: [in] = zeros; y <- y * a * B }", "1:30: error[E0356]: nothing is called `B` here\n"},
      {"method m on linear { param A: [r, in] = zeros; y <- A @ x }", "1:32: error[E0356]: nothing is called `r` here\n"},
      {"method m on linear { y <- sum(y, axis = seq) + max(y, axis = out) }", ""},
      {"method m on layer { y <- y * attention.u + ffn.y }", ""},
      {"method m(n: int, f: fn = relu) on linear { for i in 0 .. n { param A: [in] = zeros }\n y <- f(y) + i }", ""},
      {"method m on linear { y <- y * split(y) }", "1:31: error[E0199]: `split` is not supported yet\n"},
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
    CHECK_EQ(std::string(c.text) + "\n" + messages(c.text), std::string(c.text) + "\n" + c.expected);
}

/// With arguments: the messages about these files.
int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    std::cout << argv[i] << "\n" << messages(readFile(argv[i]));
  if (argc > 1)
    return 0;
  testSilent();
  testNames();
  return failures != 0;
}
