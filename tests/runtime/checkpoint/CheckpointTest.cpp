// Safetensors (round trip, every way of being broken), model folders (prefix, shards, misfits) and run folders (atomicity).
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/ModelFolder.h"
#include "runtime/checkpoint/RunFolder.h"
#include "tests/runtime/Expect.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace peftrt;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::string safetensors(const std::string &header, const std::string &body) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char *>(&size), 8) + header + body;
}

std::string contents(const std::string &path) { return std::string(MappedFile::open(path)->text()); }

void testRoundTrip() {
  const Scratch s;
  const at::Tensor a = at::arange(6, at::kFloat).view({2, 3}), b = at::arange(3, at::kLong), scalar = at::full({}, 2.5, at::kFloat);
  writeSafetensors(s.path + "/x.safetensors", {{"a", a}, {"a.t", a.t()}, {"b", b}, {"empty", at::zeros({0, 4})}, {"s", scalar}}, {{"key", "value"}});
  const SafetensorsFile file(s.path + "/x.safetensors");
  EXPECT(file.load("a").equal(a) && file.load("a.t").equal(a.t()) && file.load("s").equal(scalar) && file.load("empty").numel() == 0);
  EXPECT(file.metadata().at("key") == "value" && file.tensors().at("b").dtype == "I64");
  EXPECT_ERROR("R0115", "`b` has dtype I64", file.load("b"));
  EXPECT(!fs::exists(s.path + "/x.safetensors.partial"));
  const uint16_t half = 0x3e00, brain = 0x3fc0; // 1.5 in both
  const std::string body = std::string(reinterpret_cast<const char *>(&half), 2) + std::string(reinterpret_cast<const char *>(&brain), 2);
  const SafetensorsFile halves(s.file("h.safetensors", safetensors(R"({"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]}})", body)));
  EXPECT(halves.load("h").item<float>() == 1.5f && halves.load("b").item<float>() == 1.5f);
}

void testBroken() {
  const Scratch s;
  writeSafetensors(s.path + "/x.safetensors", {{"a", at::ones({100})}});
  const std::string whole = contents(s.path + "/x.safetensors");
  for (const size_t kept : {size_t{0}, size_t{7}, size_t{20}, whole.size() - 1})
    EXPECT_ERROR("R0111", "cut.safetensors", SafetensorsFile(s.file("cut.safetensors", whole.substr(0, kept))));
  EXPECT_ERROR("R0111", "describes", SafetensorsFile(s.file("long.safetensors", whole + "x")));
  const auto open = [&](const std::string &header, const std::string &body) { SafetensorsFile(s.file("b.safetensors", safetensors(header, body))); };
  EXPECT_ERROR("R0111", "not JSON", open("{\"a\":", ""));
  EXPECT_ERROR("R0111", "needs 8", open(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd"));
  EXPECT_ERROR("R0111", "beyond", open(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,999999999999]}})", "abcd"));
  EXPECT_ERROR("R0111", "beyond any file", open(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}})", "abcd"));
  EXPECT_ERROR("R0111", "overlap", open(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "abc"));
  EXPECT_ERROR("R0111", "no dtype", open(R"({"a":{"shape":[1]}})", ""));
  EXPECT_ERROR("R0111", "sizes", open(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "abcd"));
}

/// A tensor at a time, in another order than in the file; each once, all of them, in their shapes.
void testOneAtATime() {
  const Scratch s;
  const at::Tensor a = at::arange(6, at::kFloat).view({2, 3}), b = at::arange(4, at::kLong);
  const std::map<std::string, SafetensorsWriter::Planned> planned = {{"a", {at::kBFloat16, {2, 3}}}, {"b", {at::kLong, {4}}}};
  SafetensorsWriter writer(s.path + "/x.safetensors", planned, {});
  writer.put("b", b);
  EXPECT_ERROR("R0900", "`b` of shape [4]", writer.put("b", b));
  EXPECT_ERROR("R0900", "`a` of shape [3, 2]", writer.put("a", a.t()));
  EXPECT_ERROR("R0900", "`a` was not written", writer.commit());
  writer.put("a", a.to(at::kBFloat16));
  writer.commit();
  const SafetensorsFile file(s.path + "/x.safetensors");
  EXPECT(file.load("a").equal(a) && file.loadAsStored("b").equal(b));
}

json parameter(const std::string &name, const std::vector<int64_t> &shape) {
  return {{"name", "p." + name}, {"shape", shape}, {"role", "base"}, {"trainable", false}, {"checkpoint", name}};
}

