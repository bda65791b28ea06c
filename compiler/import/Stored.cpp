// Stored: where weights lie in the checkpoint: `@ "name"`, `@ "name".T`, `@ "name"[a : b]`, `@ "name".reshaped`.
//
// A name of a module stands for the tensors below it. `.T` is each of them transposed, and rows are those of what `.T` gives; a vector's rows
// are its entries, and transposed it is itself. So `q: linear(d, d) @ "c_attn".T[0 : d]` is columns of one tensor and entries of the other.
// Out    `peft.stored` of nn.parameter, where a weight is not the whole tensor as it lies: {shape of the tensor, transposed, reshaped, first row}
// Errs   E0602 a tensor is missing, E0603 another dtype or shape, E0610 two weights in one place
#include "compiler/import/Elaborator.h"
#include <functional>
#include <numeric>

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

void Elaborator::nameModule(ModuleNode &node, const ast::CheckpointName &name, const EnvPtr &env) {
  const std::string local = evalString(*name.name, env);
  node.checkpoint = node.checkpoint.empty() ? local : local.empty() ? node.checkpoint : node.checkpoint + "." + local;
  node.hasCheckpoint = !name.isNew;
  node.isNew = name.isNew;
  node.orNew = name.orNew;
  node.part = name.isNew ? std::nullopt : partOf(name, node, env);
}

std::optional<StoredPart> Elaborator::partOf(const ast::CheckpointName &name, const ModuleNode &node, const EnvPtr &env) {
  if (!name.transposed && !name.reshaped && !name.rows)
    return node.part;
  if (node.part)
    fail(Kind::E0350, name.range, {"this is a part of a part: the module around it says already what of a tensor it is"});
  if (name.reshaped && name.rows)
    fail(Kind::E0350, name.range, {"rows of what was reshaped: a weight has all numbers of such a tensor"});
  StoredPart part{name.transposed, name.reshaped, name.rows, 0, std::nullopt};
  if (name.from)
    part.first = evalInt(*name.from, env, "a row");
  if (name.to)
    part.end = evalInt(*name.to, env, "a row");
  if (part.first < 0 || (part.end && *part.end <= part.first))
    fail(Kind::E0353, name.range, {"rows", "counted from 0, and at least one", std::to_string(part.first) + " : " + (part.end ? std::to_string(*part.end) : "")});
  return part;
}

std::vector<int64_t> Elaborator::storedShape(const std::string &stored, NNType type, const std::optional<StoredPart> &part, Range range) {
  std::vector<int64_t> shape;
  for (Dim dim : type.getDims())
    shape.push_back(dim.constant);
  const auto *tensor = checkpoint_.asDescribed ? nullptr : checkpoint_.find(stored, info_.prefix);
  if (!tensor && !checkpoint_.asDescribed)
    fail(Kind::E0602, range, {stored, checkpoint_.directory});
  if (tensor && !llvm::is_contained({"F32", "F16", "BF16"}, tensor->dtype)) // what the runtime reads
    fail(Kind::E0603, range, {stored, "F32, F16 or BF16", tensor->dtype});
  const bool transposed = part && part->transposed && shape.size() > 1;
  if (part && part->rows) {
    const int64_t own = shape.empty() ? 0 : shape[0];
    if (own == 0 || (part->end && *part->end - part->first != own))
      fail(Kind::E0353, range, {"rows of " + stored, std::to_string(own) + ", as the weight has", part->end ? std::to_string(*part->end - part->first) : "some"});
    shape[0] += part->first;
    if (tensor && part->end && tensor->shape.size() == shape.size()) // others may follow
      shape[0] = std::max(shape[0], transposed ? tensor->shape.back() : tensor->shape.front());
  }
  if (transposed)
    std::reverse(shape.begin(), shape.end());
  auto elements = [](const std::vector<int64_t> &dims) { return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>()); };
  if (tensor && part && part->reshaped && elements(tensor->shape) == elements(shape))
    return tensor->shape;
  if (tensor && tensor->shape != shape)
    fail(Kind::E0603, range, {stored, model::toString(shape), model::toString(tensor->shape)});
  return shape;
}

void Elaborator::checkApart() {
  struct Piece {
    int64_t first, end;
    bool transposed, reshaped;
    std::string weight;
  };
  std::map<std::string, std::vector<Piece>> pieces;
  for (auto &[name, op] : parameters_) {
    if (op.getRole() != "base")
      continue;
    auto stored = op->getAttrOfType<mlir::DictionaryAttr>("peft.stored");
    auto says = [&](const char *how) { return stored && stored.getAs<mlir::BoolAttr>(how).getValue(); };
    auto dims = mlir::cast<NNType>(op.getType()).getDims();
    const int64_t first = stored ? stored.getAs<mlir::IntegerAttr>("row").getInt() : 0, rows = dims.empty() ? 1 : dims[0].constant;
    std::vector<Piece> &others = pieces[op.getCheckpoint()->str()];
    for (const Piece &other : others)
      if (says("transposed") != other.transposed || says("reshaped") || other.reshaped || (first < other.end && other.first < first + rows))
        fail(Kind::E0610, spec_.model->arch->range, {other.weight, name, op.getCheckpoint()->str()}, "",
             "one weight in two places is `tied(…)` at one of them; parts of a tensor do not overlap");
    others.push_back({first, first + rows, says("transposed"), says("reshaped"), name});
  }
}

} // namespace peftc::import
