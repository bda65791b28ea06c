// What `check` says about selectors and sites without a checkpoint: nothing about the examples, one message a slip.
#include "lang/sema/Check.h"
#include "lang/sema/Sites.h"
#include "lang/sema/Space.h"
#include "tests/lang/Check.h"
using namespace peftc;

static const std::filesystem::path kRoot = PEFT_ROOT;

/// Where values are left open, of each point that the space is checked at.
static std::string messages(const std::string &text, diag::Format format = diag::Format::Short) {
  static Library stdlib([] {
    std::vector<StdlibFile> files;
    for (const auto &path : stdlibFiles())
      files.push_back({std::filesystem::relative(path, kRoot / "stdlib").generic_string(), readFile(path)});
    return files;
  }());
  SourceMap sources;
  diag::Engine diags(sources);
  const auto load = [&](const std::string &path) { return path == "s" ? std::optional(text) : std::nullopt; };
  const auto points = sema::coveringPoints(readSpace(sources, "s", stdlib, {}, diags, load)->space);
  std::string said;
  for (const auto &point : points) {
    SourceMap pointSources;
    diag::Engine pointDiags(pointSources);
    auto spec = check(pointSources, "s", stdlib, {}, pointDiags, load, point);
    if (!pointDiags.hasErrors())
      sema::checkSites(*spec, pointDiags);
    said += diag::render(pointDiags, format, 100);
  }
  return said;
}

struct Case {
  const char *text, *expected;
};

static const std::string kProgram = "use peft.methods.{lora, prefix, serial_adapter, prompt}\nmodel base = bert\ntask classify(labels = 2)\n";

static void testPaths() {
  for (const Case &c : std::initializer_list<Case>{
           {"attach lora to layers[*].attention.{q, v}\nattach prefix to layers[0].attention\nattach prompt to model", ""},
           {"attach lora to layers[6..].ffn.up, layers[*].**.down, pooler", ""},
           {"attach lora to \"query\", \"layer.*.attention.self.value\"", ""},
           {"attach lora to layers[*].** where kind == linear\nattach lora to layers[*].** except layers[0]", ""},
           {"attach lora to head.classifier\ntrain head, base.pooler, layers[*].**.norm.{weight, bias}, layers[0].attention.q.W", ""},
           {"attach lora to layers[*].attn.q", "s:4:26: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to layers[*].attention.{q, vv}", "s:4:40: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to layers[*].attention.q.W", "s:4:38: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to layers[3..3].attention.q", "s:4:16: error[E0401]: selector matches no site in `bert`\n"},
           {"train layers[4:2].ffn", "s:4:7: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to layers[-4..].attention.q, layers[2..].attention.k, layers[0..1].attention.v", ""},
           {"attach lora to layers[*].* where kind == linear", "s:4:16: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to pooler where kind == attention or not kind == linear", "s:4:16: error[E0401]: selector matches no site in `bert`\n"},
           {"attach lora to pooler, layers[*].** where kind == linear and index % 2 == 0", ""},
           {"attach lora to layers[*].** where index == 1", ""},
           {"train haed", "s:4:7: error[E0401]: selector matches no site in `bert`\n"},
           {"train layers[*].attention.scores", "s:4:27: error[E0401]: selector matches no site in `bert`\n"},
           {"optimize adamw() { group lr = 1 for heads }", "s:4:37: error[E0401]: selector matches no site in `bert`\n"},
       })
    CHECK_EQ(std::string(c.text) + "\n" + messages(kProgram + c.text), std::string(c.text) + "\n" + c.expected);
  CHECK_EQ(messages(kProgram + "attach lora to layers[*].attenton.q", diag::Format::Rich),
           "error[E0401]: selector matches no site in `bert`\n --> s:4:26\n  |\n4 | attach lora to layers[*].attenton.q\n"
           "  |                          ^^^^^^^^ no child of this name under `layers[*]`\n  |\n"
           "  = note: `layers[*]` has attention, ffn\n  = help: there is `layers[*].attention`\n");
}

static void testKinds() {
  for (const Case &c : std::initializer_list<Case>{
           {"attach lora to layers[*].attention", "s:4:16: error[E0402]: `lora` is for linear sites, `layers[*].attention` is sublayer and attention\n"},
           {"attach prefix to layers[*].ffn", "s:4:18: error[E0402]: `prefix` is for attention sites, `layers[*].ffn` is sublayer\n"},
           {"attach lora to layers[*].*", "s:4:16: error[E0402]: `lora` is for linear sites, `layers[*].*` is sublayer and attention\n"},
           {"attach lora to embeddings", "s:4:16: error[E0402]: `lora` is for linear sites, `embeddings` is no kind\n"},
           {"method m { on linear { y <- 2 * y }\n on layer { y <- 2 * y } }\nattach m to layers[*], layers[*].ffn",
            "s:6:24: error[E0402]: `m` is for linear or layer sites, `layers[*].ffn` is sublayer\n"},
           {"method m on linear { train W, b }\nattach m to pooler", ""},
           {"method m on linear { param A: [out] = zeros; y <- y + A; train A }", "s:4:64: error[E0403]: `linear` has no `A`\n"},
           {"method m on linear { if true { param A: [out] = zeros; freeze A; y <- y + A } }", ""},
           {"method m on linear { freeze A; y <- 2 * y }", "s:4:29: error[E0403]: `linear` has no `A`\n"},
           {"method m on linear { train y }", "s:4:28: error[E0403]: `linear` has no `y`\n"},
       })
    CHECK_EQ(std::string(c.text) + "\n" + messages(kProgram + c.text), std::string(c.text) + "\n" + c.expected);
}

static void testSilent() {
  CHECK_EQ(messages("use peft.methods.lora\nattach lora to x"), ""); // no model: nothing to look at
  for (const auto &entry : std::filesystem::recursive_directory_iterator(kRoot / "examples"))
    if (entry.path().extension() == ".peft")
      CHECK_EQ(entry.path().string() + "\n" + messages(readFile(entry.path())), entry.path().string() + "\n");
}

/// With arguments: the messages about these files.
int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    std::cout << argv[i] << "\n" << messages(readFile(argv[i]));
  if (argc > 1)
    return 0;
  testPaths();
  testKinds();
  testSilent();
  return failures != 0;
}
