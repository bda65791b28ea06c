// Border: see the header.
#include "compiler/passes/plan/Border.h"
#include "compiler/passes/plan/Begin.h"
#include "compiler/passes/plan/KernelSpace.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kLine = 128, kAccess = 16; ///< bytes: where a table's rows begin, and where a value in it may

PackedType typeOf(Value value) { return cast<PackedType>(value.getType()); }

/// Whether a kernel has the operand or result as rows that it finds at any pitch: as whole rows, or as what attention's products read and make.
bool hasRows(KernelOp kernel, Value inside) {
  auto type = cast<nn::NNType>(inside.getType());
  if (kernel.getSpace() == "tiles")
    return type.getExample() && type.rank() == 3 && (!type.getDims()[0].isStatic() || type.getDims()[0].is(1));
  return kernel.getSpace() == "rows" && isWholeRow(spaceOf(kernel), type);
}

/// "" if whoever reads the value finds its rows at any pitch: products, of which it is a factor, kernels and attention; else why not.
std::string whyDense(Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *reader = use.getOwner();
    if (isa<ReturnOp>(reader))
      return "its input is a result";
    if (auto alias = dyn_cast<AliasOp>(reader)) {
      if (tableRowsOf(typeOf(alias.getResult())) != tableRowsOf(typeOf(value)))
        return "its input is seen as other rows";
      if (std::string why = whyDense(alias.getResult()); !why.empty())
        return why;
      continue;
    }
    if (isa<AttentionOp>(reader))
      continue;
    auto kernel = dyn_cast<KernelOp>(reader);
    auto step = dyn_cast<StepOp>(reader);
    const bool isFactor = step && step.getKind() == "gemm" && typeOf(value).getDims().size() == 2 && static_cast<int>(use.getOperandNumber()) != addendOf(step);
    if (!isFactor && !(kernel && hasRows(kernel, kernel.getBody().getArgument(use.getOperandNumber()))))
      return "its input is read where rows must be dense";
  }
  return "";
}

/// Why the value cannot lie in a table with others; "" where it can.
std::string whyNoTable(Value value) {
  Operation *made = value.getDefiningOp();
  auto kernel = dyn_cast_or_null<KernelOp>(made);
  auto step = dyn_cast_or_null<StepOp>(made);
  if (!tableRowsOf(typeOf(value)))
    return "its input is no table of rows";
  if (kernel && !hasRows(kernel, kernel.getBody().front().getTerminator()->getOperand(cast<OpResult>(value).getResultNumber())))
    return "a kernel makes its input in another order";
  if (!kernel && !isa_and_nonnull<AttentionOp>(made) && !(step && step.getKind() == "gemm"))
    return "its input is made by neither a kernel nor a product";
  if (step && addendOf(step) >= 0) // which is dense, and the sum is made in its place
    return "its input is made by adding to another value";
  return whyDense(value);
}

/// A table times a parameter, of which the result's columns are rows; nothing beside it.
std::optional<TableProduct> factorOf(StepOp step) {
  if (!step || hasBranch(step) || addendOf(step) >= 0)
    return std::nullopt;
  auto form = tableProductOf(step);
  return form && form->overColumns && isParameter(form->matrix.getDefiningOp()) ? form : std::nullopt;
}

/// Whether both are made of the same table in the same way.
bool areAlike(Value one, Value other) {
  auto a = one.getDefiningOp<StepOp>(), b = other.getDefiningOp<StepOp>();
  auto first = factorOf(a), second = factorOf(b);
  return first && second && a.getHow() == b.getHow() && first->table == second->table && first->tableIsFirst == second->tableIsFirst && first->matrix.getType() == second->matrix.getType();
}
} // namespace

StringRef mlir::plan::nameOfWeight(Value weight) { return cast<StringAttr>(weight.getDefiningOp<StepOp>().getHow().get("name")).getValue(); }

bool mlir::plan::mayLieInTable(Value value) { return whyNoTable(value).empty(); }

int64_t mlir::plan::paddedColumns(int64_t columns, Value like) { return llvm::alignTo(columns, kLine / widthOf(typeOf(like))); }

