// AttentionSteps: see the header.
#include "runtime/plan/AttentionSteps.h"
#include "runtime/bundle/Errors.h"
#include "runtime/cpu/Philox.h"
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <algorithm>
#include <limits>

namespace peftrt::plan {
namespace {

constexpr size_t kForward[] = {3, 2}, kBackward[] = {6, 3}; ///< operands, results; one more of the forward pass where it drops

struct Operands {
  at::Tensor gradient, q, k, v, context, lse, drawn; ///< forward: the last three are written
};

/// [heads, rows of the batch], in its own order.
at::Tensor lseOf(const at::Tensor &value, const at::Tensor &q) { return value.view({-1}).narrow(0, 0, q.size(0) * q.size(1)).view({q.size(1), q.size(0)}); }

Operands operandsOf(const AttentionStep &step, const Op &op, const std::vector<Packed> &values) {
  const auto in = [&](size_t place) { return values[op.in[place]].tensor; };
  const auto out = [&](size_t place) { return values[op.out[place]].tensor; };
  const bool drops = step.dropout > 0;
  if (!step.isBackward)
    return {{}, in(0), in(1), in(2), out(0), lseOf(out(1), in(0)), drops ? out(2) : at::Tensor()};
  return {in(0), in(1), in(2), in(3), in(4), lseOf(in(5), in(1)), drops ? in(6) : at::Tensor()};
}

/// What the library draws by for this step of the run.
uint64_t seedOf(const AttentionStep &step, const RandomState &random) {
  const auto low = [](auto number) { return static_cast<uint32_t>(number); };
  const std::array<uint32_t, 4> block = philox({step.site, low(random.step), low(random.step >> 32), low(random.pass)}, {low(random.seed), low(random.seed >> 32)});
  return static_cast<uint64_t>(block[0]) << 32 | block[1];
}

// ---- LibTorch's ----------------------------------------------------------------------------------------------------

struct Ranges {
  const RowStarts::Rows &rows, &keys;
  bool isCausal; ///< as LibTorch has it: the last row's place is the last key
};

/// The device's own generator, from its begin on: it draws for nothing else.
void beginDrawing(uint64_t seed, c10::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard<std::mutex> held(generator.mutex());
  generator.set_current_seed(seed);
}

std::vector<at::Tensor> flashForward(const AttentionStep &step, const Operands &of, const Ranges &ranges, const RandomState &random) {
  if (step.dropout > 0)
    beginDrawing(seedOf(step, random), of.q.device());
  auto [context, lse, drawn, unused, mask] = at::_flash_attention_forward(of.q, of.k, of.v, ranges.rows.starts, ranges.keys.starts, ranges.rows.longest, ranges.keys.longest, step.dropout, ranges.isCausal,
                                                                          /*return_debug_mask=*/false, step.scale, step.left, step.right);
  if (step.dropout > 0)
    return {context, lse, drawn.view(at::kLong)};
  return {context, lse};
}

std::vector<at::Tensor> flashBackward(const AttentionStep &step, const Operands &of, const Ranges &ranges) {
  const at::Tensor unused = at::empty({0}, of.lse.options()), drawn = step.dropout > 0 ? of.drawn.view(at::kUInt64) : unused;
  auto [q, k, v] = at::_flash_attention_backward(of.gradient, of.q, of.k, of.v, of.context, of.lse, ranges.rows.starts, ranges.keys.starts, ranges.rows.longest, ranges.keys.longest, step.dropout,
                                                 ranges.isCausal, drawn, unused, step.scale, step.left, step.right);
  return {q, k, v};
}

// ---- by products ---------------------------------------------------------------------------------------------------

/// An example's rows [rows, heads, size] as f32 [heads, rows, size].
at::Tensor matricesOf(const at::Tensor &value, int64_t begin, int64_t rows) { return value.narrow(0, begin, rows).to(at::kFloat).transpose(0, 1); }
/// The same for a tensor [heads, rows], as [heads, rows, 1].
at::Tensor numbersOf(const at::Tensor &value, int64_t begin, int64_t rows) { return value.narrow(1, begin, rows).unsqueeze(-1); }
void put(const at::Tensor &matrices, const at::Tensor &to, int64_t begin) { at::Tensor(to.narrow(0, begin, matrices.size(1))).copy_(matrices.transpose(0, 1)); }

/// -inf where a row does not see a key: [rows, keys].
at::Tensor hiddenOf(const AttentionStep &step, int64_t rows, int64_t keys) {
  const at::Tensor distance = at::arange(keys).unsqueeze(0) - (at::arange(rows).unsqueeze(1) + (keys - rows));
  at::Tensor hidden = at::zeros({rows, keys});
  if (step.right)
    hidden.masked_fill_(distance.gt(*step.right), -std::numeric_limits<float>::infinity());
  if (step.left)
    hidden.masked_fill_(distance.lt(-*step.left), -std::numeric_limits<float>::infinity());
  return hidden;
}

/// One example.
class ByProducts {
public:
  ByProducts(const AttentionStep &step, const Operands &of, int64_t row, int64_t rows, int64_t key, int64_t keys, const at::Generator &random)
      : step_(step), of_(of), row_(row), rows_(rows), key_(key), keys_(keys), sharing_(of.q.size(1) / of.k.size(1)) {
    q_ = matricesOf(of.q, row, rows), k_ = shared(of.k), v_ = shared(of.v);
    scores_ = at::bmm(q_, k_.transpose(1, 2)).mul_(step.scale).add_(hiddenOf(step, rows, keys));
    left_ = step.dropout > 0 ? at::rand(scores_.sizes(), random).ge(step.dropout).to(at::kFloat).div_(1 - step.dropout) : at::ones_like(scores_);
  }
  void forward() const {
    const at::Tensor lse = at::logsumexp(scores_, -1, /*keepdim=*/true);
    numbersOf(of_.lse, row_, rows_).copy_(lse);
    put(at::bmm(at::exp(scores_ - lse).mul_(left_), v_), of_.context, row_);
  }
  void backward(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) const {
    const at::Tensor gradient = matricesOf(of_.gradient, row_, rows_), seen = at::exp(scores_ - numbersOf(of_.lse, row_, rows_));
    const at::Tensor all = (gradient * matricesOf(of_.context, row_, rows_)).sum(-1, /*keepdim=*/true);
    const at::Tensor scores = seen * (at::bmm(gradient, v_.transpose(1, 2)).mul_(left_) - all) * step_.scale;
    put(at::bmm(scores, k_), q, row_);
    put(summed(at::bmm(scores.transpose(1, 2), q_)), k, key_);
    put(summed(at::bmm((seen * left_).transpose(1, 2), gradient)), v, key_);
  }

private:
  at::Tensor shared(const at::Tensor &value) const { return matricesOf(value, key_, keys_).repeat_interleave(sharing_, 0); }
  at::Tensor summed(const at::Tensor &value) const { return value.view({value.size(0) / sharing_, sharing_, value.size(1), value.size(2)}).sum(1); }

