// PlanExecutor: runs a plan's steps on planned buffers in one arena.
//
// In     the bundle's plan
// Out    results as views into the arena (or of a parameter or an input), valid until the next run; of a streamed program copies, or views for as long as they
//        are taken
// Errs   R0102 a step that there is no handler for; what PlannedMemory.h and the device say
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Bands.h"
#include "runtime/plan/Copies.h"
#include "runtime/plan/PlannedMemory.h"
#include "runtime/plan/Prepared.h"
#include "runtime/plan/Profile.h"
#include "runtime/plan/Puts.h"
#include "runtime/plan/Turns.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <span>

namespace peftrt {
namespace {

using namespace plan;

class PlanExecutor final : public Executor {
public:
  PlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options)
      : parameters_(parameters), options_(options), device_(*options.device), products_(options.cpuTarget, device_.isThreads() ? productChoiceOf(options.products) : ProductChoice::libraryAlone),
        kernels_(device_.kernels(bundle, options, products_.pairFunctions())), memory_(device_, parameters), rowStarts_(device_) {
    for (PlanProgram &program : planOf((device_.isThreads() ? bundle.plan : bundle.gpuPlan).value())) {
      const std::string name = program.body.name;
      const Prepared &prepared = programs_.emplace(name, plan::prepared(std::move(program), *kernels_, device_.isThreads())).first->second;
      if (!prepared.plan.streamed)
        memory_.prepare(prepared.plan, prepared.readings);
    }
    if (options.graphs && !options.profile)
      recorder_ = device_.recorder();
  }

  MemoryUse memory() const override { return {memory_.bytes(), kernels_->scratchBytes() + products_.scratchBytes(), products_.constantBytes() + memory_.borderBytes()}; }

  void holdParameters(bool held) override { held_ = held, last_.clear(); }

  RecordedUse recorded() const override { return recorder_ ? recorder_->use() : RecordedUse{}; }

  std::vector<StepTime> profile() const override { return profile_.steps(); }

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
    const bool bordersAreThere = held_ && last_ == name;
    last_.clear(); // nothing is there if this run fails
    const BatchSize size = sizeOf(plan.body, batch, tensors), room = prepared.hasRoom ? withRoom(size) : size;
    std::vector<Packed> values = memory_.begin(plan, batch, tensors, size, room);
    RunContext context(size, random, parameters_, products_);
    rowStarts_.begin();
    if (options_.profile)
      profile_.start();
    const size_t steps = plan.body.ops.size();
    for (size_t begin = 0, end = 0; begin < steps; begin = end) {
      end = plan.streamed ? std::max(prepared.bandEnds[begin], begin + 1) : steps; // of a streamed program a parameter is read when its step comes
      runSteps(prepared, begin, end, values, context, room, bordersAreThere);
      if (plan.streamed)
        give(prepared, begin, end, values, take);
    }
    last_ = name;
    device_.endRun();
    if (options_.profile)
      profile_.end();
    if (!device_.isThreads())
      memory_.returnUpdated(plan, batch, tensors, values);
    if (!plan.streamed)
      for (const NamedValue &result : plan.body.results)
        take(result.name, resultOf(values[result.value]));
  }

  void runSteps(const Prepared &prepared, size_t begin, size_t end, std::vector<Packed> &values, RunContext &context, const BatchSize &room, bool bordersAreThere) {
    const std::vector<Op> &ops = prepared.plan.body.ops;
    for (size_t index = begin; index < end; ++index)
      memory_.place(prepared.plan, ops[index], values, context.size, prepared.readings[index]);
    const std::vector<Turn> turns = turnsOf(prepared, begin, end, room);
    const std::vector<KernelUse> uses = usesOf(prepared, turns, values);
    Asking asking{prepared, values, context.size, room, uses, bordersAreThere};
    size_t stretch = 0, turn = 0;
    kernels_->begin(context.size, context.random, uses, movesOf(asking, begin, end));
    for (size_t index = begin, next = begin; index < end; index = next) {
      if (recorder_ && stretch < prepared.stretches.size() && prepared.stretches[stretch].begin == index) {
        next = prepared.stretches[stretch].end;
        const size_t first = turn;
        while (turn < turns.size() && turns[turn].step < next)
          ++turn;
        runStretch(asking, prepared.stretches[stretch++], std::span(turns).subspan(first, turn - first));
        continue;
      }
      next = std::max(prepared.bandEnds[index], index + 1);
      if (bandOf(ops[index]) >= 0 && prepared.onThreads) {
        runBand(prepared, index, next, values, context.size);
        continue;
      }
      for (; turn < turns.size() && turns[turn].step < next; ++turn) {
        const size_t step = turns[turn].step;
        ask(asking, turns[turn]);
        if (!prepared.works[step].isAsked())
          run(prepared.works[step], ops[step], values, context);
        if (options_.profile)
          profile_.add(prepared.plan.body, ops[step], turns[turn].isLast() ? movedBy(prepared.plan.body, ops[step], context.size) : 0);
      }
    }
  }

