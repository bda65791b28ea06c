// FuseBranches (plan-fuse-branches): a low-rank product of rows that a kernel has just made is made by that kernel, where that is quicker.
//
// In     plan.programs without places, of a device; on the module `plan.device`, what is known of it, and `plan.branches`, if not what is quicker
// Out    such a product is one more result of its input's kernel, of which the matrix is one more operand (RowProduct of KernelSpace.h); a matrix whose columns meet the rows lies
//        turned, so that a thread reads what it multiplies at once. Kernels and products that could be so say what was weighed (kBranchNote)
// Errs   internal only: nothing is known of the device
// Why here  behind plan-round-weights, so that matrices are of the rows' type; before kernels are named by what they do
//
// What is quicker  by itself the product reads all rows once more, and is one more launch. In the kernel no row is read again, but each block of threads reads the whole matrix from the
// second-level cache: so it is a matter of how many columns the product has for each row that a block does.
#include "compiler/passes/plan/Border.h"
#include "compiler/passes/plan/KernelSpace.h"
#include "compiler/passes/plan/Passes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr double kLaunch = 3e-6; ///< seconds from one small kernel's end to the next one's
constexpr double kCache = 1.6;   ///< how much more the second-level cache gives than memory, at least: measured by others on an H100, 5.5 of 3.35 TB/s

PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }
StringRef nameOf(BorderOp border) { return nameOfWeight(border.getWeight()); }

/// A product that its input's kernel could make.
struct Branch {
  StepOp step;
  KernelOp kernel;
  Value rows, matrix;
  bool turned;               ///< the matrix lies with its columns along the rows
  double inKernel, byItself; ///< seconds

  int64_t columns() const { return typeOf(StepOp(step).getResult()).columns(); } // ops are handles
};

/// The text that the program gave, and what the device can do.
struct Weighing {
  StringRef word = "auto";
  double bandwidth, tokens;

  Weighing(ModuleOp module, DictionaryAttr device) {
    auto number = [&](StringRef name) { return static_cast<double>(cast<IntegerAttr>(device.get(name)).getInt()); };
    bandwidth = number("bandwidth") * 1e9, tokens = number("tokens");
    if (auto said = module->getAttrOfType<StringAttr>(kBranches))
      word = said.getValue();
  }
  void weigh(Branch &branch) const {
    auto type = typeOf(branch.rows);
    const double rows = static_cast<double>(type.getDims()[0].scale) * tokens, ofRow = static_cast<double>(type.columns() * widthOf(type));
    branch.inKernel = rows / static_cast<double>(rowsOfProductBlock(type.columns())) * static_cast<double>(branch.columns()) * ofRow / (kCache * bandwidth);
    branch.byItself = kLaunch + rows * ofRow / bandwidth;
  }
  bool isFused(const Branch &branch) const { return word == "fused" || (word == "auto" && branch.inKernel < branch.byItself); }
};

/// Whether the kernel can make products of the row that is its result.
bool canMultiply(KernelOp kernel, unsigned result) {
  if (kernel.getSpace() != "rows")
    return false;
  Block &body = kernel.getBody().front();
  const Space space = spaceOf(kernel);
  Value yielded = body.getTerminator()->getOperand(result);
  auto type = cast<nn::NNType>(yielded.getType());
  auto stored = yielded.getDefiningOp<nn::CastOp>();
  return space.example && space.parts == 1 && space.rowCount.scale > 0 && type.getElement().isBF16() && stored && !rowProductOf(yielded) && isWholeRow(space, type) &&
         warpsOfRowProduct(space.columns) > 0 && !llvm::any_of(body.getTerminator()->getOperands(), [](Value value) { return static_cast<bool>(rowSum(value)); });
}

