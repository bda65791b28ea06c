// Attention: a step of LibTorch's attention, where it is done by products, against automatic differentiation of its definition in fp64: texts of several lengths, heads that
// share keys, keys that stand before a text, windows; what it drops, which is read off values of one number each, is the same on the way back; steps that cannot be.
#include "runtime/plan/AttentionSteps.h"
#include "tests/runtime/Expect.h"
#include <ATen/ATen.h>
#include <limits>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/generated/variable_factories.h>

using namespace peftrt;
using namespace peftrt::plan;

namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kSize = 16, kBefore = 3;
constexpr double kRounding = 1.0 / 128; ///< of a result in bf16, and of what backward reads of one

/// Values 0 … 9: q, k, v, context, lse, what was drawn by, the context's gradient, and the gradients of q, k and v.
struct Subject {
  explicit Subject(const nlohmann::json &attributes, std::vector<int64_t> lengths = {13, 1, 6}) : drops(attributes.contains("dropout")) {
    size.lengths = size.rooms = {lengths};
    size.tokens = {0}, size.squares = {0};
    for (const int64_t length : lengths)
      size.tokens[0] += length;
    const Dim rows{0, 1, 0}, keys{kBefore, 1, 0};
    for (const Dim &dim : {rows, keys, keys, rows})
      program.values.push_back({ValueType::bf16, true, {dim, {dim == keys ? kKvHeads : kHeads}, {kSize}}});
    program.values.push_back({ValueType::f32, true, {rows, {kHeads}}});
    program.values.push_back({ValueType::i64, false, {{2}}});
    for (const Dim &dim : {rows, rows, keys, keys})
      program.values.push_back({ValueType::bf16, true, {dim, {dim == keys ? kKvHeads : kHeads}, {kSize}}});
    forward = {"attention", {0, 1, 2}, {3, 4}, attributes, ""}, backward = {"attention_backward", {6, 0, 1, 2, 3, 4}, {7, 8, 9}, attributes, ""};
    if (drops)
      forward.out.push_back(5), backward.in.push_back(5);
    at::manual_seed(5);
    for (const Value &value : program.values)
      values.push_back(drawn(value));
  }

  Packed drawn(const Value &value) const {
    if (!value.perExample)
      return {&value, Layout::run, at::zeros({2}, at::kLong)};
    std::vector<int64_t> shape = {size.rowsOf(value.dims[0])};
    for (size_t axis = 1; axis < value.dims.size(); ++axis)
      shape.push_back(value.dims[axis].c);
    return {&value, Layout::leading, at::randn(shape).to(value.type == ValueType::bf16 ? at::kBFloat16 : at::kFloat)};
  }
  void run(const Op &op, const RandomState &random = {}) {
    const std::shared_ptr<Device> cpu = makeCpuDevice();
    RowStarts starts(*cpu);
    attend(attentionStepOf(op, program), op, values, size, random, starts);
  }
  at::Tensor &tensor(size_t value) { return values[value].tensor; }

  bool drops;
  Program program;
  Op forward, backward;
  BatchSize size;
  std::vector<Packed> values;
};

void expectClose(const at::Tensor &ours, const at::Tensor &truth) {
  const double apart = (ours.to(at::kDouble) - truth).abs().max().item<double>(), most = truth.abs().max().item<double>();
  if (apart > kRounding * most) {
    std::fprintf(stderr, "%g apart, of %g\n", apart, most);
    std::exit(1);
  }
}

/// One example's rows as [heads, rows, size].
at::Tensor matrices(const at::Tensor &value, int64_t begin, int64_t rows) { return value.narrow(0, begin, rows).transpose(0, 1); }

at::Tensor sharesOf(const at::Tensor &q, const at::Tensor &k, const nlohmann::json &attributes) {
  at::Tensor scores = at::matmul(q, k.transpose(1, 2)) * attributes.at("scale").get<double>();
  const at::Tensor distance = at::arange(k.size(1)).unsqueeze(0) - at::arange(q.size(1)).unsqueeze(1) - (k.size(1) - q.size(1));
  for (auto [name, sign] : {std::pair("right", 1), {"left", -1}})
    if (attributes.contains(name))
      scores = scores.masked_fill((distance * sign).gt(attributes[name].get<int64_t>()), -std::numeric_limits<double>::infinity());
  return at::softmax(scores, -1);
}

