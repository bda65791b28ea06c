// Gradients: what methods make of the step's gradients, as far as they have said it.
#pragma once
#include "compiler/import/Value.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace peftc::import {

struct Gradients {
  mlir::func::FuncOp func; ///< @on_grad, without its terminator as yet; null where nobody says `on grad`
  struct Input {
    mlir::Value value;
    Range range; ///< where it is read first
  };
  std::map<std::string, Input> inputs; ///< by name: `grad.<parameter>`, `step`, `steps`, and until groups are known `lr.<parameter>`
  struct Replaced {
    std::string parameter;
    mlir::Value value; ///< of `func`
    const ast::GradStmt *stmt = nullptr;
    int64_t attach = -1;
  };
  std::vector<Replaced> replaced;
  std::vector<EnvPtr> groups; ///< the optimizer's arguments, a scope a group
};

} // namespace peftc::import