void mlir::plan::putInTable(Value value, int64_t pitch, int64_t column) {
  value.setType(typeOf(value).inTable(pitch, column));
  for (Operation *reader : value.getUsers())
    if (auto alias = dyn_cast<AliasOp>(reader))
      putInTable(alias.getResult(), pitch, column);
}

std::optional<TableProduct> mlir::plan::tableProductOf(StringRef equation, Value x, Value y) {
  auto [inputs, out] = equation.split("->");
  auto [a, b] = inputs.split(',');
  const bool tableIsFirst = typeOf(x).getExample();
  if (!tableIsFirst) {
    std::swap(a, b);
    std::swap(x, y);
  }
  if (!typeOf(x).getExample() || typeOf(y).getExample() || a.size() != 2 || b.size() != 2 || out.size() != 2 || out[0] != a[0])
    return std::nullopt;
  if (b[1] == a[1] && b[0] == out[1])
    return TableProduct{x, y, tableIsFirst, true};
  return b[0] == a[1] && b[1] == out[1] ? std::optional(TableProduct{x, y, tableIsFirst, false}) : std::nullopt;
}

std::optional<TableProduct> mlir::plan::tableProductOf(StepOp step) {
  return step.getKind() == "gemm" ? tableProductOf(cast<StringAttr>(step.getHow().get("equation")).getValue(), step.getInputs()[0], step.getInputs()[1]) : std::nullopt;
}

std::optional<BranchedProduct> mlir::plan::branchedProductOf(StepOp step, std::string &why) {
  auto text = [&](StringRef name) { return cast<StringAttr>(step.getHow().get(name)).getValue(); };
  auto in = step.getInputs();
  auto main = tableProductOf(text("equation"), in[0], in[1]), branch = tableProductOf(text("branch"), in[2], in[3]);
  if (!main || !branch)
    return why = "it is a product of another form", std::nullopt;
  auto weight = main->matrix.getDefiningOp<StepOp>();
  if (!isParameter(weight) || !weight.getHow().get("frozen"))
    return why = "its weight is not a frozen one", std::nullopt;
  if (!isGiven(branch->matrix))
    return why = "the branch's weight is made in the program", std::nullopt;
  BranchedProduct product{step, main->table, main->matrix, branch->table, branch->matrix};
  product.xIsFirst = main->tableIsFirst, product.overColumns = main->overColumns, product.factorTurned = branch->overColumns != main->overColumns;
  product.depth = typeOf(product.x).columns(), product.columns = typeOf(step.getResult()).columns(), product.rank = typeOf(product.h).columns();
  return product;
}

std::optional<Borders::Place> Borders::placeFor(const BranchedProduct &product, std::string &why) const {
  const int64_t aligned = kAccess / widthOf(typeOf(product.x));
  auto refuse = [&](std::string reason) { return why = std::move(reason), std::nullopt; };
  if (typeOf(product.x).getElement() != typeOf(product.h).getElement())
    return refuse("its branch is of another type");
  if (product.depth % aligned != 0 || product.rank % aligned != 0)
    return refuse("its widths are no multiples of 16 bytes");
  const Value host = rootOf(product.x);
  for (Value value : {host, product.h})
    if (std::string reason = whyNoTable(value); !reason.empty())
      return refuse(value == product.h ? "of its branch, " + reason : reason);
  if (typeOf(product.x).getDims()[0] != typeOf(product.h).getDims()[0] || typeOf(host).getDims()[0] != typeOf(product.h).getDims()[0] || !host.getDefiningOp()->isBeforeInBlock(product.h.getDefiningOp()) || hostOf.contains(host) ||
      tables.count(product.h))
    return refuse("its branch cannot lie beside its input");
  if (Value other = hostOf.lookup(product.h); other && other != host)
    return refuse("its branch lies beside another input");
  int64_t column = product.depth;
  if (auto table = tables.find(host); table != tables.end())
    for (const Guest &guest : table->second) {
      if (guest.value == product.h) {
        column = guest.column;
        break;
      }
      column = guest.column + guest.rank;
    }
  if (const auto shape = shapes.find(nameOfWeight(product.weight)); shape != shapes.end()) {
    const std::optional<BorderShape::Part> &part = product.overColumns ? shape->second.right : shape->second.below;
    if (part && *part != BorderShape::Part{column, product.rank, product.factorTurned})
      return refuse("the branch of another product with this weight stands elsewhere");
  }
  if (const auto matrix = matrices.find(product.weight); matrix != matrices.end())
    if (Value factor = product.overColumns ? matrix->second.right : matrix->second.below; factor && factor != product.factor)
      return refuse("another product with this weight has another branch");
  return Place{column, column + product.rank};
}