/// `left`: of each example, what of [heads, rows, keys] is left; none where nothing is dropped.
void testAgainstDefinition(Subject &subject, const std::vector<at::Tensor> &left) {
  std::vector<at::Tensor> leaves;
  for (const size_t value : {0, 1, 2})
    leaves.push_back(subject.tensor(value).to(at::kDouble).detach().requires_grad_(true));
  std::vector<at::Tensor> contexts;
  int64_t row = 0, key = 0;
  for (size_t example = 0; example < subject.size.lengths[0].size(); ++example) {
    const int64_t rows = subject.size.lengths[0][example], keys = rows + kBefore;
    const at::Tensor k = matrices(leaves[1], key, keys).repeat_interleave(kHeads / kKvHeads, 0), v = matrices(leaves[2], key, keys).repeat_interleave(kHeads / kKvHeads, 0);
    at::Tensor shares = sharesOf(matrices(leaves[0], row, rows), k, subject.forward.attrs);
    if (!left.empty())
      shares = shares * left[example];
    contexts.push_back(at::matmul(shares, v).transpose(0, 1));
    row += rows, key += keys;
  }
  const at::Tensor context = at::cat(contexts);
  expectClose(subject.tensor(3), context.detach());
  const std::vector<at::Tensor> gradients = torch::autograd::grad({context}, leaves, {subject.tensor(6).to(at::kDouble)});
  for (size_t which = 0; which < 3; ++which)
    expectClose(subject.tensor(7 + which), gradients[which]);
}

void testMasks() {
  for (const nlohmann::json &attributes : {nlohmann::json{{"scale", 0.25}}, {{"scale", 1.0}, {"right", 0}}, {{"scale", 0.5}, {"left", 4}, {"right", 0}}, {{"scale", 0.25}, {"left", 2}, {"right", 1}}}) {
    Subject subject(attributes);
    subject.run(subject.forward);
    subject.run(subject.backward);
    testAgainstDefinition(subject, {});
  }
}

void testDropout() {
  Subject subject(nlohmann::json{{"scale", 0.25}, {"right", 0}, {"dropout", 0.25}, {"site", 7}});
  const at::Tensor v = subject.tensor(2).clone();
  int64_t row = 0, key = 0, zeros = 0, all = 0;
  std::vector<at::Tensor> left;
  subject.tensor(2).zero_();
  for (const int64_t rows : subject.size.lengths[0]) { // key j of an example gives a context its number j
    for (int64_t j = 0; j < rows + kBefore; ++j)
      subject.tensor(2).select(0, key + j).select(1, j).fill_(1);
    key += rows + kBefore;
  }
  const RandomState random{3, 11, 0};
  subject.run(subject.forward, random);
  const at::Tensor context = subject.tensor(3).clone();
  for (const int64_t rows : subject.size.lengths[0]) {
    const at::Tensor seen = matrices(context, row, rows).narrow(2, 0, rows + kBefore).gt(0);
    left.push_back(seen.to(at::kDouble) / 0.75);
    const at::Tensor visible = at::ones({rows, rows + kBefore}, at::kBool).tril(kBefore);
    zeros += (visible & ~seen).sum().item<int64_t>(), all += kHeads * visible.sum().item<int64_t>();
    row += rows;
  }
  EXPECT(zeros > all / 8 && zeros < 3 * all / 8);
  subject.run(subject.forward, random);
  EXPECT(at::equal(subject.tensor(3), context)); // the same step
  subject.run(subject.forward, {3, 11, 1});
  EXPECT(!at::equal(subject.tensor(3), context)); // another pass of it
  subject.tensor(2).copy_(v);
  subject.run(subject.forward, random);
  subject.run(subject.backward, {}); // which has what it needs
  testAgainstDefinition(subject, left);
}

void testRefused() {
  const Subject good(nlohmann::json{{"scale", 0.25}});
  Program program = good.program;
  EXPECT_ERROR("R0102", "another form", attentionStepOf({"attention", {0, 1, 2}, {3, 4}, nlohmann::json::object(), ""}, program));
  EXPECT_ERROR("R0102", "operands or results", attentionStepOf({"attention", {0, 1, 2}, {3}, good.forward.attrs, ""}, program));
  EXPECT_ERROR("R0102", "operands or results", attentionStepOf({"attention", {0, 1, 2}, {3, 4}, {{"scale", 1}, {"dropout", 0.5}, {"site", 1}}, ""}, program));
  EXPECT_ERROR("R0102", "with a probability", attentionStepOf({"attention", {0, 1, 2}, {3, 4, 5}, {{"scale", 1}, {"dropout", 1.0}, {"site", 1}}, ""}, program));
  program.values[1].dims[1] = {3};
  EXPECT_ERROR("R0102", "rows of heads", attentionStepOf(good.forward, program));
  Subject growing(nlohmann::json{{"scale", 0.25}}, {3});
  growing.size.rooms = {{5}};
  EXPECT_ERROR("R0102", "grows", growing.run(growing.forward));
}

} // namespace

int main() {
  testMasks();
  testDropout();
  testRefused();
}
