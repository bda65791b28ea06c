// FormProducts (plan-form-products): which contracts are one matrix product of the whole batch, and which of them add to another.
//
// In     plan.program of nn ops
// Out    such contracts as plan.product; `a + product`, where nobody else reads either, as a product that adds to a, and where the depth of one is little as a product
//        with a branch: [x | h] [W; B] in one pass
// Errs   none
// Why here  before kernels are formed: a sum that a product makes by itself is no elementwise op
//
// Of a sum of several products and several that have little depth, each of these goes to the product whose input it is made of (a low-rank branch to its own weight's), if there
// is one: on a device the two may lie side by side (plan-choose-layout).
//
// An addend must be a product too, or already a product's sum: then its bytes are nobody else's, and the sum costs no pass over memory.
#include "compiler/passes/plan/Passes.h"
#include "compiler/passes/plan/Space.h"
#include "dialects/plan/Plan.h"

using namespace mlir;

namespace {
/// `activations` (example, summed letter last) times a matrix of the run.
bool isProjection(StringRef activations, StringRef matrix, StringRef result) {
  if (activations.empty() || matrix.size() != 2)
    return false;
  char summed = activations.back();
  if (!matrix.contains(summed))
    return false;
  char made = matrix[0] == summed ? matrix[1] : matrix[0];
  return !activations.contains(made) && result == (activations.drop_back() + Twine(made)).str();
}

/// Both example, summed over everything but their last axes: a gradient of a weight.
bool isGradient(StringRef x, StringRef y, StringRef result) {
  if (x.empty() || y.empty() || x.drop_back() != y.drop_back() || x.back() == y.back() || result.size() != 2)
    return false;
  return result.contains(x.back()) && result.contains(y.back());
}

/// Two matrices of the run with one letter in common.
bool isMatrixProduct(StringRef x, StringRef y, StringRef result) {
  return x.size() == 2 && y.size() == 2 && result.size() == 2 &&
         llvm::count_if(x, [&](char letter) { return y.contains(letter); }) == 1 &&
         llvm::none_of(result, [&](char letter) { return x.contains(letter) && y.contains(letter); });
}

bool isOneProduct(nn::ContractOp op) {
  auto [inputs, result] = op.getEquation().split("->");
  auto [x, y] = inputs.split(',');
  auto level = [](Value value) { return cast<nn::NNType>(value.getType()).getExample(); };
  if (!cast<nn::NNType>(op.getResult().getType()).isFloat())
    return false;
  if (op.getOverExamples())
    return level(op.getX()) && level(op.getY()) && isGradient(x, y, result);
  if (level(op.getX()) != level(op.getY()))
    return level(op.getX()) ? isProjection(x, y, result) : isProjection(y, x, result);
  return !level(op.getX()) && isMatrixProduct(x, y, result);
}

/// How many numbers each of a product's is the sum of; nothing if it depends on the batch.
std::optional<int64_t> depthOf(plan::ProductOp product) {
  auto [inputs, result] = product.getEquation().split("->");
  auto [x, y] = inputs.split(',');
  auto type = cast<nn::NNType>(product.getX().getType());
  int64_t depth = 1;
  for (auto [letter, dim] : llvm::zip_equal(x, type.getDims())) {
    if (result.contains(letter))
      continue;
    if (!dim.isStatic())
      return std::nullopt;
    depth *= dim.constant;
  }
  return depth;
}

/// A product of examples whose depth is so little that its factors are better read together with another product's.
constexpr int64_t kMostBranchDepth = 128, kLeastRatio = 2;
bool isBranchOf(plan::ProductOp branch, plan::ProductOp product) {
  if (branch.getSum() || !branch.getBranch().empty() || !product.getBranch().empty() || branch.getOverExamples() || product.getOverExamples() || !cast<nn::NNType>(product.getResult().getType()).getExample())
    return false;
  auto little = depthOf(branch), much = depthOf(product);
  return little && much && *little <= kMostBranchDepth && *little * kLeastRatio <= *much;
}

/// A product that only `reader` reads.
plan::ProductOp ownProduct(Value value) {
  auto product = value.getDefiningOp<plan::ProductOp>();
  return product && value.hasOneUse() ? product : nullptr;
}

/// `one + other`, or a longer sum in which one product is an addend: the product takes the other addend as its sum.
void accumulate(nn::AddOp add) {
  auto left = ownProduct(add.getX()), right = ownProduct(add.getY());
  if (!left || !right || add.getX().getType() != add.getResult().getType() || add.getY().getType() != add.getResult().getType())
    return;
  plan::ProductOp later = left->isBeforeInBlock(right) ? right : left, earlier = later == left ? right : left;
  if (isBranchOf(later, earlier) || (!isBranchOf(earlier, later) && later.getSum()))
    std::swap(later, earlier);
  if (isBranchOf(earlier, later)) {
    later.getBranchMutable().assign({earlier.getX(), earlier.getY()});
    later.setBranchEquationAttr(earlier.getEquationAttr());
  } else if (!later.getSum()) {
    later.getSumMutable().assign(earlier.getResult());
  } else {
    return;
  }
  later->moveBefore(add); // behind both
  add.getResult().replaceAllUsesWith(later.getResult());
  add.erase();
  if (earlier.use_empty())
    earlier.erase();
}

/// The addends of a sum, as they stand in sums that nobody else reads.
void collectAddends(Value value, Type type, SmallVectorImpl<Value> &addends, SmallVectorImpl<nn::AddOp> &sums) {
  auto add = value.getDefiningOp<nn::AddOp>();
  if (!add || value.getType() != type || (!sums.empty() && !value.hasOneUse())) {
    addends.push_back(value);
    return;
  }
  sums.push_back(add);
  collectAddends(add.getX(), type, addends, sums);
  collectAddends(add.getY(), type, addends, sums);
}

/// Whether the first factor of a branch is a product of the other's, times a number or not.
bool isMadeOf(Value made, Value input) {
  while (Operation *op = made.getDefiningOp()) {
    if (auto product = dyn_cast<plan::ProductOp>(op))
      return product.getX() == input || product.getY() == input;
    auto scaled = dyn_cast<nn::MulOp>(op);
    if (!scaled)
      return false;
    made = scaled.getY().getDefiningOp<nn::ConstantOp>() ? scaled.getX() : scaled.getX().getDefiningOp<nn::ConstantOp>() ? scaled.getY() : Value();
    if (!made)
      return false;
  }
  return false;
}

/// A product's factor that belongs to the batch.
Value tableOf(plan::ProductOp product) { return cast<nn::NNType>(product.getX().getType()).getExample() ? product.getX() : product.getY(); }

/// The sum, made as soon as both are there.
Value sumOf(Value x, Value y) {
  Operation *later = x.getDefiningOp(), *other = y.getDefiningOp();
  if (!later || (other && later->isBeforeInBlock(other)))
    later = other;
  OpBuilder builder(later->getContext());
  builder.setInsertionPointAfter(later);
  return nn::AddOp::create(builder, later->getLoc(), x, y);
}

/// A sum of several products with a branch each, in whatever order: every branch meets its own.
void pairBranches(nn::AddOp root) {
  SmallVector<Value> addends, others;
  SmallVector<nn::AddOp> sums;
  collectAddends(root.getResult(), root.getResult().getType(), addends, sums);
  SmallVector<std::pair<plan::ProductOp, plan::ProductOp>> pairs;
  SmallVector<plan::ProductOp> products;
  for (Value addend : addends)
    if (auto product = ownProduct(addend); product && addend.getType() == root.getResult().getType())
      products.push_back(product);
  llvm::SmallDenseSet<Value> paired;
  for (plan::ProductOp branch : products)
    for (plan::ProductOp product : products)
      if (isBranchOf(branch, product) && !paired.contains(product.getResult()) && isMadeOf(tableOf(branch), tableOf(product))) {
        pairs.push_back({product, branch});
        paired.insert(product.getResult());
        paired.insert(branch.getResult());
        break;
      }
  if (pairs.size() < 2)
    return;
  llvm::copy_if(addends, std::back_inserter(others), [&](Value addend) { return !paired.contains(addend); });
  SmallVector<Value> whole = llvm::map_to_vector(pairs, [](auto &pair) { return sumOf(pair.first.getResult(), pair.second.getResult()); });
  llvm::sort(whole, [](Value a, Value b) { return a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp()); });
  whole.append(others);
  Value sum = whole[0];
  for (Value next : ArrayRef(whole).drop_front())
    sum = sumOf(sum, next);
  root.getResult().replaceAllUsesWith(sum);
  for (nn::AddOp old : sums) // readers before what they read
    old.erase();
}

