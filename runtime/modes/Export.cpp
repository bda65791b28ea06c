// Export: a folder of Hugging Face PEFT, which `peft.PeftModel.from_pretrained` loads.
//
// The program `export` makes the tensors; what they are called, and the configuration, the methods' `interop` blocks have said.
// Written to a temporary folder and renamed: the folder appears whole or not at all.
// Errs   R0123 the program cannot be said in such files; R0118 the folder exists; R0117 a write failed
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/checkpoint/PeftFolder.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include <ATen/ATen.h>
#include <cstdio>

namespace peftrt {
namespace {

using nlohmann::json;

std::map<std::string, at::Tensor> tensorsOf(const Session &session) {
  RandomState random;
  random.seed = session.initSeed;
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[key, value] : session.executor->run("export", Batch{}, {}, random))
    tensors[key] = value.to(at::kFloat).contiguous().clone();
  return tensors;
}

int exportAdapter(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string out = newFolderName(arguments.need("out"));
  requireInterop(bundle.manifest, false);
  const SessionOptions options = trainedSessionOptions(arguments, surroundings);
  const auto session = openLoadedSession(std::move(bundle), options);
  reportUntrained(options);
  const json config = peftConfigOf(session->manifest(), session->modelPath);
  makeWholeFolder(out, [&](const std::string &folder) {
    writeSafetensors(folder + "/adapter_model.safetensors", tensorsOf(*session), {{"format", "pt"}});
    writeFileAtomically(folder + "/adapter_config.json", config.dump(2) + "\n");
  });
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
