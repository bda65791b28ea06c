// Writing: see the header.
#include "runtime/modes/Writing.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <numeric>

namespace peftrt {
namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point when) { return std::chrono::duration<double>(Clock::now() - when).count(); }

} // namespace

at::Tensor Writer::begin(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch) {
  const Clock::time_point start = Clock::now();
  std::vector<TokenIds> texts, read;
  std::vector<int64_t> rooms;
  for (const int64_t index : batch) {
    const Prompt &prompt = prompts[static_cast<size_t>(index)];
    texts.push_back(options_.start ? TokenIds{*options_.start} : prompt.ids);
    if (options_.start)
      read.push_back(prompt.ids);
    const int64_t most = before(prompt) + options_.maxNew;
    rooms.push_back(options_.positions > 0 ? std::min(most, options_.positions) : most);
    report_.promptTokens += static_cast<int64_t>(prompt.ids.size());
  }
  const at::Tensor logits = continuation_.begin(std::move(texts), std::move(rooms), std::move(read));
  report_.promptSeconds += secondsSince(start);
  report_.cacheBytes = std::max(report_.cacheBytes, continuation_.cacheBytes());
  return logits;
}

/// What follows; the first time it is compared with what the whole text gives.
at::Tensor Writer::append(const std::vector<int64_t> &tokens) {
  at::Tensor logits = continuation_.append(tokens);
  if (checked_ || !continuation_.cached())
    return logits;
  checked_ = true;
  if (continuation_.differenceFromWhole(logits) <= options_.tolerance)
    return logits;
  report_.uncached = "a token changes what earlier ones are: something reads the text that follows";
  return continuation_.withoutCache();
}

/// Adds the token, or says that there is none.
bool Writer::isEnded(Answer &answer, int64_t token, int64_t promptTokens) const {
  if (options_.ends.count(token)) {
    answer.finish = "end";
    return true;
  }
  answer.ids.push_back(token);
  const auto written = static_cast<int64_t>(answer.ids.size());
  return written >= options_.maxNew || (options_.positions > 0 && promptTokens + written >= options_.positions);
}

void Writer::decode(std::vector<Answer *> answers) const {
  if (!helper_ || answers.empty())
    return;
  std::vector<TokenIds> ids;
  for (const Answer *answer : answers)
    ids.push_back(answer->ids);
  const std::vector<std::string> texts = helper_->decode(ids);
  for (size_t index = 0; index < answers.size(); ++index)
    answers[index]->text = texts[index];
}

/// A stop string ends the text in front of it.
bool Writer::isStopped(Answer &answer) const {
  size_t first = std::string::npos;
  for (const std::string &stop : options_.stops)
    first = std::min(first, answer.text.find(stop));
  if (first == std::string::npos)
    return false;
  answer.text.resize(first);
  answer.finish = "stop";
  return true;
}

/// A token for each open text; those that go on, as they lie in the continuation.
std::vector<size_t> Writer::choose(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch, const at::Tensor &logits, std::vector<Answer> &answers, const std::vector<size_t> &open) {
  if (!logits.isfinite().all().item<bool>())
    throw RuntimeError("R0201", "the logits are not finite", "the run has diverged: train again with a lower lr");
  std::vector<size_t> going;
  std::vector<Answer *> grown;
  for (size_t text = 0; text < open.size(); ++text) {
    Answer &answer = answers[open[text]];
    const auto index = static_cast<size_t>(batch[open[text]]);
    const size_t written = answer.ids.size();
    const int64_t token = chooseToken(logits[static_cast<int64_t>(text)].data_ptr<float>(), logits.size(1), options_.sampling, index, written);
    if (!isEnded(answer, token, before(prompts[index])))
      going.push_back(text);
    if (answer.ids.size() > written)
      grown.push_back(&answer);
  }
  report_.tokens += static_cast<int64_t>(grown.size());
  if (seen_ || !options_.stops.empty())
    decode(grown);
  going.erase(std::remove_if(going.begin(), going.end(), [&](size_t text) { return isStopped(answers[open[text]]); }), going.end());
  for (const Answer *answer : grown)
    if (seen_)
      seen_(*answer);
  return going;
}

std::vector<Answer> Writer::write(const std::vector<Prompt> &prompts, const std::vector<int64_t> &batch) {
  std::vector<Answer> answers(batch.size());
  std::vector<size_t> open(batch.size()); // places in the batch, as the continuation's texts lie
  std::iota(open.begin(), open.end(), 0);
  at::Tensor logits = begin(prompts, batch);
  const Clock::time_point start = Clock::now();
  while (true) {
    const std::vector<size_t> going = choose(prompts, batch, logits, answers, open);
    if (going.empty())
      break;
    std::vector<int64_t> tokens;
    std::vector<size_t> places;
    for (const size_t text : going) {
      places.push_back(open[text]);
      tokens.push_back(answers[open[text]].ids.back());
    }
    if (going.size() < open.size())
      continuation_.keep(going);
    open = std::move(places);
    logits = append(tokens);
  }
  report_.seconds += secondsSince(start);
  std::vector<Answer *> all;
  for (Answer &answer : answers)
    all.push_back(&answer);
  if (!seen_ && options_.stops.empty())
    decode(all);
  return answers;
}

} // namespace peftrt
