// StackWeights (plan-stack-weights): a sum of products with frozen weights is one product: dq Wq + dk Wk + dv Wv is [dq | dk | dv] [Wq; Wk; Wv].
//
// In     plan.programs without places, of a device, with bordered weights; on the module `plan.sums`, if not joined where that can be
// Out    products that add to each other are one, of a table in which what they multiply lies side by side, and behind it what multiplies their borders; their weights lie below each other
//        in one plan.border, with what stood below each behind the last. Whoever multiplies one of them reads some rows of that; products of one table with weights that follow each other
//        there are one, whose columns they are, if none of them is kept much longer than the others
// Errs   none
// Why here  behind plan-choose-layout, whose matrices are stacked; before plan-round-weights, as that
//
// Why  each product that adds reads and writes all of the sum, which is rounded each time: of q, k and v four passes over it. Weights are stacked only if all programs can read them so, for
// they are there once: a product by itself sees a weight's rows, but not those below it too.
#include "compiler/passes/plan/Begin.h"
#include "compiler/passes/plan/Border.h"
#include "compiler/passes/plan/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <set>

using namespace mlir;
using namespace mlir::plan;

namespace {
PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }
int64_t rowsOf(Value matrix) { return typeOf(matrix).getDims()[0].constant; }
int64_t columnsOf(Value matrix) { return typeOf(matrix).getDims()[1].constant; }
constexpr int64_t kAccess = 16;   ///< bytes: where a value in a table may begin
constexpr size_t kLongLife = 64;  ///< steps

/// A product of a sum: of a table's columns, the last of which are `guests`, with a weight and what is below it.
struct Term {
  StepOp step;
  Value host; ///< of the table: as it is read
  SmallVector<Value> guests;
  Value weight, matrix; ///< the parameter, and that or its border

  std::string name() const { return nameOfWeight(weight).str(); }
  int64_t depth() const { return rowsOf(weight); }
  int64_t below() const { return rowsOf(matrix) - depth(); }
  bool isBefore(const Term &other) const {
    auto a = cast<OpResult>(rootOf(host)), b = cast<OpResult>(rootOf(other.host));
    return a.getOwner() == b.getOwner() ? a.getResultNumber() < b.getResultNumber() : a.getOwner()->isBeforeInBlock(b.getOwner());
  }
};
struct Sum {
  SmallVector<Term> terms; ///< in the order in which what they multiply is made
  StepOp last;
  Value addend; ///< of the first that is done, or null
};
using Stack = std::vector<std::string>; ///< names of weights, from above

/// By root: in how many tables of a program it lies.
using Tables = llvm::DenseMap<Value, int64_t>;
Tables tablesIn(Block &block) {
  Tables tables;
  for (auto table : block.getOps<BesideOp>())
    for (Value inside : table.getOperands())
      ++tables[rootOf(inside)];
  return tables;
}

std::optional<Term> termOf(StepOp step, const Tables &tables) {
  if (!step || hasBranch(step) || step.getHow().get("alpha"))
    return std::nullopt;
  auto form = tableProductOf(step);
  if (!form || form->overColumns || !form->tableIsFirst)
    return std::nullopt;
  auto table = form->table.getDefiningOp<BesideOp>();
  auto window = form->matrix.getDefiningOp<WindowOp>();
  auto border = window ? window.getSource().getDefiningOp<BorderOp>() : BorderOp();
  if (static_cast<bool>(table) != static_cast<bool>(border))
    return std::nullopt;
  Term term{step, table ? table.getHost() : form->table, {}, border ? border.getWeight() : form->matrix, border ? border.getResult() : form->matrix};
  if (table)
    term.guests.assign(table.getGuests().begin(), table.getGuests().end());
  auto parameter = term.weight.getDefiningOp<StepOp>();
  const int64_t aligned = kAccess / widthOf(typeOf(term.host));
  int64_t behind = 0;
  for (Value guest : term.guests)
    behind += typeOf(guest).columns();
  if (!isParameter(parameter) || !parameter.getHow().get("frozen") || rowsOf(form->matrix) != rowsOf(term.matrix) || behind != term.below() || term.depth() % aligned != 0 || behind % aligned != 0)
    return std::nullopt;
  SmallVector<Value> inside(term.guests);
  inside.push_back(term.host);
  if (!llvm::all_of(inside, [&](Value value) { return isa<OpResult>(rootOf(value)) && tables.lookup(rootOf(value)) == (table ? 1 : 0); }) || (!table && !mayLieInTable(rootOf(term.host))))
    return std::nullopt;
  return term;
}

