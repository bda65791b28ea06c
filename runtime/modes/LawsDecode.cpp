// LawsDecode: a text that is written on beside a cache is the text as a whole.
#include "runtime/generation/Continuation.h"
#include "runtime/modes/Laws.h"
#include <ATen/ATen.h>

namespace peftrt::laws {
namespace {

constexpr double kTolerance = 1e-4;
constexpr double kExactTolerance = 1e-9; ///< two orders of the same fp64 sums

/// The first `count` tokens of each text.
std::vector<std::vector<int64_t>> beginnings(const std::vector<std::vector<int64_t>> &texts, size_t count) {
  std::vector<std::vector<int64_t>> cut;
  for (const auto &text : texts)
    cut.emplace_back(text.begin(), text.begin() + static_cast<int64_t>(std::min(count, text.size())));
  return cut;
}

/// The batch's rows of token ids that such an encoder made.
std::vector<std::vector<int64_t>> textsOf(const Subject &subject, Encoder encoder) {
  std::vector<std::vector<int64_t>> texts;
  for (const RowField &field : rowFieldsOf(subject.session->manifest())) {
    if (field.encoder != encoder)
      continue;
    const int64_t *ids = subject.batch.columns.at(field.name).data_ptr<int64_t>();
    for (const int64_t length : encoder == Encoder::Answer ? subject.batch.others.at(0).lengths : subject.batch.lengths) {
      texts.emplace_back(ids, ids + length);
      ids += length;
    }
  }
  return texts;
}

std::string rowOf(const Subject &subject, Encoder encoder) {
  for (const RowField &field : rowFieldsOf(subject.session->manifest()))
    if (field.encoder == encoder)
      return field.name;
  return "";
}

/// Whether what is kept of a text's tokens is the same when a token follows: of nothing else a cache could be made.
bool entriesStay(Executor &reference, const Subject &subject, const std::vector<std::vector<int64_t>> &texts, const std::vector<std::vector<int64_t>> &read) {
  const auto keptOf = [&](const std::vector<int64_t> &text, size_t place) {
    const auto length = static_cast<int64_t>(text.size());
    if (read.empty())
      return reference.run("prefill", {{length}, {}, {{rowOf(subject, Encoder::Tokens), at::tensor(text, at::kLong)}}}, {}, subject.random);
    Batch batch{{static_cast<int64_t>(read[place].size())}, {}, {{rowOf(subject, Encoder::Tokens), at::tensor(read[place], at::kLong)}, {rowOf(subject, Encoder::Answer), at::tensor(text, at::kLong)}}};
    batch.others = {{{length}, {}}};
    return reference.run("prefill", batch, {}, subject.random);
  };
  for (size_t place = 0; place < texts.size(); ++place) {
    const std::vector<int64_t> &text = texts[place];
    if (text.size() < 2)
      continue;
    const Results before = keptOf({text.begin(), text.end() - 1}, place), after = keptOf(text, place);
    for (const auto &[name, value] : before) {
      if (!isKept(name))
        continue;
      const at::Tensor entries = value.reshape({-1}), same = after.at(name).reshape({-1}).narrow(0, 0, entries.numel());
      if ((entries - same).abs().max().item<double>() > kExactTolerance * entries.abs().max().item<double>())
        return false;
    }
  }
  return true;
}

} // namespace

Verdict keptIsComputed(Subject &subject) {
  Session &session = *subject.session;
  if (!session.writesOn())
    return {Verdict::Word::None, "the task does not say what follows a token"};
  std::vector<std::vector<int64_t>> texts = textsOf(subject, Encoder::Answer), read = textsOf(subject, Encoder::Tokens);
  if (texts.empty())
    texts.swap(read); // then nothing is answered
  const std::vector<int64_t> rooms = read.empty() ? subject.batch.lengths : subject.batch.others.at(0).lengths;
  Continuation kept(*session.executor, session.device(), session.bundle, "", subject.random, true);
  if (!kept.cached())
    return {Verdict::Word::None, "no cache: " + session.manifest().value("uncached", "")};
  const ParameterStore exact = subject.exact();
  const auto reference = makeReferenceExecutor(session.bundle, exact, at::kDouble);
  if (!entriesStay(*reference, subject, texts, read))
    return {Verdict::Word::None, "no cache: a token changes what earlier ones are"};
  Continuation whole(*reference, session.device(), session.bundle, "", subject.random, false);
  Comparison comparison(kTolerance);
  at::Tensor logits = kept.begin(beginnings(texts, 1), rooms, read);
  for (size_t count = 1;; ++count) {
    const std::vector<std::vector<int64_t>> cut = beginnings(texts, count);
    const std::vector<int64_t> wanted(texts.size(), static_cast<int64_t>(count));
    comparison.add("next." + std::to_string(count), logits.to(at::kDouble), whole.begin(cut, wanted, read).to(at::kDouble));
    std::vector<size_t> longer;
    std::vector<int64_t> tokens;
    for (size_t text = 0; text < texts.size(); ++text)
      if (texts[text].size() > count) {
        longer.push_back(text);
        tokens.push_back(texts[text][count]);
      }
    if (longer.empty())
      break;
    kept.keep(longer);
    std::vector<std::vector<int64_t>> rest, unread;
    for (const size_t text : longer) {
      rest.push_back(texts[text]);
      if (!read.empty())
        unread.push_back(read[text]);
    }
    texts = rest, read = unread;
    logits = kept.append(tokens);
  }
  return comparison.verdict("a token more beside what is kept, and the whole text by the reference");
}

} // namespace peftrt::laws
