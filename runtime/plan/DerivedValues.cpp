// DerivedValues: see DerivedValues.h.
//
// Why a fingerprint of bytes and not a version counter  whoever writes to a parameter need not know of this, so nothing can be stale
#include "runtime/plan/DerivedValues.h"
#include "runtime/bundle/Format.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Mix.h"
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <cstring>
#include <optional>

namespace peftrt {
namespace {

uint64_t mixBytes(uint64_t hash, const at::Tensor &tensor) {
  const at::Tensor bytes = tensor.contiguous();
  const char *data = static_cast<const char *>(bytes.data_ptr());
  const size_t size = bytes.nbytes();
  uint64_t word = 0;
  for (size_t place = 0; place < size; place += sizeof(word)) {
    word = 0;
    std::memcpy(&word, data + place, std::min(sizeof(word), size - place));
    hash = mix(hash, word);
  }
  return hash;
}

/// A program that makes derived values, and what it made last.
struct Maker {
  std::string program;
  bool once = false;
  std::vector<std::string> reads; ///< parameters
  std::optional<uint64_t> fingerprint;
  bool isHeld = false; ///< made since the parameters are held
  Results values;
};

class DerivedValues final : public Executor {
public:
  DerivedValues(const ParameterStore &parameters, std::unique_ptr<Executor> inner, std::map<std::string, Maker> makers, bool bytesAreHere)
      : parameters_(parameters), inner_(std::move(inner)), makers_(std::move(makers)), bytesAreHere_(bytesAreHere) {}

  MemoryUse memory() const override { return inner_->memory(); }
  void holdParameters(bool held) override {
    held_ = held;
    for (auto &[program, maker] : makers_)
      maker.isHeld = false;
    inner_->holdParameters(held);
  }

  RecordedUse recorded() const override { return inner_->recorded(); }
  std::vector<StepTime> profile() const override { return inner_->profile(); }

  at::Tensor onHost(const at::Tensor &result) override { return inner_->onHost(result); }

  Results runInPlace(const std::string &program, const Batch &batch, const std::map<std::string, at::Tensor> &tensors, const RandomState &random) override {
    const auto found = makers_.find(program);
    if (found == makers_.end())
      return inner_->runInPlace(program, batch, tensors, random);
    std::map<std::string, at::Tensor> inputs = tensors;
    for (const auto &[name, value] : madeBy(found->second, random))
      inputs[name] = value;
    return inner_->runInPlace(program, batch, inputs, random);
  }

  void streamInPlace(const std::string &program, const RandomState &random, const Taker &take) override { inner_->streamInPlace(program, random, take); }

private:
  const Results &madeBy(Maker &maker, const RandomState &random) {
    if (held_ && maker.isHeld)
      return maker.values;
    const bool isKnown = maker.once || bytesAreHere_;
    const uint64_t now = maker.once ? 0 : isKnown ? fingerprintOf(maker) : 1;
    if (!isKnown || maker.fingerprint != now) {
      maker.fingerprint.reset(); // nothing is half new if the run fails
      for (const auto &[name, value] : inner_->runInPlace(maker.program, Batch{}, {}, {random.seed, 0, 0}))
        keep(maker.values[name], value); // a result is a view that the next run overwrites
      maker.fingerprint = now;
    }
    maker.isHeld = held_;
    return maker.values;
  }

  /// Where it is kept already, so that the programs that read it find it at the same place.
  static void keep(at::Tensor &kept, const at::Tensor &value) {
    const c10::InferenceMode noAutograd; // whoever asked first
    if (kept.defined() && kept.sizes() == value.sizes() && kept.scalar_type() == value.scalar_type())
      kept.copy_(value);
    else
      kept = value.clone();
  }

  uint64_t fingerprintOf(const Maker &maker) const {
    uint64_t hash = kMixBegin;
    for (const std::string &name : maker.reads)
      hash = mixBytes(hash, parameters_.get(name));
    return hash;
  }

  const ParameterStore &parameters_;
  std::unique_ptr<Executor> inner_;
  std::map<std::string, Maker> makers_; ///< by the program that takes the values
  const bool bytesAreHere_;
  bool held_ = false;
};

std::map<std::string, Maker> makersOf(const Bundle &bundle) {
  std::map<std::string, Maker> makers;
  for (const Program &program : programsOf(bundle.programs.value())) {
    const size_t dot = program.name.rfind('.');
    const std::string rate = dot == std::string::npos ? "" : program.name.substr(dot + 1);
    if (rate != "constant" && rate != "step")
      continue;
    Maker maker{program.name, rate == "constant", {}, std::nullopt, false, {}};
    for (const Op &op : program.ops)
      if (op.op == "param")
        maker.reads.push_back(op.attrs.at("name"));
    makers.emplace(program.name.substr(0, dot), std::move(maker));
  }
  return makers;
}

} // namespace

std::unique_ptr<Executor> withDerivedValues(const Bundle &bundle, const ParameterStore &parameters, std::unique_ptr<Executor> inner, bool bytesAreHere) {
  return std::make_unique<DerivedValues>(parameters, std::move(inner), makersOf(bundle), bytesAreHere);
}

} // namespace peftrt