/// Columns of their weights' matrices, if all with a border have as many; that is what else a product with any of them sees.
std::optional<int64_t> columnsOf(ArrayRef<Term> terms) {
  std::optional<int64_t> columns;
  int64_t most = 0;
  for (const Term &term : terms) {
    most = std::max(most, columnsOf(term.matrix));
    if (term.matrix == term.weight)
      continue;
    if (columns && *columns != columnsOf(term.matrix))
      return std::nullopt;
    columns = columnsOf(term.matrix);
  }
  return columns && most > *columns ? std::nullopt : std::optional(most);
}

/// The longest sum that ends with the step.
Sum sumBehind(StepOp last, const Tables &tables) {
  Sum sum{{}, last, {}};
  for (StepOp step = last; step;) {
    auto term = termOf(step, tables);
    if (!term || llvm::any_of(sum.terms, [&](const Term &other) { return rootOf(other.host) == rootOf(term->host) || other.weight == term->weight; }) || (!sum.terms.empty() && (step.getResult().getType() != last.getResult().getType() || !step.getResult().hasOneUse())))
      break;
    sum.terms.push_back(*term);
    if (!columnsOf(sum.terms)) {
      sum.terms.pop_back();
      break;
    }
    const int addend = addendOf(step);
    sum.addend = addend < 0 ? Value() : step.getInputs()[addend];
    step = sum.addend ? sum.addend.getDefiningOp<StepOp>() : StepOp();
  }
  llvm::sort(sum.terms, [](const Term &a, const Term &b) { return a.isBefore(b); });
  return sum;
}

/// Where a weight lies in its stack: its first row, and that of what is below it.
struct Place {
  const Stack *stack = nullptr;
  int64_t row = 0, below = 0;
};
/// The whole of one.
struct Shape {
  int64_t rows = 0, columns = 0;
  Type element;
};

class Stacking {
public:
  explicit Stacking(ModuleOp module) : module(module) {}

  void run() {
    for (ProgramOp program : module.getOps<ProgramOp>())
      find(program);
    for (Sum &sum : sums)
      agree(sum);
    module.walk([&](StepOp step) {
      if (isParameter(step) && !step->getParentOfType<ProgramOp>().getStreamed())
        refuseOthers(step);
    });
    for (Sum &sum : sums)
      if (!isRefused(sum.terms[0].name()))
        join(sum);
    for (ProgramOp program : module.getOps<ProgramOp>())
      if (!program.getStreamed()) { // which reads a weight once
        replaceIn(program.getBody().front());
        joinMade(program.getBody().front());
      }
  }

private:
  void find(ProgramOp program) {
    llvm::DenseSet<Operation *> taken;
    llvm::DenseSet<Value> hosts; // which lie in one table
    const Tables tables = tablesIn(program.getBody().front());
    const SmallVector<StepOp> steps = llvm::to_vector(program.getBody().front().getOps<StepOp>());
    for (StepOp step : llvm::reverse(steps)) {
      if (taken.contains(step))
        continue;
      Sum sum = sumBehind(step, tables);
      if (sum.terms.size() < 2 || llvm::any_of(sum.terms, [&](const Term &term) { return hosts.contains(rootOf(term.host)); }))
        continue;
      for (Term &term : sum.terms) {
        taken.insert(term.step);
        hosts.insert(rootOf(term.host));
      }
      sums.push_back(sum);
    }
  }

  /// All sums with a weight have the same ones, in the same order.
  void agree(Sum &sum) {
    Stack names;
    for (Term &term : sum.terms)
      names.push_back(term.name());
    const Stack &stack = *stacks.insert(names).first;
    int64_t row = 0, below = 0;
    for (Term &term : sum.terms)
      below += term.depth();
    for (Term &term : sum.terms) {
      members.insert(term.step);
      auto [found, isNew] = places.try_emplace(term.name(), Place{&stack, row, below});
      if (!isNew && found->second.stack != &stack)
        refuse(found->second.stack), refuse(&stack);
      row += term.depth(), below += term.below();
    }
    shapes[&stack] = {below, *columnsOf(sum.terms), typeOf(sum.terms[0].host).getElement()};
  }

  bool isRefused(StringRef name) const { return refused.contains(places.find(name)->second.stack); }
  void refuse(const Stack *stack) { refused.insert(stack); }