  const AttentionStep &step_;
  const Operands &of_;
  int64_t row_, rows_, key_, keys_, sharing_;
  at::Tensor q_, k_, v_, scores_, left_;
};

void attendByProducts(const AttentionStep &step, const Op &op, const Operands &of, const std::vector<Packed> &values, const BatchSize &size, const RandomState &state) {
  if (step.dropout > 0 && !step.isBackward)
    at::Tensor(of.drawn).fill_(static_cast<int64_t>(seedOf(step, state)));
  const at::Generator random = at::make_generator<at::CPUGeneratorImpl>(step.dropout > 0 ? static_cast<uint64_t>(of.drawn.data_ptr<int64_t>()[0]) : 0);
  int64_t row = 0, key = 0;
  for (int64_t example = 0; example < size.examples(); ++example) {
    const int64_t rows = step.rows.at(size.rooms, example), keys = step.keys.at(size.rooms, example);
    if (rows > 0 && keys > 0) {
      const ByProducts one(step, of, row, rows, key, keys, random);
      if (step.isBackward)
        one.backward(values[op.out[0]].tensor, values[op.out[1]].tensor, values[op.out[2]].tensor);
      else
        one.forward();
    }
    row += rows, key += keys;
  }
}

} // namespace

AttentionStep attentionStepOf(const Op &op, const Program &program) {
  AttentionStep step;
  step.isBackward = op.op == "attention_backward";
  const auto &[operands, results] = step.isBackward ? kBackward : kForward;
  const size_t drops = op.attrs.contains("dropout");
  if (op.in.size() != operands + (step.isBackward ? drops : 0) || op.out.size() != results + (step.isBackward ? 0 : drops))
    failBundle("an attention step has another number of operands or results than it should");
  const Value &q = program.values[op.in[step.isBackward ? 1 : 0]], &k = program.values[op.in[step.isBackward ? 2 : 1]];
  const auto isRows = [](const Value &value) { return value.perExample && value.type == ValueType::bf16 && value.dims.size() == 3 && value.dims[0].ragged() && layoutOf(value) == Layout::leading; };
  if (!isRows(q) || !isRows(k) || k.dims[1].c == 0 || q.dims[1].c % k.dims[1].c != 0 || q.dims[2] != k.dims[2])
    failBundle("an attention step is not of rows of heads in bf16");
  try {
    step.scale = op.attrs.at("scale");
    if (drops)
      step.dropout = op.attrs["dropout"], step.site = op.attrs.at("site");
    if (step.dropout < 0 || step.dropout >= 1)
      failBundle("an attention step drops with a probability of " + std::to_string(step.dropout));
    for (auto [name, bound] : {std::pair("left", &step.left), {"right", &step.right}})
      if (op.attrs.contains(name))
        *bound = op.attrs[name].get<int64_t>();
  } catch (const nlohmann::json::exception &error) {
    failBundle("an attention step lacks something or has it in another form: " + std::string(error.what()));
  }
  step.rows = q.dims[0], step.keys = k.dims[0];
  return step;
}

const RowStarts::Rows &RowStarts::of(const Dim &rows, const BatchSize &size) {
  const Key key{rows.c, rows.k, rows.sequence};
  Rows &made = known_[key];
  if (made.starts.defined())
    return made;
  const std::vector<int64_t> offsets = blockOffsets({ValueType::i64, true, {rows}}, size);
  if (offsets.back() > std::numeric_limits<int32_t>::max())
    failBundle("a batch has more rows than LibTorch's attention can count");
  for (size_t example = 1; example < offsets.size(); ++example)
    made.longest = std::max(made.longest, offsets[example] - offsets[example - 1]);
  made.starts = device_.here(at::tensor(offsets, at::kInt), rooms_[key]);
  return made;
}

void attend(const AttentionStep &step, const Op &op, std::vector<Packed> &values, const BatchSize &size, const RandomState &random, RowStarts &starts) {
  if (!step.right && size.rooms != size.lengths)
    failBundle("an attention step sees keys behind a text that grows");
  const Operands of = operandsOf(step, op, values);
  if (of.q.is_cpu())
    return attendByProducts(step, op, of, values, size, random);
  const Ranges ranges{starts.of(step.rows, size), starts.of(step.keys, size), !step.left && step.right == 0};
  const std::vector<at::Tensor> made = step.isBackward ? flashBackward(step, of, ranges) : flashForward(step, of, ranges, random);
  for (size_t place = 0; place < made.size(); ++place)
    (!step.isBackward && place == 1 ? of.lse : values[op.out[place]].tensor).copy_(made[place]);
}

} // namespace peftrt::plan
