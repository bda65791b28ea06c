// Sequences: see the header. The tables lie sequence after sequence, and pair after pair (runtime/cpu/Kernels.h).
#include "compiler/conversion/Sequences.h"
#include "dialects/plan/Plan.h"

using namespace mlir;

namespace peftc::conversion {

Sequences::Sequences(Code &code, Value call)
    : code(code), call(call), offsets(code.field(call, CallField::offsets)), squares(code.field(call, CallField::squares)), lengths(code.field(call, CallField::lengths)) {}

void Sequences::begin(Value ofTask, ArrayRef<nn::Dim> dims) {
  example = ofTask;
  places.clear();
  for (nn::Dim dim : dims) {
    if (dim.isStatic() || places.count(dim.sequence))
      continue;
    Value firstAt = example, lengthAt = example;
    if (dim.sequence != 0) {
      Value examples = code.field(call, CallField::examples);
      firstAt = code.add(code.mul(code.add(examples, code.integer(1)), dim.sequence), example);
      lengthAt = code.add(code.mul(examples, dim.sequence), example);
    }
    Value first = code.load(code.at(offsets, code.i64(), firstAt), code.i64());
    places[dim.sequence] = {first, code.load(code.at(lengths, code.i64(), lengthAt), code.i64())};
  }
}

Value Sequences::lengthOf(nn::Dim dim) const {
  Value constant = code.integer(dim.constant);
  return dim.isStatic() ? constant : code.add(constant, code.mul(places.at(dim.sequence).length, dim.scale));
}

Value Sequences::firstRowOf(nn::Dim dim) const {
  Value constant = code.mul(example, dim.constant);
  return dim.isStatic() ? constant : code.add(constant, code.mul(places.at(dim.sequence).first, dim.scale));
}

Value Sequences::firstEntryOf(nn::Dim rows, nn::Dim keys) const {
  Value before = code.mul(example, rows.constant * keys.constant);
  if (!rows.isStatic())
    before = code.add(before, code.mul(places.at(rows.sequence).first, rows.scale * keys.constant));
  if (!keys.isStatic())
    before = code.add(before, code.mul(places.at(keys.sequence).first, rows.constant * keys.scale));
  if (rows.isStatic() || keys.isStatic())
    return before;
  Value at = example;
  if (const int64_t pair = plan::pairOf(rows.sequence, keys.sequence); pair != 0)
    at = code.add(code.mul(code.add(code.field(call, CallField::examples), code.integer(1)), pair), example);
  return code.add(before, code.mul(code.load(code.at(squares, code.i64(), at), code.i64()), rows.scale * keys.scale));
}

} // namespace peftc::conversion
