// Attention: see the header.
#include "compiler/passes/plan/Attention.h"
#include "compiler/passes/plan/Evaluate.h"
#include "compiler/passes/plan/KernelSpace.h"
#include "compiler/passes/plan/KeyPlaces.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::plan;

namespace {
constexpr int64_t kLengths[] = {3, 5}; ///< of the examples that are tried
constexpr int64_t kShownWindow = 8;    ///< keys: up to so many, an example is tried that is longer
constexpr double kClose = 1e-9;

nn::NNType typeOf(Value value) { return cast<nn::NNType>(value.getType()); }
/// [rows, heads, size] of an example, bf16 in memory.
bool isRowsOfHeads(nn::NNType type) { return type.isFloat() && type.getExample() && type.rank() == 3 && !type.getDims()[0].isStatic() && type.getDims()[1].isStatic() && type.getDims()[2].isStatic(); }

// ---- masks ---------------------------------------------------------------------------------------------------------

/// Whether a condition is just its hull, an interval of keys around each row.
bool isInterval(Value seen) {
  Operation *op = seen.getDefiningOp();
  if (!op)
    return false;
  if (isa<nn::AndOp>(op))
    return isInterval(op->getOperand(0)) && isInterval(op->getOperand(1));
  if (isa<nn::OrOp>(op)) // of nothing and an interval
    return (hullOf(op->getOperand(0)).isEmpty() && isInterval(op->getOperand(1))) || (hullOf(op->getOperand(1)).isEmpty() && isInterval(op->getOperand(0)));
  auto comparison = comparisonOf(op);
  return comparison && comparison->ofRow;
}

/// The sight that a condition leaves, its bounds from a row's own index on.
std::optional<Sight> intervalOf(Value seen) {
  if (!isInterval(seen))
    return std::nullopt;
  const Hull hull = hullOf(seen);
  return Sight{hull.begin ? std::optional(-hull.begin->offset) : std::nullopt, hull.end ? std::optional(hull.end->offset - 1) : std::nullopt};
}

/// Whether it says of random numbers which are small.
bool isDrawn(Value truth) {
  auto less = truth.getDefiningOp<nn::LtOp>();
  return less && less.getX().getDefiningOp<nn::RandomOp>();
}

/// Whether truth decides nothing but what is selected, and places nothing but truth: then a number can depend on places by its masks alone.
bool hasMasksAlone(Block &body) {
  for (Operation &op : body.without_terminator())
    for (OpOperand &use : op.getUses()) {
      Operation *user = use.getOwner();
      const bool isTruth = typeOf(op.getResult(0)).isBool() && !isDrawn(op.getResult(0)), isPlace = isIndex(op.getResult(0)) && typeOf(op.getResult(0)).rank() > 0;
      const bool decides = isa<nn::AndOp, nn::OrOp>(user) || (isa<nn::SelectOp>(user) && use.getOperandNumber() == 0);
      if ((isTruth && !decides) || (isPlace && !comparisonOf(user) && !(user->getNumResults() == 1 && isIndex(user->getResult(0)))))
        return false;
    }
  return true;
}

/// What all masks of a body leave, from a row's place among the keys on. `rows`, `keys`: how many there are.
std::optional<Sight> sightOf(Block &body, nn::Dim rows, nn::Dim keys) {
  if (!hasMasksAlone(body))
    return std::nullopt;
  std::optional<Sight> sight;
  for (auto select : body.getOps<nn::SelectOp>()) {
    auto interval = intervalOf(select.getCondition());
    if (!interval || (sight && *sight != *interval))
      return std::nullopt;
    sight = interval;
  }
  if (!sight)
    return Sight();
  const int64_t more = keys.constant - rows.constant; // keys that stand before the rows' own
  if (keys.scale != rows.scale || keys.sequence != rows.sequence || more < 0)
    return std::nullopt;
  for (auto [bound, by] : {std::pair(&sight->left, more), {&sight->right, -more}})
    if (*bound && (**bound += by) < 0)
      return std::nullopt; // some row sees nothing
  return sight;
}

// ---- dropout -------------------------------------------------------------------------------------------------------

struct Draws {
  bool areDropouts = true; ///< or none
  std::optional<Dropout> dropout{};
};

/// Of one random op per pass whose numbers are compared with how many are kept.
Draws drawsOf(Block &body) {
  Draws draws;
  for (auto random : body.getOps<nn::RandomOp>()) {
    std::optional<double> kept;
    for (Operation *user : random.getResult().getUsers()) {
      auto less = dyn_cast<nn::LtOp>(user);
      auto bound = less && less.getX() == random.getResult() ? less.getY().getDefiningOp<nn::ConstantOp>() : nn::ConstantOp();
      auto number = bound ? dyn_cast<FloatAttr>(bound.getValue()) : FloatAttr();
      if (!number || (kept && *kept != number.getValueAsDouble()))
        return {false};
      kept = number.getValueAsDouble();
    }
    if (draws.dropout || !kept || *kept <= 0 || *kept >= 1 || random.getRate() != "token")
      return {false};
    draws.dropout = Dropout{std::round((1 - *kept) / kClose) * kClose, static_cast<unsigned>(random.getSite())};
  }
  return draws;
}

// ---- numbers -------------------------------------------------------------------------------------------------------

/// Heads of queries, and of keys and values, of one example: [rows, heads, size].
struct Example {
  SmallVector<int64_t> lengths;
  Numbers q, k, v, gradient;
  Numbers random; ///< [heads, rows, keys], uniform
};

struct Truth {
  Numbers context, q, k, v; ///< the last three: gradients
};

/// Softmax attention and its way back, from their definition.
Truth attend(const Example &of, const ForwardAttention &attention) {
  const double scale = attention.scale, dropped = attention.dropout ? attention.dropout->rate : 0;
  const Sight &sight = attention.sight;
  const int64_t rows = of.q.shape[0], heads = of.q.shape[1], size = of.q.shape[2], keys = of.k.shape[0], kvHeads = of.k.shape[1];
  Truth truth{Numbers::of(of.q.shape), Numbers::of(of.q.shape), Numbers::of(of.k.shape), Numbers::of(of.v.shape)};
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t mine = (row * heads + head) * size, place = row + keys - rows;
      const auto theirs = [&](int64_t key) { return (key * kvHeads + head / (heads / kvHeads)) * size; };
      const auto dot = [&](const Numbers &a, const Numbers &b, int64_t key) {
        double sum = 0;
        for (int64_t e = 0; e < size; ++e)
          sum += a.data[mine + e] * b.data[theirs(key) + e];
        return sum;
      };
      const auto left = [&](int64_t key) { return of.random.data[(head * rows + row) * keys + key] < 1 - dropped ? 1 / (1 - dropped) : 0; };
      std::vector<double> share(keys, 0), slope(keys, 0);
      double sum = 0, mean = 0;
      for (int64_t key = 0; key < keys; ++key)
        if ((!sight.left || key >= place - *sight.left) && (!sight.right || key <= place + *sight.right))
          sum += share[key] = std::exp(scale * dot(of.q, of.k, key));
      for (int64_t key = 0; key < keys; ++key)
        mean += (share[key] /= sum) * (slope[key] = left(key) * dot(of.gradient, of.v, key));
      for (int64_t key = 0; key < keys; ++key)
        for (int64_t e = 0; e < size; ++e) {
          const double score = scale * share[key] * (slope[key] - mean);
          truth.context.data[mine + e] += share[key] * left(key) * of.v.data[theirs(key) + e];
          truth.v.data[theirs(key) + e] += share[key] * left(key) * of.gradient.data[mine + e];
          truth.q.data[mine + e] += score * of.k.data[theirs(key) + e];
          truth.k.data[theirs(key) + e] += score * of.q.data[mine + e];
        }
    }
  return truth;
}