  /// Whoever reads a weight or its border reads the weight's rows, or all of it in a sum.
  void refuseOthers(StepOp parameter) {
    const auto found = places.find(nameOfWeight(parameter.getResult()));
    if (found == places.end())
      return;
    const int64_t depth = rowsOf(parameter.getResult());
    auto isProduct = [&](Operation *reader, Value matrix) {
      auto step = dyn_cast<StepOp>(reader);
      if (!step || members.contains(step))
        return static_cast<bool>(step);
      auto form = tableProductOf(step);
      return form && form->matrix == matrix && rowsOf(matrix) <= depth && llvm::count(step.getInputs(), matrix) == 1 && typeOf(form->table).getElement() == shapes.lookup(found->second.stack).element;
    };
    auto isFine = [&](Operation *reader) {
      auto border = dyn_cast<BorderOp>(reader);
      if (!border)
        return isProduct(reader, parameter.getResult());
      return border.getWeight() == parameter.getResult() && !border.getWeightTurned() && columnsOf(border.getResult()) == shapes.lookup(found->second.stack).columns && llvm::all_of(border.getResult().getUsers(), [&](Operation *user) {
               auto window = dyn_cast<WindowOp>(user);
               return window && llvm::all_of(window.getResult().getUsers(), [&](Operation *product) { return isProduct(product, window.getResult()); });
             });
    };
    if (!llvm::all_of(parameter.getResult().getUsers(), isFine))
      refuse(found->second.stack);
  }

  /// The stack in the block, with what stands in the borders there; made where it is first asked for.
  BorderOp stackIn(Block &block, const Stack &stack) {
    BorderOp &made = stackOf[{&block, &stack}];
    if (made)
      return made;
    llvm::StringMap<BorderOp> there;
    for (auto border : block.getOps<BorderOp>())
      there.try_emplace(nameOfWeight(border.getWeight()), border);
    SmallVector<Value> weights, parts;
    SmallVector<int64_t> at;
    SmallVector<bool> turned;
    for (const std::string &name : stack) {
      const Place &place = places.find(name)->second;
      weights.push_back(weightIn(block, name));
      if (weights.size() > 1)
        at.append({place.row, 0}), turned.push_back(false);
    }
    for (const std::string &name : stack)
      if (BorderOp border = there.lookup(name))
        for (auto [index, part] : llvm::enumerate(border.getParts())) {
          const Place &place = places.find(name)->second;
          const int64_t row = border.getPlaces()[2 * index], depth = rowsOf(border.getWeight());
          parts.push_back(part);
          at.append({row >= depth ? place.below + row - depth : place.row + row, border.getPlaces()[2 * index + 1]});
          turned.push_back(border.getTurned()[index]);
        }
    SmallVector<Value> given(weights);
    given.append(parts);
    OpBuilder begin = atBegin(block, given);
    const Shape shape = shapes.lookup(&stack);
    auto type = PackedType::get(module.getContext(), false, {plan::Dim{shape.rows, 0}, {shape.columns, 0}}, shape.element);
    SmallVector<Value> all(weights.begin() + 1, weights.end());
    all.append(parts);
    return made = BorderOp::create(begin, weights[0].getLoc(), type, weights[0], all, at, turned, /*weightTurned=*/false, static_cast<int64_t>(weights.size()) - 1);
  }

  /// The weight in the block: a program that does not read one has it with the others all the same.
  Value weightIn(Block &block, StringRef name) {
    auto isIt = [&](StepOp step) { return isParameter(step) && cast<StringAttr>(step.getHow().get("name")).getValue() == name; };
    for (auto step : block.getOps<StepOp>())
      if (isIt(step))
        return step.getResult();
    Value made;
    module.walk([&](StepOp step) {
      if (isIt(step))
        made = OpBuilder(&block, block.begin()).clone(*step)->getResult(0);
      return made ? WalkResult::interrupt() : WalkResult::advance();
    });
    return made;
  }

