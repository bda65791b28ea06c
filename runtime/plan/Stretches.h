// Stretches: steps that follow each other and need nothing of this process but to be asked for, so that a device may record what they ask for and do it again as one.
//
// Which steps  kernels, copies (Copies.h), and products of which it is known beforehand that LibTorch allocates nothing: their operands lie as they are multiplied, in
//              one type, and the result, which may be wider (a gradient), has its place. What other steps of LibTorch take from its allocator in passing, a recording would go on using when it has long been another's.
#pragma once
#include "runtime/plan/KernelSteps.h"
#include "runtime/plan/ProductSteps.h"
#include <c10/core/Device.h>
#include <functional>

namespace peftrt::plan {

/// Steps begin … end - 1 of a program.
struct Stretch {
  size_t begin = 0, end = 0;
  int64_t asked = 0; ///< those of them that there is something to do for
};

enum class Part { none, asked, idle /**< there is nothing to do */ };
/// Those worth recording, by what each step would be in one.
std::vector<Stretch> stretchesOf(const std::vector<Part> &parts);

/// Whether LibTorch multiplies for this step without allocating anything. `branch`: what is added, if the step has one.
bool isPlain(const Op &op, const Program &program, const std::optional<ProductStep> &product, const std::optional<ProductStep> &branch);
/// Its products, one after the other.
std::vector<products::Call> plainCallsOf(const Op &op, const ProductStep &product, const std::optional<ProductStep> &branch, const std::vector<Packed> &values, const BatchSize &size);
/// By LibTorch, on memory of `device` that others hold. On any thread.
void multiplyPlain(const products::Call &call, c10::Device device);
void tell(const products::Call &call, Given &given);

/// Does stretches, of one executor.
class Recorder {
public:
  virtual ~Recorder() = default;
  /// What `ask` asks for: by calling it, or as it was recorded when it was called with the same `given`. `name`: for errors.
  virtual void run(const std::string &name, int64_t steps, Given given, const std::function<void()> &ask) = 0;
  /// Inside of `ask`: what LibTorch does. It may be called again, by another thread, and has what it needs.
  virtual void library(std::function<void()> step) = 0;
  virtual RecordedUse use() const = 0;
};

} // namespace peftrt::plan
