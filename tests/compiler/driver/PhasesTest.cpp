// A phase whose passes go wrong: the error names the pass that did, whatever came after it, and leaves the module as it was before that pass.
#include "compiler/driver/Phases.h"
#include "tests/compiler/Check.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdio>

using namespace mlir;
using namespace peftc;

namespace {

LogicalResult addFunction(ModuleOp module, StringRef name) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  func::FuncOp::create(builder, module.getLoc(), name, builder.getFunctionType({}, {})).setPrivate();
  return success();
}
LogicalResult addFirst(ModuleOp module) { return addFunction(module, "first"); }
LogicalResult addTwice(ModuleOp module) { return success(succeeded(addFunction(module, "second")) && succeeded(addFunction(module, "second"))); }
LogicalResult addThird(ModuleOp module) { return addFunction(module, "third"); }
LogicalResult refuse(ModuleOp module) { return module.emitError("this one never does"); }
LogicalResult allIsWell(ModuleOp) { return success(); }
LogicalResult isEmpty(ModuleOp module) { return module.getBody()->empty() ? success() : module.emitError("it is not empty"); }

struct Ran {
  std::string error, timing, reproducer;
  size_t functions = 0; ///< in the module afterwards
};

Ran run(std::vector<PassEntry> passes, LogicalResult (*verify)(ModuleOp), const std::string &blamed, const std::string &folder) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<func::FuncDialect>();
  OwningOpRef<ModuleOp> module(ModuleOp::create(UnknownLoc::get(&context)));
  Ran ran;
  ran.error = runPhase({"some", Stop::Nn, "", std::move(passes), verify}, *module, {folder, &ran.timing});
  ran.functions = llvm::range_size(module->getOps<func::FuncOp>());
  if (auto file = llvm::MemoryBuffer::getFile(folder + "/peftc-" + blamed + ".mlir"))
    ran.reproducer = (*file)->getBuffer().str();
  return ran;
}

bool holds(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

void testWhoIsToBlame(const std::string &folder) {
  const PassEntry first{"add-first", "", addFirst}, twice{"add-twice", "", addTwice}, third{"add-third", "", addThird}, refuses{"refuse", "", refuse};
  const Ran well = run({first, third}, allIsWell, "none", folder);
  CHECK(well.error.empty() && well.functions == 2 && well.reproducer.empty() && holds(well.timing, "add-third") && holds(well.timing, "verifier"));
  // What is not valid is found behind the last pass, and yet the pass that made it so is named.
  const Ran invalid = run({first, twice, third}, allIsWell, "add-twice", folder);
  CHECK(holds(invalid.error, "pass `add-twice` made a module that is not valid") && holds(invalid.error, "second"));
  CHECK(holds(invalid.reproducer, "RUN: peft-opt --add-twice") && holds(invalid.reproducer, "@first") && !holds(invalid.reproducer, "@second"));
  const Ran refused = run({first, refuses, third}, allIsWell, "refuse", folder);
  CHECK(holds(refused.error, "pass `refuse` failed") && holds(refused.error, "this one never does"));
  CHECK(holds(refused.reproducer, "@first") && !holds(refused.reproducer, "@third"));
  const Ran unmet = run({first}, isEmpty, "after-some", folder); // what must hold after a phase
  CHECK(holds(unmet.error, "pass `after-some` failed") && holds(unmet.error, "it is not empty") && holds(unmet.reproducer, "@first"));
}

} // namespace

int main() {
  llvm::SmallString<64> folder;
  if (llvm::sys::fs::createUniqueDirectory("peftc-phases", folder))
    return 1;
  testWhoIsToBlame(folder.str().str());
  llvm::sys::fs::remove_directories(folder);
  std::printf(failures ? "%d checks failed\n" : "phases: all checks passed\n", failures);
  return failures ? 1 : 0;
}