  void join(Sum &sum) {
    Block &block = *sum.last->getBlock();
    const Stack &stack = *places.find(sum.terms[0].name())->second.stack;
    const Shape shape = shapes.lookup(&stack);
    const int64_t pitch = paddedColumns(shape.rows, sum.terms[0].host);
    SmallVector<Value> hosts, guests;
    SmallVector<Operation *> old;
    for (Term &term : sum.terms) {
      const Place &place = places.find(term.name())->second;
      for (Value guest : term.guests) {
        putInTable(rootOf(guest), pitch, place.below + typeOf(guest).getColumn() - term.depth());
        guests.push_back(guest);
      }
      putInTable(rootOf(term.host), pitch, place.row);
      hosts.push_back(term.host);
      if (auto table = term.step.getInputs()[0].getDefiningOp<BesideOp>())
        old.push_back(table);
      if (term.step != sum.last)
        old.push_back(term.step);
    }
    OpBuilder builder(sum.last);
    const Location loc = sum.last.getLoc();
    auto host = typeOf(hosts[0]);
    SmallVector<Value> beside(hosts.begin() + 1, hosts.end());
    beside.append(guests);
    Value table = BesideOp::create(builder, loc, PackedType::get(module.getContext(), true, {host.getDims()[0], plan::Dim{shape.rows, 0}}, host.getElement(), pitch, 0), hosts[0], beside);
    auto result = typeOf(sum.last.getResult());
    Value matrix = WindowOp::create(builder, loc, PackedType::get(module.getContext(), false, {plan::Dim{shape.rows, 0}, {result.columns(), 0}}, shape.element, shape.columns, 0), stackIn(block, stack).getResult());
    SmallVector<Value> inputs = {table, matrix};
    if (sum.addend)
      inputs.push_back(sum.addend);
    sum.last.getInputsMutable().assign(inputs);
    for (Operation *op : old)
      op->dropAllReferences();
    for (Operation *op : old)
      op->erase();
  }

  /// Whoever read a weight's rows reads them in its stack.
  void replaceIn(Block &block) {
    const SmallVector<StepOp> steps = llvm::filter_to_vector(block.getOps<StepOp>(), [](StepOp step) { return isParameter(step); });
    for (StepOp parameter : steps) {
      const auto found = places.find(nameOfWeight(parameter.getResult()));
      if (found == places.end() || refused.contains(found->second.stack))
        continue;
      const SmallVector<Operation *> readers(parameter.getResult().getUsers());
      for (Operation *reader : readers)
        if (auto border = dyn_cast<BorderOp>(reader); border && !border.getStacked()) {
          const SmallVector<Operation *> windows(border.getResult().getUsers());
          for (Operation *window : windows) {
            if (!window->use_empty())
              window->getResult(0).replaceAllUsesWith(rowsIn(window, typeOf(window->getResult(0)), found->second));
            window->erase();
          }
          border.erase();
        } else if (auto step = dyn_cast<StepOp>(reader)) {
          auto weight = typeOf(parameter.getResult());
          const Shape shape = shapes.lookup(found->second.stack);
          step->replaceUsesOfWith(parameter.getResult(), rowsIn(step, PackedType::get(module.getContext(), false, weight.getDims(), shape.element, shape.columns, 0), found->second));
        }
    }
  }

  /// A weight's rows, before the reader.
  Value rowsIn(Operation *reader, PackedType type, const Place &place) {
    OpBuilder builder(reader);
    return WindowOp::create(builder, reader->getLoc(), type, stackIn(*reader->getBlock(), *place.stack).getResult(), place.row);
  }

  // ---- products of one table with weights that follow each other in a stack ----
  /// `y`: some columns of x Sᵀ, by the stack's rows from `row` on.
  struct Made {
    StepOp step;
    BorderOp stack;
    int64_t row, columns, depth; ///< depth: of x and what lies beside it
    size_t lastUse;
  };

  std::optional<Made> madeOf(StepOp step, const llvm::DenseMap<Value, size_t> &lastUses) {
    if (hasBranch(step) || addendOf(step) >= 0 || step.getHow().get("alpha"))
      return std::nullopt;
    auto form = tableProductOf(step);
    auto window = form ? form->matrix.getDefiningOp<WindowOp>() : WindowOp();
    auto stack = window ? window.getSource().getDefiningOp<BorderOp>() : BorderOp();
    if (!stack || stack.getStacked() == 0 || !form->overColumns || !form->tableIsFirst || typeOf(step.getResult()).getPitch() != 0 || !mayLieInTable(step.getResult()))
      return std::nullopt;
    return Made{step, stack, static_cast<int64_t>(window.getRow()), rowsOf(form->matrix), columnsOf(form->matrix), lastUses.lookup(step.getResult())};
  }

  /// Whether two with the same rows and stack are columns of one product: of weights that follow each other, and not one of them kept much longer than the other, which it would keep.
  static bool areOneProduct(const Made &upper, const Made &lower) {
    const size_t apart = upper.lastUse > lower.lastUse ? upper.lastUse - lower.lastUse : lower.lastUse - upper.lastUse;
    StepOp one = upper.step, other = lower.step;
    return upper.row + upper.columns == lower.row && apart <= kLongLife && one.getHow() == other.getHow() && typeOf(one.getResult()).getDims()[0] == typeOf(other.getResult()).getDims()[0] && typeOf(one.getResult()).getElement() == typeOf(other.getResult()).getElement();
  }