/// `(product + b) + product`: the products first, so that they meet.
void reassociate(nn::AddOp add) {
  for (bool right : {false, true}) {
    Value product = right ? add.getY() : add.getX(), sum = right ? add.getX() : add.getY();
    auto inner = sum.getDefiningOp<nn::AddOp>();
    if (!ownProduct(product) || !inner || !sum.hasOneUse() || sum.getType() != add.getResult().getType())
      continue;
    for (bool second : {false, true}) {
      Value other = second ? inner.getY() : inner.getX(), rest = second ? inner.getX() : inner.getY();
      if (!ownProduct(other) || other.getType() != product.getType())
        continue;
      OpBuilder builder(add);
      auto together = nn::AddOp::create(builder, add.getLoc(), other, product);
      Value whole = nn::AddOp::create(builder, add.getLoc(), together, rest);
      add.getResult().replaceAllUsesWith(whole);
      add.erase();
      inner.erase();
      accumulate(together);
      return;
    }
  }
}
} // namespace

/// Sums that are no addends of others.
static SmallVector<nn::AddOp> rootsOf(Block &block) {
  return llvm::filter_to_vector(block.getOps<nn::AddOp>(), [](nn::AddOp add) {
    auto reader = add.getResult().hasOneUse() ? dyn_cast<nn::AddOp>(*add.getResult().user_begin()) : nn::AddOp();
    return !reader || reader.getResult().getType() != add.getResult().getType();
  });
}

LogicalResult mlir::plan::formProducts(ModuleOp module) {
  for (ProgramOp program : module.getOps<ProgramOp>()) {
    Block &block = program.getBody().front();
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto contract = dyn_cast<nn::ContractOp>(op); contract && isOneProduct(contract)) {
        OpBuilder builder(contract);
        Value product = ProductOp::create(builder, contract.getLoc(), contract.getResult().getType(), contract.getX(), contract.getY(), ValueRange(), Value(),
                                          contract.getEquationAttr(), StringAttr(), contract.getOverExamplesAttr());
        contract.getResult().replaceAllUsesWith(product);
        contract.erase();
      }
    for (nn::AddOp root : rootsOf(block))
      pairBranches(root);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto add = dyn_cast<nn::AddOp>(op)) {
        if (ownProduct(add.getX()) && ownProduct(add.getY()))
          accumulate(add);
        else
          reassociate(add);
      }
  }
  return success();
}
