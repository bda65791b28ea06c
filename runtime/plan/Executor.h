// Executor: runs a bundle's programs on a packed batch. Two of them: the plan (planned buffers, packed products) and the
// reference (one example at a time, fp64; the specification of every op).
//
// Throws nothing; a failure inside is a `RuntimeError` from runtime/bundle/Errors.h caught at the modes' border.
#pragma once
#include <ATen/core/Tensor.h>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace peftrt {

struct Bundle; // runtime/bundle/Format.h
class Device;  // runtime/plan/Device.h
struct Pins;   // runtime/reference/Pins.h

/// A packed batch of E examples: columns by row name. A column `per: "seq"` is the concatenation of the examples' entries
/// [T], each followed by what is left of its room; any other is [E].
struct Batch {
  std::vector<int64_t> lengths; ///< tokens of each example, E of them
  std::vector<int64_t> rooms;   ///< for how many tokens each has room, where texts grow; else empty: for its own
  std::map<std::string, at::Tensor> columns;
  /// Where an example has more than one sequence: the others', which lie in columns of their own.
  struct Sequence {
    std::vector<int64_t> lengths, rooms{};
  };
  std::vector<Sequence> others{};
  int64_t examples() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const; ///< of all sequences
};

/// What a random number depends on besides its site and element.
struct RandomState {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t pass = 0; ///< micro-batch within the step
};

/// Parameters by name: base weights (views into the mapped checkpoint or fp32 copies) and trainables (views into one flat
/// fp32 buffer at the offsets that the manifest gives). What is read once may be loaded each time that it is asked for instead.
class ParameterStore {
public:
  void set(const std::string &name, at::Tensor value);
  void setLoader(const std::string &name, std::function<at::Tensor()> load) { loaders_[name] = std::move(load); }
  /// One that plans read as bf16; what is set from now on under that name is kept as bf16 alone.
  void setHalf(const std::string &name, at::Tensor value) { halves_[name] = std::move(value); }
  /// As f32. Throws `RuntimeError` when there is no such parameter.
  at::Tensor get(const std::string &name) const;
  /// As bf16: the same memory each time.
  at::Tensor half(const std::string &name) const;
  bool has(const std::string &name) const { return values_.count(name) != 0 || loaders_.count(name) != 0 || halves_.count(name) != 0; }
  /// The same numbers lie in `view` from now on, whose rows may be far apart; their own memory goes. Where they lie is no part of what they are.
  void moveTo(const std::string &name, at::Tensor view) const;
  at::Tensor flat; ///< [trainable_size] fp32

private:
  mutable std::map<std::string, at::Tensor> values_, halves_;
  std::map<std::string, std::function<at::Tensor()>> loaders_;
};

/// Results by name. A per-example result with static dims is stacked [E, dims…]; a ragged one is the flat concatenation.
using Results = std::map<std::string, at::Tensor>;
/// Takes one result, which is valid until it returns.
using Taker = std::function<void(const std::string &name, const at::Tensor &value)>;

/// Bytes of buffers, at the largest batch so far.
struct MemoryUse {
  int64_t arena = 0;   ///< planned results
  int64_t scratch = 0; ///< of kernels, and of products' panels that are made each time
  int64_t panels = 0;  ///< of frozen weights: panels of them, or borders around them
};

/// Of stretches of steps that a device did as one (runtime/plan/Stretches.h).
struct RecordedUse {
  int64_t graphs = 0;   ///< made
  int64_t launches = 0; ///< of them
  int64_t steps = 0;    ///< of plans, that ran in them
};

/// Of steps of a plan that do the same, in all runs.
struct StepTime {
  std::string program, step; ///< `contract ay,zy->az [seq,384] [8,384]`, `kernel rows_3`
  double seconds, bytes;     ///< bytes: that kernels read and wrote (plan::movedBy)
  int64_t calls;
};
/// A table of them, for people.
std::string tableOf(const std::vector<StepTime> &steps);

class Executor {
public:
  virtual ~Executor() = default;
  /// Runs `program`. `tensors`: run-level inputs (the optimizer's p, g, states and scalars). Results may be views into planned
  /// buffers: valid until the next run of any program.
  Results run(const std::string &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random);
  /// The same, with the results where the steps ran (Device.h).
  virtual Results runInPlace(const std::string &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) = 0;
  /// A result of `runInPlace` where the host can read it.
  virtual at::Tensor onHost(const at::Tensor &result) { return result; }
  /// A program without inputs, each result handed over as soon as it is made (a plan that is `streamed` keeps none until the end).
  void stream(const std::string &program, const RandomState &random, const Taker &take);
  virtual void streamInPlace(const std::string &program, const RandomState &random, const Taker &take) {
    for (const auto &[name, value] : runInPlace(program, Batch{}, {}, random))
      take(name, value);
  }
  /// While they are held, parameters stay as they are: what a program makes of them alone it need not make with each run.
  virtual void holdParameters(bool /*held*/) {}
  /// Nothing for the reference.
  virtual MemoryUse memory() const { return {}; }
  virtual RecordedUse recorded() const { return {}; }
  /// Where the time went, by program, the longest first; nothing unless asked for when it was made.
  virtual std::vector<StepTime> profile() const { return {}; }
};

/// Holds an executor's parameters for as long as it lives.
class HeldParameters {
public:
  explicit HeldParameters(Executor &executor) : executor_(executor) { executor_.holdParameters(true); }
  ~HeldParameters() { executor_.holdParameters(false); }
  HeldParameters(const HeldParameters &) = delete;
  HeldParameters &operator=(const HeldParameters &) = delete;

private:
  Executor &executor_;
};

struct PlanOptions {
  std::string cpuTarget; ///< the variant of the generated code (PEFT_CPU_TARGET); empty: the best that this CPU runs
  std::string products;  ///< `own` (also where empty) or `library` (PEFT_PRODUCTS)
  bool profile = false;  ///< keep the time of every step, none of which is recorded then
  std::shared_ptr<Device> device{}; ///< where the steps run; null: this CPU
  bool graphs = true;    ///< a device may record stretches of steps (PEFT_GRAPHS)
};
std::unique_ptr<Executor> makePlanExecutor(const Bundle &bundle, const ParameterStore &parameters, const PlanOptions &options = {});
/// `dtype` float64 (default oracle) or float32. `pins`: values of `stop_grad` that outlive a run, for finite differences.
std::unique_ptr<Executor> makeReferenceExecutor(const Bundle &bundle, const ParameterStore &parameters, at::ScalarType dtype, Pins *pins = nullptr);

} // namespace peftrt
