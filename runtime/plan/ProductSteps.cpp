// ProductSteps: see the header.
#include "runtime/plan/ProductSteps.h"
#include "runtime/plan/Equation.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <map>

namespace peftrt::plan {
namespace {

/// A packed value's axes: their letters, the ragged one if it leads, and how long they are.
struct Axes {
  std::string letters;
  char ragged = 0;
};

class Reader {
public:
  /// Of the operands `first` and the one behind it.
  Reader(const Op &op, const Program &program, size_t first) : op_(op), program_(program), first_(first) {}

  std::optional<ProductStep> step(const std::string &attribute) {
    if (!op_.attrs.contains(attribute) || program_.flat)
      return std::nullopt;
    const auto equation = equationFrom(op_.attrs.at(attribute));
    if (!equation)
      return std::nullopt;
    const auto x = axesOf(equation->x, op_.in[first_]), y = axesOf(equation->y, op_.in[first_ + 1]), out = axesOf(equation->out, op_.out[0]);
    if (!x || !y || !out || conflict_ || (x->ragged && y->ragged && x->ragged != y->ragged))
      return std::nullopt;
    return split(x->letters, y->letters, out->letters, x->ragged ? x->ragged : y->ragged);
  }

private:
  std::optional<Axes> axesOf(const std::string &letters, int64_t index) {
    const Value &value = program_.values[index];
    Axes axes{letters, 0};
    const Layout layout = layoutOf(value);
    if (layout == Layout::ragged || letters.size() != value.dims.size())
      return std::nullopt;
    for (size_t axis = 0; axis < letters.size(); ++axis) {
      const Dim &dim = value.dims[axis];
      const bool leads = layout == Layout::leading && axis == 0;
      if (leads)
        axes.ragged = letters[0];
      note(letters[axis], leads ? Extent{0, dim.c, dim.k, dim.sequence} : Extent{dim.c, 0, 0});
    }
    if (layout == Layout::example) {
      axes.letters.insert(axes.letters.begin(), kExamples);
      note(kExamples, {0, 1, 0});
    }
    return axes;
  }

  void note(char letter, Extent extent) {
    const auto [found, isNew] = extents_.emplace(letter, extent);
    conflict_ |= !isNew && (found->second.c != extent.c || found->second.e != extent.e || found->second.t != extent.t || found->second.sequence != extent.sequence);
  }

  /// At most one of the letters grows with the batch.
  Extent extentOf(const std::string &letters) const {
    Extent product{1, 0, 0};
    for (const char letter : letters) {
      const Extent &one = extents_.at(letter);
      product = one.c ? Extent{product.c * one.c, product.e * one.c, product.t * one.c, product.sequence} : Extent{0, product.c * one.e, product.c * one.t, one.sequence};
    }
    return product;
  }

  std::optional<ProductStep> split(const std::string &x, const std::string &y, const std::string &out, char ragged) const {
    const auto in = [](const std::string &letters) { return [&letters](char letter) { return has(letters, letter); }; };
    const std::string left = lettersOf(out, in(x)), right = lettersOf(out, in(y)), sum = lettersOf(x, in(y));
    if (left.size() + right.size() != out.size() || sum.empty() || left.size() + sum.size() != x.size() || right.size() + sum.size() != y.size())
      return std::nullopt; // a batch of products, or a letter of one operand alone
    ProductStep step;
    const bool straight = out == left + right;
    if (!straight && out != right + left)
      return std::nullopt;
    const std::string &rows = straight ? left : right, &columns = straight ? right : left, &a = straight ? x : y, &b = straight ? y : x;
    step.a = first_ + (straight ? 0 : 1);
    step.b = first_ + (straight ? 1 : 0);
    step.aTurned = a != rows + sum;
    step.bTurned = b != sum + columns;
    if ((step.aTurned && a != sum + rows) || (step.bTurned && b != columns + sum))
      return std::nullopt;
    step.rows = extentOf(rows), step.depth = extentOf(sum), step.columns = extentOf(columns);
    step.byRows = ragged && rows.size() == 1 && rows[0] == ragged && !step.aTurned && !has(b, ragged) && !has(b, kExamples);
    return step;
  }

  const Op &op_;
  const Program &program_;
  const size_t first_;
  std::map<char, Extent> extents_;
  bool conflict_ = false;
};

} // namespace

std::optional<int64_t> addendOf(const Op &op) {
  const size_t factors = hasBranch(op) ? 4 : 2;
  return op.in.size() > factors ? std::optional(op.in[factors]) : std::nullopt;
}

std::optional<ProductStep> productStepOf(const Op &op, const Program &program) { return op.op == "contract" ? Reader(op, program, 0).step("equation") : std::nullopt; }
std::optional<ProductStep> branchStepOf(const Op &op, const Program &program) { return hasBranch(op) ? Reader(op, program, 2).step("branch") : std::nullopt; }

at::Tensor matrixAt(const void *data, bool isBf16, at::IntArrayRef sizes, at::IntArrayRef strides, c10::Device device) {
  const at::TensorOptions options = at::TensorOptions().dtype(isBf16 ? at::kBFloat16 : at::kFloat).device(device);
  return at::for_blob(const_cast<void *>(data), sizes).strides(strides).options(options).target_device(device).make_tensor();
}

products::Call callOf(const ProductStep &step, const Op &op, const std::vector<Packed> &values, const BatchSize &size) {
  const at::Tensor &a = values[op.in[step.a]].tensor, &b = values[op.in[step.b]].tensor, &c = values[op.out[0]].tensor;
  const int64_t rows = step.rows.at(size), depth = step.depth.at(size), columns = step.columns.at(size);
  const auto isBf16 = [](const at::Tensor &tensor) { return tensor.scalar_type() == at::kBFloat16; };
  products::Call call{};
  call.a = a.data_ptr(), call.b = b.data_ptr(), call.c = c.data_ptr();
  const auto next = [](const at::Tensor &tensor, int64_t dense) { // rows of a matrix may lie in a table, and so may one of every example
    const bool isOneOfEach = tensor.dim() == 3 && tensor.size(1) == 1;
    return tensor.dim() == 2 || isOneOfEach ? tensor.stride(0) : dense;
  };
  call.aRow = step.aTurned ? 1 : next(a, depth), call.aDepth = step.aTurned ? next(a, rows) : 1;
  call.bDepth = step.bTurned ? 1 : next(b, columns), call.bColumn = step.bTurned ? next(b, depth) : 1;
  call.cRow = next(c, columns), call.cColumn = 1;
  call.rows = rows, call.depth = depth, call.columns = columns;
  call.alpha = op.attrs.value("alpha", 1.0);
  call.aIsBf16 = isBf16(a), call.bIsBf16 = isBf16(b), call.cIsBf16 = isBf16(c);
  return call;
}

void takeRows(products::Call &call, int64_t first, int64_t last) {
  const auto skip = [&](auto *&data, int64_t row, bool isBf16) {
    if (data)
      data = static_cast<std::remove_reference_t<decltype(data)>>(const_cast<char *>(static_cast<const char *>(data)) + first * row * (isBf16 ? 2 : 4));
  };
  skip(call.a, call.aRow, call.aIsBf16);
  skip(call.branch.a, call.branch.aRow, call.aIsBf16);
  skip(call.c, call.cRow, call.cIsBf16);
  skip(call.sum, call.cRow, call.cIsBf16);
  call.rows = std::max<int64_t>(0, std::min(last, call.rows) - first);
}

} // namespace peftrt::plan
