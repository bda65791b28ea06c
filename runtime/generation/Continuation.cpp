// Continuation: see the header.
#include "runtime/generation/Continuation.h"
#include "runtime/bundle/Errors.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <cstring>

namespace peftrt {
namespace {

constexpr char kCache[] = "cache.";

const Program *find(const std::vector<Program> &programs, const std::string &name) {
  const auto found = std::find_if(programs.begin(), programs.end(), [&](const Program &program) { return program.name == name; });
  return found == programs.end() ? nullptr : &*found;
}

/// The one row that a program reads: token ids.
std::string rowOf(const Program &program) {
  std::string row;
  for (const NamedValue &input : program.inputs) {
    const Value &value = program.values[static_cast<size_t>(input.value)];
    if (!value.perExample || isKept(input.name))
      continue;
    if (!row.empty() || value.type != ValueType::i64 || value.dims != std::vector<Dim>{{0, 1}})
      throw RuntimeError("R0203", "the network reads `" + input.name + "` beside a text's token ids, so it cannot be written on", "");
    row = input.name;
  }
  return row;
}

Batch batchOf(const std::string &row, const std::vector<std::vector<int64_t>> &texts, const std::vector<int64_t> &rooms) {
  Batch batch;
  int64_t total = 0;
  for (size_t text = 0; text < texts.size(); ++text) {
    batch.lengths.push_back(static_cast<int64_t>(texts[text].size()));
    total += rooms.empty() ? batch.lengths.back() : rooms[text];
  }
  batch.rooms = rooms;
  at::Tensor ids = at::zeros({total}, at::kLong);
  int64_t *next = ids.data_ptr<int64_t>();
  for (size_t text = 0; text < texts.size(); ++text) {
    std::copy(texts[text].begin(), texts[text].end(), next);
    next += rooms.empty() ? batch.lengths[text] : rooms[text];
  }
  batch.columns[row] = ids;
  return batch;
}

} // namespace

bool isKept(const std::string &name) { return name.rfind(kCache, 0) == 0; }

Continuation::Continuation(Executor &executor, const Bundle &bundle, const std::string &suffix, const RandomState &random, bool cached) : executor_(executor), random_(random), cached_(cached) {
  const std::vector<Program> programs = programsOf(bundle.programs);
  const Program *decode = find(programs, "decode" + suffix);
  eachToken_ = !find(programs, "prefill" + suffix);
  whole_ = (eachToken_ ? "next" : "prefill") + suffix;
  const Program *whole = find(programs, whole_);
  if (!whole || (!decode && !eachToken_))
    throw RuntimeError("R0102", "the bundle has no program `" + whole_ + "`", "this is a bug of peftc");
  row_ = rowOf(*whole);
  cached_ = cached && decode;
  if (!decode)
    return;
  decode_ = decode->name;
  for (const NamedValue &input : decode->inputs) {
    if (!isKept(input.name))
      continue;
    const Value &value = decode->values[static_cast<size_t>(input.value)];
    Cache cache{input.name, value.dims.at(0), 1, {}};
    for (size_t axis = 1; axis < value.dims.size(); ++axis)
      cache.width *= value.dims[axis].c;
    caches_.push_back(cache);
  }
}

int64_t Continuation::roomsBefore(const Cache &cache, size_t text, const std::vector<int64_t> &rooms) const {
  int64_t rows = 0;
  for (size_t before = 0; before < text; ++before)
    rows += cache.rows.at(rooms[before]);
  return rows;
}

int64_t Continuation::cacheBytes() const {
  int64_t bytes = 0;
  for (const Cache &cache : caches_)
    bytes += cache.values.defined() ? static_cast<int64_t>(cache.values.nbytes()) : 0;
  return bytes;
}

Results Continuation::runWhole(const std::string &program, const std::vector<std::vector<int64_t>> &texts) { return executor_.run(program, batchOf(row_, texts, {}), {}, random_); }

/// [texts, vocabulary], in memory of its own.
at::Tensor Continuation::nextOf(const Results &results, const std::vector<std::vector<int64_t>> &texts) const {
  const auto count = static_cast<int64_t>(texts.size());
  const at::Tensor &next = results.at("next");
  if (!eachToken_)
    return next.reshape({count, -1}).to(at::kFloat).clone();
  std::vector<int64_t> last;
  int64_t tokens = 0;
  for (const auto &text : texts)
    last.push_back((tokens += static_cast<int64_t>(text.size())) - 1);
  return next.reshape({tokens, -1}).to(at::kFloat).index_select(0, at::tensor(last, at::kLong));
}

/// What prompts leave, each at the beginning of its room.
void Continuation::store(const Results &results) {
  for (Cache &cache : caches_) {
    const at::Tensor given = results.at(cache.name).reshape({-1, cache.width});
    cache.values = at::zeros({roomsBefore(cache, texts_.size(), rooms_), cache.width}, at::kFloat);
    int64_t from = 0, to = 0;
    for (size_t text = 0; text < texts_.size(); ++text) {
      const int64_t rows = cache.rows.at(static_cast<int64_t>(texts_[text].size()));
      cache.values.narrow(0, to, rows).copy_(given.narrow(0, from, rows));
      from += rows;
      to += cache.rows.at(rooms_[text]);
    }
  }
}

at::Tensor Continuation::begin(std::vector<std::vector<int64_t>> texts, std::vector<int64_t> rooms) {
  texts_ = std::move(texts);
  rooms_ = std::move(rooms);
  const Results results = runWhole(whole_, texts_);
  if (cached_)
    store(results);
  return nextOf(results, texts_);
}

at::Tensor Continuation::append(const std::vector<int64_t> &tokens) {
  for (size_t text = 0; text < texts_.size(); ++text)
    texts_[text].push_back(tokens[text]);
  if (!cached_)
    return nextOf(runWhole(whole_, texts_), texts_);
  Batch batch = batchOf(row_, texts_, rooms_);
  for (const Cache &cache : caches_)
    batch.columns[cache.name] = cache.values;
  return executor_.run(decode_, batch, {}, random_).at("next").reshape({static_cast<int64_t>(texts_.size()), -1}).to(at::kFloat).clone();
}

void Continuation::keep(const std::vector<size_t> &texts) {
  std::vector<std::vector<int64_t>> kept;
  std::vector<int64_t> rooms;
  for (const size_t text : texts) {
    kept.push_back(texts_[text]);
    rooms.push_back(rooms_[text]);
  }
  for (Cache &cache : caches_) {
    if (!cached_ || texts.size() == texts_.size())
      continue;
    at::Tensor values = at::zeros({roomsBefore(cache, texts.size(), rooms), cache.width}, at::kFloat);
    int64_t to = 0;
    for (const size_t text : texts) {
      const int64_t rows = cache.rows.at(rooms_[text]);
      values.narrow(0, to, rows).copy_(cache.values.narrow(0, roomsBefore(cache, text, rooms_), rows));
      to += rows;
    }
    cache.values = values;
  }
  texts_ = std::move(kept);
  rooms_ = std::move(rooms);
}

double Continuation::differenceFromWhole(const at::Tensor &logits) {
  const auto shortest = std::min_element(texts_.begin(), texts_.end(), [](const auto &a, const auto &b) { return a.size() < b.size(); });
  const std::vector<std::vector<int64_t>> alone = {*shortest};
  const at::Tensor whole = nextOf(runWhole(whole_, alone), alone)[0];
  return (logits[shortest - texts_.begin()] - whole).abs().max().item<double>() / std::max(whole.abs().max().item<double>(), 1e-30);
}

at::Tensor Continuation::withoutCache() {
  cached_ = false;
  for (Cache &cache : caches_)
    cache.values = at::Tensor();
  return nextOf(runWhole(whole_, texts_), texts_);
}

} // namespace peftrt
