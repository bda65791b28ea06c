// PlanExecutor: runs a plan's steps on planned buffers in one arena.
//
// In     the bundle's plan
// Out    results as views into the arena (or of a parameter or an input), valid until the next run; of a streamed program copies, or views for as long as they
//        are taken
// Errs   R0102 a step that there is no handler for, a value that does not fit its slot, an input of another size
// Why an arena  nothing is allocated for a planned value; it grows only when a batch is larger than all before
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/Packed.h"
#include "runtime/plan/Profile.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <set>

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
  std::optional<ProductStep> product, branch; ///< which its handler does too, slower
  bool isNothing() const { return !handler && !kernel; }
};

/// A plan's program, with what does not depend on the batch looked up once.
struct Prepared {
  PlanProgram plan;
  std::vector<Work> works;      ///< one per step
  std::vector<size_t> bandEnds; ///< one per step: behind the band that begins with it, or the step itself
  std::vector<std::vector<int64_t>> unread; ///< of a streamed program, one per step: values that no later one reads
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
  work.branch = branchStepOf(op, plan.body);
  if (hasBranch(op) && !work.branch)
    work.product.reset();
  return work;
}

/// Whether the step does its rows independently.
bool isByRows(const Work &work) {
  if (work.kernel)
    return work.kernel->space == KernelStep::Space::rows && work.kernel->example && work.kernel->tasks.k != 0;
  return work.isNothing() || (work.product && work.product->byRows && (!work.branch || work.branch->byRows));
}

int64_t bandOf(const Op &op) { return op.attrs.value("band", int64_t{-1}); }

/// Of a value [rows, …].
int64_t rowBytesOf(const Value &value) {
  int64_t bytes = widthOf(value.type);
  for (size_t axis = 1; axis < value.dims.size(); ++axis)
    bytes *= value.dims[axis].c;
  return bytes;
}

/// Bytes that each thread has of the value, if it lies nowhere for all rows; else 0.
int64_t threadBytesOf(const PlanProgram &plan, int64_t value) {
  while (plan.places[value].alias >= 0)
    value = plan.places[value].alias;
  return plan.places[value].slot >= 0 ? plan.slots[plan.places[value].slot].p : 0;
}

/// What threads have fits, and only its band sees it. `home`: the band that makes a value.
void verifyThreads(const PlanProgram &plan, const Op &op, std::vector<int64_t> &home) {
  const int64_t band = bandOf(op);
  for (const int64_t result : op.out)
    home[result] = band;
  for (const std::vector<int64_t> *list : {&op.in, &op.out})
    for (const int64_t value : *list) {
      const int64_t bytes = threadBytesOf(plan, value);
      if (bytes && (band < 0 || home[value] != band))
        failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " reads rows that threads have in another band");
      if (bytes && plan.bands[band] * rowBytesOf(plan.body.values[value]) > bytes)
        failBundle("`" + plan.body.name + "`: a thread's rows of " + op.op + " at " + op.loc + " do not fit its slot");
    }
}

/// Where each value of a streamed program is read last. What it reads is read once: a result may take its parameter's place.
std::vector<std::vector<int64_t>> unreadAfter(const PlanProgram &plan) {
  const std::vector<Op> &ops = plan.body.ops;
  std::vector<std::vector<int64_t>> unread(ops.size());
  std::set<int64_t> seen;
  std::set<std::string> parameters;
  for (size_t index = ops.size(); index-- > 0;) {
    for (const std::vector<int64_t> *list : {&ops[index].in, &ops[index].out})
      for (const int64_t value : *list)
        if (seen.insert(value).second)
          unread[index].push_back(value);
    if (ops[index].op == "param" && !parameters.insert(ops[index].attrs.at("name")).second)
      failBundle("`" + plan.body.name + "` reads the parameter `" + ops[index].attrs.at("name").get<std::string>() + "` twice");
  }
  return unread;
}

