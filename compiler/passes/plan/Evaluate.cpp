// Evaluate: see the header.
#include "compiler/passes/plan/Evaluate.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>
#include <functional>
#include <limits>

using namespace mlir;
using namespace mlir::plan;

namespace {
nn::NNType typeOf(Value value) { return cast<nn::NNType>(value.getType()); }
int64_t elementsOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t length : shape)
    count *= length;
  return count;
}

/// How far the element of an operand moves with each axis of a result of `rank` axes, to which it is aligned at the right: 0 along axes where it has one entry.
SmallVector<int64_t> stridesIn(const Numbers &operand, size_t rank) {
  SmallVector<int64_t> strides(rank, 0);
  int64_t stride = 1;
  for (size_t back = 1; back <= operand.shape.size(); ++back) {
    const int64_t length = operand.shape[operand.shape.size() - back];
    strides[rank - back] = length == 1 ? 0 : stride;
    stride *= length;
  }
  return strides;
}

/// Calls `body` for each index of `shape` with where each walker stands, which moves by its strides.
void walk(ArrayRef<int64_t> shape, ArrayRef<SmallVector<int64_t>> walkers, llvm::function_ref<void(ArrayRef<int64_t>)> body) {
  SmallVector<int64_t> index(shape.size(), 0), at(walkers.size(), 0);
  for (int64_t left = elementsOf(shape); left > 0; --left) {
    body(at);
    for (size_t axis = shape.size(); axis-- > 0;) {
      const bool wraps = ++index[axis] == shape[axis];
      for (auto [place, strides] : llvm::zip_equal(at, walkers))
        place += wraps ? -strides[axis] * (shape[axis] - 1) : strides[axis];
      if (!wraps)
        break;
      index[axis] = 0;
    }
  }
}

using Scalar = std::function<double(ArrayRef<double>)>;
const Scalar *scalarOf(StringRef name) {
  using In = ArrayRef<double>;
  static const llvm::StringMap<Scalar> all = {
      {"neg", [](In x) { return -x[0]; }}, {"exp", [](In x) { return std::exp(x[0]); }}, {"log", [](In x) { return std::log(x[0]); }}, {"sqrt", [](In x) { return std::sqrt(x[0]); }},
      {"rsqrt", [](In x) { return 1 / std::sqrt(x[0]); }}, {"tanh", [](In x) { return std::tanh(x[0]); }}, {"abs", [](In x) { return std::fabs(x[0]); }}, {"not", [](In x) { return double(x[0] == 0); }},
      {"cast", [](In x) { return x[0]; }}, {"stop_grad", [](In x) { return x[0]; }}, {"broadcast", [](In x) { return x[0]; }}, {"add", [](In x) { return x[0] + x[1]; }},
      {"sub", [](In x) { return x[0] - x[1]; }}, {"mul", [](In x) { return x[0] * x[1]; }}, {"div", [](In x) { return x[0] / x[1]; }}, {"max", [](In x) { return std::max(x[0], x[1]); }},
      {"min", [](In x) { return std::min(x[0], x[1]); }}, {"lt", [](In x) { return double(x[0] < x[1]); }}, {"le", [](In x) { return double(x[0] <= x[1]); }}, {"eq", [](In x) { return double(x[0] == x[1]); }},
      {"ne", [](In x) { return double(x[0] != x[1]); }}, {"gt", [](In x) { return double(x[0] > x[1]); }}, {"ge", [](In x) { return double(x[0] >= x[1]); }}, {"and", [](In x) { return double(x[0] != 0 && x[1] != 0); }},
      {"or", [](In x) { return double(x[0] != 0 || x[1] != 0); }}, {"select", [](In x) { return x[0] != 0 ? x[1] : x[2]; }}};
  auto found = all.find(name);
  return found == all.end() ? nullptr : &found->second;
}

class Evaluation {
public:
  Evaluation(ArrayRef<int64_t> lengths, const Numbers &random) : lengths(lengths), random(random) {}
  llvm::DenseMap<Value, Numbers> known;

  LogicalResult run(Operation &op) {
    if (op.getNumResults() != 1)
      return failure();
    Numbers result = Numbers::of(shapeOf(typeOf(op.getResult(0)), lengths));
    SmallVector<const Numbers *> operands = llvm::map_to_vector(op.getOperands(), [&](Value value) -> const Numbers * { return &known.find(value)->second; });
    if (failed(compute(op, operands, result)))
      return failure();
    known[op.getResult(0)] = std::move(result);
    return success();
  }

private:
  LogicalResult compute(Operation &op, ArrayRef<const Numbers *> operands, Numbers &result) const {
    if (isa<nn::IotaOp>(op)) {
      for (auto [place, number] : llvm::enumerate(result.data))
        number = static_cast<double>(place);
      return success();
    }
    if (isa<nn::RandomOp>(op)) {
      result.data = random.data;
      return success(random.shape == result.shape);
    }
    if (llvm::any_of(operands, [](const Numbers *one) { return static_cast<int64_t>(one->data.size()) != elementsOf(one->shape); }))
      return failure(); // only the shape is known
    if (auto constant = dyn_cast<nn::ConstantOp>(op))
      return ofConstant(constant, result);
    if (auto reduce = dyn_cast<nn::ReduceOp>(op))
      return ofReduce(reduce, *operands[0], result);
    if (auto contract = dyn_cast<nn::ContractOp>(op))
      return ofContract(contract, *operands[0], *operands[1], result);
    if (auto repeat = dyn_cast<nn::RepeatOp>(op))
      return ofRepeat(repeat, *operands[0], result);
    if (isa<nn::SplitOp, nn::MergeOp, nn::ExpandDimsOp, nn::SqueezeOp>(op)) {
      result.data = operands[0]->data;
      return success();
    }
    const Scalar *scalar = scalarOf(op.getName().stripDialect());
    return scalar ? elementwise(*scalar, operands, result) : failure();
  }

