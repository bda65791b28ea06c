// PlannedMemory: where a program's values lie for one batch: in the arena, in a parameter, or in an input.
//
// Errs  R0102 a value that does not fit its slot, an input or parameter of another size or type; R0205 no memory for the arena
// Why an arena  nothing is allocated for a planned value; it grows only when a batch is larger than all before
#pragma once
#include "runtime/plan/Borders.h"
#include "runtime/plan/Device.h"
#include "runtime/plan/Packed.h"

namespace peftrt::plan {

at::ScalarType dtypeOf(ValueType type);
/// Of a value [rows, …].
int64_t rowBytesOf(const Value &value);
/// The value under another name of which this one lies, in memory of its own or in an input.
int64_t rootOf(const PlanProgram &plan, int64_t value);
/// Bytes that each thread has of the value, if it lies nowhere for all rows; else 0.
int64_t threadBytesOf(const PlanProgram &plan, int64_t value);
/// The band that a step is of, or -1.
int64_t bandOf(const Op &op);

class PlannedMemory {
public:
  PlannedMemory(Device &device, const ParameterStore &parameters) : device_(device), parameters_(parameters), borders_(device, parameters) {}
  /// What programs that run often read: before the first of them runs.
  void prepare(const PlanProgram &plan, const std::vector<Reading> &readings) { borders_.keepDense(plan, readings); }
  /// For one batch: values by their number, the inputs placed. `room`: the size that slots are placed for.
  std::vector<Packed> begin(const PlanProgram &plan, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const BatchSize &size, const BatchSize &room);
  /// The results of a step, after those that they lie in. `reading`: of a parameter.
  void place(const PlanProgram &plan, const Op &op, std::vector<Packed> &values, const BatchSize &size, Reading reading);
  /// Inputs that the program's steps change in place, and that had to be copied to the device: as they are now, in the tensors that were given.
  void returnUpdated(const PlanProgram &plan, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const std::vector<Packed> &values);
  int64_t borderBytes() const { return borders_.bytes(); }
  int64_t bytes() const { return arena_.defined() ? arena_.numel() : 0; }

private:
  std::vector<int64_t> placeSlots(const PlanProgram &plan, const BatchSize &size, const BatchSize &room);
  std::string fittingHelp(int64_t tokens, int64_t bytes) const;
  void grow(const PlanProgram &plan, const BatchSize &size, int64_t bytes);
  Packed placeResult(const PlanProgram &plan, const Op &op, int64_t index, const std::vector<Packed> &values, const BatchSize &size, Reading reading);
  Packed placeParameter(const PlanProgram &plan, const Op &op, const Value &value, const BatchSize &size, Reading reading) const;

  /// Who has own rows of what only a band sees.
  int64_t threads() const;
  Device &device_;
  const ParameterStore &parameters_;
  at::Tensor arena_; ///< bytes
  std::map<std::string, at::Tensor> rooms_; ///< of copies of inputs, by program and input
  std::vector<int64_t> offsets_; ///< of the slots, and the end
  Borders borders_;
};

} // namespace peftrt::plan
