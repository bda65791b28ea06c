// Continuation: see the header.
#include "runtime/generation/Continuation.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <numeric>
#include <type_traits>

namespace peftrt {
namespace {

using nlohmann::json;
constexpr char kCache[] = "cache.", kStage[] = "stage.";

const Program *find(const std::vector<Program> &programs, const std::string &name) {
  const auto found = std::find_if(programs.begin(), programs.end(), [&](const Program &program) { return program.name == name; });
  return found == programs.end() ? nullptr : &*found;
}

/// The rows that a program reads, by sequence: token ids, one row each.
std::vector<std::string> rowsReadBy(const Program &program) {
  std::vector<std::string> rows;
  for (const NamedValue &input : program.inputs) {
    const Value &value = program.values[static_cast<size_t>(input.value)];
    if (!value.perExample || isKept(input.name))
      continue;
    const bool isTokens = value.type == ValueType::i64 && value.dims.size() == 1 && value.dims[0].c == 0 && value.dims[0].k == 1;
    const size_t sequence = isTokens ? static_cast<size_t>(value.dims[0].sequence) : 0;
    rows.resize(std::max(rows.size(), sequence + 1));
    if (!isTokens || !rows[sequence].empty() || sequence > 1)
      throw RuntimeError("R0203", "the network reads `" + input.name + "` beside a text's token ids, so it cannot be written on", "");
    rows[sequence] = input.name;
  }
  return rows;
}

/// How the plan has an input in memory.
ValueType typeIn(const Bundle &bundle, const Program &program, const std::string &name) {
  json found = {{"programs", json::array()}}; // the others need not be parsed
  for (const json &planned : bundle.plan.value().at("programs"))
    if (planned.at("name") == program.name)
      found["programs"].push_back(planned);
  for (const PlanProgram &planned : planOf(found))
    for (const NamedValue &input : planned.body.inputs)
      if (input.name == name)
        return planned.body.values.at(static_cast<size_t>(input.value)).type;
  throw RuntimeError("R0102", "the plan of `" + program.name + "` has no input `" + name + "`", "this is a bug of peftc");
}

std::vector<int64_t> lengthsOf(const std::vector<std::vector<int64_t>> &texts) {
  std::vector<int64_t> lengths;
  for (const auto &text : texts)
    lengths.push_back(static_cast<int64_t>(text.size()));
  return lengths;
}

/// Texts one after another, each in its room.
at::Tensor packed(const std::vector<std::vector<int64_t>> &texts, const std::vector<int64_t> &rooms) {
  const at::Tensor ids = at::zeros({std::accumulate(rooms.begin(), rooms.end(), int64_t{0})}, at::kLong);
  int64_t *next = ids.data_ptr<int64_t>();
  for (size_t text = 0; text < texts.size(); ++text) {
    std::copy(texts[text].begin(), texts[text].end(), next);
    next += rooms[text];
  }
  return ids;
}

/// [texts, conditions]
at::Tensor stagesOf(const Results &results, size_t texts) {
  std::vector<at::Tensor> stages;
  for (const auto &[name, value] : results)
    if (name.rfind(kStage, 0) == 0)
      stages.push_back(value.reshape({static_cast<int64_t>(texts), 1}).to(at::kFloat));
  return stages.empty() ? at::empty({static_cast<int64_t>(texts), 0}) : at::cat(stages, 1);
}

} // namespace

bool isKept(const std::string &name) { return name.rfind(kCache, 0) == 0; }

Continuation::Continuation(Executor &executor, Device &device, const Bundle &bundle, const std::string &suffix, const RandomState &random, bool cached)
    : executor_(executor), device_(device), random_(random), cached_(cached) {
  const std::vector<Program> programs = programsOf(bundle.programs.value());
  const Program *decode = find(programs, "decode" + suffix);
  const bool keeps = find(programs, "prefill" + suffix);
  whole_ = (keeps ? "prefill" : "next") + suffix;
  const Program *whole = find(programs, whole_);
  if (!whole || (!decode && keeps))
    throw RuntimeError("R0102", "the bundle has no program `" + whole_ + "`", "this is a bug of peftc");
  rows_ = rowsReadBy(*whole);
  cached_ = cached && decode;
  if (!decode)
    return;
  decode_ = decode->name;
  for (const NamedValue &input : decode->inputs) {
    if (!isKept(input.name))
      continue;
    const Value &value = decode->values[static_cast<size_t>(input.value)];
    Cache cache{input.name, value.dims.at(0), 1, typeIn(bundle, *decode, input.name), {}};
    for (size_t axis = 1; axis < value.dims.size(); ++axis)
      cache.width *= value.dims[axis].c;
    caches_.push_back(cache);
  }
}

int64_t Continuation::rowsOf(const Cache &cache, int64_t length, size_t text) const {
  const bool isWritten = cache.rows.sequence + 1 == static_cast<int64_t>(rows_.size());
  return cache.rows.at(isWritten || !cache.rows.ragged() ? length : static_cast<int64_t>(read_[text].size()));
}

int64_t Continuation::roomsBefore(const Cache &cache, size_t text) const {
  int64_t rows = 0;
  for (size_t before = 0; before < text; ++before)
    rows += rowsOf(cache, rooms_[before], before);
  return rows;
}

int64_t Continuation::cacheBytes() const {
  int64_t bytes = 0;
  for (const Cache &cache : caches_)
    bytes += cache.values.defined() ? static_cast<int64_t>(cache.values.nbytes()) : 0;
  return bytes;
}

Batch Continuation::batchOf(const std::vector<std::vector<int64_t>> &texts, const std::vector<std::vector<int64_t>> &read, const std::vector<int64_t> &rooms) const {
  Batch batch;
  const std::vector<int64_t> lengths = lengthsOf(texts);
  batch.columns[rows_.back()] = packed(texts, rooms.empty() ? lengths : rooms);
  if (rows_.size() == 1) {
    batch.lengths = lengths;
    batch.rooms = rooms;
    return batch;
  }
  batch.lengths = lengthsOf(read);
  if (!rows_[0].empty())
    batch.columns[rows_[0]] = packed(read, batch.lengths);
  batch.others = {{lengths, rooms}};
  return batch;
}

Results Continuation::run(const std::string &program, const Batch &batch) {
  Results results = executor_.runInPlace(program, batch, {}, random_);
  for (auto &[name, value] : results)
    if (!isKept(name))
      value = executor_.onHost(value);
  return results;
}

/// [texts, vocabulary], in memory of its own.
at::Tensor Continuation::nextOf(const Results &results, const std::vector<std::vector<int64_t>> &texts) const {
  return results.at("next").reshape({static_cast<int64_t>(texts.size()), -1}).to(at::kFloat).clone();
}

/// What prompts leave, each at the beginning of its room.
void Continuation::store(const Results &results) {
  for (Cache &cache : caches_) {
    const at::Tensor given = results.at(cache.name).reshape({-1, cache.width});
    cache.values = device_.empty({roomsBefore(cache, texts_.size()), cache.width}, cache.type == ValueType::bf16 ? at::kBFloat16 : at::kFloat).zero_();
    int64_t from = 0, to = 0;
    for (size_t text = 0; text < texts_.size(); ++text) {
      const int64_t rows = rowsOf(cache, static_cast<int64_t>(texts_[text].size()), text);
      cache.values.narrow(0, to, rows).copy_(given.narrow(0, from, rows));
      from += rows;
      to += rowsOf(cache, rooms_[text], text);
    }
  }
}

at::Tensor Continuation::begin(std::vector<std::vector<int64_t>> texts, std::vector<int64_t> rooms, std::vector<std::vector<int64_t>> read) {
  if (rows_.size() > 1 && read.size() != texts.size())
    throw RuntimeError("R0102", "texts are written in answer to nothing", "this is a bug of peftc");
  texts_ = std::move(texts);
  rooms_ = std::move(rooms);
  read_ = std::move(read);
  return restart();
}

at::Tensor Continuation::restart() {
  const Results results = run(whole_, batchOf(texts_, read_, {}));
  if (cached_) {
    store(results);
    stages_ = stagesOf(results, texts_.size());
  }
  return nextOf(results, texts_);
}

at::Tensor Continuation::append(const std::vector<int64_t> &tokens) {
  for (size_t text = 0; text < texts_.size(); ++text)
    texts_[text].push_back(tokens[text]);
  if (!cached_)
    return restart();
  Batch batch = batchOf(texts_, read_, rooms_);
  for (const Cache &cache : caches_)
    batch.columns[cache.name] = cache.values;
  const Results results = run(decode_, batch);
  return at::equal(stagesOf(results, texts_.size()), stages_) ? nextOf(results, texts_) : restart();
}

void Continuation::keep(const std::vector<size_t> &texts) {
  for (Cache &cache : caches_) {
    if (!cached_ || texts.size() == texts_.size())
      continue;
    std::vector<at::Tensor> kept;
    for (const size_t text : texts)
      kept.push_back(cache.values.narrow(0, roomsBefore(cache, text), rowsOf(cache, rooms_[text], text)));
    int64_t rows = 0;
    for (const at::Tensor &own : kept)
      rows += own.size(0);
    at::Tensor values = device_.empty({rows, cache.width}, cache.values.scalar_type());
    cache.values = at::cat_out(values, kept);
  }
  if (cached_)
    stages_ = stages_.index_select(0, at::tensor(std::vector<int64_t>(texts.begin(), texts.end()), at::kLong));
  const auto chosen = [&](auto &of) {
    std::remove_reference_t<decltype(of)> kept;
    for (const size_t text : texts)
      kept.push_back(of[text]);
    of = std::move(kept);
  };
  chosen(texts_);
  chosen(rooms_);
  if (!read_.empty())
    chosen(read_);
}

double Continuation::differenceFromWhole(const at::Tensor &logits) {
  const auto shortest = std::min_element(texts_.begin(), texts_.end(), [](const auto &a, const auto &b) { return a.size() < b.size(); });
  const auto place = shortest - texts_.begin();
  const std::vector<std::vector<int64_t>> alone = {*shortest}, read = read_.empty() ? read_ : std::vector<std::vector<int64_t>>{read_[static_cast<size_t>(place)]};
  const at::Tensor whole = nextOf(run(whole_, batchOf(alone, read, {})), alone)[0];
  return (logits[place] - whole).abs().max().item<double>() / std::max(whole.abs().max().item<double>(), 1e-30);
}

at::Tensor Continuation::withoutCache() {
  cached_ = false;
  for (Cache &cache : caches_)
    cache.values = at::Tensor();
  return restart();
}

} // namespace peftrt