Prepared prepare(PlanProgram plan, const KernelLibrary &library) {
  Prepared prepared{std::move(plan), {}, {}, {}};
  if (prepared.plan.streamed)
    prepared.unread = unreadAfter(prepared.plan);
  const std::vector<Op> &ops = prepared.plan.body.ops;
  for (size_t index = 0; index < ops.size(); ++index)
    prepared.works.push_back(workOf(prepared.plan, index, library));
  std::vector<int64_t> home(prepared.plan.places.size(), -1);
  for (size_t begin = 0, end = 0; begin < ops.size(); begin = end) {
    const int64_t band = bandOf(ops[begin]);
    for (end = begin + 1; band >= 0 && end < ops.size() && bandOf(ops[end]) == band;)
      ++end;
    const bool byRows = std::all_of(prepared.works.begin() + begin, prepared.works.begin() + end, isByRows);
    if (band >= 0 && (!byRows || band >= static_cast<int64_t>(prepared.plan.bands.size())))
      failBundle("`" + prepared.plan.body.name + "`: band " + std::to_string(band) + " has steps that do not their rows by themselves, or nothing says how many rows it takes");
    for (size_t index = begin; band >= 0 && index < end; ++index)
      if (prepared.works[index].kernel && prepared.plan.bands[band] % prepared.works[index].kernel->stretch != 0)
        failBundle("`" + prepared.plan.body.name + "`: threads take " + std::to_string(prepared.plan.bands[band]) + " rows through band " + std::to_string(band) + ", which ends inside a stretch that is summed");
    prepared.bandEnds.resize(end, end);
    for (size_t index = begin; index < end; ++index)
      verifyThreads(prepared.plan, ops[index], home);
  }
  return prepared;
}

class PlanExecutor final : public Executor {
public:
  PlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options) : parameters_(parameters), options_(options), library_(bundle, options.cpuTarget), products_(options.cpuTarget, productChoiceOf(options.products)), kernels_(products_.pairFunctions()) {
    for (PlanProgram &program : planOf(bundle.plan.value())) {
      const std::string name = program.body.name;
      programs_.emplace(name, peftrt::prepare(std::move(program), library_));
    }
  }

  MemoryUse memory() const override { return {arena_.defined() ? arena_.numel() : 0, kernels_.scratchBytes() + products_.scratchBytes(), products_.constantBytes()}; }

  std::string profile() const override { return profile_.table(); }

  Results run(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) override {
    Results results;
    const bool copies = programs_.count(name) && programs_.at(name).plan.streamed; // else what is taken would not outlive the next step
    execute(name, batch, tensors, random, [&](const std::string &result, const at::Tensor &value) { results[result] = copies ? value.clone() : value; });
    return results;
  }

  void stream(const std::string &name, const RandomState &random, const Taker &take) override { execute(name, Batch{}, {}, random, take); }