  static LogicalResult elementwise(const Scalar &scalar, ArrayRef<const Numbers *> operands, Numbers &result) {
    const SmallVector<SmallVector<int64_t>> strides = llvm::map_to_vector(operands, [&](const Numbers *one) { return stridesIn(*one, result.shape.size()); });
    SmallVector<double> in(operands.size());
    double *out = result.data.data();
    walk(result.shape, strides, [&](ArrayRef<int64_t> at) {
      for (auto [number, operand, place] : llvm::zip_equal(in, operands, at))
        number = operand->data[place];
      *out++ = scalar(in);
    });
    return success();
  }

  static LogicalResult ofConstant(nn::ConstantOp op, Numbers &result) {
    if (auto real = dyn_cast<FloatAttr>(op.getValue()))
      result.data[0] = real.getValueAsDouble();
    else if (auto truth = dyn_cast<BoolAttr>(op.getValue()))
      result.data[0] = truth.getValue();
    else
      result.data[0] = static_cast<double>(cast<IntegerAttr>(op.getValue()).getInt());
    return success();
  }

  static LogicalResult ofReduce(nn::ReduceOp op, const Numbers &x, Numbers &result) {
    if (op.getOverExamples())
      return failure();
    const bool sums = op.getKind() == "sum", highest = op.getKind() == "max";
    const double infinity = std::numeric_limits<double>::infinity();
    std::fill(result.data.begin(), result.data.end(), sums ? 0 : highest ? -infinity : infinity);
    SmallVector<bool> reduced(x.shape.size(), false);
    for (int64_t axis : op.getAxes())
      reduced[axis < 0 ? axis + x.shape.size() : axis] = true;
    SmallVector<int64_t> strides(x.shape.size(), 0);
    int64_t stride = 1;
    for (size_t axis = x.shape.size(); axis-- > 0;)
      if (!reduced[axis]) {
        strides[axis] = stride;
        stride *= x.shape[axis];
      }
    const double *in = x.data.data();
    walk(x.shape, {strides}, [&](ArrayRef<int64_t> at) {
      double &sum = result.data[at[0]];
      sum = sums ? sum + *in : highest ? std::max(sum, *in) : std::min(sum, *in);
      ++in;
    });
    return success();
  }

  static LogicalResult ofContract(nn::ContractOp op, const Numbers &x, const Numbers &y, Numbers &result) {
    if (op.getOverExamples())
      return failure();
    auto [inputs, out] = op.getEquation().split("->");
    auto [first, second] = inputs.split(',');
    std::string letters = out.str(); // those of the result, then those that are summed over
    for (char letter : (first + second).str())
      if (letters.find(letter) == std::string::npos)
        letters += letter;
    SmallVector<int64_t> shape(letters.size(), 1);
    SmallVector<SmallVector<int64_t>> strides;
    for (auto [word, numbers] : {std::pair<StringRef, const Numbers *>(first, &x), {second, &y}, {out, &result}}) {
      SmallVector<int64_t> &own = strides.emplace_back(letters.size(), 0);
      int64_t stride = 1;
      for (size_t axis = word.size(); axis-- > 0;) {
        const size_t letter = letters.find(word[axis]);
        shape[letter] = numbers->shape[axis];
        own[letter] = stride;
        stride *= numbers->shape[axis];
      }
    }
    walk(shape, strides, [&](ArrayRef<int64_t> at) { result.data[at[2]] += x.data[at[0]] * y.data[at[1]]; });
    return success();
  }

  static LogicalResult ofRepeat(nn::RepeatOp op, const Numbers &x, Numbers &result) {
    const int64_t behind = elementsOf(ArrayRef(x.shape).drop_front(op.getAxis() + 1)), times = op.getTimes();
    for (auto [place, number] : llvm::enumerate(result.data))
      number = x.data[static_cast<int64_t>(place) / behind / times * behind + static_cast<int64_t>(place) % behind];
    return success();
  }

  ArrayRef<int64_t> lengths;
  const Numbers &random;
};
} // namespace

Numbers Numbers::of(SmallVector<int64_t> shape) {
  const int64_t count = elementsOf(shape);
  return {std::move(shape), std::vector<double>(count, 0)};
}

SmallVector<int64_t> mlir::plan::shapeOf(nn::NNType type, ArrayRef<int64_t> lengths) {
  return llvm::map_to_vector(type.getDims(), [&](nn::Dim dim) { return dim.constant + (dim.scale ? dim.scale * lengths[dim.sequence] : 0); });
}

FailureOr<SmallVector<Numbers>> mlir::plan::evaluate(Block &body, ArrayRef<Numbers> given, const Numbers &random, ArrayRef<int64_t> lengths) {
  Evaluation evaluation(lengths, random);
  for (auto [argument, numbers] : llvm::zip_equal(body.getArguments(), given))
    evaluation.known[argument] = numbers;
  for (Operation &op : body.without_terminator())
    if (failed(evaluation.run(op)))
      return failure();
  return llvm::map_to_vector(body.getTerminator()->getOperands(), [&](Value value) { return evaluation.known.lookup(value); });
}
