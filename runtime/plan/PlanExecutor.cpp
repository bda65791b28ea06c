// PlanExecutor: runs a plan's steps on planned buffers in one arena.
//
// In     the bundle's plan
// Out    results as views into the arena (or of a parameter or an input), valid until the next run; of a streamed program copies, or views for as long as they
//        are taken
// Errs   R0102 a step that there is no handler for; what PlannedMemory.h and the device say
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/PlannedMemory.h"
#include "runtime/plan/Profile.h"
#include "runtime/plan/Stretches.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <set>

namespace peftrt {
namespace {

using namespace plan;

const Handlers &allHandlers() {
  static const Handlers table = [] {
    Handlers all;
    for (const Handlers &part : {sourceSteps(), elementwiseSteps(), reductionSteps(), contractSteps(), matrixSteps(), layoutSteps(), indexingSteps()})
      all.insert(part.begin(), part.end());
    return all;
  }();
  return table;
}

/// Who does a step; nobody, where there is nothing to do.
struct Work {
  Handler handler = nullptr;
  std::optional<KernelStep> kernel;
  std::optional<ProductStep> product, branch; ///< which its handler does too, slower
  bool isPlain = false; ///< on a device that is no threads: its products are asked for without the handler
  bool isNothing() const { return !handler && !kernel; }
};

/// A plan's program, with what does not depend on the batch looked up once.
struct Prepared {
  PlanProgram plan;
  std::vector<Work> works;      ///< one per step
  std::vector<size_t> bandEnds; ///< one per step: behind the band that begins with it, or the step itself
  std::vector<Reading> readings;   ///< one per step
  std::vector<Stretch> stretches; ///< what a device may record, in order
  std::vector<std::vector<int64_t>> unread; ///< of a streamed program, one per step: values that no later one reads
};

Work workOf(const PlanProgram &plan, size_t index, Kernels &kernels) {
  Work work;
  const Op &op = plan.body.ops[index];
  const bool updates = plan.kinds[index] == "update";
  if (op.op == "kernel") {
    work.kernel = kernelStepOf(op, kernels);
    return work;
  }
  const Place &place = plan.places[op.out[0]];
  if (op.op == "param" || (place.alias >= 0 && !updates))
    return work;
  const auto found = allHandlers().find(op.op);
  if (found == allHandlers().end())
    failBundle("there is no op `" + op.op + "` (" + op.loc + ")");
  if (place.slot < 0 && !updates && op.op != "border")
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

Prepared prepare(PlanProgram plan, Kernels &kernels) {
  Prepared prepared{std::move(plan), {}, {}, {}, {}, {}};
  prepared.readings = readingsOf(prepared.plan);
  if (prepared.plan.streamed)
    prepared.unread = unreadAfter(prepared.plan);
  const std::vector<Op> &ops = prepared.plan.body.ops;
  for (size_t index = 0; index < ops.size(); ++index)
    prepared.works.push_back(workOf(prepared.plan, index, kernels));
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
  PlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options)
      : parameters_(parameters), options_(options), device_(*options.device), products_(options.cpuTarget, device_.isThreads() ? productChoiceOf(options.products) : ProductChoice::libraryAlone),
        kernels_(device_.kernels(bundle, options, products_.pairFunctions())), memory_(device_, parameters) {
    for (PlanProgram &program : planOf((device_.isThreads() ? bundle.plan : bundle.gpuPlan).value())) {
      const std::string name = program.body.name;
      Prepared &prepared = programs_.emplace(name, peftrt::prepare(std::move(program), *kernels_)).first->second;
      if (!prepared.plan.streamed)
        memory_.prepare(prepared.plan, prepared.readings);
      if (!device_.isThreads())
        findStretches(prepared);
    }
    if (options.graphs && !options.profile)
      recorder_ = device_.recorder();
  }

  MemoryUse memory() const override { return {memory_.bytes(), kernels_->scratchBytes() + products_.scratchBytes(), products_.constantBytes() + memory_.borderBytes()}; }

  RecordedUse recorded() const override { return recorder_ ? recorder_->use() : RecordedUse{}; }

  std::string profile() const override { return profile_.table(); }

  at::Tensor onHost(const at::Tensor &result) override { return device_.onHost(result); }

  Results runInPlace(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) override {
    Results results;
    const bool copies = programs_.count(name) && programs_.at(name).plan.streamed; // else what is taken would not outlive the next step
    execute(name, batch, tensors, random, [&](const std::string &result, const at::Tensor &value) { results[result] = copies ? value.clone() : value; });
    return results;
  }

  void streamInPlace(const std::string &name, const RandomState &random, const Taker &take) override { execute(name, Batch{}, {}, random, take); }

private:
  void execute(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random, const Taker &take) {
    const c10::InferenceMode noAutograd;
    const auto found = programs_.find(name);
    if (found == programs_.end())
      failBundle("there is no program `" + name + "`");
    const Prepared &prepared = found->second;
    const PlanProgram &plan = prepared.plan;
    const BatchSize size = sizeOf(plan.body, batch, tensors);
    std::vector<Packed> values = memory_.begin(plan, batch, tensors, size);
    RunContext context(size, random, parameters_, products_);
    profile_.start();
    const size_t steps = plan.body.ops.size();
    for (size_t begin = 0, end = 0; begin < steps; begin = end) {
      end = plan.streamed ? std::max(prepared.bandEnds[begin], begin + 1) : steps; // of a streamed program a parameter is read when its step comes
      runSteps(prepared, begin, end, values, context);
      if (plan.streamed)
        give(prepared, begin, end, values, take);
    }
    device_.endRun();
    if (!device_.isThreads())
      memory_.returnUpdated(plan, batch, tensors, values);
    if (!plan.streamed)
      for (const NamedValue &result : plan.body.results)
        take(result.name, resultOf(values[result.value]));
  }

  void runSteps(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, RunContext &context) {
    const std::vector<Op> &ops = prepared.plan.body.ops;
    for (size_t index = begin; index < end; ++index)
      memory_.place(prepared.plan, ops[index], values, context.size, prepared.readings[index]);
    const std::vector<KernelUse> uses = usesOf(prepared, begin, end, values);
    size_t use = 0, stretch = 0;
    kernels_->begin(context.size, context.random, uses);
    for (size_t index = begin, next = begin; index < end; index = next) {
      if (recorder_ && stretch < prepared.stretches.size() && prepared.stretches[stretch].begin == index) {
        next = prepared.stretches[stretch].end;
        use += runStretch(prepared, prepared.stretches[stretch++], values, context.size, uses, use);
        continue;
      }
      next = std::max(prepared.bandEnds[index], index + 1);
      if (bandOf(ops[index]) >= 0) {
        runBand(prepared, index, next, values, context.size);
        continue;
      }
      if (prepared.works[index].kernel)
        kernels_->run(uses[use], use), ++use;
      else
        run(prepared.works[index], ops[index], values, context);
      if (options_.profile)
        profile_.add(prepared.plan.body, ops[index]);
    }
  }

  /// Returns how many of `uses`, from `first` on, are its kernels.
  size_t runStretch(const Prepared &prepared, const Stretch &stretch, const std::vector<Packed> &values, const BatchSize &size, const std::vector<KernelUse> &uses, size_t first) {
    const PlanProgram &plan = prepared.plan;
    Given given;
    std::vector<std::vector<products::Call>> calls; // by step; of a kernel none
    size_t last = first;
    for (size_t index = stretch.begin; index < stretch.end; ++index) {
      const Work &work = prepared.works[index];
      calls.push_back(work.isPlain ? plainCallsOf(plan.body.ops[index], *work.product, work.branch, values, size) : std::vector<products::Call>());
      for (const products::Call &call : calls.back())
        tell(call, given);
      if (work.kernel)
        kernels_->tell(last++, given);
    }
    recorder_->run("steps " + std::to_string(stretch.begin) + " to " + std::to_string(stretch.end - 1) + " of `" + plan.body.name + "`", stretch.asked, std::move(given), [&] {
      size_t use = first;
      for (size_t index = stretch.begin; index < stretch.end; ++index) {
        if (prepared.works[index].kernel)
          kernels_->run(uses[use], use), ++use;
        multiplyPlain(calls[index - stretch.begin], values[plan.body.ops[index].out[0]].tensor.device());
      }
    });
    return last - first;
  }

  void multiplyPlain(const std::vector<products::Call> &calls, c10::Device where) {
    for (const products::Call &call : calls)
      if (recorder_) {
        recorder_->library([call, where] { plan::multiplyPlain(call, where); });
      } else {
        device_.beginLibraryStep();
        plan::multiplyPlain(call, where);
      }
  }

  static void findStretches(Prepared &prepared) {
    std::vector<Part> parts;
    for (size_t index = 0; index < prepared.works.size(); ++index) {
      Work &work = prepared.works[index];
      work.isPlain = !work.kernel && isPlain(prepared.plan.body.ops[index], prepared.plan.body, work.product, work.branch);
      parts.push_back(work.isNothing() ? Part::idle : work.kernel || work.isPlain ? Part::asked : Part::none);
    }
    if (!prepared.plan.streamed) // whose steps come one by one
      prepared.stretches = stretchesOf(parts);
  }

  /// Kernel steps outside bands.
  static std::vector<KernelUse> usesOf(const Prepared &prepared, size_t begin, size_t end, const std::vector<Packed> &values) {
    std::vector<KernelUse> uses;
    const std::vector<Op> &ops = prepared.plan.body.ops;
    for (size_t index = begin; index < end; ++index)
      if (prepared.works[index].kernel && bandOf(ops[index]) < 0)
        uses.push_back({&*prepared.works[index].kernel, dataOf(ops[index], values)});
    return uses;
  }

  static at::Tensor resultOf(const Packed &value) { return value.tensor.dim() > 1 && value.layout == Layout::leading ? value.flat() : value.tensor; }

  /// Of a streamed program what these steps have made; and nothing is held that no later one reads, so that a parameter may go.
  void give(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, const Taker &take) {
    device_.endRun();
    for (size_t index = begin; index < end; ++index) {
      const std::vector<int64_t> &made = prepared.plan.body.ops[index].out;
      for (const NamedValue &result : prepared.plan.body.results)
        if (std::find(made.begin(), made.end(), result.value) != made.end())
          take(result.name, resultOf(values[result.value]));
      for (const int64_t value : prepared.unread[index])
        values[value].tensor = at::Tensor();
    }
  }

  static std::vector<void *> dataOf(const Op &op, const std::vector<Packed> &values) {
    std::vector<void *> data;
    for (const std::vector<int64_t> *list : {&op.in, &op.out})
      for (const int64_t value : *list)
        data.push_back(values[value].tensor.data_ptr());
    return data;
  }

  void run(const Work &work, const Op &op, std::vector<Packed> &values, RunContext &context) {
    if (work.isPlain)
      return multiplyPlain(plainCallsOf(op, *work.product, work.branch, values, context.size), values[op.out[0]].tensor.device());
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

  void runBand(const Prepared &prepared, size_t begin, size_t end, const std::vector<Packed> &values, const BatchSize &size) {
    const Program &program = prepared.plan.body;
    KernelRunner &kernels = *kernels_->threads();
    std::vector<RowWork> band;
    std::vector<const Op *> ops; // of the band's works
    std::vector<Summing> summing;
    int64_t rows = -1;
    for (size_t index = begin; index < end; ++index) {
      const Op &op = program.ops[index];
      const Work &work = prepared.works[index];
      if (work.isNothing())
        continue;
      const int64_t own = work.kernel ? kernels.tasksOf(*work.kernel) : work.product->rows.at(size);
      if (rows >= 0 && own != rows)
        failBundle("`" + program.name + "`: steps of one band have " + std::to_string(rows) + " and " + std::to_string(own) + " rows");
      rows = own;
      if (work.kernel) {
        kernels.reserve(*work.kernel);
        std::vector<RowsAt> operands;
        for (const std::vector<int64_t> *list : {&op.in, &op.out})
          for (const int64_t value : *list)
            operands.push_back(rowsAt(prepared.plan, value, values));
        if (!work.kernel->sums.empty()) {
          summing.push_back({&work, &op, kernels.tablesFor(*work.kernel, summing.size())});
          for (void *const table : summing.back().tables)
            operands.push_back({table});
        }
        band.emplace_back(kernels, *work.kernel, std::move(operands));
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
      kernels.addUp(*sums.work->kernel, sums.tables, dataOf(*sums.op, values).data() + sums.op->in.size());
  }

  void apply(Handler handler, const Op &op, std::vector<Packed> &values, RunContext &context) {
    Step step{op, {}, values[op.out[0]], context};
    for (const int64_t operand : op.in)
      step.in.push_back(values[operand]);
    const std::vector<int64_t> shape = step.out.tensor.sizes().vec();
    device_.beginLibraryStep();
    handler(step);
    if (step.out.tensor.sizes() != at::IntArrayRef(shape))
      failBundle(where(step) + " gives another shape than the program says");
  }

  const ParameterStore &parameters_;
  PlanOptions options_;
  Profile profile_;
  Device &device_;
  Products products_;
  std::unique_ptr<Kernels> kernels_;
  PlannedMemory memory_;
  std::map<std::string, Prepared> programs_;
  std::unique_ptr<Recorder> recorder_; ///< gone before the kernels
};

} // namespace

std::unique_ptr<Executor> makePlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &given) {
  PlanOptions options = given;
  if (!options.device)
    options.device = makeCpuDevice();
  return withDerivedValues(bundle, parameters, std::make_unique<PlanExecutor>(bundle, parameters, options), options.device->isThreads());
}

} // namespace peftrt
