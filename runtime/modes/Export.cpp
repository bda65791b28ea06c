// Export: a folder of Hugging Face PEFT, which `peft.PeftModel.from_pretrained` loads.
//
// The program `export` makes the tensors; what they are called, and the configuration, the methods' `interop` blocks have said.
// Written to a temporary folder and renamed: the folder appears whole or not at all.
// Errs   R0123 the program cannot be said in such files; R0118 the folder exists; R0117 a write failed
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/PeftFolder.h"
#include "runtime/modes/PeftFolders.h"
#include "runtime/modes/Output.h"
#include <ATen/ATen.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace peftrt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::map<std::string, at::Tensor> tensorsOf(const Session &session) {
  RandomState random;
  random.seed = session.initSeed;
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[key, value] : session.executor->run("export", Batch{}, {}, random))
    tensors[key] = value.to(at::kFloat).contiguous().clone();
  return tensors;
}

int exportAdapter(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  std::string out = arguments.need("out");
  while (out.size() > 1 && out.back() == '/')
    out.pop_back();
  requireInterop(bundle.manifest, false);
  if (fs::exists(fs::symlink_status(out)) && !(fs::is_directory(out) && fs::is_empty(out)))
    throw RuntimeError("R0118", "`" + out + "` exists", "give another --out, or remove it");
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), options);
  reportUntrained(options);
  const json config = peftConfigOf(session->manifest(), session->modelPath);
  const std::string partial = out + ".partial-" + std::to_string(::getpid());
  try {
    makeFolder(partial);
    writeSafetensors(partial + "/adapter_model.safetensors", tensorsOf(*session), {{"format", "pt"}});
    writeFileAtomically(partial + "/adapter_config.json", config.dump(2) + "\n");
    if (::rename(partial.c_str(), out.c_str()) != 0) // replaces an empty folder
      throw RuntimeError("R0117", "cannot write `" + out + "`: " + std::strerror(errno), "");
    syncFolder(fs::path(out).parent_path().string());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  if (arguments.has("json"))
    printJson({{"out", out}, {"peft_type", config.at("peft_type")}});
  else
    std::fprintf(stderr, "adapter of Hugging Face PEFT: %s (%s)\n", out.c_str(), config.at("peft_type").get<std::string>().c_str());
  return 0;
}

} // namespace

Mode exportMode() {
  ModeSpec spec{"export", "write the adapters as a folder that Hugging Face PEFT loads", "[RUN]", {
      {"out", "DIR", "folder of adapter_config.json and adapter_model.safetensors"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print a JSON report"}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, exportAdapter};
}

} // namespace peftrt
