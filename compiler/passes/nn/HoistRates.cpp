// HoistRates (nn-hoist-rates): what does not change between two runs of a program is computed before it.
//
// In     whole functions
// Out    beside `@p` a function `@p.<rate>` that makes the values of at most that rate which `@p` then takes as arguments
//        `derived.<i>`; `@p` without the ops that made them
// Why here  last: backward and pruning have settled which values the program reads
// Numerics  none: the same ops on the same numbers, less often
//
// The step is run with other trainables each time, so only what is made of frozen numbers leaves it (the norms of a frozen
// weight). The programs that only read the parameters also leave out what is made of trainables (a prefix' network).
// Not worth a value that lives on: movements of elements (a view of a weight would be a second copy of it), results with more
// elements than the parameters they are made of, and less arithmetic than looking a value up costs.
#include "compiler/passes/nn/Passes.h"
#include "dialects/nn/Nn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#define DEBUG_TYPE "nn-hoist-rates"

using namespace mlir;
using namespace mlir::nn;

namespace {
constexpr int64_t kWorthwhileElements = 4096;

struct Level {
  StringRef program, suffix;
  Rate rate;
};
/// What changes between two runs of each program that is run more than once.
constexpr Level kLevels[] = {{"train_step", "constant", Rate::constant}, {"on_grad", "constant", Rate::constant}, {"eval", "step", Rate::step}, {"predict", "step", Rate::step},
                             {"predict_base", "step", Rate::step}};

class Hoisting {
public:
  Hoisting(func::FuncOp function, const Level &level, const llvm::StringSet<> &trained) : function(function), level(level) {
    for (Operation &op : function.front().without_terminator())
      rates[op.getResult(0)] = rateOf(op, trained);
  }

  void run() {
    SmallVector<Value> values = chooseValues();
    if (values.empty())
      return;
    makeProgram(values);
    MLIRContext *context = function.getContext();
    for (auto [index, value] : llvm::enumerate(values)) {
      unsigned place = function.getNumArguments();
      (void)function.insertArgument(place, value.getType(), DictionaryAttr::get(context, nameOf(index)), value.getLoc());
      value.replaceAllUsesWith(function.getArgument(place));
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

private:
  Rate rateOf(Operation &op, const llvm::StringSet<> &trained) const {
    auto rated = dyn_cast<Rated>(&op);
    Rate rate = rated ? rated.ownRate([&](StringRef name) { return trained.contains(name); }) : Rate::constant;
    for (Value operand : op.getOperands()) {
      auto found = rates.find(operand);
      rate = std::max(rate, found == rates.end() ? Rate::token : found->second); // an argument: a row of the batch
    }
    return cast<NNType>(op.getResult(0).getType()).getExample() ? std::max(rate, Rate::example) : rate;
  }

  bool stays(Operation &op) const { return !op.getNumResults() || rates.lookup(op.getResult(0)) > level.rate; }

  /// The values where the program's own part begins, each worth keeping.
  SmallVector<Value> chooseValues() {
    SmallVector<Value> chosen;
    llvm::SmallPtrSet<Operation *, 32> staying;
    for (Operation &op : llvm::reverse(function.front())) {
      bool read = llvm::any_of(op.getUsers(), [&](Operation *user) { return staying.contains(user); });
      if (stays(op) || (read && !isWorthwhile(op)))
        staying.insert(&op);
      else if (read)
        chosen.push_back(op.getResult(0));
    }
    std::reverse(chosen.begin(), chosen.end());
    return chosen;
  }

  static llvm::SetVector<Operation *> sliceOf(ArrayRef<Value> values) {
    llvm::SetVector<Operation *> slice;
    for (Value value : values)
      slice.insert(value.getDefiningOp());
    for (size_t next = 0; next < slice.size(); ++next)
      for (Value operand : slice[next]->getOperands())
        slice.insert(operand.getDefiningOp());
    return slice;
  }

  static bool isWorthwhile(Operation &op) {
    int64_t work = 0, parameters = 0;
    for (Operation *made : sliceOf(op.getResult(0))) {
      int64_t elements = cast<NNType>(made->getResult(0).getType()).elements();
      parameters += isa<ParamOp>(made) ? elements : 0;
      if (made->hasTrait<MovesElements>())
        continue;
      work += elements;
      for (Value operand : made->getOperands())
        work += cast<NNType>(operand.getType()).elements();
    }
    return work >= kWorthwhileElements && cast<NNType>(op.getResult(0).getType()).elements() <= parameters;
  }

  SmallVector<NamedAttribute> nameOf(size_t index) {
    Builder builder(function.getContext());
    return {builder.getNamedAttr("nn.name", builder.getStringAttr("derived." + Twine(index)))};
  }

  void makeProgram(ArrayRef<Value> values) {
    OpBuilder builder(function);
    SmallVector<Type> types = llvm::map_to_vector(values, [](Value value) { return value.getType(); });
    SmallVector<Attribute> names;
    for (size_t index = 0; index < values.size(); ++index)
      names.push_back(builder.getDictionaryAttr(nameOf(index)));
    auto made = func::FuncOp::create(builder, function.getLoc(), (level.program + "." + level.suffix).str(), builder.getFunctionType({}, types));
    made.setAllResultAttrs(names);
    builder.setInsertionPointToStart(made.addEntryBlock());
    IRMapping mapping;
    llvm::SetVector<Operation *> slice = sliceOf(values);
    for (Operation &op : function.front())
      if (slice.contains(&op))
        builder.clone(op, mapping);
    SmallVector<Value> results = llvm::map_to_vector(values, [&](Value value) { return mapping.lookup(value); });
    func::ReturnOp::create(builder, function.getLoc(), results);
  }

  func::FuncOp function;
  const Level &level;
  llvm::DenseMap<Value, Rate> rates;
};
} // namespace

LogicalResult mlir::nn::hoistRates(ModuleOp module) {
  llvm::StringSet<> trained;
  for (auto parameter : module.getOps<ParameterOp>())
    if (parameter.getTrainable())
      trained.insert(parameter.getSymName());
  for (const Level &level : kLevels)
    if (auto function = module.lookupSymbol<func::FuncOp>(level.program))
      Hoisting(function, level, trained).run();
  return success();
}
