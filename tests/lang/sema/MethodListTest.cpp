// What `peftc methods` knows of each method of the library: everything that a user needs to write `attach`.
#include "lang/sema/MethodList.h"
#include "tests/lang/Check.h"
using namespace peftc;

static void testOne() {
  auto entries = methodList({{"methods/m.peft", "/// One: does this.\n/// Shapes.\n/// source: A 2020,\n/// B 2021\n"
                                                "method m(n: int, f: fn = relu, part: method on linear = none) {\n  on linear { y <- y\n if n > 1 { interop peft { peft_type = \"M\" } } }\n  on norm { y <- y }\n}\n"
                                                "fn f(x) = x\nmethod b on linear { train b }\n"}});
  CHECK_EQ(entries.size(), 2u);
  CHECK_EQ(signature(entries[0]), "b on linear");
  const MethodEntry &m = entries[1];
  CHECK_EQ(signature(m), "m(n: int, f: fn = relu, part: method on linear = none) on linear, norm");
  CHECK_EQ(m.summary, "One: does this.");
  CHECK_EQ(m.doc, "One: does this.\nShapes.");
  CHECK_EQ(m.source, "A 2020,\nB 2021");
  CHECK_EQ(m.formats.size(), 1u);
  CHECK_EQ(m.formats[0], "peft");
  CHECK(entries[0].formats.empty());
  CHECK_EQ(m.arguments[0].defaultValue, "");
  CHECK_EQ(m.arguments[2].type, "method on linear");
}

static void testLibrary() {
  std::vector<StdlibFile> library;
  for (const auto &path : stdlibFiles())
    library.push_back({path.filename().string(), readFile(path)});
  size_t files = 0;
  for (const StdlibFile &file : library)
    files += file.text.find("\nmethod ") != std::string::npos;
  auto entries = methodList(library);
  CHECK(entries.size() >= files && files > 0);
  for (const MethodEntry &entry : entries) {
    CHECK_EQ(entry.name + (entry.kinds.empty() ? " has no kind" : ""), entry.name);
    CHECK_EQ(entry.name + (entry.summary.empty() ? " has no doc comment" : ""), entry.name);
    CHECK_EQ(entry.name + (entry.source.empty() ? " names no source" : ""), entry.name);
  }
}

int main() {
  testOne();
  testLibrary();
  return failures != 0;
}
