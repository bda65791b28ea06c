// PlanExecutor: runs a plan's steps on planned buffers in one arena.
//
// In     the bundle's plan
// Out    results as views into the arena (or of a parameter or an input), valid until the next run
// Errs   R0102 a step that there is no handler for, a value that does not fit its slot, an input of another size
// Why an arena  nothing is allocated for a planned value; it grows only when a batch is larger than all before
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/Packed.h"
#include "runtime/plan/Profile.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cstring>

namespace peftrt {
namespace {

using namespace plan;

constexpr int64_t kAlignment = 64;

const Handlers &allHandlers() {
  static const Handlers table = [] {
    Handlers all;
    for (const Handlers &part : {sourceSteps(), elementwiseSteps(), reductionSteps(), contractSteps(), layoutSteps(), indexingSteps()})
      all.insert(part.begin(), part.end());
    return all;
  }();
  return table;
}

at::ScalarType dtypeOf(ValueType type) {
  switch (type) {
  case ValueType::f32:
    return at::kFloat;
  case ValueType::bf16:
    return at::kBFloat16;
  case ValueType::i64:
    return at::kLong;
  default:
    return at::kBool;
  }
}

/// Who does a step; nobody, where there is nothing to do.
struct Work {
  Handler handler = nullptr;
  std::optional<KernelStep> kernel;
  std::optional<ProductStep> product; ///< which its handler does too, slower
  bool isNothing() const { return !handler && !kernel; }
};

/// A plan's program, with what does not depend on the batch looked up once.
struct Prepared {
  PlanProgram plan;
  std::vector<Work> works;      ///< one per step
  std::vector<size_t> bandEnds; ///< one per step: behind the band that begins with it, or the step itself
};

Work workOf(const PlanProgram &plan, size_t index, const KernelLibrary &library) {
  Work work;
  const Op &op = plan.body.ops[index];
  const bool updates = plan.kinds[index] == "update";
  if (op.op == "kernel") {
    work.kernel = kernelStepOf(op, library);
    return work;
  }
  const Place &place = plan.places[op.out[0]];
  if (op.op == "param" || (place.alias >= 0 && !updates))
    return work;
  const auto found = allHandlers().find(op.op);
  if (found == allHandlers().end())
    failBundle("there is no op `" + op.op + "` (" + op.loc + ")");
  if (place.slot < 0 && !updates)
    failBundle("`" + plan.body.name + "`: the result of " + op.op + " at " + op.loc + " has no slot");
  work.handler = found->second;
  work.product = productStepOf(op, plan.body);
  return work;
}

/// Whether the step does its rows independently.
bool isByRows(const Work &work) {
  if (work.kernel)
    return work.kernel->space == KernelStep::Space::rows && work.kernel->example && work.kernel->tasks.k != 0;
  return work.isNothing() || (work.product && work.product->byRows);
}

Prepared prepare(PlanProgram plan, const KernelLibrary &library) {
  Prepared prepared{std::move(plan), {}, {}};
  const std::vector<Op> &ops = prepared.plan.body.ops;
  for (size_t index = 0; index < ops.size(); ++index)
    prepared.works.push_back(workOf(prepared.plan, index, library));
  for (size_t begin = 0; begin < ops.size(); ++begin) {
    const int64_t band = ops[begin].attrs.value("band", int64_t{-1});
    size_t end = begin + 1;
    while (band >= 0 && end < ops.size() && ops[end].attrs.value("band", int64_t{-1}) == band)
      ++end;
    const bool byRows = std::all_of(prepared.works.begin() + begin, prepared.works.begin() + end, isByRows);
    prepared.bandEnds.push_back(byRows ? end : begin + 1);
  }
  return prepared;
}

class PlanExecutor final : public Executor {
public:
  PlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options) : parameters_(parameters), options_(options), library_(bundle, options.cpuTarget), products_(options.cpuTarget, productChoiceOf(options.products)) {
    for (PlanProgram &program : planOf(bundle.plan)) {
      const std::string name = program.body.name;
      programs_.emplace(name, peftrt::prepare(std::move(program), library_));
    }
  }

  MemoryUse memory() const override { return {arena_.defined() ? arena_.numel() : 0, kernels_.scratchBytes() + products_.scratchBytes(), products_.constantBytes()}; }

  std::string profile() const override { return profile_.table(); }

