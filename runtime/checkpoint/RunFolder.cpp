// RunFolder: see RunFolder.h.
#include "runtime/checkpoint/RunFolder.h"
#include "runtime/checkpoint/AtomicFile.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <ATen/ATen.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace peftrt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json toJson(const Progress &p) {
  return {{"format", 1},           {"step", p.step},     {"epoch", p.epoch},     {"batch", p.batch},
          {"best", p.hasBest ? json(p.best) : json()}, {"best_step", p.bestStep}, {"worse_evals", p.worseEvals}, {"tokens", p.tokens},
          {"seconds", p.seconds},  {"metrics_bytes", p.metricsBytes}, {"finished", p.finished}};
}

Progress progressFrom(const json &state) {
  Progress p;
  p.step = state.at("step");
  p.epoch = state.at("epoch");
  p.batch = state.at("batch");
  p.hasBest = !state.at("best").is_null();
  p.best = p.hasBest ? state.at("best").get<double>() : 0.0;
  p.bestStep = state.at("best_step");
  p.worseEvals = state.at("worse_evals");
  p.tokens = state.at("tokens");
  p.seconds = state.at("seconds");
  p.metricsBytes = state.at("metrics_bytes");
  p.finished = state.at("finished");
  return p;
}

std::map<std::string, at::Tensor> loadAll(const std::string &path) {
  const SafetensorsFile file(path);
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[name, stored] : file.tensors())
    tensors[name] = file.load(name);
  return tensors;
}

/// step-12, step-12.1, .step-12.partial: what writeLast makes, and nothing that a person may have put there.
bool isCheckpointName(std::string name) {
  if (!name.empty() && name[0] == '.') {
    const size_t end = name.rfind(".partial");
    if (end == std::string::npos || end + 8 != name.size())
      return false;
    name = name.substr(1, end - 1);
  }
  return name.rfind("step-", 0) == 0 && name.size() > 5 && name.find_first_not_of("0123456789.", 5) == std::string::npos;
}

json readJson(const std::string &path) {
  const auto file = MappedFile::open(path);
  json parsed = parseJson(file->text());
  if (!parsed.is_object())
    throw RuntimeError("R0119", "`" + path + "` is not a JSON object", "the run folder is damaged");
  return parsed;
}

} // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/')
    path_.pop_back();
}

RunFolder::~RunFolder() {
  if (lock_ >= 0)
    ::close(lock_);
}

bool RunFolder::exists() const {
  if (!fs::is_directory(path_))
    return fs::exists(fs::symlink_status(path_));
  for (const auto &entry : fs::directory_iterator(path_))
    if (entry.path().filename().string()[0] != '.')
      return true;
  return false;
}
bool RunFolder::isRun() const { return fs::exists(path_ + "/run.json"); }
bool RunFolder::isOurs() const { return isRun() || fs::exists(path_ + "/.lock"); }
bool RunFolder::hasLast() const { return fs::exists(path_ + "/last"); }

