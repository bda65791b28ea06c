// Example: see the header.
//
// In     an arch's `example` clause as config.json; the weights that `import` makes of the arch with that config
// Out    a folder that is read like any other checkpoint
// Numerics  matrices normal with deviation 1/sqrt(columns), vectors with 1/2: every weight matters and nothing saturates
#include "compiler/driver/Compile.h"
#include "compiler/driver/Example.h"
#include "compiler/import/Import.h"
#include "dialects/nn/Nn.h"
#include "dialects/peft/Peft.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

using nlohmann::json;
using peftc::diag::Kind;

namespace peftc {
namespace {

struct Weight {
  std::string name;
  std::vector<int64_t> shape;
};

const ast::ArchStmt *archOf(const Spec &spec, diag::Engine &diags) {
  if (!spec.model) {
    diags.report(Kind::E0350, Range{}, {"this program has no `model`"});
    return nullptr;
  }
  auto *call = spec.model->arch->as<ast::CallExpr>();
  auto *name = (call ? call->callee.get() : spec.model->arch.get())->as<ast::NameExpr>();
  const Scope &scope = spec.scopeOf(spec.model->arch->range);
  auto found = name ? scope.archs.find(name->name) : scope.archs.end();
  if (found != scope.archs.end())
    return found->second;
  diags.report(Kind::E0356, spec.model->arch->range, {name ? name->name : "this"});
  return nullptr;
}

/// A number, text, truth value, none or a list of such; null with a report if it is anything else.
std::optional<json> plain(const ast::Expr &expr, diag::Engine &diags) {
  if (auto *number = expr.as<ast::NumberExpr>())
    return number->isInteger ? json(static_cast<int64_t>(number->value)) : json(number->value);
  if (auto *text = expr.as<ast::StringExpr>(); text && text->holes.empty())
    return json(text->texts[0]);
  if (auto *truth = expr.as<ast::BoolExpr>())
    return json(truth->value);
  if (expr.as<ast::NoneExpr>())
    return json();
  if (auto *list = expr.as<ast::ListExpr>()) {
    json items = json::array();
    for (const ast::ExprPtr &item : list->items) {
      auto value = plain(*item, diags);
      if (!value)
        return std::nullopt;
      items.push_back(*value);
    }
    return items;
  }
  diags.report(Kind::E0350, expr.range, {"an example's values are numbers, texts, true, false, none and lists of them"});
  return std::nullopt;
}

std::optional<json> configOf(const ast::ArchStmt &arch, diag::Engine &diags) {
  for (const ast::StmtPtr &stmt : arch.body) {
    auto *example = stmt->as<ast::ExampleStmt>();
    if (!example)
      continue;
    json config = json::object();
    for (const ast::Field &field : example->fields) {
      auto value = plain(*field.value, diags);
      if (!value)
        return std::nullopt;
      config[field.name.text] = *value;
    }
    return config;
  }
  diags.report(Kind::E0350, arch.name.range, {"`" + arch.name.text + "` has no `example { … }`: a small config.json to check laws on"}).help("or name a checkpoint: `--model DIR`");
  return std::nullopt;
}

/// Parts of one tensor are one weight, as long as the longest of them needs.
void addWeight(std::vector<Weight> &weights, mlir::nn::ParameterOp parameter) {
  std::vector<int64_t> shape;
  if (auto stored = parameter->getAttrOfType<mlir::DictionaryAttr>("peft.stored"))
    shape = stored.getAs<mlir::DenseI64ArrayAttr>("shape").asArrayRef().vec();
  else
    for (mlir::nn::Dim dim : mlir::cast<mlir::nn::NNType>(parameter.getType()).getDims())
      shape.push_back(dim.constant);
  const std::string name = parameter.getCheckpoint()->str();
  for (Weight &known : weights)
    if (known.name == name) {
      for (size_t axis = 0; axis < std::min(shape.size(), known.shape.size()); ++axis)
        known.shape[axis] = std::max(known.shape[axis], shape[axis]);
      return;
    }
  weights.push_back({name, shape});
}

std::optional<std::vector<Weight>> weightsOf(const Spec &spec, const json &config, diag::Engine &diags) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<mlir::func::FuncDialect, mlir::nn::NNDialect, mlir::peft::PEFTDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module(mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  model::Checkpoint checkpoint;
  checkpoint.config = config;
  checkpoint.asDescribed = true;
  EmitInfo info;
  if (!import::Importer(spec, checkpoint, diags, *module, info).import())
    return std::nullopt;
  std::vector<Weight> weights;
  for (auto parameter : module->getOps<mlir::nn::ParameterOp>())
    if (parameter.getRole() == "base" && parameter.getCheckpoint())
      addWeight(weights, parameter);
  return weights;
}

int64_t elementsOf(const Weight &weight) {
  int64_t count = 1;
  for (int64_t dim : weight.shape)
    count *= dim;
  return count;
}

bool writeWeights(const std::string &path, const std::vector<Weight> &weights, uint64_t seed) {
  json header = json::object();
  uint64_t end = 0;
  for (const Weight &weight : weights) {
    uint64_t begin = end;
    end += static_cast<uint64_t>(elementsOf(weight)) * sizeof(float);
    header[weight.name] = {{"dtype", "F32"}, {"shape", weight.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<uint64_t>(text.size());
  for (int byte = 0; byte < 8; ++byte)
    file.put(static_cast<char>(length >> (8 * byte) & 0xff));
  file << text;
  std::mt19937_64 random(seed);
  auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
  for (const Weight &weight : weights) {
    double deviation = weight.shape.size() < 2 ? 0.5 : 1 / std::sqrt(static_cast<double>(weight.shape.back()));
    for (int64_t element = 0, count = elementsOf(weight); element < count; ++element) {
      double radius = std::sqrt(-2 * std::log(uniform()));
      float value = static_cast<float>(deviation * radius * std::cos(6.283185307179586 * uniform()));
      file.write(reinterpret_cast<const char *>(&value), sizeof value);
    }
  }
  return static_cast<bool>(file.flush());
}

} // namespace

bool writeExample(const Request &request, const std::string &folder, uint64_t seed, SourceMap &sources, diag::Engine &diags) {
  auto spec = check(sources, request.specPath, *request.stdlib, request.overrides, diags, loaderOf(request), request.choices);
  const ast::ArchStmt *arch = diags.hasErrors() ? nullptr : archOf(*spec, diags);
  auto config = arch ? configOf(*arch, diags) : std::nullopt;
  auto weights = config ? weightsOf(*spec, *config, diags) : std::nullopt;
  if (!weights || diags.hasErrors())
    return false;
  std::ofstream file(folder + "/config.json");
  if (!(file << config->dump(2) << "\n").flush() || !writeWeights(folder + "/model.safetensors", *weights, seed)) {
    diags.report(Kind::E0605, Range{}, {folder, "it cannot be written to"});
    return false;
  }
  return true;
}

} // namespace peftc
