// Packed: a value of a whole batch in one tensor, and a step that makes one out of others.
//
// Invariant  every tensor lies in the arena, in a parameter or in an input, and is contiguous, or a matrix whose rows lie in a table; a handler writes `out` in place.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/products/Products.h"
#include "runtime/plan/Executor.h"
#include "runtime/plan/Shapes.h"
#include <functional>
#include <map>
#include <optional>

namespace peftrt::plan {

/// How a value's blocks lie in its tensor.
enum class Layout {
  run,     ///< [dims…]: one for the run
  example, ///< [E, dims…]: every example's block has the same shape
  leading, ///< [rows, dims without the first…]: only the first axis is as long as the example says
  ragged   ///< [elements]: anything else
};
Layout layoutOf(const Value &value);

struct Packed {
  const Value *type = nullptr;
  Layout layout = Layout::run;
  at::Tensor tensor;
  bool isConstant = false; ///< a parameter that no run changes
  at::Tensor flat() const;
};

/// The blocks of a packed value, by example.
class Blocks {
public:
  Blocks(const Packed &packed, const BatchSize &size);
  at::Tensor at(int64_t example) const;

private:
  const Packed &packed_;
  const BatchSize &size_;
  std::vector<int64_t> offsets_; ///< in elements; empty for the layouts that do not need them
};

/// What steps of one run share.
struct RunContext {
  const BatchSize &size;
  const RandomState &random;
  const ParameterStore &parameters;
  Products &products;
  RunContext(const BatchSize &size, const RandomState &random, const ParameterStore &parameters, Products &products)
      : size(size), random(random), parameters(parameters), products(products) {}
  /// Which example each row of a value with this leading dim belongs to: [rows] i64.
  const at::Tensor &rowExamples(const Dim &leading);

private:
  std::map<std::tuple<int64_t, int64_t, int64_t>, at::Tensor> rowExamples_;
};

struct Step {
  const Op &op;
  std::vector<Packed> in;
  Packed out;
  RunContext &context;
  int64_t axis() const { return op.attrs.at("axis").get<int64_t>(); }
  bool overExamples() const { return op.attrs.value("over_examples", false); }
};

using Handler = void (*)(Step &);
using Handlers = std::map<std::string, Handler>;
Handlers sourceSteps();      ///< SourceSteps.cpp: param constant literal iota dim random
Handlers elementwiseSteps(); ///< ElementwiseSteps.cpp
Handlers reductionSteps();   ///< ReductionSteps.cpp: reduce argmax ranks order
Handlers contractSteps();    ///< ContractSteps.cpp
Handlers matrixSteps();      ///< MatrixSteps.cpp: inverse
Handlers layoutSteps();      ///< LayoutSteps.cpp: transpose … concat, siblings, sum_siblings, stop_grad
Handlers indexingSteps();    ///< IndexingSteps.cpp: gather scatter_add

/// The operand as a tensor that broadcasts, right-aligned, against the packed `out`; nothing if only single examples do.
std::optional<at::Tensor> aligned(const Packed &operand, const Packed &out, RunContext &context);
/// Calls `body(outBlock, inBlocks)` for each example, examples in parallel. `out` must be per example.
void forEachExample(Step &step, const std::function<void(at::Tensor &, const std::vector<at::Tensor> &, int64_t example)> &body);
/// out = Σ over examples of `body(inBlocks)`, in the examples' order.
void sumOverExamples(Step &step, const std::function<at::Tensor(const std::vector<at::Tensor> &, int64_t example)> &body);
/// An axis of a block as an axis of the packed tensor; nothing if the packed tensor has no such axis.
std::optional<int64_t> packedAxis(const Packed &packed, int64_t axis);
bool sameDims(const Value &left, const Value &right);
std::string where(const Step &step); ///< for internal errors

} // namespace peftrt::plan