void RunFolder::lock() {
  makeFolder(path_);
  lock_ = ::open((path_ + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    throw RuntimeError("R0117", "cannot write into the run folder `" + path_ + "`: " + std::strerror(errno), "");
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0)
    return;
  if (errno != EWOULDBLOCK)
    throw RuntimeError("R0117", "cannot lock `" + path_ + "/.lock`: " + std::strerror(errno), "the file system must support flock");
  throw RuntimeError("R0121", "another process trains in `" + path_ + "`", "wait for it, or give another --out");
}

void RunFolder::create(const json &run) {
  if (lock_ < 0)
    lock();
  std::error_code ignored;
  fs::remove(path_ + "/run.json", ignored); // first: without it the rest is no run
  fs::remove_all(path_ + "/last", ignored); // of a link, the link
  fs::remove(adapterPath(), ignored);
  fs::remove(path_ + "/metrics.jsonl", ignored);
  removeStale("");
  writeFileAtomically(path_ + "/run.json", run.dump(2) + "\n");
}

json RunFolder::readRun() const {
  if (!fs::is_directory(path_))
    throw RuntimeError("R0119", "there is no run folder `" + path_ + "`", "`train --out " + path_ + "` makes one");
  if (!isRun())
    throw RuntimeError("R0119", "`" + path_ + "` is not a run folder: it has no run.json", "give the folder that `train --out` made");
  return readJson(path_ + "/run.json");
}

void RunFolder::writeBest(const std::map<std::string, at::Tensor> &parameters, const std::map<std::string, std::string> &metadata) const {
  writeSafetensors(adapterPath(), parameters, metadata);
}

void RunFolder::writeLast(const LastCheckpoint &checkpoint, const std::map<std::string, std::string> &metadata) const {
  // A name that no earlier checkpoint has: the same step is written again when a flag of its state changes.
  const std::string stem = "step-" + std::to_string(checkpoint.progress.step);
  std::string name = stem;
  for (int again = 1; fs::exists(path_ + "/" + name); ++again)
    name = stem + "." + std::to_string(again);
  const std::string partial = path_ + "/." + name + ".partial";
  std::error_code ignored;
  fs::remove_all(partial, ignored);
  try {
    makeFolder(partial);
    writeSafetensors(partial + "/adapter.safetensors", checkpoint.parameters, metadata);
    writeSafetensors(partial + "/optimizer.safetensors", checkpoint.states);
    writeFileAtomically(partial + "/state.json", toJson(checkpoint.progress).dump(2) + "\n");
  } catch (const RuntimeError &) {
    fs::remove_all(partial, ignored);
    throw;
  }
  if (::rename(partial.c_str(), (path_ + "/" + name).c_str()) != 0)
    throw RuntimeError("R0117", "cannot write `" + path_ + "/" + name + "`: " + std::strerror(errno), "the earlier checkpoint is as it was");
  syncFolder(path_);
  swapLink(name, path_ + "/last");
  removeStale(name);
}

void RunFolder::removeStale(const std::string &keep) const {
  std::error_code ignored;
  std::vector<fs::path> stale;
  for (const auto &entry : fs::directory_iterator(path_)) {
    const std::string name = entry.path().filename().string();
    if (isCheckpointName(name) && name != keep)
      stale.push_back(entry.path());
  }
  for (const fs::path &path : stale)
    fs::remove_all(path, ignored);
}

LastCheckpoint RunFolder::readLast() const {
  const std::string last = path_ + "/last";
  if (!hasLast())
    throw RuntimeError("R0119", "`" + path_ + "` has no checkpoint to resume from", "start again with --overwrite");
  LastCheckpoint checkpoint;
  try {
    checkpoint.progress = progressFrom(readJson(last + "/state.json"));
  } catch (const json::exception &) {
    throw RuntimeError("R0119", "`" + last + "/state.json` lacks a field", "the run folder is damaged; start again with --overwrite");
  }
  checkpoint.parameters = loadAll(last + "/adapter.safetensors");
  checkpoint.states = loadAll(last + "/optimizer.safetensors");
  return checkpoint;
}

int64_t RunFolder::appendMetrics(const std::string &lines) const {
  const std::string path = path_ + "/metrics.jsonl";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int64_t before = file < 0 ? 0 : ::lseek(file, 0, SEEK_END);
  bool whole = file >= 0;
  for (size_t done = 0; whole && done < lines.size();) {
    const ssize_t written = ::write(file, lines.data() + done, lines.size() - done);
    whole = written > 0 || (written < 0 && errno == EINTR);
    done += written > 0 ? static_cast<size_t>(written) : 0;
  }
  if (!whole || ::fsync(file) != 0) { // a checkpoint must not be longer-lived than the lines before it
    const int failure = errno;
    if (file >= 0) {
      [[maybe_unused]] const int cut = ::ftruncate(file, before); // no half line stays
      ::close(file);
    }
    throw RuntimeError("R0117", "cannot write `" + path + "`: " + std::strerror(failure), "the last checkpoint is as it was; --resume continues from it");
  }
  ::close(file);
  return before + static_cast<int64_t>(lines.size());
}

void RunFolder::cutMetrics(int64_t bytes) const {
  const std::string path = path_ + "/metrics.jsonl";
  std::error_code failure;
  const auto size = fs::file_size(path, failure);
  if (!failure && static_cast<int64_t>(size) > bytes)
    fs::resize_file(path, static_cast<uintmax_t>(bytes), failure);
}

} // namespace peftrt
