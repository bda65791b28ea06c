// Info: what is attached where, counts, merging; of the trainer and of a run.
#include "runtime/modes/Devices.h"
#include "runtime/modes/Modes.h"
#include "runtime/bundle/Errors.h"
#include "runtime/cpu/Kernels.h"
#include "runtime/products/Products.h"
#include <cstdio>

namespace peftrt {
namespace {

using nlohmann::json;

std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (int64_t place = static_cast<int64_t>(text.size()) - 3; place > 0; place -= 3)
    text.insert(text.begin() + place, ',');
  return text;
}

/// What of this machine is used.
json cpuReport(const Bundle &bundle, const Surroundings &surroundings) {
  const std::string wanted = bundle.manifest.value("run", json::object()).value("precision", "auto");
  const bool bf16 = wanted == "bf16";
  json report = {{"precision", bf16 ? "bf16" : "fp32"}, {"products", Products(surroundings.cpuTarget, productChoiceOf(surroundings.products)).servedBy(bf16)}};
  try {
    report["kernels"] = KernelLibrary(bundle, surroundings.cpuTarget).target();
  } catch (const RuntimeError &error) { // a trainer may be looked at where it cannot run
    report["kernels"] = nullptr;
    report["problem"] = error.message;
  }
  return report;
}

json reportOf(const Bundle &bundle, const std::string &run, const Surroundings &surroundings) {
  json report;
  for (const char *key : {"compiler", "spec", "counts", "attaches", "merge", "interop", "optimizer", "run", "metrics", "rows"})
    if (bundle.manifest.contains(key))
      report[key] = bundle.manifest[key];
  report["model"] = bundle.manifest.at("model");
  report["model"].erase("config");
  report["trainable_size"] = bundle.manifest.at("trainable_size");
  report["parameters"] = json::array();
  for (const json &parameter : bundle.manifest.at("parameters"))
    if (parameter.value("trainable", false) || parameter.at("role") != "base")
      report["parameters"].push_back({{"name", parameter.at("name")}, {"shape", parameter.at("shape")}, {"role", parameter.at("role")}, {"trainable", parameter.value("trainable", false)}});
  report["fingerprint"] = bundleFingerprint(bundle);
  report["cpu"] = cpuReport(bundle, surroundings);
  report["device"] = deviceReport(bundle, surroundings);
  if (!run.empty()) {
    const RunFolder folder(run);
    report["run_folder"] = folder.readRun();
    report["run_folder"]["matches"] = report["run_folder"].value("contract", "") == contractFingerprint(bundle.manifest);
  }
  return report;
}

void printHuman(const Bundle &bundle, const json &report) {
  const json &model = report["model"];
  std::printf("model      %s from %s\n", model.value("arch", "?").c_str(), model.value("path", "?").c_str());
  const int64_t trainable = bundle.manifest.at("trainable_size");
  const int64_t base = report.contains("counts") ? report["counts"].value("base", int64_t{0}) : 0;
  std::printf("trainable  %s parameters", grouped(trainable).c_str());
  if (base > 0)
    std::printf(", %.3f%% of the base model's %s", 100.0 * static_cast<double>(trainable) / static_cast<double>(base), grouped(base).c_str());
  std::printf("\n");
  std::string made;
  for (const json &parameter : report["parameters"])
    if (parameter.at("role") == "new")
      made += (made.empty() ? "" : ", ") + parameter.at("name").get<std::string>();
  if (!made.empty())
    std::printf("new        %s: not in the checkpoint\n", made.c_str());
  for (const json &attach : report.value("attaches", json::array())) {
    const json sites = attach.value("sites", json::array());
    std::string text = attach.value("text", attach.value("name", "?"));
    if (text.starts_with("attach "))
      text.erase(0, 7);
    std::printf("attach     %s: %zu sites (%s%s), %s parameters, merge: %s\n", text.c_str(), sites.size(), sites.empty() ? "" : sites[0].get<std::string>().c_str(),
                sites.size() > 1 ? ", …" : "", grouped(attach.value("params", int64_t{0})).c_str(), attach.value("merge", "?").c_str());
  }
  for (const json &site : bundle.manifest.at("merge").value("sites", json::array()))
    if (!site.value("reason", "").empty()) {
      std::printf("merge      no: `%s`: %s\n", site.value("site", "?").c_str(), site.value("reason", "").c_str());
      break;
    }
  const json interop = bundle.manifest.value("interop", json::object());
  std::printf("export     %s\n", interop.empty() ? "no: the trainer is older than that" : interop.contains("refused") ? ("no: " + interop["refused"].get<std::string>()).c_str() : interop.contains("one_way") ? ("yes; import: no: " + interop["one_way"].get<std::string>()).c_str() : "yes, and import");
  std::printf("optimizer  %s, %zu group%s\n", report["optimizer"].value("name", "?").c_str(), report["optimizer"]["groups"].size(), report["optimizer"]["groups"].size() == 1 ? "" : "s");
  const json &cpu = report["cpu"];
  std::printf("cpu        %s; kernels: %s; large products: %s\n", cpu["precision"].get<std::string>().c_str(), (cpu["kernels"].is_null() ? cpu["problem"] : cpu["kernels"]).get<std::string>().c_str(),
              cpu["products"].get<std::string>().c_str());
  const json &device = report["device"];
  if (device.contains("why_not_cuda"))
    std::printf("device     cpu; cuda: no: %s\n", device["why_not_cuda"].get<std::string>().c_str());
  else
    std::printf("device     cuda: %s, %s, %s bytes; driver for CUDA %s; kernels: %s\n", device["gpu"].get<std::string>().c_str(), device["architecture"].get<std::string>().c_str(),
                grouped(device["memory"].get<int64_t>()).c_str(), device["driver"].get<std::string>().c_str(), device["code"].get<std::string>().c_str());
  std::printf("run        %s\n", bundle.manifest.value("run", json::object()).dump().c_str());
  if (report.contains("run_folder")) {
    const json &run = report["run_folder"];
    const std::string origin = run.contains("imported") ? "imported from " + run["imported"].get<std::string>()
                                                        : "trained on " + run["train"].value("path", "?") + " (" + std::to_string(run["train"].value("rows", int64_t{0})) + " rows)";
    std::printf("this run   %s; %s; labels %s\n", run["matches"].get<bool>() ? "fits this trainer" : "BELONGS TO ANOTHER SPEC", origin.c_str(), run.value("labels", json::array()).dump().c_str());
  }
}

int info(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const json report = reportOf(bundle, arguments.word(), surroundings);
  if (arguments.has("json"))
    std::printf("%s\n", report.dump(2).c_str());
  else
    printHuman(bundle, report);
  return 0;
}

} // namespace

Mode infoMode() { return {{"info", "what is attached where, counts, merging", "[RUN]", {{"json", "", "print one JSON object"}}}, info}; }

} // namespace peftrt
