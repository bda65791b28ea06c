// Executor: what both executors share: the batch and the parameters.
#include "runtime/plan/Executor.h"
#include "runtime/bundle/Errors.h"

namespace peftrt {

int64_t Batch::tokens() const {
  int64_t total = 0;
  for (const int64_t length : lengths)
    total += length;
  for (const Sequence &sequence : others)
    for (const int64_t length : sequence.lengths)
      total += length;
  return total;
}

const at::Tensor &ParameterStore::get(const std::string &name) const {
  const auto found = values_.find(name);
  if (found == values_.end())
    failBundle("there is no parameter `" + name + "`");
  return found->second;
}

} // namespace peftrt