void testModelFolder() {
  const Scratch s;
  const std::string config = "{\"hidden_size\": 4}";
  json model = {{"config_fnv64", hex(fingerprint(config))}, {"config", json::parse(config)}, {"prefix", "bert."}};
  EXPECT_ERROR("R0112", "no model folder", ModelFolder(s.path + "/none", model));
  EXPECT_ERROR("R0112", "no config.json", ModelFolder(s.path, model));
  s.file("config.json", config);
  EXPECT_ERROR("R0112", "neither model.safetensors", ModelFolder(s.path, model));
  s.file("model.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors", "bert.b": "2.safetensors"}})");
  writeSafetensors(s.path + "/1.safetensors", {{"a", at::ones({2})}});
  EXPECT_ERROR("R0112", "2.safetensors", ModelFolder(s.path, model));
  writeSafetensors(s.path + "/2.safetensors", {{"bert.b", at::zeros({3})}, {"other", at::zeros({1})}, {"n", at::zeros({1}, at::kLong)}});
  const ModelFolder folder(s.path, model);
  const json good = json::array({parameter("a", {2}), parameter("b", {3})});
  folder.checkBase(good);
  EXPECT(folder.loadBase(good[1]).sizes() == at::IntArrayRef({3}) && folder.unused(good) == (std::vector<std::string>{"n", "other"}));
  EXPECT_ERROR("R0113", "3 of 4 tensors", folder.checkBase(json::array({parameter("a", {2}), parameter("b", {4}), parameter("c", {1}), parameter("n", {1})})));
  EXPECT_ERROR("R0113", "`bert.b` has shape [3], the model needs [4]", folder.checkBase(json::array({parameter("b", {4})})));
  EXPECT_ERROR("R0113", "`c` is missing", folder.checkBase(json::array({parameter("c", {1})})));
  s.file("config.json", "{\"hidden_size\": 8}");
  EXPECT_ERROR("R0114", "`hidden_size` is 8, compiled for 4", ModelFolder(s.path, model));
  s.file("config.json", "{ \"hidden_size\":  4 }"); // another layout of the same
  ModelFolder(s.path, model);
}

/// Parts of tensors: rows lie in the map as they are; what is transposed or in another dtype is copied, that part only.
void testParts() {
  const Scratch s;
  const std::string config = "{}";
  s.file("config.json", config);
  const at::Tensor whole = at::arange(24, at::kFloat).view({4, 6});
  writeSafetensors(s.path + "/model.safetensors", {{"m", whole}, {"v", at::arange(6, at::kFloat)}});
  const ModelFolder folder(s.path, {{"config_fnv64", hex(fingerprint(config))}, {"config", json::object()}});
  const auto part = [](const std::string &name, const std::vector<int64_t> &shape, const std::vector<int64_t> &stored, bool transposed, int64_t row) {
    json found = parameter(name, shape);
    found["stored"] = {{"shape", stored}, {"transposed", transposed}, {"reshaped", false}, {"row", row}};
    return found;
  };
  const auto load = [&](const json &one) {
    folder.checkBase(json::array({one}));
    return folder.loadBase(one);
  };
  const at::Tensor rows = load(part("m", {2, 6}, {4, 6}, false, 1)), turned = load(part("m", {2, 4}, {4, 6}, true, 4)), entries = load(part("v", {2}, {6}, false, 3));
  EXPECT(rows.equal(whole.narrow(0, 1, 2)) && turned.equal(whole.t().narrow(0, 4, 2)) && entries.equal(at::tensor({3.0f, 4.0f})));
  EXPECT(rows.is_contiguous() && turned.is_contiguous() && turned.storage().nbytes() == 8 * sizeof(float));
  EXPECT(static_cast<const float *>(rows.const_data_ptr()) == static_cast<const float *>(load(part("m", {4, 6}, {4, 6}, false, 0)).const_data_ptr()) + 6); // one map
  json flat = part("m", {2, 12}, {4, 6}, false, 0);
  flat["stored"]["reshaped"] = true;
  EXPECT(load(flat).equal(whole.view({2, 12})));
  EXPECT_ERROR("R0113", "`m` has shape [4, 6], the model needs [4, 9]", load(part("m", {2, 4}, {4, 9}, true, 4)));
}

void testDiskFull() {
  const Scratch s;
  writeSafetensors(s.path + "/x.safetensors", {{"a", at::ones({4})}});
  const std::string before = contents(s.path + "/x.safetensors");
  const pid_t child = ::fork(); // a limit on file size stands for a full disk
  if (child == 0) {
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, SIG_IGN);
    EXPECT_ERROR("R0117", "x.safetensors", writeSafetensors(s.path + "/x.safetensors", {{"a", at::ones({100000})}}));
    std::_Exit(0);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT(status == 0 && contents(s.path + "/x.safetensors") == before && !fs::exists(s.path + "/x.safetensors.partial"));
}

LastCheckpoint checkpointAt(int64_t step) {
  LastCheckpoint checkpoint;
  checkpoint.progress.step = step;
  checkpoint.progress.best = 0.1 + static_cast<double>(step);
  checkpoint.progress.hasBest = true;
  checkpoint.parameters = {{"p", at::full({1000}, static_cast<double>(step))}};
  checkpoint.states = {{"m", at::full({1000}, -static_cast<double>(step))}};
  return checkpoint;
}