  /// What a run asks a device for, step by step.
  struct Asking {
    const Prepared &prepared;
    const std::vector<Packed> &values;
    const BatchSize &size, &room;
    const std::vector<KernelUse> &uses;
    const bool bordersAreThere; ///< as this program's last run left them
    size_t use = 0, move = 0; ///< the next ones
  };
  /// What LibTorch does for a step without its handler.
  struct Plain {
    std::vector<products::Call> products;
    std::vector<Copy> copies;
  };

  static Plain plainOf(const Asking &asking, const Turn &turn) {
    const Op &op = asking.prepared.plan.body.ops[turn.step];
    const bool copies = asking.prepared.works[turn.step].copies && !(asking.bordersAreThere && op.op == "border");
    return {productsOf(asking.prepared, turn, asking.values, asking.size, asking.room), copies ? copiesOf(op, asking.values) : std::vector<Copy>()};
  }

  /// Before a step, and of it.
  static size_t movesAt(const Asking &asking, size_t index) {
    const Prepared &prepared = asking.prepared;
    return (prepared.clearings.empty() ? 0 : prepared.clearings[index].size()) + (prepared.works[index].puts ? static_cast<size_t>(asking.room.examples()) : 0);
  }

  static std::vector<Move> movesOf(const Asking &asking, size_t begin, size_t end) {
    std::vector<Move> moves;
    const Prepared &prepared = asking.prepared;
    for (size_t index = begin; index < end; ++index) {
      for (size_t place = 0; !prepared.clearings.empty() && place < prepared.clearings[index].size(); ++place) {
        const Factor &factor = prepared.clearings[index][place];
        const ProductStep &product = *prepared.works[factor.step].product;
        moves.push_back(clearingOf(callOf(product, prepared.plan.body.ops[factor.step], asking.values, asking.room), factor, product.depth.at(asking.size)));
      }
      if (prepared.works[index].puts) {
        const std::vector<Move> own = movesOfPut(prepared.plan.body.ops[index], asking.values, asking.size, asking.room);
        moves.insert(moves.end(), own.begin(), own.end());
      }
    }
    return moves;
  }

  /// A kernel, or what LibTorch does without the handler, behind what is cleared for it.
  void ask(Asking &asking, const Turn &turn) { ask(asking, turn.step, plainOf(asking, turn)); }
  void ask(Asking &asking, size_t index, const Plain &plain) {
    const Prepared &prepared = asking.prepared;
    if (const size_t count = movesAt(asking, index)) {
      kernels_->move(asking.move, count);
      asking.move += count;
    }
    if (prepared.works[index].kernel)
      kernels_->run(asking.uses[asking.use], asking.use), ++asking.use;
    if (plain.products.empty() && plain.copies.empty())
      return;
    const c10::Device where = asking.values[prepared.plan.body.ops[index].out[0]].tensor.device();
    for (const products::Call &call : plain.products)
      if (!device_.multiply(call))
        askLibrary([call, where] { multiplyPlain(call, where); });
    for (const Copy &one : plain.copies)
      askLibrary([one, where] { copy(one, where); });
  }

  void askLibrary(std::function<void()> step) {
    if (recorder_)
      return recorder_->library(std::move(step));
    device_.beginLibraryStep();
    step();
  }

  void runStretch(Asking &asking, const Stretch &stretch, std::span<const Turn> turns) {
    const Prepared &prepared = asking.prepared;
    const Asking begin = asking;
    Given given;
    std::vector<Plain> plain; // by turn; of a kernel nothing
    for (const Turn &turn : turns) {
      plain.push_back(plainOf(asking, turn));
      if (const size_t count = movesAt(asking, turn.step)) {
        kernels_->tellMove(asking.move, count, given);
        asking.move += count;
      }
      if (prepared.works[turn.step].kernel)
        kernels_->tell(asking.use++, given);
      for (const products::Call &call : plain.back().products)
        tell(call, given);
      for (const Copy &one : plain.back().copies)
        tell(one, given);
    }
    recorder_->run("steps " + std::to_string(stretch.begin) + " to " + std::to_string(stretch.end - 1) + " of `" + prepared.plan.body.name + "`", stretch.asked, std::move(given), [&] {
      Asking again = begin;
      for (size_t index = 0; index < turns.size(); ++index)
        ask(again, turns[index].step, plain[index]);
    });
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
    if (work.attention) {
      device_.beginLibraryStep();
      return attend(*work.attention, op, values, context.size, context.random, rowStarts_);
    }
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
    if (call.alpha != 1) // the handler's
      return false;
    const Packed &b = values[op.in[step.b]];
    return products_.prepare(call, b.isConstant ? &b.tensor : nullptr, place);
  }

  bool join(products::Call &call, const products::Call &branch, const ProductStep &step, const Op &op, const std::vector<Packed> &values, size_t place) {
    const Packed &b = values[op.in[step.b]];
    return products_.join(call, branch, b.isConstant ? &b.tensor : nullptr, place);
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
      profile_.add(program, *ops[index], movedBy(program, *ops[index], size), seconds[index]);
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
  Device &device_;
  Profile profile_{device_.clock()};
  Products products_;
  std::unique_ptr<Kernels> kernels_;
  PlannedMemory memory_;
  RowStarts rowStarts_;
  std::map<std::string, Prepared> programs_;
  bool held_ = false; ///< the parameters
  std::string last_;  ///< the program whose parts are in its borders, if that is known: programs share them
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