/// Everything but what it takes and what the other programs say of its matrix.
std::optional<Branch> branchOf(StepOp step) {
  if (hasBranch(step) || addendOf(step) >= 0)
    return std::nullopt;
  auto form = tableProductOf(step);
  auto kernel = form ? form->table.getDefiningOp<KernelOp>() : KernelOp();
  auto matrix = form ? form->matrix.getDefiningOp<BorderOp>() : BorderOp();
  if (!kernel || !matrix || typeOf(step.getResult()).columns() > kMostColumns || !typeOf(step.getResult()).getElement().isBF16() || !typeOf(form->matrix).getElement().isBF16())
    return std::nullopt;
  if (!canMultiply(kernel, cast<OpResult>(form->table).getResultNumber()))
    return std::nullopt;
  return Branch{step, kernel, form->table, form->matrix, !form->overColumns, 0, 0};
}

/// The matrix with its rows along its columns.
Value turned(BorderOp border) {
  OpBuilder builder(border);
  auto type = typeOf(border.getResult());
  auto made = PackedType::get(border.getContext(), false, {type.getDims()[1], type.getDims()[0]}, type.getElement());
  Value result = BorderOp::create(builder, border.getLoc(), made, border.getWeight(), ValueRange(), ArrayRef<int64_t>(), ArrayRef<bool>(), /*weightTurned=*/true);
  border.getResult().replaceAllUsesWith(result);
  border.erase();
  return result;
}

/// The kernel with the product among its results.
KernelOp fuse(Branch &branch) {
  if (branch.turned)
    branch.matrix = turned(branch.matrix.getDefiningOp<BorderOp>());
  KernelOp kernel = branch.kernel;
  OpBuilder builder(kernel);
  SmallVector<Value> inputs(kernel.getInputs());
  inputs.push_back(branch.matrix);
  SmallVector<Type> types(kernel.getResultTypes());
  types.push_back(branch.step.getResult().getType());
  auto made = KernelOp::create(builder, kernel.getLoc(), types, inputs, kernel.getSpaceAttr(), kernel.getSitesAttr(), kernel.getSymbolAttr(), DenseI64ArrayAttr());
  made->setDiscardableAttrs(kernel->getDiscardableAttrDictionary());
  made.getBody().takeBody(kernel.getBody());
  Block &body = made.getBody().front();
  Operation *yield = body.getTerminator();
  builder.setInsertionPoint(yield);
  const Location loc = branch.step.getLoc();
  auto matrix = typeOf(branch.matrix);
  MLIRContext *context = builder.getContext();
  const SmallVector<nn::Dim> sizes = llvm::map_to_vector(matrix.getDims(), [](const plan::Dim &dim) { return nn::Dim{dim.constant, dim.scale, dim.sequence}; });
  Value argument = body.addArgument(nn::NNType::get(context, false, sizes, matrix.getElement()), loc);
  Value row = yield->getOperand(cast<OpResult>(branch.rows).getResultNumber()).getDefiningOp<nn::CastOp>().getX();
  Value product = nn::ContractOp::create(builder, loc, row, nn::CastOp::create(builder, loc, argument, builder.getF32Type()), builder.getStringAttr(kRowProduct), builder.getBoolAttr(false));
  if (auto alpha = branch.step.getHow().getAs<FloatAttr>("alpha"))
    product = nn::MulOp::create(builder, loc, product, nn::ConstantOp::create(builder, loc, nn::NNType::get(context, false, {}, builder.getF32Type()), alpha));
  yield->insertOperands(yield->getNumOperands(), nn::CastOp::create(builder, loc, product, builder.getBF16Type()).getResult());
  kernel.replaceAllUsesWith(made.getResults().drop_back());
  branch.step.getResult().replaceAllUsesWith(made.getResults().back());
  branch.step.erase();
  kernel.erase();
  return made;
}

StringAttr noteOf(const Branch &branch, bool isFused) {
  return StringAttr::get(branch.rows.getContext(), llvm::formatv("{0}: +{1:f1} us in its input's kernel, +{2:f1} us by itself", isFused ? "fused" : "apart", branch.inKernel * 1e6, branch.byItself * 1e6).str());
}