void Borders::accept(const BranchedProduct &product, const Place &place) {
  const Value host = rootOf(product.x);
  SmallVector<Guest> &guests = tables[host];
  if (!hostOf.count(product.h))
    guests.push_back({product.h, place.column, product.rank});
  hostOf[product.h] = host;
  BorderShape &shape = shapes[nameOfWeight(product.weight)];
  (product.overColumns ? shape.right : shape.below) = BorderShape::Part{place.column, product.rank, product.factorTurned};
  reserve(product, place);
  Matrix &matrix = matrices[product.weight];
  (product.overColumns ? matrix.right : matrix.below) = product.factor;
  accepted.push_back({product, place});
}

void Borders::reserve(const BranchedProduct &product, const Place &place) {
  auto weight = typeOf(product.weight);
  BorderShape &shape = shapes[nameOfWeight(product.weight)];
  shape.rows = std::max({shape.rows, weight.getDims()[0].constant, product.overColumns ? 0 : place.depth});
  const int64_t columns = std::max(weight.getDims()[1].constant, product.overColumns ? place.depth : 0);
  shape.columns = std::max(shape.columns, paddedColumns(columns, product.x));
}

void Borders::join() {
  llvm::DenseMap<Value, SmallVector<Value>> stacks; // by what lies first, whose name they have: another one of that name would lie in the same memory
  auto isOwn = [&](ArrayRef<Guest> members) {
    const SmallVector<Value> factors = llvm::map_to_vector(members, [](const Guest &member) { return factorOf(Value(member.value).getDefiningOp<StepOp>())->matrix; });
    return stacks.try_emplace(factors[0], factors).first->second == factors;
  };
  for (auto &[host, guests] : tables)
    for (size_t begin = 0, end = 0; begin < guests.size(); begin = end) {
      for (end = begin + 1; end < guests.size() && areAlike(guests[begin].value, guests[end].value);)
        ++end;
      if (end - begin > 1 && isOwn(ArrayRef(guests).slice(begin, end - begin)))
        joined.push_back({host, SmallVector<Guest>(guests.begin() + begin, guests.begin() + end)});
    }
  for (Accepted &one : accepted) // who reads one of them reads all, and has zeros for the others
    for (const Joined &all : joined)
      if (all.host == rootOf(one.product.x) && one.place.depth > all.begin() && one.place.depth < all.end()) {
        one.place.depth = all.end();
        reserve(one.product, one.place);
      }
}

/// One product by the factors below each other, of which each member is some columns.
void Borders::make(const Joined &all) {
  auto first = all.members.front().value.getDefiningOp<StepOp>();
  SmallVector<Value> factors;
  SmallVector<int64_t> places;
  int64_t rows = 0;
  for (const Guest &member : all.members) {
    factors.push_back(factorOf(member.value.getDefiningOp<StepOp>())->matrix);
    if (rows)
      places.append({rows, 0});
    rows += member.rank;
  }
  const TableProduct form = *factorOf(first);
  auto guest = typeOf(first.getResult());
  OpBuilder begin = atBegin(*first->getBlock(), factors), builder(first);
  auto stacked = PackedType::get(builder.getContext(), false, {plan::Dim{rows, 0}, typeOf(form.matrix).getDims()[1]}, guest.getElement());
  Value factor = BorderOp::create(begin, first.getLoc(), stacked, factors[0], ArrayRef(factors).drop_front(), places, SmallVector<bool>(factors.size() - 1, false));
  SmallVector<Value> inputs = {form.table, factor};
  if (!form.tableIsFirst)
    std::swap(inputs[0], inputs[1]);
  auto type = PackedType::get(builder.getContext(), true, {guest.getDims()[0], {rows, 0}}, guest.getElement(), guest.getPitch(), guest.getColumn());
  Value made = StepOp::create(builder, first.getLoc(), type, first.getKindAttr(), first.getOpAttr(), inputs, IntegerAttr(), first.getHowAttr());
  for (const Guest &member : all.members) {
    Value single = member.value;
    views.push_back(WindowOp::create(builder, single.getLoc(), single.getType(), made));
    single.replaceAllUsesWith(views.back());
  }
  for (const Guest &member : all.members)
    member.value.getDefiningOp()->erase();
  SmallVector<Guest> &guests = tables[all.host];
  auto place = llvm::find_if(guests, [&](const Guest &guest) { return guest.column == all.begin(); });
  *place = {made, all.begin(), rows};
  guests.erase(place + 1, place + static_cast<ptrdiff_t>(all.members.size()));
}

