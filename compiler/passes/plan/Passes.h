// Passes of the plan phase, in the order in which compiler/driver/Phases.cpp runs them, and those that make a device's programs of a CPU's. Each file opens with its contract.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"
#include <string>

namespace mlir::plan {
/// On a module whose programs may keep activations in bf16.
inline constexpr StringLiteral kBf16 = "plan.bf16";
/// On a module, how many layers of a step are computed again in backward: from the first. The functions have marks of them (nn::kMarksLayers).
inline constexpr StringLiteral kRecompute = "plan.recompute";
/// On an op of a program with kernels that none of them holds: the reason.
inline constexpr StringLiteral kWhyAlone = "plan.why_alone";

/// On the module of a device's programs: what is known of it (GFLOP/s `bf16` and `f32`, GB/s `bandwidth`), how many `tokens` a batch is thought to have, and a text (`length`).
inline constexpr StringLiteral kDevice = "plan.device";
/// The layout that the program asks for: `bordered`, `added`; else the quicker one.
inline constexpr StringLiteral kLayout = "plan.layout";
/// On a product that had a branch: how it is done, and why.
inline constexpr StringLiteral kLayoutNote = "plan.layout_note";
/// Where a low-rank product of what a kernel has made is made, if the program says: `fused`, in that kernel; `apart`; else where it is quicker.
inline constexpr StringLiteral kBranches = "plan.branches";
/// Whether a sum of products with frozen weights is one product, if the program says: `joined`, `apart`; else it is where it can be.
inline constexpr StringLiteral kSums = "plan.sums";
/// On such a product, and on a kernel that makes some: a list of what was weighed.
inline constexpr StringLiteral kBranchNote = "plan.branch_note";
/// Who does attention, if the program says: `library`, `generated`; else the quicker one.
inline constexpr StringLiteral kAttention = "plan.attention";
/// How many rows of wide values a device is to have at a time, if the program says.
inline constexpr StringLiteral kChunkRows = "plan.chunk_rows";
/// On attention, and on a kernel that products of heads are in: who does it, and why.
inline constexpr StringLiteral kAttentionNote = "plan.attention_note";

LogicalResult openPrograms(ModuleOp module);  ///< OpenPrograms.cpp
LogicalResult recomputeLayers(ModuleOp module); ///< RecomputeLayers.cpp
LogicalResult formProducts(ModuleOp module);  ///< FormProducts.cpp
LogicalResult expandArgmax(ModuleOp module);  ///< ExpandArgmax.cpp
LogicalResult expandPowers(ModuleOp module);  ///< ExpandPowers.cpp
LogicalResult splitSums(ModuleOp module);     ///< SplitSums.cpp
LogicalResult formKernels(ModuleOp module);   ///< FormKernels.cpp
LogicalResult chooseStorage(ModuleOp module); ///< ChooseStorage.cpp
LogicalResult nameKernels(ModuleOp module);   ///< NameKernels.cpp
LogicalResult lowerPrograms(ModuleOp module); ///< LowerPrograms.cpp
LogicalResult formBands(ModuleOp module);     ///< FormBands.cpp
LogicalResult assignBuffers(ModuleOp module); ///< AssignBuffers.cpp
LogicalResult dropPlaces(ModuleOp module);    ///< DropPlaces.cpp
LogicalResult chooseAttention(ModuleOp module); ///< ChooseAttention.cpp
LogicalResult foldScales(ModuleOp module);    ///< FoldScales.cpp
LogicalResult chooseLayout(ModuleOp module);  ///< ChooseLayout.cpp
LogicalResult stackWeights(ModuleOp module);  ///< StackWeights.cpp
LogicalResult roundWeights(ModuleOp module);  ///< RoundWeights.cpp
LogicalResult fuseBranches(ModuleOp module);  ///< FuseBranches.cpp
LogicalResult hoistSteps(ModuleOp module);    ///< HoistSteps.cpp
LogicalResult narrowBands(ModuleOp module);   ///< NarrowBands.cpp

/// A table of what each program's arena takes, for `examples` texts of `length` tokens by so many threads.
std::string memoryReport(ModuleOp module, int64_t examples, int64_t length, int64_t threads);
/// `gpu`: the programs of `module` for a GPU.
std::string gpuMemoryReport(ModuleOp module, ModuleOp gpu, int64_t examples, int64_t length);
/// Each kernel with its ops and traffic, and what stands alone.
std::string kernelReport(ModuleOp module, int64_t examples, int64_t length);
/// Of a device's programs: who does attention, how each product with a branch is done, and why.
std::string attentionReport(ModuleOp module);
std::string layoutReport(ModuleOp module);
std::string branchReport(ModuleOp module);
} // namespace mlir::plan
