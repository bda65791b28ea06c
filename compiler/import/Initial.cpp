// Initial: values of a distribution or constant in a given shape, as ops.
#include "compiler/import/Elaborator.h"
#include <cmath>

namespace peftc::import {
using diag::Kind;
using mlir::nn::Dim;
using mlir::nn::NNType;

/// Values of a distribution or constant in the given shape; `drawn`: how often, where no example's shape says it.
Value Elaborator::initial(const Initializer &init, const std::vector<Dim> &dims, const Tensor *like, Range range, llvm::StringRef drawn) {
  const std::string &name = init.name;
  auto arg = [&](size_t i, double fallback) { return i < init.args.size() ? init.args[i] : fallback; };
  if (inOnGrad_)
    drawn = "step";
  llvm::StringRef rate = inInit_ ? "init" : like && like->type().getExample() ? like->type().isStatic() ? "example" : "token" : drawn;
  NNType type = like ? like->type().withElement(f32()) : NNType::get(context_, false, dims, f32());
  auto filled = [&](double value) {
    Tensor scalar = constant(value, f32(), range);
    auto op = mlir::nn::BroadcastOp::create(builder_, location(range), type, scalar.value);
    return Tensor{op.getResult(), like ? like->axes : std::vector<std::string>(dims.size())};
  };
  auto affine = [&](Tensor x, double scale, double shift) {
    Tensor scaled = binary("nn.mul", x, scale, range);
    return shift == 0 ? scaled : binary("nn.add", scaled, shift, range);
  };
  if (name == "zeros" || name == "ones" || name == "constant")
    return filled(name == "zeros" ? 0 : name == "ones" ? 1 : arg(0, 0));
  if (name == "eye") {
    if (type.rank() != 2 || !type.isStatic())
      fail(Kind::E0350, range, {"`eye` has two axes, not " + mlir::nn::toString(type)});
    std::vector<double> numbers(type.elements());
    for (int64_t i = 0; i < std::min(type.getDims()[0].constant, type.getDims()[1].constant); ++i)
      numbers[i * type.getDims()[1].constant + i] = 1;
    return Tensor{mlir::nn::LiteralOp::create(builder_, location(range), type, mlir::DenseF64ArrayAttr::get(context_, numbers)).getResult(), {"", ""}};
  }
  // Fans as in torch.nn.init: of an [out, in, …] array fan_in is everything behind the first axis.
  double fanOut = type.rank() > 0 ? type.getDims()[0].constant : 1;
  double fanIn = type.rank() > 1 && type.isStatic() ? type.elements() / std::max(fanOut, 1.0) : fanOut;
  if (name == "normal")
    return affine(random("normal", like, dims, rate, range), arg(1, 1), arg(0, 0));
  if (name == "kaiming_normal")
    return affine(random("normal", like, dims, rate, range), std::sqrt(2.0 / fanIn), 0);
  double low = arg(0, 0), high = arg(1, 1);
  if (name == "kaiming_uniform")
    high = std::sqrt(2.0 / (1 + arg(0, 0) * arg(0, 0))) * std::sqrt(3.0 / fanIn);
  if (name == "xavier_uniform")
    high = std::sqrt(6.0 / (fanIn + fanOut));
  if (name != "uniform" && name != "bernoulli")
    low = -high;
  if (name == "bernoulli") // sixteen bits: the probability is off by 1 / 65536 at most, and masks cost half as much
    return asFloat(binary("nn.lt", random("uniform16", like, dims, rate, range), arg(0, 0.5), range), range);
  return affine(random("uniform", like, dims, rate, range), high - low, low);
}

} // namespace peftc::import