  Results run(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) override {
    const c10::InferenceMode noAutograd;
    const auto found = programs_.find(name);
    if (found == programs_.end())
      failBundle("there is no program `" + name + "`");
    const Prepared &prepared = found->second;
    const Program &program = prepared.plan.body;
    const BatchSize size = sizeOf(program, batch, tensors);
    const std::vector<int64_t> offsets = placeSlots(prepared.plan, size);
    RunContext context(size, random, parameters_, products_);
    std::vector<Packed> values(program.values.size());
    for (const NamedValue &input : program.inputs)
      values[input.value] = pack(program.values[input.value], inputOf(program, input, batch, tensors, size), size);
    kernels_.begin(size, random);
    profile_.start();
    for (size_t index = 0; index < program.ops.size(); ++index) {
      const size_t end = options_.profile ? index + 1 : prepared.bandEnds[index]; // a table of steps needs them one by one
      if (end > index + 1 && runBand(prepared, index, end, values, offsets, size)) {
        index = end - 1;
        continue;
      }
      const Op &op = program.ops[index];
      for (const int64_t result : op.out)
        values[result] = place(prepared.plan, op, result, values, offsets, size);
      run(prepared.works[index], op, values, context);
      if (options_.profile)
        profile_.add(program, op);
    }
    Results results;
    for (const NamedValue &result : program.results)
      results[result.name] = values[result.value].tensor.dim() > 1 && values[result.value].layout == Layout::leading ? values[result.value].flat() : values[result.value].tensor;
    return results;
  }

private:
  static int64_t bytesOf(const Value &value, const BatchSize &size) { return elementsOf(value, size) * widthOf(value.type); }

  /// Where each slot begins, and the end. Grows the arena.
  std::vector<int64_t> placeSlots(const PlanProgram &plan, const BatchSize &size) {
    std::vector<int64_t> bytes;
    for (const SlotSize &slot : plan.slots)
      bytes.push_back(slot.c + slot.e * size.examples() + slot.t * size.tokens + slot.q * size.squares);
    if (size.flat) // its slots are written for vectors of one element
      for (size_t value = 0; value < plan.places.size(); ++value)
        if (plan.places[value].slot >= 0)
          bytes[plan.places[value].slot] = std::max(bytes[plan.places[value].slot], bytesOf(plan.body.values[value], size));
    std::vector<int64_t> offsets = {0};
    for (const int64_t slot : bytes)
      offsets.push_back(offsets.back() + (slot + kAlignment - 1) / kAlignment * kAlignment);
    if (!arena_.defined() || arena_.numel() < offsets.back())
      arena_ = at::empty({std::max<int64_t>(offsets.back(), kAlignment)}, at::kByte);
    return offsets;
  }

  static at::Tensor inputOf(const Program &program, const NamedValue &input, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const BatchSize &size) {
    const Value &value = program.values[input.value];
    const auto &given = value.perExample ? batch.columns : tensors;
    const auto found = given.find(input.name);
    if (found == given.end())
      failBundle("`" + program.name + "` needs the input `" + input.name + "`");
    if (found->second.numel() != elementsOf(value, size))
      failBundle("`" + program.name + "`: the input `" + input.name + "` has " + std::to_string(found->second.numel()) + " elements, not " + std::to_string(elementsOf(value, size)));
    return found->second.to(dtypeOf(value.type)).contiguous();
  }

  /// The tensor's elements under the shape of the value's layout.
  static Packed pack(const Value &value, const at::Tensor &tensor, const BatchSize &size) {
    const Layout layout = layoutOf(value);
    return {&value, layout, tensor.view(packedShape(value, layout, size)), false};
  }

  static std::vector<int64_t> packedShape(const Value &value, Layout layout, const BatchSize &size) {
    if (layout == Layout::ragged)
      return {elementsOf(value, size)};
    std::vector<int64_t> shape = blockShape(value, size, 0);
    if (layout == Layout::example)
      shape.insert(shape.begin(), size.examples());
    if (layout == Layout::leading)
      shape[0] = value.dims[0].c * size.examples() + value.dims[0].k * size.tokens;
    return shape;
  }

  static std::vector<void *> dataOf(const Op &op, const std::vector<Packed> &values) {
    std::vector<void *> data;
    for (const std::vector<int64_t> *list : {&op.in, &op.out})
      for (const int64_t value : *list)
        data.push_back(values[value].tensor.data_ptr());
    return data;
  }

  void run(const Work &work, const Op &op, std::vector<Packed> &values, RunContext &context) {
    if (work.kernel)
      return kernels_.run(*work.kernel, dataOf(op, values).data());
    if (work.product) {
      products::Call call = callOf(*work.product, op, values, context.size);
      if (prepare(call, *work.product, op, values, 0)) {
        if (const void *sum = addendOf(op, values))
          std::memcpy(call.c, sum, values[op.out[0]].tensor.nbytes());
        return products_.multiply(call);
      }
    }
    if (work.handler)
      apply(work.handler, op, values, context);
  }

