// Import: a checked program and a checkpoint's headers become the `peft` dialect.
//
// In     Spec, the checkpoint's config.json and tensor shapes
// Out    import: peft.module tree, peft.attach with selectors, @optimizer.N; sites: peft.instance a site, nn.parameter, @init, @on_grad
// Errs   E035x what only shows once dims are known, E04xx sites, E05xx budgets, E06xx the checkpoint
#pragma once
#include "compiler/emit/EmitInfo.h"
#include "compiler/model/Checkpoint.h"
#include "lang/diag/Engine.h"
#include "lang/spec/Spec.h"
#include "mlir/IR/BuiltinOps.h"
#include <memory>

namespace peftc::import {

class Elaborator;

/// Two phases over one elaboration. Each returns false after it reported what is wrong.
class Importer {
public:
  Importer(const Spec &spec, const model::Checkpoint &checkpoint, diag::Engine &diags, mlir::ModuleOp module, EmitInfo &info);
  ~Importer();
  bool import(); ///< phase `import`
  bool sites();  ///< phase `sites`

private:
  std::unique_ptr<Elaborator> elaborator_;
  diag::Engine &diags_;
};

} // namespace peftc::import
