// Interpreter: runs a program op by op, each op example by example.
//
// In     the bundle's programs (not its plan)
// Out    results in the reference's dtype
// Errs   R0102 an op that there is not, a result of another shape than the program says
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Shapes.h"
#include "runtime/reference/Ops.h"
#include "runtime/reference/Pins.h"
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace peftrt {
namespace {

using namespace reference;

const Table &allOps() {
  static const Table table = [] {
    Table all;
    for (const Table &part : {sources(), elementwise(), reductions(), matrices(), layouts(), indexing()})
      all.insert(part.begin(), part.end());
    return all;
  }();
  return table;
}

/// A value's blocks: one an example, or one for the run.
using Blocks = std::vector<at::Tensor>;

class Interpreter final : public Executor {
public:
  Interpreter(const Bundle &bundle, const ParameterStore &parameters, at::ScalarType real, Pins *pins) : parameters_(parameters), real_(real), pins_(pins) {
    for (Program &program : programsOf(bundle.programs.value())) {
      const std::string name = program.name;
      programs_.emplace(name, std::move(program));
    }
  }

  Results runInPlace(const std::string &name, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) override {
    const c10::InferenceMode noAutograd;
    const auto found = programs_.find(name);
    if (found == programs_.end())
      failBundle("there is no program `" + name + "`");
    const Program &program = found->second;
    const BatchSize size = sizeOf(program, batch, tensors);
    std::vector<Blocks> values(program.values.size());
    for (const NamedValue &input : program.inputs)
      values[input.value] = inputBlocks(program, input, batch, tensors, size);
    for (size_t place = 0; place < program.ops.size(); ++place) {
      const Op &op = program.ops[place];
      Blocks &value = values[op.out[0]];
      value = apply(program, op, values, size, random);
      if (pins_ && op.op == "stop_grad")
        value = pins_->values.try_emplace({name, place}, value).first->second;
    }
    Results results;
    for (const NamedValue &result : program.results)
      results[result.name] = pack(program.values[result.value], values[result.value], size);
    return results;
  }

private:
  at::ScalarType dtypeOf(const Value &value) const { return value.type == ValueType::f32 ? real_ : value.type == ValueType::i64 ? at::kLong : at::kBool; }

  Blocks inputBlocks(const Program &program, const NamedValue &input, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const BatchSize &size) const {
    const Value &value = program.values[input.value];
    const auto &given = value.perExample ? batch.columns : tensors;
    const auto found = given.find(input.name);
    if (found == given.end())
      failBundle("`" + program.name + "` needs the input `" + input.name + "`");
    const at::Tensor flat = found->second.to(dtypeOf(value)).reshape({-1});
    if (flat.numel() != elementsOf(value, size))
      failBundle("`" + program.name + "`: the input `" + input.name + "` has " + std::to_string(flat.numel()) + " elements, not " + std::to_string(elementsOf(value, size)));
    if (!value.perExample)
      return {flat.reshape(runShape(value, size))};
    const std::vector<int64_t> offsets = blockOffsets(value, size);
    Blocks blocks;
    for (int64_t example = 0; example < size.examples(); ++example) {
      const std::vector<int64_t> shape = blockShape(value, size.lengths, example);
      blocks.push_back(flat.narrow(0, offsets[example], product(shape)).reshape(shape));
    }
    return blocks;
  }

  Blocks apply(const Program &program, const Op &op, const std::vector<Blocks> &values, const BatchSize &size, const RandomState &random) const {
    const auto function = allOps().find(op.op);
    if (function == allOps().end())
      failBundle("there is no op `" + op.op + "` (" + op.loc + ")");
    const Value &result = program.values[op.out[0]];
    const bool overExamples = op.attrs.value("over_examples", false);
    const bool each = result.perExample || overExamples;
    const std::vector<int64_t> offsets = result.perExample ? blockOffsets(result, size) : std::vector<int64_t>();
    const int64_t siblings = op.attrs.value("siblings", int64_t{1}); // examples that the op sees at once
    if (size.examples() % siblings != 0)
      failBundle("`" + program.name + "`: a batch of " + std::to_string(size.examples()) + " examples has no rows of " + std::to_string(siblings));
    Blocks blocks;
    for (int64_t example = 0; example < (each ? size.examples() : 1); ++example) {
      Call call{op, {}, result.perExample ? blockShape(result, size.lengths, example) : runShape(result, size), result.type, real_, size.lengths, example, example % siblings, result.perExample ? offsets[example] : 0, random, parameters_};
      for (const int64_t operand : op.in)
        for (int64_t of = example - call.sibling, end = siblings > 1 ? of + siblings : of + 1; of < end; ++of)
          call.in.push_back(values[operand][program.values[operand].perExample ? of : 0]);
      blocks.push_back(function->second(call));
      if (size.flat && blocks.back().sizes() != at::IntArrayRef(call.shape) && blocks.back().numel() == 1)
        blocks.back() = blocks.back().expand(call.shape);
      if (blocks.back().sizes() != at::IntArrayRef(call.shape) || blocks.back().scalar_type() != call.dtype())
        failBundle("`" + program.name + "`: " + op.op + " at " + op.loc + " gives shape " + c10::str(blocks.back().sizes()) + " of " + c10::str(blocks.back().scalar_type()) + ", the program says " +
                   c10::str(at::IntArrayRef(call.shape)) + " of " + c10::str(call.dtype()));
    }
    return overExamples ? Blocks{combine(op, result, blocks, size)} : blocks;
  }

  /// The run's result out of the examples' ones.
  at::Tensor combine(const Op &op, const Value &result, const Blocks &blocks, const BatchSize &size) const {
    if (blocks.empty())
      return at::zeros(runShape(result, size), dtypeOf(result));
    const std::string kind = op.attrs.value("kind", "sum");
    const at::Tensor all = at::stack(blocks);
    return kind == "sum" ? all.sum(at::IntArrayRef{0}, false, all.scalar_type()) : kind == "max" ? all.amax(0) : all.amin(0);
  }

  at::Tensor pack(const Value &value, const Blocks &blocks, const BatchSize &size) const {
    if (!value.perExample)
      return blocks[0];
    if (!value.ragged())
      return blocks.empty() ? at::empty({0}, dtypeOf(value)) : at::stack(blocks);
    std::vector<at::Tensor> flat;
    for (const at::Tensor &block : blocks)
      flat.push_back(block.reshape({-1}));
    return flat.empty() ? at::empty({0}, dtypeOf(value)) : at::cat(flat);
  }

  const ParameterStore &parameters_;
  at::ScalarType real_;
  Pins *pins_; ///< or null
  std::map<std::string, Program> programs_;
};

} // namespace

std::unique_ptr<Executor> makeReferenceExecutor(const Bundle &bundle, const ParameterStore &parameters, at::ScalarType dtype, Pins *pins) {
  return withDerivedValues(bundle, parameters, std::make_unique<Interpreter>(bundle, parameters, dtype, pins), true);
}

} // namespace peftrt