  bool prepare(products::Call &call, const ProductStep &step, const Op &op, const std::vector<Packed> &values, size_t place) {
    const Packed &b = values[op.in[step.b]];
    return products_.prepare(call, b.isConstant ? &b.tensor : nullptr, place);
  }

  /// The bytes that a product is added to, if they are not its result's.
  static const void *addendOf(const Op &op, const std::vector<Packed> &values) {
    const void *sum = op.in.size() > 2 ? values[op.in[2]].tensor.data_ptr() : nullptr;
    return sum == values[op.out[0]].tensor.data_ptr() ? nullptr : sum;
  }

  /// False, and nothing but places is made, if a product of it is the library's, which knows no rows.
  bool runBand(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, const std::vector<int64_t> &offsets, const BatchSize &size) {
    std::vector<RowWork> band;
    int64_t rows = -1;
    for (size_t index = begin; index < end; ++index) {
      const Op &op = prepared.plan.body.ops[index];
      const Work &work = prepared.works[index];
      for (const int64_t result : op.out)
        values[result] = place(prepared.plan, op, result, values, offsets, size);
      if (work.isNothing())
        continue;
      const int64_t own = work.kernel ? kernels_.tasksOf(*work.kernel) : work.product->rows.at(size);
      if (rows >= 0 && own != rows)
        failBundle("`" + prepared.plan.body.name + "`: steps of one band have " + std::to_string(rows) + " and " + std::to_string(own) + " rows");
      rows = own;
      if (work.kernel) {
        kernels_.reserve(*work.kernel);
        band.emplace_back(kernels_, *work.kernel, dataOf(op, values));
        continue;
      }
      products::Call call = callOf(*work.product, op, values, size);
      if (!prepare(call, *work.product, op, values, band.size()))
        return false;
      band.emplace_back(products_, call, addendOf(op, values));
    }
    plan::runBand(band, rows);
    return true;
  }

  Packed place(const PlanProgram &plan, const Op &op, int64_t index, const std::vector<Packed> &values, const std::vector<int64_t> &offsets, const BatchSize &size) const {
    const Value &value = plan.body.values[index];
    const Place &place = plan.places[index];
    if (op.op == "param") {
      const at::Tensor &parameter = parameters_.get(op.attrs.at("name"));
      if (parameter.scalar_type() != dtypeOf(value.type) || parameter.numel() != elementsOf(value, size))
        failBundle("the parameter `" + op.attrs.at("name").get<std::string>() + "` has another dtype or size than the program `" + plan.body.name + "` says");
      Packed packed = pack(value, parameter.contiguous(), size);
      packed.isConstant = op.attrs.value("frozen", false);
      return packed;
    }
    if (place.alias >= 0) {
      const at::Tensor &source = values[place.alias].tensor;
      if (!source.defined() || source.numel() != elementsOf(value, size) || source.scalar_type() != dtypeOf(value.type))
        failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " is another name for a value of another size");
      return pack(value, source, size);
    }
    const int64_t begin = offsets[place.slot];
    if (begin + bytesOf(value, size) > offsets[place.slot + 1])
      failBundle("`" + plan.body.name + "`: the result of " + op.op + " at " + op.loc + " does not fit its slot");
    const Layout layout = layoutOf(value);
    const std::vector<int64_t> shape = packedShape(value, layout, size);
    std::vector<int64_t> strides(shape.size(), 1);
    for (int64_t axis = static_cast<int64_t>(shape.size()) - 2; axis >= 0; --axis)
      strides[axis] = strides[axis + 1] * std::max<int64_t>(shape[axis + 1], 1);
    at::Tensor tensor = at::empty({0}, dtypeOf(value.type));
    tensor.set_(arena_.storage(), begin / widthOf(value.type), shape, strides);
    return {&value, layout, tensor, false};
  }

  static void apply(Handler handler, const Op &op, std::vector<Packed> &values, RunContext &context) {
    Step step{op, {}, values[op.out[0]], context};
    for (const int64_t operand : op.in)
      step.in.push_back(values[operand]);
    const std::vector<int64_t> shape = step.out.tensor.sizes().vec();
    handler(step);
    if (step.out.tensor.sizes() != at::IntArrayRef(shape))
      failBundle(where(step) + " gives another shape than the program says");
  }

  const ParameterStore &parameters_;
  PlanOptions options_;
  Profile profile_;
  KernelLibrary library_;
  Products products_;
  KernelRunner kernels_;
  std::map<std::string, Prepared> programs_;
  at::Tensor arena_; ///< bytes
};

} // namespace

std::unique_ptr<Executor> makePlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options) {
  return withDerivedValues(bundle, parameters, std::make_unique<PlanExecutor>(bundle, parameters, options));
}

} // namespace peftrt
