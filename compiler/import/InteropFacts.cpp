// InteropFacts: what methods have said at each site, summed up: the fields of one configuration, and the weights that are trained beside methods.
//
// In     Interop, once every method is at its sites
// Out    @export, whose results are a file's tensors by their keys; EmitInfo::interop; where there can be no files, the reason alone
// Errs   E0210 no method says which type it is
#include "compiler/import/Elaborator.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <algorithm>

namespace peftc::import {
using diag::Kind;
using nlohmann::json;
using Item = ast::InteropItem;

namespace {
/// A weight of the network, by its name in the class of transformers.
struct Weight {
  std::string parameter;
  std::string why; ///< it is no whole tensor there
  bool trained = false, transposed = false;
};
using Weights = std::map<std::string, Weight>;
using NameOf = llvm::function_ref<std::string(const std::string &, bool)>;

std::string parentOf(const std::string &name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string lastOf(const std::string &name) { return name.substr(name.rfind('.') + 1); }

bool isBelow(const std::string &name, const std::string &module) { return name.size() > module.size() && name.compare(0, module.size(), module) == 0 && name[module.size()] == '.'; }

void gather(const ModuleNode &node, const std::map<std::string, mlir::nn::ParameterOp> &parameters, NameOf nameOf, Weights &weights) {
  for (const auto &[local, name] : node.weights) {
    auto found = parameters.find(name);
    mlir::nn::ParameterOp op = found == parameters.end() ? mlir::nn::ParameterOp() : found->second;
    if (!op || node.tiedTo || !op.getCheckpoint())
      continue;
    Weight &weight = weights[nameOf(op.getCheckpoint()->str(), op.getRole() == "new" && !node.orNew)];
    weight.trained |= op.getTrainable() || op.getRole() == "new";
    auto stored = op->getAttrOfType<mlir::DictionaryAttr>("peft.stored");
    weight.transposed = stored && stored.getAs<mlir::BoolAttr>("transposed").getValue();
    if (node.part && (node.part->rows || node.part->reshaped))
      weight.why = "`" + name + "` is a part of `" + op.getCheckpoint()->str() + "`, which those files take whole";
    weight.parameter = name;
  }
  for (const auto &child : node.children)
    gather(*child, parameters, nameOf, weights);
}

/// The largest module around a weight of which everything is trained; "" if there is none.
std::string moduleToSave(const std::string &name, const Weights &weights) {
  std::string best;
  for (std::string module = parentOf(name); !module.empty(); module = parentOf(module)) {
    if (!std::all_of(weights.begin(), weights.end(), [&](auto &other) { return !isBelow(other.first, module) || other.second.trained; }))
      break;
    best = module;
  }
  return best;
}

/// Whether the last words of the modules tell them from all others.
bool lastWordsTell(const std::set<std::string> &modules, const Weights &weights) {
  std::set<std::string> words;
  for (const std::string &module : modules)
    words.insert(lastOf(module));
  return std::all_of(weights.begin(), weights.end(), [&](auto &entry) { return modules.count(parentOf(entry.first)) || !words.count(lastOf(parentOf(entry.first))); });
}

/// The value that most sites have.
json commonest(const std::vector<Interop::Field::At> &at) {
  std::vector<std::pair<json, size_t>> counts;
  for (const auto &one : at) {
    auto known = std::find_if(counts.begin(), counts.end(), [&](auto &entry) { return entry.first == one.value; });
    if (known == counts.end())
      counts.push_back({one.value, 1});
    else
      ++known->second;
  }
  return std::max_element(counts.begin(), counts.end(), [](auto &a, auto &b) { return a.second < b.second; })->first;
}

std::set<std::string> listedBy(const Interop::Field &field) {
  std::set<std::string> listed;
  for (const auto &at : field.at)
    if (at.value == true)
      listed.insert(at.module);
  return listed;
}

json factOf(const std::string &name, const Interop::Field &field, bool shorten, Interop &interop) {
  json fact = {{"name", name}};
  if (field.kind == Item::Kind::Sites) {
    const std::set<std::string> listed = listedBy(field);
    std::set<std::string> written = shorten ? std::set<std::string>() : listed;
    for (const std::string &module : listed)
      written.insert(shorten ? lastOf(module) : module);
    fact["modules"] = listed;
    fact["list"] = written;
    return fact;
  }
  const json common = commonest(field.at);
  for (const auto &at : field.at)
    if (at.value != common && field.exceptions.empty())
      interop.refuse("`" + name + "` is " + common.dump() + " at some sites and " + at.value.dump() + " at `" + at.site + "`, those files say it once");
  fact[field.kind == Item::Kind::Choice ? "in" : "is"] = common;
  if (!field.exceptions.empty()) {
    fact["except"] = field.exceptions;
    for (const auto &at : field.at)
      fact["of"][at.module] = at.value;
  }
  return fact;
}
} // namespace

/// What is trained outside of methods, the task's head first of all, is saved by whole modules.
void Elaborator::exportTrained() {
  std::set<std::string> written;
  for (const auto &[key, value] : interop_.tensors)
    if (auto param = value.getDefiningOp<mlir::nn::ParamOp>())
      written.insert(param.getName().str());
  Weights weights;
  gather(*root_, parameters_, [&](const std::string &name, bool isNew) { return nameInClass(name, isNew); }, weights);
  bool shorten = true;
  for (const std::string &name : interop_.order)
    if (interop_.fields[name].kind == Item::Kind::Sites)
      shorten &= lastWordsTell(listedBy(interop_.fields[name]), weights);
  json fields = json::array();
  for (const std::string &name : interop_.order)
    fields.push_back(factOf(name, interop_.fields[name], shorten, interop_));
  std::set<std::string> modules;
  for (const auto &[name, weight] : weights) {
    if (!weight.trained || written.count(weight.parameter))
      continue;
    const std::string module = moduleToSave(name, weights);
    if (!interop_.trained || module.empty() || !weight.why.empty())
      return interop_.refuse(!weight.why.empty()   ? weight.why
                             : interop_.trained ? "`" + weight.parameter + "` is trained and others of its module are not, those files have modules whole"
                                                : "`" + weight.parameter + "` is trained beside the methods, and their files have no place for it");
    modules.insert(module);
    auto env = std::make_shared<Env>(fileEnv(interop_.trained->range.file));
    env->values["tensor"] = name;
    Tensor value = parameter(weight.parameter, parameterAxes_[weight.parameter], interop_.trained->range);
    if (weight.transposed && value.type().rank() == 2)
      value = transposeLast(value, interop_.trained->range);
    addExported(evalString(*interop_.trained->key, env), value.value, weight.parameter);
  }
  if (interop_.trained && interop_.trained->field)
    fields.push_back({{"name", interop_.trained->field->text}, {"trained", modules}});
  info_.interop = {{"fields", fields}, {"ignores", interop_.ignores}, {"task", interop_.ofTask}};
}

/// A file without all that a method computes with would be another network.
void Elaborator::requireAllExported() {
  std::set<std::string> read;
  interop_.func.walk([&](mlir::nn::ParamOp param) { read.insert(param.getName().str()); });
  for (auto &[name, op] : parameters_)
    if (op.getRole() != "base" && op.getRole() != "new" && !read.count(name))
      interop_.refuse("`" + name + "` is in none of the tensors that the method names");
}

/// The tensors are what @export gives; what nothing of it needs is gone.
void Elaborator::closeExport() {
  mlir::Block &block = interop_.func.getBody().front();
  mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToEnd(&block);
  llvm::SmallVector<mlir::Value> values;
  llvm::SmallVector<mlir::Type> types;
  for (const std::string &key : interop_.keys) {
    values.push_back(interop_.tensors.at(key));
    types.push_back(values.back().getType());
  }
  mlir::func::ReturnOp::create(builder_, interop_.func.getLoc(), values);
  interop_.func.setFunctionType(builder_.getFunctionType({}, types));
  for (size_t i = 0; i < interop_.keys.size(); ++i)
    interop_.func.setResultAttr(i, "nn.name", builder_.getStringAttr(interop_.keys[i]));
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (mlir::isOpTriviallyDead(&op))
      op.erase();
}

/// Whatever has parameters speaks for itself, or there are no files.
void Elaborator::finishInterop() {
  for (const Attach &attach : attaches_)
    for (const ModuleNode *site : attach.sites)
      if (auto said = interop_.methodAt.find(site->path.empty() ? "model" : site->path); said == interop_.methodAt.end() || said->second != attach.name)
        interop_.refuse("`" + attach.method.method->name.text + "` does not say how it appears in those files");
  if (attaches_.empty())
    interop_.refuse("the program attaches nothing");
  if (interop_.refused.empty() && !interop_.fields.count("peft_type"))
    fail(Kind::E0210, interop_.first, {"interop peft", "peft_type"});
  if (interop_.refused.empty()) {
    mlir::OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPointToEnd(&interop_.func.getBody().front());
    exportTrained();
    closeExport();
    requireAllExported();
  }
  if (interop_.refused.empty())
    return;
  info_.interop = {{"refused", interop_.refused}};
  if (interop_.func)
    interop_.func.erase();
}

} // namespace peftc::import
