// Laws: what holds for every method, whatever it computes, checked on the program at hand at randomised parameters.
//
// A law is a function from a Subject to a Verdict. It needs no data: the subject makes rows out of the manifest.
#pragma once
#include "runtime/modes/Session.h"
#include <string>
#include <vector>

namespace peftrt::laws {

struct Verdict {
  enum class Word { Pass, Fail, None } word = Word::Pass; ///< None: the law does not speak about this program
  std::string detail;
};

/// Numbers beside the ones that they should be: keeps the largest difference, relative to the expected tensor's largest number.
/// What `predict` says of a batch, as far as it does.
constexpr const char *kSaid[] = {"logits", "next", "loss"};

class Comparison {
public:
  explicit Comparison(double tolerance) : tolerance_(tolerance) {}
  /// `least`: scale below which the expected numbers are noise.
  void add(const std::string &where, const at::Tensor &found, const at::Tensor &expected, double least = 0);
  void fail(const std::string &why);
  /// One difference that the caller scaled.
  void note(const std::string &where, double difference);
  Verdict verdict(const std::string &compared) const;

private:
  double tolerance_, largest_ = 0;
  std::string where_, failure_;
};

/// An opened trainer at randomised parameters, and a batch.
struct Subject {
  Bundle bundle;
  SessionOptions options;
  Surroundings surroundings;
  uint64_t seed = 0;
  std::string scratch;                        ///< a folder for files
  std::unique_ptr<Session> session;           ///< the plan, in fp32
  std::map<std::string, at::Tensor> initial;  ///< every parameter before it was randomised
  Batch batch;
  RandomState random;

  /// Parameters in fp64, copied: as they are now, or as they were at the start.
  ParameterStore exact(bool atStart = false) const;
  std::vector<std::string> trainables() const;
  nlohmann::json parameter(const std::string &name) const;
  /// Results of one run, copied out of the executor's buffers, in fp64.
  Results run(Executor &executor, const std::string &program, const std::map<std::string, at::Tensor> &tensors = {}) const;
};

/// Opens the trainer and randomises. `scratch` must exist.
Subject makeSubject(Bundle bundle, const SessionOptions &options, const Surroundings &surroundings, uint64_t seed, const std::string &scratch);
/// Standard normal numbers in fp64; `stream` tells one use from another.
at::Tensor normalNumbers(uint64_t seed, uint32_t stream, at::IntArrayRef shape);
/// The same batch's rows and some more as a file that `train` reads.
std::string writeRows(const Subject &subject, int64_t count);

struct Law {
  std::string name, says;
  Verdict (*check)(Subject &subject);
};

Verdict startsAsBase(Subject &subject);      // LawsNumbers.cpp
Verdict planIsReference(Subject &subject);   // LawsNumbers.cpp
Verdict mergedIsUnmerged(Subject &subject);  // LawsNumbers.cpp
Verdict keptIsComputed(Subject &subject);     // LawsDecode.cpp
Verdict gradientIsSlope(Subject &subject);   // LawsGradient.cpp
Verdict savedIsLoaded(Subject &subject);     // LawsState.cpp
Verdict stepMovesDeclared(Subject &subject); // LawsState.cpp
Verdict resumedIsWhole(Subject &subject);    // LawsState.cpp

} // namespace peftrt::laws
