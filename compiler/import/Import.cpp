// Import: the two phases, in the order of what they need from each other.
#include "compiler/import/Import.h"
#include "compiler/import/Elaborator.h"

namespace peftc::import {

Elaborator::Elaborator(const Spec &spec, const model::Checkpoint &checkpoint, diag::Engine &diags, mlir::ModuleOp module,
                       EmitInfo &info)
    : spec_(spec), checkpoint_(checkpoint), diags_(diags), module_(module), info_(info), context_(module.getContext()),
      builder_(context_) {}

Importer::Importer(const Spec &spec, const model::Checkpoint &checkpoint, diag::Engine &diags, mlir::ModuleOp module, EmitInfo &info)
    : elaborator_(std::make_unique<Elaborator>(spec, checkpoint, diags, module, info)), diags_(diags) {}
Importer::~Importer() = default;

bool Importer::import() {
  try {
    elaborator_->importRun(); // first: the arch reads `run.base_dropout`
    elaborator_->importModel();
    elaborator_->importAttaches();
  } catch (const Failed &) {
    return false;
  }
  return !diags_.hasErrors();
}

bool Importer::sites() {
  try {
    elaborator_->instantiate();
    elaborator_->checkReads();
    elaborator_->checkGradients();
    elaborator_->importOptimizer(); // after the sites: groups select among the parameters that exist now
    elaborator_->finishGradients(); // after the optimizer: whose `lr` it is shows in groups
    elaborator_->checkBudgets();
  } catch (const Failed &) {
    return false;
  }
  return !diags_.hasErrors();
}

} // namespace peftc::import
