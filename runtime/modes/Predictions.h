// Predictions: what the logits of a batch say of each of its rows.
//
// In     the results of `predict` or `predict_base`: `logits`, of a row or of its tokens; `token`, which token each row of logits speaks of; or, of a text that can be
//        written on, `next`, the logits of what follows its last token, `loss` and `count`
// Out    a label with probabilities; the place of a choice with probabilities; numbers; a label for each word or id; or which token follows a text, what that reads as, and
//        how well its own tokens were predicted, where any is to be
// Errs   R0201 logits or losses that are not finite; those of TextHelper
#pragma once
#include "runtime/modes/Session.h"

namespace peftrt {

class Predictions {
public:
  Predictions(const Session &session, const std::string &program);
  /// A JSON object for each of the batch's rows.
  std::vector<nlohmann::json> of(const Results &results, const Dataset &dataset, const std::vector<int64_t> &rows) const;

  /// Of rows that are texts, what the token reads as that follows each, as `next_text` of its line.
  void spellNext(std::vector<nlohmann::json> &lines, const Dataset &dataset) const;

private:
  nlohmann::json ofRow(const at::Tensor &logits) const;
  nlohmann::json ofWords(const at::Tensor &logits, const at::Tensor &tokens, const Dataset::Column &text, int64_t row, int64_t length) const;

  const Session &session_;
  std::optional<Value> type_; ///< of logits; none where texts are written on
  bool classes_ = false, choices_ = false; ///< what they tell apart
};

} // namespace peftrt
