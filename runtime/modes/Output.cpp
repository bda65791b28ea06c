// Output: see Output.h.
#include "runtime/modes/Output.h"
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/AtomicFile.h"
#include <cstdio>
#include <filesystem>

namespace peftrt {
namespace {

namespace fs = std::filesystem;

bool same(const fs::path &a, const fs::path &b) {
  std::error_code absent;
  return fs::equivalent(a, b, absent) && !absent;
}

} // namespace

void refuseInputAsOutput(const std::string &out, const std::string &data, const SessionOptions &options, const std::string &modelPath) {
  if (fs::is_directory(out))
    throw RuntimeError("R0118", "`" + out + "` is a folder", "--out names a file");
  std::vector<std::string> inputs = {data, "/proc/self/exe"};
  if (!options.adapter.empty())
    inputs.push_back(options.adapter);
  if (!options.run.empty())
    for (const char *name : {"/run.json", "/metrics.jsonl", "/adapter.safetensors"})
      inputs.push_back(options.run + name);
  for (const std::string &input : inputs)
    if (same(out, input))
      throw RuntimeError("R0118", "`" + out + "` is a file that this command reads", "give another --out");
  const fs::path folder = fs::path(out).parent_path();
  if (same(folder.empty() ? "." : folder, modelPath))
    throw RuntimeError("R0118", "`" + out + "` lies in the model's folder", "give another --out");
}

void writeLines(const std::string &out, const std::vector<std::string> &lines) {
  if (out.empty()) {
    bool whole = true;
    for (const std::string &line : lines)
      whole = whole && std::fwrite(line.data(), 1, line.size(), stdout) == line.size();
    if (!whole || std::fflush(stdout) != 0)
      throw RuntimeError("R0117", "cannot write to standard output", "it is closed, or its disk is full");
    return;
  }
  AtomicFile file(out);
  for (const std::string &line : lines)
    file.write(line);
  file.commit();
}

void printJson(const nlohmann::json &report) { std::printf("%s\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str()); }

} // namespace peftrt
