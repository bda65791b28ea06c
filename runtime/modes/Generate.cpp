// Generate: prompts are continued: one is written to standard output as it grows, several become a line of JSON each.
//
// Runs on merged weights where the spec merges, like `predict`. Greedy unless a temperature is given.
// Errs   R0203 the task does not say what follows a token; those of Prompts
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/modes/Merged.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/modes/Writing.h"
#include <ATen/ATen.h>
#include <cstdio>
#include <filesystem>

namespace peftrt {
namespace {

using nlohmann::json;

constexpr double kTolerance = 1e-3, kTolerance16 = 5e-2;

/// The tokens that end a text: generation_config.json's, else config.json's.
std::set<int64_t> endsOf(const Session &session) {
  json ends = session.manifest().at("model").at("config").value("eos_token_id", json());
  const std::string path = session.modelPath + "/generation_config.json";
  if (std::filesystem::exists(path))
    if (const json own = parseJson(std::string(MappedFile::open(path)->text())).value("eos_token_id", json()); !own.is_null())
      ends = own;
  std::set<int64_t> tokens;
  for (const json &end : ends.is_array() ? ends : json::array({ends}))
    if (end.is_number_integer())
      tokens.insert(end.get<int64_t>());
  return tokens;
}

WritingOptions writingOptionsOf(const Arguments &arguments, const Session &session) {
  WritingOptions options;
  options.sampling.temperature = arguments.number("temperature", arguments.has("top-k") || arguments.has("top-p") ? 1 : 0, 0, 1e6);
  options.sampling.topP = arguments.number("top-p", 1, 0, 1);
  options.sampling.topK = arguments.integer("top-k", 0, 0);
  options.sampling.seed = static_cast<uint64_t>(arguments.integer("seed", static_cast<int64_t>(session.options.seed), 0));
  options.maxNew = arguments.integer("max-new", options.maxNew, 1);
  options.positions = session.positions();
  options.stops = arguments.all("stop");
  for (const std::string &stop : options.stops)
    if (stop.empty())
      throw UsageError{"--stop is empty", ""};
  if (!arguments.has("ignore-end"))
    options.ends = endsOf(session);
  for (const RowField &field : rowFieldsOf(session.manifest()))
    if (field.encoder == Encoder::Answer)
      options.start = field.start;
  options.tolerance = session.manifest().at("run").value("precision", "") == "bf16" ? kTolerance16 : kTolerance;
  return options;
}

/// Writes what is new of a text, but no part of a character, nor what may become a stop string.
class Stream {
public:
  explicit Stream(const std::vector<std::string> &stops) : stops_(stops) {}
  void see(const std::string &text, bool whole) {
    const size_t ready = whole ? text.size() : readyOf(text);
    if (ready <= written_)
      return;
    std::fwrite(text.data() + written_, 1, ready - written_, stdout);
    std::fflush(stdout);
    written_ = ready;
  }

private:
  size_t readyOf(const std::string &text) const {
    constexpr std::string_view unknown = "\xEF\xBF\xBD"; // what the first bytes of a character are decoded as
    size_t ready = text.size();
    while (ready >= unknown.size() && text.compare(ready - unknown.size(), unknown.size(), unknown) == 0)
      ready -= unknown.size();
    for (const std::string &stop : stops_)
      for (size_t length = std::min(stop.size() - 1, ready); length > 0; --length)
        if (text.compare(ready - length, length, stop, 0, length) == 0) {
          ready -= length;
          break;
        }
    return ready;
  }
  const std::vector<std::string> &stops_;
  size_t written_ = 0;
};

json describe(const Prompt &prompt, const Answer &answer, bool hasText) {
  json line = {{"prompt", prompt.given}, {"ids", answer.ids}, {"tokens", answer.ids.size()}, {"finish", answer.finish}};
  if (hasText)
    line["text"] = answer.text;
  return line;
}

void report(const WritingReport &report, bool merged) {
  std::fprintf(stderr, "%lld tokens at %.1f tokens/s; prompts: %lld tokens at %.0f tokens/s; %s weights, ", static_cast<long long>(report.tokens), static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9),
               static_cast<long long>(report.promptTokens), static_cast<double>(report.promptTokens) / std::max(report.promptSeconds, 1e-9), merged ? "merged" : "unmerged");
  if (report.uncached.empty())
    std::fprintf(stderr, "cache %.1f MiB\n", static_cast<double>(report.cacheBytes) / (1 << 20));
  else
    std::fprintf(stderr, "no cache (%s)\n", report.uncached.c_str());
}

/// Why there is no cache from the beginning, or empty.
std::string whyUncached(const Session &session, const Arguments &arguments, const Continuation &continuation) {
  if (arguments.has("no-cache"))
    return "--no-cache";
  return continuation.cached() ? "" : session.manifest().value("uncached", "the reference computes whole texts");
}

void checkUsage(const Arguments &arguments) {
  if (!arguments.has("prompt") && !arguments.has("data"))
    throw UsageError{"there is no prompt", "--prompt TEXT, or --data FILE with rows of `prompt`, `text`, `messages` or `input_ids`"};
  if (arguments.has("system") && !arguments.has("chat"))
    throw UsageError{"--system is for chats", "add --chat"};
  if (arguments.has("out") && arguments.get("out").empty())
    throw UsageError{"--out is empty", ""};
}

/// All answers as JSON, in the prompts' order; `stream` sees the only one as it grows.
std::vector<json> writeAll(const Session &session, Writer &writer, const std::vector<Prompt> &prompts, Stream *stream, bool hasText) {
  std::vector<int64_t> lengths;
  for (const Prompt &prompt : prompts)
    lengths.push_back(static_cast<int64_t>(prompt.ids.size()));
  std::vector<json> rows(prompts.size());
  for (const auto &batch : planByLength(lengths, session.options.batching())) {
    const std::vector<Answer> answers = writer.write(prompts, batch);
    for (size_t place = 0; place < batch.size(); ++place)
      rows[static_cast<size_t>(batch[place])] = describe(prompts[static_cast<size_t>(batch[place])], answers[place], hasText);
    if (stream)
      stream->see(answers[0].text + "\n", true);
  }
  return rows;
}

void printRows(const std::vector<json> &rows, const std::string &out) {
  std::vector<std::string> lines;
  for (const json &row : rows)
    lines.push_back(row.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  writeLines(out, lines);
}

/// Null where the model has no tokenizer and no prompt is text.
std::unique_ptr<TextHelper> helperFor(const Session &session, const WritingOptions &options, std::unique_ptr<TextHelper> started) {
  if (!started && std::filesystem::exists(session.modelPath + "/tokenizer.json"))
    started = std::make_unique<TextHelper>(session.helper, session.modelPath);
  if (!started && !options.stops.empty())
    throw RuntimeError("R0112", "--stop needs text, and the model folder `" + session.modelPath + "` has no tokenizer.json", "");
  return started;
}

int generate(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  checkUsage(arguments);
  const std::string data = arguments.get("data"), out = arguments.get("out");
  const SessionOptions sessionOptions = trainedSessionOptions(arguments, surroundings);
  const auto session = openSession(std::move(bundle), sessionOptions);
  if (!out.empty())
    refuseInputAsOutput(out, data, sessionOptions, session->modelPath);
  if (!session->writesOn())
    throw RuntimeError("R0203", "this trainer cannot generate: its task does not say what follows a token", "a task for language models binds `next`");
  const WritingOptions options = writingOptionsOf(arguments, *session);
  std::unique_ptr<TextHelper> helper;
  const std::vector<Prompt> prompts = readPrompts(*session, {data, arguments.all("prompt"), arguments.has("chat"), arguments.get("system")}, helper);
  helper = helperFor(*session, options, std::move(helper));
  session->load();
  reportUntrained(sessionOptions);
  const Inference inference(*session, arguments.has("unmerged"));
  const HeldParameters held(inference.executor());
  Continuation continuation(inference.executor(), session->device(), session->bundle, inference.programOf(""), {session->options.seed, 0, 0}, !arguments.has("no-cache") && !session->reference);
  const bool streams = prompts.size() == 1 && data.empty() && out.empty() && !arguments.has("json") && helper;
  Stream stream(options.stops);
  Writer writer(continuation, options, helper.get(), streams ? Writer::Seen([&](const Answer &answer) { stream.see(answer.text, false); }) : Writer::Seen());
  const std::vector<json> rows = writeAll(*session, writer, prompts, streams ? &stream : nullptr, helper != nullptr);
  WritingReport last = writer.report();
  if (last.uncached.empty())
    last.uncached = whyUncached(*session, arguments, continuation);
  if (!out.empty() || (!streams && !arguments.has("json")))
    printRows(rows, out);
  reportProfile(inference.executor());
  if (!arguments.has("json")) {
    report(last, inference.merged());
    return 0;
  }
  printJson({{"rows", out.empty() ? json(rows) : json(rows.size())}, {"tokens", last.tokens}, {"seconds", last.seconds}, {"prompt_tokens", last.promptTokens}, {"prompt_seconds", last.promptSeconds},
             {"merged", inference.merged()}, {"cache_bytes", last.cacheBytes}, {"uncached", last.uncached}, {"out", out}});
  return 0;
}

} // namespace

Mode generateMode() {
  ModeSpec spec{"generate", "texts that continue prompts", "[RUN]", {
      {"prompt", "TEXT", "what is continued; several: a line of JSON each", true},
      {"data", "FILE", "rows of `prompt`, `text`, `messages` or `input_ids`"},
      {"out", "FILE", "a line of JSON a row (else to standard output)"},
      {"max-new", "N", "at most so many tokens behind a prompt (256)"},
      {"temperature", "T", "draw from softmax(logits / T); 0: the most probable token (default, or 1 with --top-k, --top-p)"},
      {"top-k", "K", "draw from the K most probable tokens"},
      {"top-p", "P", "draw from the fewest tokens whose probabilities reach P"},
      {"seed", "N", "of what is drawn (the run's)"},
      {"stop", "TEXT", "a text ends in front of this", true},
      {"ignore-end", "", "go on behind the token that ends a text"},
      {"chat", "", "prompts are what a user says to an assistant: by the checkpoint's chat template"},
      {"system", "TEXT", "what the assistant is told before"},
      {"unmerged", "", "run the adapters even where they merge"},
      {"no-cache", "", "compute every token from the whole text"},
      {"init", "FILE", "an adapter file instead of RUN's"},
      {"json", "", "print a JSON report, with the rows where there is no --out"},
      {"set", "NAME=VALUE", "override a run option (run.batch)", true}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, generate};
}

} // namespace peftrt
