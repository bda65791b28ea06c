// Kernels: a bundle's round trip with and without them, in both forms; the choice of a variant; loading, two at once, and objects that are damaged.
#include "runtime/cpu/Kernels.h"
#include "runtime/bundle/Reader.h"
#include "runtime/bundle/Writer.h"
#include "tests/runtime/Expect.h"
#include <cstdlib>
#include <map>

using namespace peftrt;
namespace fs = std::filesystem;

namespace {

std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Bundle bundleOf(std::map<std::string, std::string> kernels) {
  Bundle bundle{{{"format", 1}}, {{"programs", nlohmann::json::array()}}, {{"programs", nlohmann::json::array()}}, "text"};
  bundle.kernels = std::move(kernels);
  return bundle;
}

void testRoundTrip() {
  const Scratch s;
  const std::string runner = s.file("runner", "#!runner"), bytes("\x7f" "ELF\0\n\xff", 7);
  const Bundle with = bundleOf({{"x86-64-v3", bytes}, {"x86-64-v4", "other"}}), without = bundleOf({});
  writeTrainer(with, runner, s.path + "/trainer");
  EXPECT(readBundle(s.path + "/trainer").kernels == with.kernels);
  writeTrainer(without, runner, s.path + "/trainer");
  EXPECT(readBundle(s.path + "/trainer").kernels.empty());
  writeDirectory(with, s.path + "/folder");
  EXPECT(contents(s.path + "/folder/kernels/x86-64-v3.so") == bytes);
  s.file("folder/kernels/notes.txt", "not a kernel");
  EXPECT(readBundle(s.path + "/folder").kernels == with.kernels);
  writeDirectory(without, s.path + "/folder");
  EXPECT(readBundle(s.path + "/folder").kernels.empty() && fs::exists(s.path + "/folder/kernels/notes.txt"));
  writeDirectory(without, s.path + "/other");
  EXPECT(!fs::exists(s.path + "/other/kernels") && readBundle(s.path + "/other").spec == "text");
}

/// One bit of a section in a trainer's file.
void testChangedByte() {
  const Scratch s;
  writeTrainer(bundleOf({{"x86-64-v3", "KERNELBYTES"}}), s.file("runner", "#!"), s.path + "/trainer");
  std::string text = contents(s.path + "/trainer");
  text[text.find("KERNELBYTES")] ^= 1;
  s.file("trainer", text);
  EXPECT_ERROR("R0103", "kernels/x86-64-v3.so", readBundle(s.path + "/trainer"));
}

/// The bytes of a shared object whose function `fill` writes `value` at begin … end - 1 of the first array. The system's compiler stands in for the project's.
std::string objectOf(const Scratch &s, int value) {
  const std::string source = s.file("fill.c", "void fill(void *const *const *call, long begin, long end) { for (long i = begin; i < end; ++i) ((int *)(*call)[0])[i] = " +
                                                  std::to_string(value) + "; }\n");
  EXPECT(std::system(("cc -O1 -fPIC -shared -nostdlib -o " + s.path + "/fill.so " + source).c_str()) == 0);
  return contents(s.path + "/fill.so");
}

int filled(const KernelLibrary &library) {
  int32_t place[4] = {0, 0, 0, 0};
  void *data[] = {place};
  KernelCall call{};
  call.data = data;
  library.find("fill")(&call, 1, 3);
  EXPECT(place[0] == 0 && place[3] == 0 && place[1] == place[2]);
  return place[1];
}

void testLoad(const std::string &object, const std::string &other) {
  const Bundle bundle = bundleOf({{"x86-64-v3", object}, {"x86-64-v4", other}});
  const std::string best = __builtin_cpu_supports("x86-64-v4") ? "x86-64-v4" : "x86-64-v3";
  const KernelLibrary first(bundle), forced(bundle, "x86-64-v3");
  EXPECT(first.target() == best && forced.target() == "x86-64-v3");
  EXPECT(filled(forced) == 7 && filled(first) == (best == "x86-64-v4" ? 8 : 7)); // neither is taken for the other
  for (int again = 0; again < 3; ++again)
    EXPECT(filled(KernelLibrary(bundle, "x86-64-v3")) == 7);
  EXPECT(KernelLibrary(bundleOf({{"x86-64-v3", object}, {"x86-64-v9", "later"}})).target() == "x86-64-v3");
  EXPECT_ERROR("R0102", "no kernel `empty`", first.find("empty"));
  const KernelLibrary none(bundleOf({}), "x86-64-v3");
  EXPECT(none.target().empty());
  EXPECT_ERROR("R0102", "no kernel `fill`", none.find("fill"));
  EXPECT_ERROR("R0107", "`pentium`", KernelLibrary(bundle, "pentium"));
  EXPECT_ERROR("R0107", "no kernels for this CPU", KernelLibrary(bundleOf({{"x86-64-v9", object}})));
  if (best == "x86-64-v4")
    EXPECT_ERROR("R0107", "no kernels for `x86-64-v4`", KernelLibrary(bundleOf({{"x86-64-v3", object}}), "x86-64-v4"));
}

/// Every library that is cut short, and some whose headers lie; the process must live to say so.
void testDamaged(const std::string &object) {
  for (size_t size = 0; size < object.size(); size += 1 + size / 16)
    EXPECT_ERROR("R0103", "are damaged", KernelLibrary(bundleOf({{"x86-64-v3", object.substr(0, size)}}), "x86-64-v3"));
  EXPECT_ERROR("R0103", "are damaged", KernelLibrary(bundleOf({{"x86-64-v3", object.substr(0, object.size() - 1)}}), "x86-64-v3"));
  EXPECT_ERROR("R0103", "are damaged", KernelLibrary(bundleOf({{"x86-64-v3", "#!/bin/sh\n" + object}}), "x86-64-v3"));
  for (const size_t place : {0, 4, 16, 18, 33, 41, 54, 57}) { // magic, class, type, machine, offsets and sizes of the tables
    std::string changed = object;
    changed[place] ^= 0x40;
    EXPECT_ERROR("R0103", "are damaged", KernelLibrary(bundleOf({{"x86-64-v3", changed}}), "x86-64-v3"));
  }
}

} // namespace

int main() {
  testRoundTrip();
  testChangedByte();
  if (!__builtin_cpu_supports("x86-64-v3")) {
    EXPECT_ERROR("R0107", "no AVX2", KernelLibrary(bundleOf({{"x86-64-v3", "any"}})));
    return 0;
  }
  const Scratch s;
  const std::string object = objectOf(s, 7), other = objectOf(s, 8);
  testLoad(object, other);
  testDamaged(object);
  return 0;
}
