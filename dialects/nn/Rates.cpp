// Rates: how often the leaves of the mathematics change. Everything else changes as often as what it is made of.
#include "dialects/nn/Nn.h"

using namespace mlir;
using namespace mlir::nn;

Rate ParamOp::ownRate(llvm::function_ref<bool(StringRef)> trainable) { return trainable(getName()) ? Rate::step : Rate::constant; }

Rate RandomOp::ownRate(llvm::function_ref<bool(StringRef)>) {
  StringRef rate = getRate(); // the verifier knows these words
  return rate == "init" ? Rate::constant : rate == "step" ? Rate::step : rate == "pass" ? Rate::pass : rate == "example" ? Rate::example : Rate::token;
}
