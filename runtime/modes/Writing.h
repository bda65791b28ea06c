// Writing: prompts are continued, a batch at a time, until each has ended.
#pragma once
#include "runtime/generation/Continuation.h"
#include "runtime/generation/Sampler.h"
#include "runtime/modes/Prompts.h"
#include <functional>
#include <optional>
#include <set>

namespace peftrt {

struct WritingOptions {
  SamplingOptions sampling;
  int64_t maxNew = 256;
  int64_t positions = 0;          ///< of the model; 0: any number
  std::vector<std::string> stops; ///< a text ends before the first of them
  std::set<int64_t> ends;         ///< tokens that end a text
  std::optional<int64_t> start;   ///< prompts are not continued but answered: the token that answers begin with
  double tolerance = 1e-3;        ///< by how much logits beside a cache may differ from those of the whole text, of the largest
};

/// What was written behind a prompt, and why no more: `end`, `stop` or `length`.
struct Answer {
  TokenIds ids;
  std::string text;
  const char *finish = "length";
};

struct WritingReport {
  double promptSeconds = 0, seconds = 0;
  int64_t promptTokens = 0, tokens = 0, cacheBytes = 0;
  std::string uncached; ///< why each token was computed from the whole text, or empty
};

class Writer {
public:
  using Seen = std::function<void(const Answer &)>;
  /// `helper`: may be null, then answers have no text and there are no stops. `seen` is called with what an answer is so far whenever a token is added.
  Writer(Continuation &continuation, const WritingOptions &options, TextHelper *helper, Seen seen) : continuation_(continuation), options_(options), helper_(helper), seen_(std::move(seen)) {}

  /// Continues those of the prompts together that are in the batch.
  std::vector<Answer> write(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch);
  const WritingReport &report() const { return report_; }

private:
  at::Tensor begin(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch);
  at::Tensor append(const std::vector<int64_t> &tokens);
  std::vector<size_t> choose(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch, const at::Tensor &logits, std::vector<Answer> &answers, const std::vector<size_t> &open);
  bool isStopped(Answer &answer) const;
  /// Tokens in front of what is written.
  int64_t before(const Prompt &prompt) const { return options_.start ? 1 : static_cast<int64_t>(prompt.ids.size()); }
  bool isEnded(Answer &answer, int64_t token, int64_t promptTokens) const;
  void decode(std::vector<Answer *> answers) const;

  Continuation &continuation_;
  const WritingOptions &options_;
  TextHelper *helper_;
  Seen seen_;
  WritingReport report_;
  bool checked_ = false; ///< that the cache holds what later tokens need
};

} // namespace peftrt
