// PlannedMemory: see the header.
#include "runtime/plan/PlannedMemory.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>

namespace peftrt::plan {
namespace {

constexpr int64_t kAlignment = 64;

int64_t bytesOf(const Value &value, const BatchSize &size) { return elementsOf(value, size) * widthOf(value.type); }

at::Tensor inputOf(const Program &program, const NamedValue &input, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const BatchSize &size) {
  const Value &value = program.values[input.value];
  const auto &given = value.perExample ? batch.columns : tensors;
  const auto found = given.find(input.name);
  if (found == given.end())
    failBundle("`" + program.name + "` needs the input `" + input.name + "`");
  if (found->second.numel() != elementsOf(value, size))
    failBundle("`" + program.name + "`: the input `" + input.name + "` has " + std::to_string(found->second.numel()) + " elements, not " + std::to_string(elementsOf(value, size)));
  return found->second.to(dtypeOf(value.type)).contiguous();
}

std::vector<int64_t> packedShape(const Value &value, Layout layout, const BatchSize &size) {
  if (layout == Layout::ragged)
    return {elementsOf(value, size)};
  std::vector<int64_t> shape = runShape(value, size); // of a leading one but for the first axis
  if (layout == Layout::example)
    shape.insert(shape.begin(), size.examples());
  if (layout == Layout::leading)
    shape[0] = size.rowsOf(value.dims[0]);
  return shape;
}

/// Which axis of its packed shape counts a value's rows: of an example's [rows, …] the second.
size_t rowsAxis(Layout layout) { return layout == Layout::example ? 1 : 0; }

/// Bytes that a value takes where it lies: with what may lie beside it.
int64_t bytesOf(const Value &value, const Place &place, const BatchSize &size) {
  if (place.pitch == 0)
    return bytesOf(value, size);
  const Layout layout = layoutOf(value);
  const std::vector<int64_t> shape = packedShape(value, layout, size);
  int64_t rows = shape[0];
  if (rowsAxis(layout) == 1)
    rows *= shape.at(1);
  return rows * place.pitch * widthOf(value.type);
}

/// Where it lies in storage like that of `like`, from the element `begin` on: dense, or its rows in a table that begins there.
Packed packAt(const Value &value, const Place &place, const at::Storage &storage, int64_t begin, const at::Tensor &like, const BatchSize &size) {
  const Layout layout = layoutOf(value);
  const std::vector<int64_t> shape = packedShape(value, layout, size);
  std::vector<int64_t> strides(shape.size(), 1);
  for (int64_t axis = static_cast<int64_t>(shape.size()) - 2; axis >= 0; --axis)
    strides[axis] = strides[axis + 1] * std::max<int64_t>(shape[axis + 1], 1);
  if (place.pitch != 0) {
    const size_t axis = rowsAxis(layout);
    if (shape.size() < axis + 2 || place.column + strides[axis] > place.pitch)
      failBundle("a table has values that do not fit its rows");
    strides[axis] = place.pitch;
    if (axis == 1)
      strides[0] = shape[1] * place.pitch;
  }
  at::Tensor tensor = at::empty({0}, like.options().dtype(dtypeOf(value.type)));
  tensor.set_(storage, begin + place.column, shape, strides);
  return {&value, layout, tensor, false};
}

/// The tensor's elements under the shape of the value's layout.
Packed pack(const Value &value, const at::Tensor &tensor, const BatchSize &size) {
  const Layout layout = layoutOf(value);
  return {&value, layout, tensor.view(packedShape(value, layout, size)), false};
}

} // namespace

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

int64_t rowBytesOf(const Value &value) {
  int64_t bytes = widthOf(value.type);
  for (size_t axis = 1; axis < value.dims.size(); ++axis)
    bytes *= value.dims[axis].c;
  return bytes;
}

int64_t rootOf(const PlanProgram &plan, int64_t value) {
  while (plan.places[value].alias >= 0)
    value = plan.places[value].alias;
  return value;
}

int64_t threadBytesOf(const PlanProgram &plan, int64_t value) {
  const int64_t slot = plan.places[rootOf(plan, value)].slot;
  return slot >= 0 ? plan.slots[slot].p : 0;
}

int64_t bandOf(const Op &op) { return op.attrs.value("band", int64_t{-1}); }

std::vector<Packed> PlannedMemory::begin(const PlanProgram &plan, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const BatchSize &size, const BatchSize &room) {
  offsets_ = placeSlots(plan, size, room);
  std::vector<Packed> values(plan.body.values.size());
  for (const NamedValue &input : plan.body.inputs)
    values[input.value] = pack(plan.body.values[input.value], device_.here(inputOf(plan.body, input, batch, tensors, size), rooms_[plan.body.name + " " + input.name]), size);
  return values;
}

void PlannedMemory::place(const PlanProgram &plan, const Op &op, std::vector<Packed> &values, const BatchSize &size, Reading reading) {
  for (const int64_t result : op.out)
    values[result] = placeResult(plan, op, result, values, size, reading);
}

void PlannedMemory::returnUpdated(const PlanProgram &plan, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const std::vector<Packed> &values) {
  for (size_t index = 0; index < plan.kinds.size(); ++index) {
    if (plan.kinds[index] != "update")
      continue;
    const int64_t value = rootOf(plan, plan.body.ops[index].out[0]);
    for (const NamedValue &input : plan.body.inputs) {
      if (input.value != value)
        continue;
      const at::Tensor given = (plan.body.values[value].perExample ? batch.columns : tensors).at(input.name), updated = values[value].tensor;
      if (given.data_ptr() != updated.data_ptr())
        at::Tensor(given).view({-1}).copy_(device_.onHost(updated).view({-1}));
    }
  }
}

int64_t PlannedMemory::threads() const { return device_.isThreads() ? at::get_num_threads() : 1; }

/// Where each slot begins, and the end. Grows the arena.
std::vector<int64_t> PlannedMemory::placeSlots(const PlanProgram &plan, const BatchSize &size, const BatchSize &room) {
  std::vector<int64_t> bytes;
  for (const SlotSize &slot : plan.slots)
    bytes.push_back(room.bytesOf(slot) + slot.p * threads());
  if (size.flat) // its slots are written for vectors of one element
    for (size_t value = 0; value < plan.places.size(); ++value)
      if (plan.places[value].slot >= 0)
        bytes[plan.places[value].slot] = std::max(bytes[plan.places[value].slot], bytesOf(plan.body.values[value], size));
  std::vector<int64_t> offsets = {0};
  for (const int64_t slot : bytes)
    offsets.push_back(offsets.back() + (slot + kAlignment - 1) / kAlignment * kAlignment);
  if (!arena_.defined() || arena_.numel() < offsets.back())
    grow(plan, size, std::max<int64_t>(offsets.back(), kAlignment));
  return offsets;
}

/// What a batch may have instead. Bytes grow with the examples, and so with the tokens.
std::string PlannedMemory::fittingHelp(int64_t tokens, int64_t bytes) const {
  constexpr double kSure = 0.9; // of what is left: kernels' scratch and inputs are not in the plan
  const std::optional<int64_t> left = device_.bytesLeft();
  const auto fits = left ? static_cast<int64_t>(kSure * static_cast<double>(*left) / static_cast<double>(bytes) * static_cast<double>(tokens)) : 0;
  return fits > 0 ? "--set run.tokens_per_batch=" + std::to_string(fits) + " has room for its results; " : "";
}

/// The old one goes first, so that both are never there.
void PlannedMemory::grow(const PlanProgram &plan, const BatchSize &size, int64_t bytes) {
  arena_ = at::Tensor();
  try {
    arena_ = device_.empty({bytes}, at::kByte);
  } catch (const RuntimeError &error) {
    const int64_t tokens = size.tokens.empty() ? 0 : size.tokens[0];
    int64_t largest = 0;
    std::string which = "nothing";
    for (const Op &op : plan.body.ops)
      for (const int64_t value : op.out)
        if (plan.places[value].slot >= 0 && bytesOf(plan.body.values[value], size) > largest) {
          largest = bytesOf(plan.body.values[value], size);
          which = op.op + " at " + op.loc;
        }
    throw RuntimeError(error.code, "`" + plan.body.name + "` needs " + std::to_string(bytes) + " bytes for the results of a batch of " + std::to_string(tokens) + " tokens (the largest, of " + which + ", has " + std::to_string(largest) + "): " + error.message, fittingHelp(tokens, bytes) + error.help);
  }
}

Packed PlannedMemory::placeParameter(const PlanProgram &plan, const Op &op, const Value &value, const BatchSize &size, Reading reading) const {
  const std::string name = op.attrs.at("name");
  const at::Tensor parameter = value.type == ValueType::bf16 ? parameters_.half(name) : parameters_.get(name);
  if (parameter.scalar_type() != dtypeOf(value.type) || parameter.numel() != elementsOf(value, size))
    failBundle("the parameter `" + name + "` has another dtype or size than the program `" + plan.body.name + "` says");
  const bool isMatrix = parameter.dim() == 2 && parameter.stride(1) == 1;
  const at::Tensor here = device_.here(reading == Reading::rows && isMatrix ? parameter : parameter.contiguous());
  Packed packed = here.is_contiguous() ? pack(value, here, size) : Packed{&value, layoutOf(value), here, false};
  packed.isConstant = op.attrs.value("frozen", false) && !plan.streamed; // which reads it once: nothing is made of it to be kept
  return packed;
}

/// The weights below a border's own.
static std::vector<Borders::Below> stackedIn(const PlanProgram &plan, const Op &op) {
  std::vector<Borders::Below> below;
  const auto places = op.attrs.at("places").get<std::vector<int64_t>>();
  for (size_t part = 0; part < op.attrs.value("stacked", size_t{0}); ++part) {
    const auto made = std::find_if(plan.body.ops.begin(), plan.body.ops.end(), [&](const Op &other) { return other.op == "param" && other.out[0] == op.in.at(1 + part); });
    if (made == plan.body.ops.end() || 2 * part >= places.size())
      failBundle("border at " + op.loc + " stacks what is no parameter");
    below.push_back({made->attrs.at("name"), places[2 * part]});
  }
  return below;
}

Packed PlannedMemory::placeResult(const PlanProgram &plan, const Op &op, int64_t index, const std::vector<Packed> &values, const BatchSize &size, Reading reading) {
  const Value &value = plan.body.values[index];
  const Place &place = plan.places[index];
  if (op.op == "param")
    return reading == Reading::borders ? Packed{&value, Layout::run, {}, true} : placeParameter(plan, op, value, size, reading);
  if (place.alias >= 0) {
    const at::Tensor &source = values[place.alias].tensor;
    if (threadBytesOf(plan, index)) // what all threads have is in one tensor of elements
      return {&value, layoutOf(value), source, false};
    if (place.pitch != 0) {
      if (!source.defined() || source.scalar_type() != dtypeOf(value.type) || source.dim() < 2 || source.stride(0) != place.pitch)
        failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " sees another table than there is");
      const int64_t table = source.storage_offset() - plan.places[place.alias].column + op.attrs.value("row", int64_t{0}) * place.pitch; // where it begins, or a matrix' row
      return packAt(value, place, source.storage(), table, source, size);
    }
    if (!source.defined() || source.numel() != elementsOf(value, size) || source.scalar_type() != dtypeOf(value.type))
      failBundle("`" + plan.body.name + "`: " + op.op + " at " + op.loc + " is another name for a value of another size");
    return pack(value, source, size);
  }
  if (op.op == "border")
    return {&value, Layout::run, borders_.of(op.attrs.at("weight"), packedShape(value, Layout::run, size), value.type, plan.body.values[op.in.at(0)].type, {.turned = op.attrs.value("weight_turned", false), .stays = values[op.in[0]].isConstant, .below = stackedIn(plan, op)}), false};
  const int64_t begin = offsets_[place.slot];
  if (const int64_t thread = plan.slots[place.slot].p) {
    const int64_t width = widthOf(value.type), elements = thread * threads() / width, next = 1;
    at::Tensor tensor = at::empty({0}, arena_.options().dtype(dtypeOf(value.type)));
    tensor.set_(arena_.storage(), begin / width, elements, next);
    return {&value, layoutOf(value), tensor, false};
  }
  if (begin + bytesOf(value, place, size) > offsets_[place.slot + 1])
    failBundle("`" + plan.body.name + "`: the result of " + op.op + " at " + op.loc + " does not fit its slot");
  return packAt(value, place, arena_.storage(), begin / widthOf(value.type), arena_, size);
}

} // namespace peftrt::plan
