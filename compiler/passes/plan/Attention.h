// Attention: whether a kernel over heads' matrices computes softmax attention, as a library has it, or its way back. Asked by numbers: whatever words the body has for it,
// on a few small examples it must make what attention makes. What no small example shows, a mask's bounds, is read off the ops.
#pragma once
#include "dialects/plan/Plan.h"
#include <map>
#include <optional>
#include <string>

namespace mlir::plan {

/// A query row has its place at row + keys - rows. It sees the keys from `left` before that to `right` behind it; where one is absent, all.
struct Sight {
  std::optional<int64_t> left, right;
  bool operator==(const Sight &) const = default;
};

/// What attention looks at is dropped with this probability, and what is left grows by as much.
struct Dropout {
  double rate = 0;
  unsigned site = 0; ///< which of the kernel's
};

/// context = dropped(softmax(scale q kᵀ where seen)) v
struct ForwardAttention {
  KernelOp kernel;
  unsigned q = 0, k = 0, v = 0; ///< which operands
  unsigned context = 0;         ///< which result; the others are numbers of rows
  double scale = 1;
  Sight sight{};
  std::optional<Dropout> dropout{};
  Value operand(unsigned index) { return kernel.getInputs()[index]; }
};
struct BackwardAttention {
  KernelOp kernel;
  unsigned gradient = 0;                 ///< which operand is the context's
  std::optional<unsigned> q{}, k{}, v{}; ///< which results are the gradients of those
};

/// Asks each body once: layers share theirs.
class AttentionReader {
public:
  /// Nothing, and why, where the kernel is something else.
  std::optional<ForwardAttention> forward(KernelOp kernel, std::string &why);
  /// The same for the way back of `forward`, whose numbers of rows it may read.
  std::optional<BackwardAttention> backward(KernelOp kernel, ForwardAttention &forward, std::string &why);

private:
  template <typename T> struct Answer {
    std::optional<T> found;
    std::string why;
  };
  std::map<std::string, Answer<ForwardAttention>> forwards;
  std::map<std::string, Answer<BackwardAttention>> backwards; ///< by both bodies, and what the one has of the other
};

} // namespace mlir::plan
