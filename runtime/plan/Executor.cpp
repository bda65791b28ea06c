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

at::Tensor ParameterStore::get(const std::string &name) const {
  if (const auto found = values_.find(name); found != values_.end())
    return found->second;
  const auto loader = loaders_.find(name);
  if (loader == loaders_.end())
    failBundle("there is no parameter `" + name + "`");
  return loader->second();
}

} // namespace peftrt
