// shared-of FILE TARGET OUT: a module of kernels in text form becomes a shared object for a row of Targets.def. For tests that change the module in between.
#include "compiler/target/Cpu.h"
#include "compiler/target/Lowering.h"
#include "mlir/Parser/Parser.h"
#include <cstdio>
#include <cstring>
#include <fstream>

using namespace peftc::target;

int main(int count, char **words) {
  const CpuTarget *target = count == 4 ? llvm::find_if(cpuTargets(), [&](const CpuTarget &row) { return row.name == words[2]; }) : cpuTargets().end();
  if (target == cpuTargets().end()) {
    std::fprintf(stderr, "shared-of FILE TARGET OUT\n");
    return 2;
  }
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  loadKernelDialects(context);
  const auto module = mlir::parseSourceFile<mlir::ModuleOp>(words[1], &context);
  std::string unwritten;
  const mlir::FailureOr<std::string> bytes = module ? compileShared(*module, *target, unwritten) : mlir::FailureOr<std::string>(mlir::failure());
  if (mlir::failed(bytes))
    return 1;
  std::ofstream out(words[3], std::ios::binary | std::ios::trunc);
  return (out << *bytes).flush() ? 0 : 1;
}
