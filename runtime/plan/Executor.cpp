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

Results Executor::run(const std::string &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) {
  Results results = runInPlace(program, batch, tensors, random);
  for (auto &[name, value] : results)
    value = onHost(value);
  return results;
}

void Executor::stream(const std::string &program, const RandomState &random, const Taker &take) {
  streamInPlace(program, random, [&](const std::string &name, const at::Tensor &value) { take(name, onHost(value)); });
}

void ParameterStore::set(const std::string &name, at::Tensor value) {
  if (const auto half = halves_.find(name); half != halves_.end()) {
    half->second = value.to(at::kBFloat16);
    loaders_.erase(name);
  } else {
    values_[name] = std::move(value);
  }
}

at::Tensor ParameterStore::get(const std::string &name) const {
  if (const auto found = values_.find(name); found != values_.end())
    return found->second;
  const auto loader = loaders_.find(name);
  return loader == loaders_.end() ? half(name).to(at::kFloat) : loader->second();
}

void ParameterStore::moveTo(const std::string &name, at::Tensor view) const {
  for (std::map<std::string, at::Tensor> *map : {&values_, &halves_})
    if (const auto found = map->find(name); found != map->end() && found->second.scalar_type() == view.scalar_type())
      found->second = view;
}

at::Tensor ParameterStore::half(const std::string &name) const {
  const auto found = halves_.find(name);
  if (found == halves_.end())
    failBundle("there is no parameter `" + name + "`");
  return found->second;
}

} // namespace peftrt