bool areClose(const Numbers &a, const Numbers &b) {
  return a.shape == b.shape && llvm::all_of(llvm::zip_equal(a.data, b.data), [](auto pair) {
           auto [x, y] = pair;
           return std::fabs(x - y) <= kClose * std::max(1.0, std::fabs(y));
         });
}

double uniform(std::mt19937_64 &random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

/// Numbers of about 1 for scores of about 1; the same each time.
Numbers drawn(nn::NNType type, ArrayRef<int64_t> lengths, std::mt19937_64 &random) {
  Numbers numbers = Numbers::of(shapeOf(type, lengths));
  const double spread = 2 / std::pow(static_cast<double>(numbers.shape[2]), 0.25);
  for (double &number : numbers.data)
    number = spread * (uniform(random) - 0.5);
  return numbers;
}

Example exampleOf(ForwardAttention &of, int64_t length, std::mt19937_64 &random) {
  Block &body = of.kernel.getBody().front();
  const auto typeAt = [&](unsigned index) { return typeOf(body.getArgument(index)); };
  Example example;
  int64_t sequences = 1;
  for (unsigned index : {of.q, of.k})
    sequences = std::max(sequences, typeAt(index).getDims()[0].sequence + 1);
  for (int64_t sequence = 0; sequence < sequences; ++sequence)
    example.lengths.push_back(length + 2 * sequence);
  example.q = drawn(typeAt(of.q), example.lengths, random), example.k = drawn(typeAt(of.k), example.lengths, random);
  example.v = drawn(typeAt(of.v), example.lengths, random), example.gradient = drawn(typeAt(of.q), example.lengths, random);
  example.random = Numbers::of({example.q.shape[1], example.q.shape[0], example.k.shape[0]});
  for (double &number : example.random.data)
    number = uniform(random);
  return example;
}

/// What the forward kernel makes of an example.
FailureOr<SmallVector<Numbers>> forwardOf(ForwardAttention &of, const Example &example) {
  Block &body = of.kernel.getBody().front();
  SmallVector<Numbers> given;
  for (BlockArgument argument : body.getArguments()) {
    const unsigned index = argument.getArgNumber();
    given.push_back(index == of.q ? example.q : index == of.k ? example.k : index == of.v ? example.v : Numbers{shapeOf(typeOf(argument), example.lengths), {}});
  }
  return evaluate(body, given, example.random, example.lengths);
}

/// By an example where the first key that the last row sees scores 0 and counts 0, and all others score `scale` and count 1: what the row makes of them says how they are shared.
std::optional<double> scaleOf(ForwardAttention &of) {
  std::mt19937_64 random;
  Example example = exampleOf(of, kLengths[0], random);
  const int64_t size = example.q.shape[2], keys = example.k.shape[0], inKey = example.k.shape[1] * size, first = std::max<int64_t>(0, keys - 1 - of.sight.left.value_or(keys));
  const int64_t others = std::min<int64_t>(keys, keys + of.sight.right.value_or(0)) - first - 1;
  if (others < 1)
    return std::nullopt;
  for (auto [place, number] : llvm::enumerate(example.q.data))
    number = static_cast<int64_t>(place) % size == 0;
  for (auto [place, number] : llvm::enumerate(example.k.data))
    number = static_cast<int64_t>(place) % size == 0 && static_cast<int64_t>(place) / inKey != first;
  for (auto [place, number] : llvm::enumerate(example.v.data))
    number = static_cast<int64_t>(place) / inKey != first;
  std::fill(example.random.data.begin(), example.random.data.end(), 0); // nothing is dropped
  auto results = forwardOf(of, example);
  if (failed(results))
    return std::nullopt;
  const double share = (*results)[of.context].data.back() * (of.dropout ? 1 - of.dropout->rate : 1);
  const double scale = std::log(share / (1 - share) / static_cast<double>(others)), rounded = static_cast<float>(scale); // as it is where it was written short
  return std::isfinite(scale) ? std::optional(std::fabs(scale - rounded) < kClose / 1000 ? rounded : scale) : std::nullopt;
}

SmallVector<int64_t> triedLengths(const Sight &sight) {
  SmallVector<int64_t> lengths(std::begin(kLengths), std::end(kLengths));
  if (sight.left && *sight.left <= kShownWindow)
    lengths.push_back(*sight.left + 3);
  return lengths;
}

// ---- roles ---------------------------------------------------------------------------------------------------------

bool isBf16(Value packed) { return cast<PackedType>(packed.getType()).getElement().isBF16(); }

/// Whether it only says how long something is.
bool isShapeAlone(Value argument) { return llvm::all_of(argument.getUsers(), [](Operation *user) { return isa<nn::IotaOp>(user); }); }

/// Which operands and results are which, by the products that read them.
bool findRoles(ForwardAttention &found) {
  Block &body = found.kernel.getBody().front();
  SmallVector<nn::ContractOp> products(body.getOps<nn::ContractOp>());
  if (products.size() != 2)
    return false;
  std::optional<unsigned> roles[3], context;
  const auto give = [&](unsigned role, Value value) {
    if (auto argument = dyn_cast<BlockArgument>(readFrom(value)))
      roles[role] = argument.getArgNumber();
  };
  for (nn::ContractOp product : products) {
    auto inside = tileProductOf(product);
    if (!inside || inside->kind == TileProduct::overRows)
      return false;
    const bool first = inside->matrix == 0;
    if (inside->kind == TileProduct::scores) {
      give(0, first ? product.getX() : product.getY()), give(1, first ? product.getY() : product.getX());
      continue;
    }
    give(2, first ? product.getY() : product.getX());
  }
  for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    if (!isRowOfTiles(typeOf(value))) {
      if (context)
        return false;
      context = index;
    }
  if (!roles[0] || !roles[1] || !roles[2] || !context)
    return false;
  found.q = *roles[0], found.k = *roles[1], found.v = *roles[2], found.context = *context;
  return llvm::all_of(body.getArguments(), [&](BlockArgument argument) { return llvm::is_contained({found.q, found.k, found.v}, argument.getArgNumber()) || isShapeAlone(argument); });
}

/// The same value, by whatever name.
bool areSame(Value a, Value b) { return a == b || (rootOf(a) == rootOf(b) && a.getType() == b.getType()); }

/// What the way back is given for an example: `forward` is what the forward kernel made of it. Finds the context's gradient.
std::optional<SmallVector<Numbers>> givenFor(BackwardAttention &back, ForwardAttention &forward, const Example &example, ArrayRef<Numbers> made) {
  SmallVector<Numbers> given;
  std::optional<unsigned> gradient;
  for (auto [index, input] : llvm::enumerate(back.kernel.getInputs())) {
    nn::NNType type = typeOf(back.kernel.getBody().getArgument(index));
    if (areSame(input, forward.operand(forward.q)))
      given.push_back(example.q);
    else if (areSame(input, forward.operand(forward.k)))
      given.push_back(example.k);
    else if (areSame(input, forward.operand(forward.v)))
      given.push_back(example.v);
    else if (input.getDefiningOp() == forward.kernel)
      given.push_back(made[cast<OpResult>(input).getResultNumber()]);
    else if (isShapeAlone(back.kernel.getBody().getArgument(index)))
      given.push_back({shapeOf(type, example.lengths), {}});
    else if (!gradient && isRowsOfHeads(type) && shapeOf(type, example.lengths) == example.gradient.shape)
      gradient = index, given.push_back(example.gradient);
    else
      return std::nullopt;
  }
  if (!gradient)
    return std::nullopt;
  back.gradient = *gradient;
  return given;
}

/// Whether each result is the gradient that it was in other examples too.
bool findGradients(BackwardAttention &back, ArrayRef<Numbers> made, const Truth &truth, bool isFirst) {
  for (auto [index, result] : llvm::enumerate(made)) {
    bool known = false;
    for (auto [place, gradient] : {std::pair(&back.q, &truth.q), {&back.k, &truth.k}, {&back.v, &truth.v}}) {
      if (isFirst && !*place && !known && areClose(result, *gradient))
        *place = index;
      if (*place == static_cast<unsigned>(index))
        known = areClose(result, *gradient);
    }
    if (!known)
      return false;
  }
  return true;
}

// ---- kernels -------------------------------------------------------------------------------------------------------

std::optional<ForwardAttention> readForward(KernelOp kernel, std::string &why) {
  Block &body = kernel.getBody().front();
  const auto refuse = [&](StringRef reason) { return why = reason.str(), std::nullopt; };
  if (spaceOf(kernel).rowCount.isStatic())
    return refuse("its rows are not of a text's tokens");
  const Draws draws = drawsOf(body);
  if (!draws.areDropouts)
    return refuse("it draws random numbers that are no dropout's");
  ForwardAttention found{kernel};
  found.dropout = draws.dropout;
  if (!findRoles(found))
    return refuse("it computes something else than softmax attention");
  const Value q = body.getArgument(found.q), k = body.getArgument(found.k);
  if (!isRowsOfHeads(typeOf(q)) || !isRowsOfHeads(typeOf(k)))
    return refuse("its keys are not of a text's tokens");
  for (Value value : {found.operand(found.q), found.operand(found.k), found.operand(found.v), Value(kernel.getResult(found.context))})
    if (!isBf16(value))
      return refuse("it is not in bf16");
  const auto sight = sightOf(body, typeOf(q).getDims()[0], typeOf(k).getDims()[0]);
  if (!sight)
    return refuse("its mask is another one than how far a token sees");
  found.sight = *sight;
  const auto scale = scaleOf(found);
  if (!scale)
    return refuse("it computes something else than softmax attention");
  found.scale = *scale;
  std::mt19937_64 random;
  for (int64_t length : triedLengths(found.sight)) {
    const Example example = exampleOf(found, length, random);
    auto made = forwardOf(found, example);
    if (failed(made) || !areClose((*made)[found.context], attend(example, found).context))
      return refuse("it computes something else than softmax attention");
  }
  return found;
}

std::optional<BackwardAttention> readBackward(KernelOp kernel, ForwardAttention &forward, std::string &why) {
  Block &body = kernel.getBody().front(), &there = forward.kernel.getBody().front();
  const auto refuse = [&](StringRef reason) { return why = reason.str(), std::nullopt; };
  const auto rowsOf = [&](unsigned index) { return typeOf(there.getArgument(index)).getDims()[0]; };
  if (sightOf(body, rowsOf(forward.q), rowsOf(forward.k)) != forward.sight)
    return refuse("its mask is another one than forward");
  const Draws draws = drawsOf(body);
  if (!draws.areDropouts || draws.dropout.has_value() != forward.dropout.has_value())
    return refuse("it drops otherwise than forward");
  if (draws.dropout && (draws.dropout->rate != forward.dropout->rate || kernel.getSites()[draws.dropout->site] != forward.kernel.getSites()[forward.dropout->site]))
    return refuse("it drops otherwise than forward");
  BackwardAttention back{kernel};
  std::mt19937_64 random;
  const SmallVector<int64_t> lengths = triedLengths(forward.sight);
  for (auto [turn, length] : llvm::enumerate(lengths)) {
    const Example example = exampleOf(forward, length, random);
    auto made = forwardOf(forward, example);
    auto given = succeeded(made) ? givenFor(back, forward, example, *made) : std::nullopt;
    auto results = given ? evaluate(body, *given, example.random, example.lengths) : FailureOr<SmallVector<Numbers>>(failure());
    if (failed(results) || !findGradients(back, *results, attend(example, forward), turn == 0))
      return refuse("it computes something else than the gradients of softmax attention");
  }
  SmallVector<Value> ours(kernel.getResults());
  ours.push_back(kernel.getInputs()[back.gradient]);
  return llvm::all_of(ours, isBf16) ? std::optional(back) : refuse("it is not in bf16");
}

/// What a kernel has of a forward one, operand by operand.
std::string wiringOf(KernelOp kernel, ForwardAttention &forward) {
  std::string text = (*kernel.getSymbol() + " of " + *forward.kernel.getSymbol()).str();
  for (Value input : kernel.getInputs()) {
    text += ' ';
    for (auto [index, theirs] : llvm::enumerate(forward.kernel.getInputs()))
      if (areSame(input, theirs))
        text += std::to_string(index) + '.';
    if (input.getDefiningOp() == forward.kernel)
      text += "result " + std::to_string(cast<OpResult>(input).getResultNumber());
  }
  for (int64_t site : kernel.getSites())
    text += llvm::is_contained(forward.kernel.getSites(), site) ? " its site" : " another site";
  return text;
}
} // namespace

std::optional<ForwardAttention> AttentionReader::forward(KernelOp kernel, std::string &why) {
  auto [known, isNew] = forwards.try_emplace(kernel.getSymbol()->str());
  auto &[found, reason] = known->second;
  if (isNew)
    found = readForward(kernel, reason);
  why = reason;
  if (found)
    found->kernel = kernel;
  return found;
}

std::optional<BackwardAttention> AttentionReader::backward(KernelOp kernel, ForwardAttention &forward, std::string &why) {
  auto [known, isNew] = backwards.try_emplace(wiringOf(kernel, forward));
  auto &[found, reason] = known->second;
  if (isNew)
    found = readBackward(kernel, forward, reason);
  why = reason;
  if (found)
    found->kernel = kernel;
  return found;
}