void addNote(Operation *op, StringAttr note, int64_t columns) {
  SmallVector<Attribute> notes;
  if (auto before = op->getAttrOfType<ArrayAttr>(kBranchNote))
    notes.append(before.begin(), before.end());
  notes.push_back(StringAttr::get(op->getContext(), "to " + Twine(columns) + " columns " + note.getValue()));
  op->setAttr(kBranchNote, ArrayAttr::get(op->getContext(), notes));
}

/// Which products are made by their inputs' kernels, in all programs.
class Choice {
public:
  explicit Choice(const Weighing &weighing) : weighing(weighing) {}

  void consider(StepOp step) {
    auto branch = branchOf(step);
    if (!branch)
      return;
    int64_t &columns = taken[branch->kernel];
    weighing.weigh(*branch);
    if (!weighing.isFused(*branch) || columns + branch->columns() > kMostColumns)
      return addNote(step, noteOf(*branch, false), branch->columns());
    columns += branch->columns();
    fused.push_back(step);
    if (branch->turned && isOnlyRounded(*branch))
      ++turns[nameOf(branch->matrix.getDefiningOp<BorderOp>())];
  }

  /// A weight's borders are told apart by their sizes, in all programs: so every one of it alone is turned, or none.
  void apply(ModuleOp module) {
    llvm::StringMap<int64_t> plain;
    module.walk([&](BorderOp border) { plain[nameOf(border)] += border.getParts().empty(); });
    for (StepOp step : fused) {
      Branch branch = *branchOf(step); // its kernel may be another one by now
      weighing.weigh(branch);
      const int64_t columns = branch.columns();
      if (branch.turned) {
        const StringRef name = nameOf(branch.matrix.getDefiningOp<BorderOp>());
        if (!isOnlyRounded(branch) || turns.lookup(name) != plain.lookup(name)) {
          addNote(step, StringAttr::get(step.getContext(), "apart: its matrix is read as it lies too"), columns);
          continue;
        }
      }
      const StringAttr note = noteOf(branch, true);
      addNote(fuse(branch), note, columns);
    }
  }

private:
  /// A matrix that nothing else reads, and that says by its size how it lies.
  static bool isOnlyRounded(const Branch &branch) {
    auto type = typeOf(branch.matrix);
    return branch.matrix.getDefiningOp<BorderOp>().getParts().empty() && branch.matrix.hasOneUse() && type.getDims()[0].constant != type.getDims()[1].constant;
  }

  const Weighing &weighing;
  SmallVector<StepOp> fused;
  llvm::DenseMap<Operation *, int64_t> taken; ///< columns of a kernel's products
  llvm::StringMap<int64_t> turns;             ///< borders that would lie turned, by their weight's name
};
} // namespace

LogicalResult mlir::plan::fuseBranches(ModuleOp module) {
  auto device = module->getAttrOfType<DictionaryAttr>(kDevice);
  if (!device)
    return module.emitError("nothing says what the device can do (`") << kDevice << "`)";
  const Weighing weighing(module, device);
  Choice choice(weighing);
  for (ProgramOp program : module.getOps<ProgramOp>())
    for (StepOp step : program.getBody().front().getOps<StepOp>())
      choice.consider(step);
  choice.apply(module);
  return success();
}

std::string mlir::plan::branchReport(ModuleOp module) {
  std::string text = "low-rank products on the GPU: fused, made by the kernel that makes their input, or apart\n";
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    std::map<std::string, int64_t> lines;
    program.walk([&](Operation *op) {
      if (auto notes = op->getAttrOfType<ArrayAttr>(kBranchNote))
        for (Attribute note : notes)
          ++lines[cast<StringAttr>(note).getValue().str()];
    });
    if (!lines.empty())
      text += (program.getName() + ":\n").str();
    for (auto &[what, count] : lines)
      text += llvm::formatv("  ×{0,-4} {1}\n", count, what).str();
  }
  return text;
}