void testRunFolder() {
  const Scratch s;
  RunFolder folder(s.path + "/run");
  EXPECT(!folder.exists());
  EXPECT_ERROR("R0119", "no run folder", folder.readRun());
  folder.create({{"format", 1}});
  EXPECT(folder.exists() && folder.isRun());
  EXPECT_ERROR("R0119", "no checkpoint", folder.readLast());
  folder.writeLast(checkpointAt(3), {});
  folder.writeLast(checkpointAt(3), {}); // the same step again
  const LastCheckpoint last = folder.readLast();
  EXPECT(last.progress.step == 3 && last.progress.best == 3.1 && last.states.at("m")[0].item<float>() == -3);
  RunFolder second(s.path + "/run");
  EXPECT_ERROR("R0121", "another process", second.lock());
  EXPECT(folder.appendMetrics("abc\n") == 4 && folder.appendMetrics("def\n") == 8);
  folder.cutMetrics(4);
  EXPECT(contents(s.path + "/run/metrics.jsonl") == "abc\n");
  s.file("run/last/state.json", "{\"format\": 1}");
  EXPECT_ERROR("R0119", "lacks a field", folder.readLast());
}

/// Two writers of one file do not mix, and a lock ends with its file.
void testTwoWriters() {
  const Scratch s;
  const std::string path = s.path + "/x";
  AtomicFile first(path);
  first.write("first");
  EXPECT_ERROR("R0121", "another process writes", AtomicFile(path).write("second"));
  first.commit();
  EXPECT(contents(path) == "first");
  writeFileAtomically(path, "third");
  EXPECT(contents(path) == "third" && !fs::exists(path + ".partial"));
  { AtomicFile never(path); never.write("fourth"); }
  EXPECT(contents(path) == "third" && !fs::exists(path + ".partial"));
}

/// What is no file is written to and stays what it is.
void testPipe() {
  const Scratch s;
  const std::string path = s.path + "/pipe";
  EXPECT(::mkfifo(path.c_str(), 0600) == 0);
  const int reader = ::open(path.c_str(), O_RDWR); // so that opening it to write does not wait
  writeFileAtomically(path, "text");
  char text[5] = {};
  EXPECT(::read(reader, text, 4) == 4 && std::string(text) == "text");
  ::close(reader);
  EXPECT(fs::is_fifo(path));
}

/// What a person puts into a run folder, and what copying makes of it.
void testForeignThings() {
  const Scratch s;
  RunFolder folder(s.path + "/run//");
  EXPECT(folder.path() == s.path + "/run");
  folder.create({{"format", 1}});
  folder.writeLast(checkpointAt(1), {});
  for (const char *name : {"/run/step-notes.txt", "/run/.step-by-step", "/run/steps"})
    s.file(name, "mine");
  fs::rename(s.path + "/run/step-1", s.path + "/moved");
  fs::remove(s.path + "/run/last");
  fs::rename(s.path + "/moved", s.path + "/run/last"); // as a copy that follows links leaves it
  EXPECT(folder.readLast().progress.step == 1);
  folder.writeLast(checkpointAt(2), {});
  EXPECT(fs::is_symlink(s.path + "/run/last") && folder.readLast().progress.step == 2 && !fs::exists(s.path + "/run/last.partial"));
  folder.create({{"format", 1}});
  EXPECT(!folder.hasLast() && !fs::exists(s.path + "/run/step-2"));
  for (const char *name : {"/run/step-notes.txt", "/run/.step-by-step", "/run/steps"})
    EXPECT(contents(s.path + name) == "mine");
  fs::remove(s.path + "/run/run.json"); // killed while it was replaced
  EXPECT(!folder.isRun() && folder.isOurs() && !RunFolder(s.path).isOurs());
}

/// A writer killed at any moment leaves a whole checkpoint.
void testKill() {
  const Scratch s;
  const std::string path = s.path + "/run";
  RunFolder(path).create({{"format", 1}});
  RunFolder(path).writeLast(checkpointAt(0), {});
  for (int trial = 0; trial < 20; ++trial) {
    const pid_t child = ::fork();
    if (child == 0) {
      const RunFolder folder(path);
      for (int64_t step = 1;; ++step)
        folder.writeLast(checkpointAt(step), {});
    }
    ::usleep(1000 + trial * 1700);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const LastCheckpoint last = RunFolder(path).readLast();
    const auto step = static_cast<float>(last.progress.step);
    EXPECT(last.parameters.at("p").eq(step).all().item<bool>() && last.states.at("m").eq(-step).all().item<bool>());
  }
}

} // namespace

int main() {
  at::set_num_threads(1); // the tests fork
  testRoundTrip();
  testBroken();
  testModelFolder();
  testOneAtATime();
  testParts();
  testDiskFull();
  testRunFolder();
  testTwoWriters();
  testPipe();
  testForeignThings();
  testKill();
  std::puts("ok");
}
