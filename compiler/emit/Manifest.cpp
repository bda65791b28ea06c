// Manifest: manifest.json: parameters with their places in the flat buffer, counts, attaches, the merge report.
#include "compiler/emit/Emit.h"
#include "compiler/passes/plan/Passes.h"
#include "dialects/nn/Nn.h"
#include <algorithm>
#include <map>
#include <set>

using nlohmann::json;
using namespace mlir;

namespace peftc::emit {
namespace {

constexpr int kFormat = 1;
constexpr const char *kVersion = "0.1.0";

nn::NNType typeOf(nn::ParameterOp op) { return cast<nn::NNType>(op.getType()); }

int64_t groupOf(nn::ParameterOp op) {
  auto group = op->getAttrOfType<IntegerAttr>("peft.group");
  return group ? group.getInt() : 0;
}

/// Trainables lie group after group, each in the order of names, so that one optimizer program runs on one stretch.
std::map<std::string, int64_t> offsetsOf(ModuleOp module, int64_t &size) {
  std::vector<nn::ParameterOp> trainable;
  for (auto op : module.getOps<nn::ParameterOp>())
    if (op.getTrainable())
      trainable.push_back(op);
  std::sort(trainable.begin(), trainable.end(), [](nn::ParameterOp a, nn::ParameterOp b) {
    return std::pair(groupOf(a), a.getSymName()) < std::pair(groupOf(b), b.getSymName());
  });
  std::map<std::string, int64_t> offsets;
  size = 0;
  for (auto op : trainable) {
    offsets[op.getSymName().str()] = size;
    size += typeOf(op).elements();
  }
  return offsets;
}

json parameterOf(nn::ParameterOp op, const std::map<std::string, int64_t> &offsets) {
  json shape = json::array();
  for (nn::Dim dim : typeOf(op).getDims())
    shape.push_back(dim.constant);
  json parameter = {{"name", op.getSymName().str()}, {"shape", shape}, {"role", op.getRole().str()}, {"trainable", op.getTrainable()}};
  if (op.getCheckpoint())
    parameter["checkpoint"] = op.getCheckpoint()->str();
  if (auto stored = op->getAttrOfType<DictionaryAttr>("peft.stored"))
    parameter["stored"] = {{"shape", stored.getAs<DenseI64ArrayAttr>("shape").asArrayRef().vec()}, {"row", stored.getAs<IntegerAttr>("row").getInt()},
                           {"transposed", stored.getAs<BoolAttr>("transposed").getValue()}, {"reshaped", stored.getAs<BoolAttr>("reshaped").getValue()}};
  if (op->hasAttr(plan::kBf16))
    parameter["half"] = true;
  if (static_cast<int64_t>(op.getAttach()) >= 0)
    parameter["attach"] = static_cast<int64_t>(op.getAttach());
  if (op.getTrainable()) {
    parameter["offset"] = offsets.at(op.getSymName().str());
    parameter["group"] = groupOf(op);
  }
  return parameter;
}

/// Sites with why they cannot be merged ("" where they can), by site.
std::set<std::pair<std::string, std::string>> mergeReasons(ModuleOp module) {
  std::set<std::pair<std::string, std::string>> reasons;
  if (auto report = module->getAttrOfType<ArrayAttr>("nn.merge"))
    for (Attribute entry : report) {
      auto site = cast<DictionaryAttr>(entry);
      bool possible = site.getAs<BoolAttr>("possible").getValue();
      auto reason = site.getAs<StringAttr>("reason");
      std::string why = possible ? "" : reason && !reason.empty() ? reason.getValue().str() : "no reason is known";
      reasons.insert({site.getAs<StringAttr>("site").getValue().str(), why});
    }
  return reasons;
}

/// Whether what an attach to `site` rewires may lie at `place`: there, or below it where a method attaches methods itself.
bool covers(const std::string &site, const std::string &place) {
  return site == place || site == "model" || (place.size() > site.size() && place.compare(0, site.size(), site) == 0 && place[site.size()] == '.');
}

json attachesOf(ModuleOp module, const EmitInfo &info, json &merge) {
  std::map<int64_t, int64_t> params;
  for (auto op : module.getOps<nn::ParameterOp>())
    if (op.getTrainable())
      params[op.getAttach()] += typeOf(op).elements();
  auto reasons = mergeReasons(module);
  bool possible = std::all_of(reasons.begin(), reasons.end(), [](auto &site) { return site.second.empty(); });
  merge = {{"possible", possible}, {"sites", json::array()}};
  json attaches = json::array();
  for (const EmitInfo::Attach &attach : info.attaches) {
    size_t yes = 0, no = 0;
    for (const auto &[place, reason] : reasons) {
      if (std::none_of(attach.sites.begin(), attach.sites.end(), [&](const std::string &site) { return covers(site, place); }))
        continue;
      ++(reason.empty() ? yes : no);
      merge["sites"].push_back({{"site", place}, {"attach", attach.index}, {"reason", reason}});
    }
    attaches.push_back({{"index", attach.index}, {"name", attach.name}, {"text", attach.text}, {"sites", attach.sites},
                        {"params", params[attach.index]}, {"merge", no == 0 ? "yes" : yes == 0 ? "no" : "partly"},
                        {"changes_at_init", attach.changesAtInit ? json(*attach.changesAtInit) : json()}});
  }
  return attaches;
}

json countsOf(ModuleOp module) {
  int64_t base = 0, trainable = 0, head = 0;
  for (auto op : module.getOps<nn::ParameterOp>()) {
    int64_t elements = typeOf(op).elements();
    base += op.getRole() == "base" ? elements : 0;
    trainable += op.getTrainable() ? elements : 0;
    head += op.getTrainable() && op.getRole() == "new" ? elements : 0;
  }
  return {{"base", base}, {"trainable", trainable}, {"head", head}};
}

json orNull(const std::optional<int64_t> &number) { return number ? json(*number) : json(); }

json rowsOf(const EmitInfo &info) {
  json rows = json::array();
  for (const EmitInfo::Row &row : info.rows) {
    rows.push_back({{"name", row.name}, {"encoder", row.encoder}, {"args", row.args}, {"dtype", row.dtype}});
    if (row.perSeq)
      rows.back()["per"] = peftrt::nameOfSequence(row.sequence);
  }
  return rows;
}

json optimizerOf(const EmitInfo &info) {
  json groups = json::array();
  for (const EmitInfo::Group &group : info.groups)
    groups.push_back({{"hyper", group.hyper}, {"fields", group.fields}});
  return {{"name", info.optimizerName}, {"states", info.optimizerStates}, {"groups", groups}};
}

bool parametersAreStatic(ModuleOp module) {
  for (auto op : module.getOps<nn::ParameterOp>())
    if (typeOf(op).getExample() || !typeOf(op).isStatic()) {
      op.emitOpError("is not of one shape for the whole run");
      return false;
    }
  return true;
}

} // namespace

json manifestOf(ModuleOp module, const EmitInfo &info) {
  if (!parametersAreStatic(module))
    return nullptr;
  json manifest = {{"format", kFormat}, {"compiler", kVersion}, {"spec", "spec.peft"}};
  manifest["model"] = {{"arch", info.arch}, {"path", info.modelPath}, {"config_fnv64", info.configFnv64}, {"config", info.config},
                       {"vocab", orNull(info.vocabSize)}, {"max_positions", orNull(info.maxPositions)},
                       {"prefix", info.prefix}, {"merged_class", info.mergedClass}};
  int64_t size = 0;
  auto offsets = offsetsOf(module, size);
  manifest["parameters"] = json::array();
  for (auto op : module.getOps<nn::ParameterOp>())
    manifest["parameters"].push_back(parameterOf(op, offsets));
  manifest["trainable_size"] = size;
  manifest["rows"] = rowsOf(info);
  manifest["run"] = info.run;
  manifest["optimizer"] = optimizerOf(info);
  manifest["metrics"] = info.metrics;
  manifest["counts"] = countsOf(module);
  if (auto reason = module->getAttrOfType<StringAttr>("nn.uncached"))
    manifest["uncached"] = reason.getValue().str();
  manifest["interop"] = info.interop;
  if (auto reason = module->getAttrOfType<StringAttr>("nn.import"))
    manifest["interop"]["one_way"] = reason.getValue().str();
  manifest["attaches"] = attachesOf(module, info, manifest["merge"]);
  return manifest;
}

} // namespace peftc::emit
