// EmitBundle: see the header.
#include "compiler/tools/peft-opt/EmitBundle.h"
#include "compiler/emit/Emit.h"
#include "compiler/model/Checkpoint.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"
#include "runtime/bundle/Writer.h"
#include <fstream>
#include <sstream>

using nlohmann::json;
using namespace mlir;

namespace {
peftc::EmitInfo infoFrom(const json &facts) {
  peftc::EmitInfo info;
  info.arch = facts.value("arch", "");
  info.prefix = facts.value("prefix", "");
  info.mergedClass = facts.value("mergedClass", "");
  for (const json &row : facts.value("rows", json::array()))
    info.rows.push_back({row.at("name"), row.at("encoder"), row.value("args", json::array()), row.value("perSeq", false), row.value("dtype", "i64")});
  info.metrics = facts.value("metrics", std::vector<std::string>());
  info.run = facts.value("run", json::object());
  info.optimizerName = facts.value("optimizerName", "");
  info.optimizerStates = facts.value("optimizerStates", std::vector<std::string>());
  for (const json &group : facts.value("groups", json::array()))
    info.groups.push_back({group.value("hyper", json::object()), group.value("fields", std::vector<std::string>())});
  for (const json &attach : facts.value("attaches", json::array()))
    info.attaches.push_back({attach.at("index"), attach.at("name"), attach.value("text", ""), attach.value("sites", std::vector<std::string>())});
  info.specText = facts.value("specText", "");
  info.modelPath = facts.value("modelPath", "");
  if (std::ifstream file(info.modelPath + "/config.json"); file) {
    std::stringstream text;
    text << file.rdbuf();
    info.configFnv64 = peftc::model::fnv64(text.str());
    info.config = json::parse(text.str(), nullptr, false);
  }
  return info;
}

struct EmitBundle : PassWrapper<EmitBundle, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EmitBundle)
  EmitBundle() = default;
  EmitBundle(const EmitBundle &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "emit-bundle"; }
  StringRef getDescription() const override { return "write the module as a bundle's directory"; }
  void runOnOperation() override {
    json facts = json::object();
    if (!infoFile.empty()) {
      std::ifstream file(infoFile);
      facts = json::parse(file, nullptr, false);
      if (!facts.is_object()) {
        getOperation().emitError("cannot read `") << infoFile << "`";
        return signalPassFailure();
      }
    }
    auto bundle = peftc::emit::emit(getOperation(), {}, infoFrom(facts));
    if (!bundle)
      return signalPassFailure();
    try {
      peftrt::writeDirectory(*bundle, directory);
    } catch (const std::exception &error) {
      getOperation().emitError(error.what());
      signalPassFailure();
    }
  }
  Option<std::string> directory{*this, "dir", llvm::cl::desc("folder to write")};
  Option<std::string> infoFile{*this, "info", llvm::cl::desc("JSON file with the facts beside the module")};
};
} // namespace

void peftc::emit::registerEmitBundle() { PassRegistration<EmitBundle>(); }