private:
  void execute(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random, const Taker &take) {
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
    for (size_t index = 0, end = 0; index < program.ops.size(); index = end) {
      end = std::max(prepared.bandEnds[index], index + 1);
      const Op &op = program.ops[index];
      if (bandOf(op) >= 0) {
        runBand(prepared, index, end, values, offsets, size);
      } else {
        for (const int64_t result : op.out)
          values[result] = place(prepared.plan, op, result, values, offsets, size);
        run(prepared.works[index], op, values, context);
        if (options_.profile)
          profile_.add(program, op);
      }
      if (prepared.plan.streamed)
        give(prepared, index, end, values, take);
    }
    if (!prepared.plan.streamed)
      for (const NamedValue &result : program.results)
        take(result.name, resultOf(values[result.value]));
  }

  static at::Tensor resultOf(const Packed &value) { return value.tensor.dim() > 1 && value.layout == Layout::leading ? value.flat() : value.tensor; }

  /// Of a streamed program what these steps have made; and nothing is held that no later one reads, so that a parameter may go.
  static void give(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, const Taker &take) {
    for (size_t index = begin; index < end; ++index) {
      const std::vector<int64_t> &made = prepared.plan.body.ops[index].out;
      for (const NamedValue &result : prepared.plan.body.results)
        if (std::find(made.begin(), made.end(), result.value) != made.end())
          take(result.name, resultOf(values[result.value]));
      for (const int64_t value : prepared.unread[index])
        values[value].tensor = at::Tensor();
    }
  }

  static int64_t bytesOf(const Value &value, const BatchSize &size) { return elementsOf(value, size) * widthOf(value.type); }

  /// Where each slot begins, and the end. Grows the arena.
  std::vector<int64_t> placeSlots(const PlanProgram &plan, const BatchSize &size) {
    std::vector<int64_t> bytes;
    for (const SlotSize &slot : plan.slots)
      bytes.push_back(size.bytesOf(slot) + slot.p * at::get_num_threads());
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
    std::vector<int64_t> shape = runShape(value, size); // of a leading one but for the first axis
    if (layout == Layout::example)
      shape.insert(shape.begin(), size.examples());
    if (layout == Layout::leading)
      shape[0] = size.rowsOf(value.dims[0]);
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
      return kernels_.run(*work.kernel, dataOf(op, values));
    if (work.product && !work.branch) {
      products::Call call = callOf(*work.product, op, values, context.size);
      if (const auto sum = addendOf(op))
        call.sum = values[*sum].tensor.data_ptr();
      if (prepare(call, *work.product, op, values, 0))
        return products_.multiply(call);
    }
    if (work.handler)
      apply(work.handler, op, values, context);
  }

  bool prepare(products::Call &call, const ProductStep &step, const Op &op, const std::vector<Packed> &values, size_t place) {
    const Packed &b = values[op.in[step.b]];
    return products_.prepare(call, b.isConstant ? &b.tensor : nullptr, place);
  }

  bool join(products::Call &call, const products::Call &branch, const ProductStep &step, const Op &op, const std::vector<Packed> &values, size_t place) {
    const Packed &b = values[op.in[step.b]];
    return products_.join(call, branch, b.isConstant ? &b.tensor : nullptr, place);
  }

  static RowsAt rowsAt(const PlanProgram &plan, int64_t value, const std::vector<Packed> &values) {
    const int64_t thread = threadBytesOf(plan, value);
    return {values[value].tensor.data_ptr(), thread ? rowBytesOf(plan.body.values[value]) : 0, thread};
  }

  /// One work, or two: a branch that is no part of its product is added behind it.
  void addProduct(const PlanProgram &plan, const Work &work, const Op &op, const std::vector<Packed> &values, const BatchSize &size, std::vector<RowWork> &band) {
    const auto at = [&](int64_t value) { return rowsAt(plan, value, values); };
    const auto ifLibrarys = [&](bool isOwn, const ProductStep &step) { return isOwn ? std::nullopt : std::optional(values[op.in[step.b]]); };
    products::Call call = callOf(*work.product, op, values, size);
    RowWork::Factors factors{at(op.in[work.product->a]), at(op.out[0]), {}, {}};
    if (const auto sum = addendOf(op))
      factors.sum = at(*sum);
    const size_t place = 2 * band.size(); // a product and its branch have panels of their own
    const bool isOwn = prepare(call, *work.product, op, values, place);
    if (!work.branch) {
      band.emplace_back(products_, call, factors, ifLibrarys(isOwn, *work.product));
      return;
    }
    products::Call branch = callOf(*work.branch, op, values, size);
    const RowsAt branchA = at(op.in[work.branch->a]);
    if (isOwn && join(call, branch, *work.branch, op, values, place + 1)) {
      factors.branch = branchA;
      band.emplace_back(products_, call, factors, std::nullopt);
      return;
    }
    band.emplace_back(products_, call, factors, ifLibrarys(isOwn, *work.product));
    const bool isBranchOwn = prepare(branch, *work.branch, op, values, place + 2);
    band.emplace_back(products_, branch, RowWork::Factors{branchA, factors.c, factors.c, {}}, ifLibrarys(isBranchOwn, *work.branch));
  }

  /// A step of a band that sums over its rows.
  struct Summing {
    const Work *work;
    const Op *op;
    std::vector<void *> tables;
  };

  void runBand(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, const std::vector<int64_t> &offsets, const BatchSize &size) {
    const Program &program = prepared.plan.body;
    std::vector<RowWork> band;
    std::vector<const Op *> ops; // of the band's works
    std::vector<Summing> summing;
    int64_t rows = -1;
    for (size_t index = begin; index < end; ++index) {
      const Op &op = program.ops[index];
      const Work &work = prepared.works[index];
      for (const int64_t result : op.out)
        values[result] = place(prepared.plan, op, result, values, offsets, size);
      if (work.isNothing())
        continue;
      const int64_t own = work.kernel ? kernels_.tasksOf(*work.kernel) : work.product->rows.at(size);
      if (rows >= 0 && own != rows)
        failBundle("`" + program.name + "`: steps of one band have " + std::to_string(rows) + " and " + std::to_string(own) + " rows");
      rows = own;
      if (work.kernel) {
        kernels_.reserve(*work.kernel);
        std::vector<RowsAt> operands;
        for (const std::vector<int64_t> *list : {&op.in, &op.out})
          for (const int64_t value : *list)
            operands.push_back(rowsAt(prepared.plan, value, values));
        if (!work.kernel->sums.empty()) {
          summing.push_back({&work, &op, kernels_.tablesFor(*work.kernel, summing.size())});
          for (void *const table : summing.back().tables)
            operands.push_back({table});
        }
        band.emplace_back(kernels_, *work.kernel, std::move(operands));
        ops.push_back(&op);
        continue;
      }
      addProduct(prepared.plan, work, op, values, size, band);
      ops.resize(band.size(), &op);
    }
    const std::vector<double> seconds = plan::runBand(band, rows, prepared.plan.bands.at(program.ops[begin].attrs.at("band").get<int64_t>()));
    for (size_t index = 0; options_.profile && index < ops.size(); ++index)
      profile_.add(program, *ops[index], seconds[index]);
    for (const Summing &sums : summing)
      kernels_.addUp(*sums.work->kernel, sums.tables, dataOf(*sums.op, values).data() + sums.op->in.size());
  }

  Packed place(const PlanProgram &plan, const Op &op, int64_t index, const std::vector<Packed> &values, const std::vector<int64_t> &offsets, const BatchSize &size) const {
    const Value &value = plan.body.values[index];
    const Place &place = plan.places[index];
    if (op.op == "param") {
      const at::Tensor parameter = parameters_.get(op.attrs.at("name"));
      if (parameter.scalar_type() != dtypeOf(value.type) || parameter.numel() != elementsOf(value, size))
        failBundle("the parameter `" + op.attrs.at("name").get<std::string>() + "` has another dtype or size than the program `" + plan.body.name + "` says");
      Packed packed = pack(value, parameter.contiguous(), size);
      packed.isConstant = op.attrs.value("frozen", false) && !plan.streamed; // which reads it once: nothing is made of it to be kept
      return packed;
    }
    if (place.alias >= 0) {
      const at::Tensor &source = values[place.alias].tensor;
      if (threadBytesOf(plan, index)) // what all threads have is in one tensor of elements
        return {&value, layoutOf(value), source, false};
      if (!source.defined() || source.numel() != elementsOf(value, size) || source.scalar_type() != dtypeOf(value.type))
        failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " is another name for a value of another size");
      return pack(value, source, size);
    }
    const int64_t begin = offsets[place.slot];
    if (const int64_t thread = plan.slots[place.slot].p) {
      at::Tensor all = at::empty({0}, dtypeOf(value.type));
      const int64_t width = widthOf(value.type), elements = thread * at::get_num_threads() / width, next = 1;
      all.set_(arena_.storage(), begin / width, elements, next);
      return {&value, layoutOf(value), all, false};
    }
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
