// ContractSteps: contractions as matrix products on the packed batch.
//
// A contraction is A [batch, left, sum] times B [batch, sum, right]. Operands of single examples get the examples as one more
// batch letter; operands that lead with the ragged axis are one matrix of all tokens, also where `over_examples` sums them;
// the rest (attention) is one product an example.
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Equation.h"
#include "runtime/plan/Packed.h"
#include "runtime/plan/ProductSteps.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace peftrt::plan {
namespace {

Equation equationOf(const Step &step, const char *attribute) {
  const std::string text = step.op.attrs.at(attribute);
  const auto equation = equationFrom(text);
  if (!equation)
    failBundle(where(step) + ": the equation `" + text + "`");
  return *equation;
}

/// The operand with its axes in the order of `letters`.
at::Tensor ordered(const at::Tensor &tensor, const std::string &axes, const std::string &letters) {
  if (axes == letters)
    return tensor;
  std::vector<int64_t> perm;
  for (const char letter : letters)
    perm.push_back(axes.find(letter));
  return tensor.permute(perm);
}

/// Sums over letters that are in neither the other operand nor the result.
at::Tensor withoutLonely(const at::Tensor &tensor, std::string &axes, const std::string &other, const std::string &out) {
  std::vector<int64_t> lonely;
  for (size_t axis = 0; axis < axes.size(); ++axis)
    if (!has(other, axes[axis]) && !has(out, axes[axis]))
      lonely.push_back(axis);
  if (lonely.empty())
    return tensor;
  axes = lettersOf(axes, [&](char letter) { return has(other, letter) || has(out, letter); });
  return tensor.sum(lonely);
}

struct Groups {
  std::string batch, left, right, sum;
};

int64_t extent(const at::Tensor &tensor, const std::string &axes, const std::string &letters) {
  int64_t elements = 1;
  for (const char letter : letters)
    elements *= tensor.size(axes.find(letter));
  return elements;
}

/// Without summed letters or without matrices there is nothing for a matrix product to do.
bool multiplyElements(at::Tensor &out, const Equation &equation, const at::Tensor &x, const at::Tensor &y, const Groups &groups) {
  if (!groups.sum.empty() && (groups.batch.empty() || !groups.left.empty() || !groups.right.empty()))
    return false;
  const auto padded = [&](const at::Tensor &tensor, const std::string &axes, const std::string &to) {
    at::Tensor view = ordered(tensor, axes, lettersOf(to, [&](char letter) { return has(axes, letter); }));
    for (size_t axis = 0; axis < to.size(); ++axis)
      if (!has(axes, to[axis]))
        view = view.unsqueeze(axis);
    return view;
  };
  const std::string letters = equation.out + groups.sum;
  const at::Tensor left = padded(x, equation.x, letters), right = padded(y, equation.y, letters);
  if (groups.sum.empty()) {
    at::mul_out(out, left, right);
    return true;
  }
  std::vector<int64_t> axes;
  for (size_t axis = equation.out.size(); axis < letters.size(); ++axis)
    axes.push_back(axis);
  at::sum_out(out, left * right, axes);
  return true;
}

/// Who does a product that is one matrix product, and what is known of its operands.
struct Means {
  Products *products = nullptr; ///< which has room for one product at a time; null: on one of several threads, LibTorch
  bool xIsConstant = false, yIsConstant = false;
};

/// `sum`, if defined, is added to a product that is one matrix product; it may be `out`.
void contractDense(at::Tensor out, Equation equation, at::Tensor x, at::Tensor y, const Means &means, const at::Tensor &sum = {}) {
  x = withoutLonely(x, equation.x, equation.y, equation.out);
  y = withoutLonely(y, equation.y, equation.x, equation.out);
  const auto &[a, b, o] = equation;
  const Groups groups{lettersOf(o, [&](char letter) { return has(a, letter) && has(b, letter); }), lettersOf(o, [&](char letter) { return has(a, letter) && !has(b, letter); }),
                      lettersOf(o, [&](char letter) { return !has(a, letter) && has(b, letter); }), lettersOf(a, [&](char letter) { return has(b, letter) && !has(o, letter); })};
  if (!sum.defined() && multiplyElements(out, equation, x, y, groups))
    return;
  const int64_t batch = extent(x, a, groups.batch), rows = extent(x, a, groups.left), columns = extent(y, b, groups.right), depth = extent(x, a, groups.sum);
  const at::Tensor left = ordered(x, a, groups.batch + groups.left + groups.sum).reshape({batch, rows, depth});
  const at::Tensor right = ordered(y, b, groups.batch + groups.sum + groups.right).reshape({batch, depth, columns});
  const bool straight = o == groups.batch + groups.left + groups.right, turned = o == groups.batch + groups.right + groups.left;
  if (means.products && batch == 1 && (straight || turned)) {
    const std::vector<int64_t> shape = straight ? std::vector<int64_t>{rows, columns} : std::vector<int64_t>{columns, rows};
    at::Tensor view = out.view(shape);
    const at::Tensor first = straight ? left[0] : right[0].t(), second = straight ? right[0] : left[0].t();
    means.products->multiply(view, {first, second, straight ? means.yIsConstant : means.xIsConstant}, sum.defined() ? sum.view(shape) : sum);
  } else if (sum.defined()) {
    failBundle("a product that adds to another is no single matrix product");
  } else if (straight || turned) {
    at::Tensor view = out.view(straight ? std::vector<int64_t>{batch, rows, columns} : std::vector<int64_t>{batch, columns, rows});
    straight ? at::bmm_out(view, left, right) : at::bmm_out(view, right.transpose(1, 2), left.transpose(1, 2));
  } else {
    at::Tensor target = ordered(out, o, groups.batch + groups.left + groups.right);
    target.copy_(at::bmm(left, right).view(target.sizes()));
  }
}

/// Whether every operand that varies leads with one and the same ragged axis, and the result leads with it or sums over it.
bool isOneMatrix(const Step &step, const Equation &equation) {
  char letter = 0;
  Dim rows;
  const std::string *axes[] = {&equation.x, &equation.y};
  for (int operand = 0; operand < 2; ++operand) {
    const Packed &packed = step.in[operand];
    if (packed.layout == Layout::run)
      continue;
    if (packed.layout != Layout::leading)
      return false;
    const char first = axes[operand]->front();
    if (letter && (letter != first || !(rows == packed.type->dims[0])))
      return false;
    letter = first;
    rows = packed.type->dims[0];
  }
  if (!letter)
    return false;
  if (step.out.layout == Layout::leading)
    return equation.out.front() == letter;
  return step.out.layout == Layout::run && !has(equation.out, letter);
}

/// The first two operands' product, added to `sum` if that is defined.
void contractPair(Step &step, Equation equation, const at::Tensor &sum) {
  const auto isDense = [](const Packed &packed) { return packed.layout == Layout::run || packed.layout == Layout::example; };
  const at::Tensor &x = step.in[0].tensor, &y = step.in[1].tensor;
  const Means means{&step.context.products, step.in[0].isConstant, step.in[1].isConstant};
  if (isDense(step.in[0]) && isDense(step.in[1])) {
    const auto name = [](std::string &axes, const Packed &packed) {
      if (packed.layout == Layout::example)
        axes.insert(axes.begin(), kExamples);
    };
    name(equation.x, step.in[0]);
    name(equation.y, step.in[1]);
    name(equation.out, step.out);
    contractDense(step.out.tensor, equation, x, y, means, sum);
  } else if (isOneMatrix(step, equation)) {
    contractDense(step.out.tensor, equation, x, y, means, sum);
  } else if (step.overExamples()) {
    sumOverExamples(step, [&](const std::vector<at::Tensor> &in, int64_t) {
      at::Tensor part = at::empty_like(step.out.tensor);
      contractDense(part, equation, in[0], in[1], {&step.context.products});
      return part;
    });
  } else {
    forEachExample(step, [&](at::Tensor &out, const std::vector<at::Tensor> &in, int64_t) { contractDense(out, equation, in[0], in[1], {}); });
  }
}

void contract(Step &step) {
  contractPair(step, equationOf(step, "equation"), addendOf(step.op) ? step.in.back().tensor : at::Tensor());
  if (step.op.attrs.contains("alpha"))
    step.out.tensor.mul_(step.op.attrs.at("alpha").get<double>());
  if (!hasBranch(step.op))
    return;
  Step branch{step.op, {step.in[2], step.in[3]}, step.out, step.context};
  contractPair(branch, equationOf(step, "branch"), step.out.tensor);
}

} // namespace

Handlers contractSteps() { return {{"contract", contract}}; }

} // namespace peftrt::plan