Value Borders::tableOf(Accepted &one, OpBuilder &builder) {
  SmallVector<Value> guests;
  for (const Guest &guest : tables[rootOf(one.product.x)])
    if (guest.column < one.place.depth)
      guests.push_back(guest.value);
  auto host = typeOf(one.product.x);
  const plan::Dim columns{one.place.depth, 0};
  return BesideOp::create(builder, one.product.step.getLoc(), PackedType::get(builder.getContext(), true, {host.getDims()[0], columns}, host.getElement(), host.getPitch(), 0), one.product.x, guests);
}

Value Borders::windowOf(Accepted &one, OpBuilder &builder) {
  Matrix &matrix = matrices[one.product.weight];
  const BorderShape &shape = shapes[nameOfWeight(one.product.weight)];
  Type element = typeOf(one.product.x).getElement();
  if (!matrix.made) {
    SmallVector<Value> parts;
    SmallVector<int64_t> places;
    SmallVector<bool> turned;
    for (auto [factor, isRight] : {std::pair(matrix.right, true), {matrix.below, false}})
      if (factor) {
        const BorderShape::Part &part = isRight ? *shape.right : *shape.below;
        parts.push_back(factor);
        places.append({isRight ? 0 : part.column, isRight ? part.column : 0});
        turned.push_back(part.turned);
      }
    SmallVector<Value> given(parts);
    given.push_back(one.product.weight);
    OpBuilder begin = atBegin(*one.product.step->getBlock(), given);
    auto type = PackedType::get(builder.getContext(), false, {plan::Dim{shape.rows, 0}, {shape.columns, 0}}, element);
    matrix.made = BorderOp::create(begin, one.product.step.getLoc(), type, one.product.weight, parts, places, turned);
  }
  auto weight = typeOf(one.product.weight);
  const plan::Dim rows{one.product.overColumns ? weight.getDims()[0].constant : one.place.depth, 0}, columns{one.product.overColumns ? one.place.depth : weight.getDims()[1].constant, 0};
  return WindowOp::create(builder, one.product.step.getLoc(), PackedType::get(builder.getContext(), false, {rows, columns}, element, shape.columns, 0), matrix.made.getResult());
}

void Borders::rewrite() {
  for (auto &[host, guests] : tables) {
    const int64_t pitch = paddedColumns(guests.back().column + guests.back().rank, host);
    putInTable(host, pitch, 0);
    for (const Guest &guest : guests)
      putInTable(guest.value, pitch, guest.column);
  }
  for (const Joined &all : joined)
    make(all);
  for (Accepted &one : accepted) {
    StepOp step = one.product.step;
    OpBuilder builder(step);
    SmallVector<Value> inputs = {tableOf(one, builder), windowOf(one, builder)};
    if (!one.product.xIsFirst)
      std::swap(inputs[0], inputs[1]);
    if (const int sum = addendOf(step); sum >= 0)
      inputs.push_back(step.getInputs()[sum]);
    NamedAttrList how(step.getHow());
    how.erase("branch");
    step.getInputsMutable().assign(inputs);
    step.setHowAttr(how.getDictionary(builder.getContext()));
  }
  for (WindowOp view : views) // where there is no way back, nobody reads a part by itself
    if (view->use_empty())
      view.erase();
}