  void joinMade(Block &block) {
    llvm::DenseMap<Value, size_t> lastUses;
    for (auto [at, op] : llvm::enumerate(block))
      for (Value operand : op.getOperands())
        lastUses[rootOf(operand)] = at;
    llvm::MapVector<std::pair<Value, Value>, std::vector<Made>> byTable; // and stack
    for (auto step : block.getOps<StepOp>())
      if (auto made = madeOf(step, lastUses))
        byTable[{rootOf(step.getInputs()[0]), made->stack.getResult()}].push_back(*made);
    for (auto &[table, all] : byTable) {
      std::stable_sort(all.begin(), all.end(), [](const Made &a, const Made &b) { return a.row < b.row; });
      for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
        for (end = begin + 1; end < all.size() && areOneProduct(all[end - 1], all[end]);)
          ++end;
        if (end - begin > 1)
          makeOne(ArrayRef(all).slice(begin, end - begin));
      }
    }
  }

  void makeOne(ArrayRef<Made> parts) {
    StepOp first = parts[0].step, deepest = parts[0].step;
    int64_t columns = 0, depth = 0;
    for (const Made &part : parts) {
      StepOp step = part.step;
      if (step->isBeforeInBlock(first))
        first = step;
      if (part.depth > depth)
        depth = part.depth, deepest = step;
      columns += part.columns;
    }
    Value table = deepest.getInputs()[0];
    OpBuilder builder(first);
    if (auto beside = table.getDefiningOp<BesideOp>()) {
      if (!llvm::all_of(beside.getOperands(), [&](Value inside) { return !inside.getDefiningOp() || inside.getDefiningOp()->isBeforeInBlock(first); }))
        return;
      table = builder.clone(*beside)->getResult(0);
    }
    const Location loc = first.getLoc();
    auto made = typeOf(first.getResult());
    const Shape shape{rowsOf(BorderOp(parts[0].stack).getResult()), columnsOf(BorderOp(parts[0].stack).getResult()), typeOf(BorderOp(parts[0].stack).getResult()).getElement()};
    Value matrix = WindowOp::create(builder, loc, PackedType::get(module.getContext(), false, {plan::Dim{columns, 0}, {depth, 0}}, shape.element, shape.columns, 0), BorderOp(parts[0].stack).getResult(), parts[0].row);
    const int64_t pitch = paddedColumns(columns, first.getResult());
    auto type = PackedType::get(module.getContext(), true, {made.getDims()[0], plan::Dim{columns, 0}}, made.getElement(), pitch, 0);
    Value whole = StepOp::create(builder, loc, type, first.getKindAttr(), first.getOpAttr(), ValueRange{table, matrix}, IntegerAttr(), first.getHowAttr());
    whole.getDefiningOp()->setDiscardableAttrs(first->getDiscardableAttrDictionary());
    SmallVector<Operation *> old;
    for (const Made &part : parts) {
      StepOp step = part.step;
      putInTable(step.getResult(), pitch, part.row - parts[0].row);
      step.getResult().replaceAllUsesWith(WindowOp::create(builder, loc, step.getResult().getType(), whole));
      old.push_back(step);
    }
    for (Operation *step : old) { // at the end: the first is where new ones stand
      const SmallVector<Value> inputs(step->getOperands());
      step->erase();
      for (Value input : inputs)
        if (isa_and_nonnull<BesideOp, WindowOp>(input.getDefiningOp()) && input.use_empty())
          input.getDefiningOp()->erase();
    }
  }

  ModuleOp module;
  std::vector<Sum> sums;
  std::set<Stack> stacks;
  llvm::StringMap<Place> places; ///< by weight
  llvm::DenseMap<const Stack *, Shape> shapes;
  llvm::DenseSet<const Stack *> refused;
  llvm::DenseSet<Operation *> members; ///< steps of sums
  std::map<std::pair<Block *, const Stack *>, BorderOp> stackOf;
};
} // namespace

LogicalResult mlir::plan::stackWeights(ModuleOp module) {
  if (auto word = module->getAttrOfType<StringAttr>(kSums); !word || word.getValue() != "apart")
    Stacking(module).run();
  return success();
}
