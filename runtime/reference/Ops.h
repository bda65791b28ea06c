// Ops: what every op of runtime/bundle/README.md means, for one example, on dense tensors of one real dtype.
//
// This is the specification: plain, functional, without any thought for speed. A file each for a class of ops.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/plan/Executor.h"
#include <map>
#include <string>
#include <vector>

namespace peftrt::reference {

/// One application of an op to one example's operands (or to the run's).
struct Call {
  const Op &op;
  std::vector<at::Tensor> in;
  std::vector<int64_t> shape;  ///< of the result
  ValueType type;              ///< of the result
  at::ScalarType real;         ///< what f32 is computed in
  const Lengths &lengths;      ///< of the batch
  int64_t example = 0;
  int64_t sibling = 0;         ///< which of its row's examples this is; an op of `siblings` has as operands what each of them has
  int64_t firstElement = 0;    ///< of this block in the packed value
  const RandomState &random;
  const ParameterStore &parameters;

  int64_t axis() const { return op.attrs.at("axis").get<int64_t>(); }
  int64_t length(const char *attribute) const { return dimOf(op.attrs.at(attribute)).at(lengths, example); }
  at::ScalarType dtype() const { return type == ValueType::f32 ? real : type == ValueType::i64 ? at::kLong : at::kBool; }
  at::TensorOptions options() const { return at::TensorOptions().dtype(dtype()); }
};

using Function = at::Tensor (*)(const Call &);
using Table = std::map<std::string, Function>;

Table sources();     ///< param constant literal iota dim random
Table elementwise(); ///< arithmetic, comparisons, select, cast
Table reductions();  ///< reduce argmax ranks order contract
Table matrices();    ///< inverse
Table layouts();     ///< transpose split merge expand_dims squeeze broadcast slice pad roll repeat concat put_last stop_grad
Table indexing();    ///< gather scatter_add siblings sum_siblings

} // namespace peftrt::reference
