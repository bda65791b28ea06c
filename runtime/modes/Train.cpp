// Train: the training loop around Step: batches, evaluation, checkpoints, early stopping, resume, ctrl-C.
//
// The order after a step: evaluation if due, best adapter if better, `last`. A kill between any two leaves a `last` from
// which the same steps are taken again, with the same numbers.
#include "runtime/modes/Evaluation.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include "runtime/modes/Progress.h"
#include "runtime/modes/Step.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/Device.h"
#include <ATen/Parallel.h>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace peftrt {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr double kSaveSeconds = 20, kLookSeconds = 0.5; ///< between files; between looks at what a device's steps came to
volatile std::sig_atomic_t interrupted = 0;

void onInterrupt(int signal) {
  static constexpr char kText[] = "\ninterrupted: saving after this step; once more ends at once, without loss of what is saved\n";
  interrupted = signal;
  std::signal(signal, SIG_DFL); // the second one ends the process at once; that is safe too
  [[maybe_unused]] const ssize_t written = ::write(2, kText, sizeof kText - 1);
}

struct TrainRequest {
  std::string data, valid, out, init;
  bool resume = false, overwrite = false, json = false;
  int64_t limitSteps = 0; ///< stop after so many steps of the whole run; 0: at its end
};

/// The most that the process had in memory; `getrusage` would count what it was before it became this program. 0 where /proc is not mounted.
int64_t peakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:"))
      return std::stoll(line.substr(6)) * 1024;
  return 0;
}

/// Which micro-batches each step takes, over all epochs.
class Schedule {
public:
  Schedule(const Session &session, const Dataset &dataset) : session_(session), dataset_(dataset) {
    const RunOptions &options = session.options;
    const bool alike = options.tokensPerBatch == 0 || !options.shuffle; // every epoch has as many batches as the first
    for (int64_t epoch = 0; epoch < (alike ? 1 : options.epochs); ++epoch) {
      const auto batches = static_cast<int64_t>(planEpoch(dataset.lengths, options.batching(), options.seed, epoch).size());
      steps_ += (batches + options.accumulate - 1) / options.accumulate;
    }
    steps_ *= alike ? options.epochs : 1;
  }
  int64_t steps() const { return steps_; }
  /// The next step's micro-batches; moves `progress` past them.
  std::vector<Batch> next(Progress &progress) {
    if (plannedEpoch_ != progress.epoch) {
      plan_ = planEpoch(dataset_.lengths, session_.options.batching(), session_.options.seed, progress.epoch);
      plannedEpoch_ = progress.epoch;
    }
    std::vector<Batch> batches;
    while (progress.batch < static_cast<int64_t>(plan_.size()) && static_cast<int64_t>(batches.size()) < session_.options.accumulate)
      batches.push_back(dataset_.pack(plan_[static_cast<size_t>(progress.batch++)]));
    if (progress.batch == static_cast<int64_t>(plan_.size())) {
      ++progress.epoch;
      progress.batch = 0;
    }
    return batches;
  }

private:
  const Session &session_;
  const Dataset &dataset_;
  RowBatches plan_;
  int64_t plannedEpoch_ = -1, steps_ = 0;
};

class Trainer {
public:
  Trainer(Session &session, RunFolder &folder, const Dataset &train, const Dataset *valid, const TrainRequest &request)
      : session_(session), folder_(folder), valid_(valid), request_(request), schedule_(session, train), stepper_(session),
        line_(schedule_.steps()) {}

  int run() {
    if (request_.resume && (folder_.hasLast() || std::filesystem::exists(folder_.adapterPath())))
      restore();
    else
      save();
    if (progress_.finished) {
      std::fprintf(stderr, "the run `%s` is complete: %lld steps\n", folder_.path().c_str(), static_cast<long long>(progress_.step));
      report();
      return 0;
    }
    std::signal(SIGINT, onInterrupt);
    std::signal(SIGTERM, onInterrupt);
    lastSave_ = Clock::now();
    while (!progress_.finished) {
      if (request_.limitSteps > 0 && progress_.step >= request_.limitSteps) {
        save();
        stopped("stopped at step");
        return 0;
      }
      step();
      if (interrupted && !progress_.finished) {
        save();
        stopped("interrupted and saved at step");
        return 128 + interrupted;
      }
    }
    finish();
    return 0;
  }

private:
  void restore() {
    const LastCheckpoint last = folder_.readLast();
    session_.restore(last.parameters, folder_.path() + "/last/adapter.safetensors");
    stepper_.restoreStates(last.states);
    progress_ = last.progress;
    folder_.cutMetrics(progress_.metricsBytes);
  }

  void save() {
    settle();
    if (!metrics_.empty())
      progress_.metricsBytes = folder_.appendMetrics(metrics_);
    metrics_.clear();
    folder_.writeLast({progress_, session_.saved(), stepper_.states()}, session_.adapterMetadata());
    lastSave_ = Clock::now();
  }

  void step() {
    if (asked_.empty())
      begun_ = Clock::now();
    const int64_t epoch = progress_.epoch;
    const std::vector<Batch> batches = schedule_.next(progress_);
    try {
      stepper_.start(batches, progress_.step, schedule_.steps());
    } catch (const RuntimeError &error) {
      if (error.code == "R0206") // a device that failed says nothing more of those before it
        progress_.step -= static_cast<int64_t>(asked_.size());
      else
        settle(); // they may have been good
      failKeeping(error);
    }
    ++progress_.step;
    asked_.push_back(epoch);
    if (session_.device().isThreads() || secondsSince(begun_) > kLookSeconds)
      settle();
    afterStep(epoch != progress_.epoch);
  }

  /// Waits for the steps that were asked for, and says what they came to.
  void settle() {
    if (asked_.empty())
      return;
    const StepResults results = stepper_.finish();
    const int64_t first = progress_.step - static_cast<int64_t>(asked_.size());
    progress_.seconds += secondsSince(begun_);
    for (size_t index = 0; index < results.done.size(); ++index) {
      const StepResult &result = results.done[index];
      progress_.step = first + static_cast<int64_t>(index) + 1;
      progress_.tokens += result.tokens;
      metrics_ += json({{"step", progress_.step}, {"epoch", asked_[index]}, {"loss", result.loss}, {"grad_norm", result.gradNorm}, {"examples", result.examples}, {"tokens", result.tokens}}).dump() + "\n";
      if (index + 1 == results.done.size()) // of those that were asked for together: the others came to their end earlier
        line_.step(progress_, result.loss);
    }
    progress_.step = first + static_cast<int64_t>(results.done.size());
    asked_.clear();
    if (results.failure)
      failKeeping(*results.failure);
  }

  static double secondsSince(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

  [[noreturn]] void failKeeping(const RuntimeError &error) {
    line_.clear();
    throw RuntimeError(error.code, error.message + "; " + std::to_string(progress_.step) + " steps were good, `" + folder_.path() + "/last` holds the last one saved", error.help);
  }

  void afterStep(bool epochEnded) {
    const RunOptions &options = session_.options;
    const bool last = progress_.step == schedule_.steps();
    const bool evaluationDue = last || (options.evalEvery > 0 ? progress_.step % options.evalEvery == 0 : epochEnded);
    bool stop = false;
    if (evaluationDue) {
      settle();
      stop = evaluateAndKeepBest();
    }
    progress_.finished = last || stop;
    const bool saveDue = options.saveEvery > 0 ? progress_.step % options.saveEvery == 0 : secondsSince(lastSave_) > kSaveSeconds;
    if (evaluationDue || saveDue)
      save();
  }

  /// True if patience has run out.
  bool evaluateAndKeepBest() {
    if (!valid_) {
      progress_.bestStep = progress_.step; // without a validation file the newest is the best that is known
      folder_.writeBest(session_.saved(), session_.adapterMetadata());
      return false;
    }
    Evaluation evaluation;
    try {
      evaluation = evaluate(session_, *valid_);
    } catch (const RuntimeError &error) {
      failKeeping(error);
    }
    json line = {{"step", progress_.step}, {"eval", evaluation.values}};
    metrics_ += line.dump() + "\n";
    const size_t colon = session_.options.best.find(':');
    const double value = evaluation.values.at(session_.options.best.substr(0, colon));
    const bool smaller = session_.options.best.substr(colon + 1) == "min";
    const bool better = !progress_.hasBest || (smaller ? value < progress_.best : value > progress_.best);
    line_.note("step " + std::to_string(progress_.step) + "/" + std::to_string(schedule_.steps()) + "  valid " + evaluationText(evaluation) + (better ? "  (best so far)" : ""));
    progress_.worseEvals = better ? 0 : progress_.worseEvals + 1;
    if (better) {
      progress_.best = value;
      progress_.hasBest = true;
      progress_.bestStep = progress_.step;
      folder_.writeBest(session_.saved(), session_.adapterMetadata());
    }
    if (session_.options.patience == 0 || progress_.worseEvals < session_.options.patience)
      return false;
    line_.note("no better for " + std::to_string(progress_.worseEvals) + " evaluations: stopped early");
    return true;
  }

  void report() const {
    if (!request_.json)
      return;
    json said = {{"run", folder_.path()}, {"adapter", folder_.adapterPath()}, {"step", progress_.step}, {"steps", schedule_.steps()}, {"finished", progress_.finished}, {"tokens", progress_.tokens},
                 {"seconds", progress_.seconds}, {"best", progress_.hasBest ? json(progress_.best) : json()}, {"best_step", progress_.bestStep}, {"memory", memory()}, {"graphs", graphs()}, {"gemms", gemms()}};
    for (const StepTime &step : session_.executor->profile()) // with --profile
      said["profile"].push_back({{"program", step.program}, {"step", step.step}, {"seconds", step.seconds}, {"bytes", step.bytes}, {"calls", step.calls}});
    printJson(said);
  }

  /// Bytes: of buffers, the most that the process had in memory, and what is taken of a GPU's: blocks are kept, so it is the most that was.
  json memory() const {
    const MemoryUse use = session_.executor->memory();
    json bytes = {{"arena", use.arena}, {"scratch", use.scratch}, {"panels", use.panels}, {"peak", peakBytes()}};
    if (const auto taken = session_.reference ? std::nullopt : session_.device().bytesTaken())
      bytes["device"] = *taken;
    return bytes;
  }

  /// On a GPU: how many were made and launched, and how many steps of plans ran in them.
  json graphs() const {
    const RecordedUse use = session_.executor->recorded();
    return {{"made", use.graphs}, {"launches", use.launches}, {"steps", use.steps}};
  }

  /// On a GPU: by how many shapes of products whose algorithm was timed, known, not timed, or left to LibTorch; and the seconds that choosing took.
  json gemms() const {
    const GemmUse use = session_.reference ? GemmUse{} : session_.device().gemms();
    return {{"timed", use.timed}, {"cached", use.cached}, {"untimed", use.untimed}, {"library", use.library}, {"seconds", use.seconds}};
  }

  void stopped(const std::string &how) {
    line_.note(how + " " + std::to_string(progress_.step) + " of " + std::to_string(schedule_.steps()) + "; go on with: train --out " + folder_.path() + " --resume");
    report();
  }

  void finish() {
    char speed[64];
    std::snprintf(speed, sizeof speed, "%.0f tokens/s", progress_.seconds > 0 ? static_cast<double>(progress_.tokens) / progress_.seconds : 0.0);
    line_.note("done: " + std::to_string(progress_.step) + " steps, " + speed + ", best at step " + std::to_string(progress_.bestStep) + ": " + folder_.adapterPath());
    report();
  }

  Session &session_;
  RunFolder &folder_;
  const Dataset *valid_;
  const TrainRequest &request_;
  Schedule schedule_;
  Stepper stepper_;
  ProgressLine line_;
  Progress progress_;
  std::vector<int64_t> asked_; ///< the epochs of steps whose numbers are not known yet; `progress_.step` counts them
  std::string metrics_;        ///< lines that are not in the file yet
  Clock::time_point lastSave_, begun_; ///< begun: the first step of `asked_`
};

json describe(const Dataset &dataset) {
  return {{"path", std::filesystem::absolute(dataset.path).string()}, {"fnv64", hex(dataset.contentHash)}, {"rows", dataset.size()}, {"tokens", dataset.tokens()}, {"truncated", dataset.truncated}};
}

std::string executorOf(const Session &session) {
  if (session.reference)
    return session.referenceFp32 ? "reference fp32" : "reference fp64";
  return session.device().isThreads() ? "plan" : "plan on " + session.device().name();
}

/// A resumed run takes data paths from run.json, and nothing that decides its numbers may differ.
json readResumed(TrainRequest &request, const Bundle &bundle, const Arguments &arguments) try {
  const json run = RunFolder(request.out).readRun();
  if (run.contains("imported"))
    throw RuntimeError("R0119", "`" + request.out + "` was imported from `" + run.at("imported").get<std::string>() + "`: no training stands still in it",
                       "start from its parameters: `train --init " + request.out + "/adapter.safetensors --out …`");
  if (run.value("bundle", "") != bundleFingerprint(bundle))
    throw RuntimeError("R0120", "the run `" + request.out + "` was started by another trainer (fingerprint " + run.value("bundle", "none") + ", this one is " + bundleFingerprint(bundle) + ")",
                       "resume with the trainer that started it");
  const json options = runOptionsOf(bundle.manifest, [&] {
                         std::map<std::string, std::string> all;
                         for (const auto &[name, value] : run.at("options").items())
                           if (!value.is_null())
                             all[name] = value.is_string() ? value.get<std::string>() : value.dump();
                         for (const auto &[name, value] : overridesOf(arguments))
                           all[name] = value;
                         return all;
                       }()).toJson();
  for (const auto &[name, value] : options.items())
    if (name != "save_every" && run.at("options").value(name, json()) != value)
      throw RuntimeError("R0204", "run." + name + " is " + value.dump() + ", the run to resume has " + run.at("options").value(name, json()).dump(), "leave it out, or start a new run");
  if (request.data.empty())
    request.data = run.at("train").at("path");
  if (request.valid.empty() && run.at("valid").is_object())
    request.valid = run.at("valid").at("path");
  if (run.at("init").is_string())
    request.init = run.at("init");
  if (!arguments.has("threads") && run.contains("threads"))
    at::set_num_threads(run.at("threads")); // sums are made in an order that depends on it
  return run;
} catch (const json::exception &) {
  throw RuntimeError("R0119", "`" + request.out + "/run.json` lacks a field or has it in another form", "the run folder is damaged; start again with --overwrite");
}

void checkSameExecutor(const json &run, const Session &session) {
  if (run.value("executor", "plan") != executorOf(session))
    throw RuntimeError("R0204", "the run to resume was trained by the " + run.value("executor", "plan") + ", not the " + executorOf(session), "give the same --reference and --device");
}

void checkSameData(const json &run, const char *which, const Dataset *dataset) {
  const json &recorded = run.at(which);
  const std::string before = recorded.is_object() ? recorded.at("fnv64").get<std::string>() : "none", now = dataset ? hex(dataset->contentHash) : "none";
  if (before != now)
    throw RuntimeError("R0204", std::string("the ") + which + " rows are not those of the run to resume (fingerprint " + now + ", was " + before + ")", "give the same file, or start a new run");
}

TrainRequest requestOf(const Arguments &arguments) {
  TrainRequest request;
  request.out = arguments.need("out");
  request.resume = arguments.has("resume");
  request.overwrite = arguments.has("overwrite");
  request.json = arguments.has("json");
  if (request.resume && request.overwrite)
    throw UsageError{"--resume and --overwrite exclude each other", ""};
  request.data = request.resume ? arguments.get("data") : arguments.need("data");
  request.valid = arguments.get("valid");
  request.init = arguments.get("init");
  if (request.resume && arguments.has("init"))
    throw UsageError{"--resume and --init exclude each other", "the run remembers what it began with"};
  request.limitSteps = arguments.integer("limit-steps", 0, 1);
  return request;
}

void refuseExisting(const TrainRequest &request, const RunFolder &folder) {
  if (request.resume || !folder.exists())
    return;
  if (!folder.isOurs())
    throw RuntimeError("R0118", "`" + request.out + "` exists and is not a run folder", "give another --out; --overwrite replaces runs only");
  if (!request.overwrite)
    throw RuntimeError("R0118", "the run folder `" + request.out + "` exists", folder.isRun() ? "--resume goes on with it, --overwrite starts anew" : "--overwrite starts anew");
}

int train(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  TrainRequest request = requestOf(arguments);
  RunFolder folder(request.out);
  refuseExisting(request, folder);
  SessionOptions options = sessionOptionsOf(arguments, surroundings);
  options.overrides = overridesOf(arguments);
  json run;
  if (request.resume) {
    run = readResumed(request, bundle, arguments);
    options.run = request.out;
    options.sameWeights = true;
    folder.lock();
  }
  options.adapter = request.init;
  if (request.resume && folder.hasLast())
    options.adapter = request.out + "/last/adapter.safetensors"; // the --init file may be gone by now
  const auto session = openSession(std::move(bundle), options);
  const Dataset data = session->read(request.data);
  reportTruncation(data, session->options.maxLength);
  std::optional<Dataset> valid;
  if (!request.valid.empty()) {
    valid.emplace(session->read(request.valid));
    reportTruncation(*valid, session->options.maxLength);
  }
  if (request.resume) {
    checkSameExecutor(run, *session);
    checkSameData(run, "train", &data);
    checkSameData(run, "valid", valid ? &*valid : nullptr);
  }
  session->load();
  if (!request.resume) {
    folder.lock();
    refuseExisting(request, folder); // another process may have been quicker
    json record = session->runRecord();
    record.update({{"executor", executorOf(*session)}, {"train", describe(data)}, {"valid", valid ? describe(*valid) : json()},
                   {"init", request.init.empty() ? json() : json(std::filesystem::absolute(request.init).string())}});
    folder.create(record);
  }
  const int status = Trainer(*session, folder, data, valid ? &*valid : nullptr, request).run();
  reportProfile(*session->executor);
  return status;
}

} // namespace

Mode trainMode() {
  ModeSpec spec{"train", "train the adapters; ctrl-C is safe", "", {
      {"data", "FILE", "training rows (.jsonl, .csv, .tsv)"},
      {"valid", "FILE", "validation rows; decides which adapter is the best"},
      {"out", "RUN", "folder of the run"},
      {"resume", "", "go on with the run in --out"},
      {"overwrite", "", "replace the run in --out"},
      {"init", "FILE", "start from the parameters in an adapter file"},
      {"limit-steps", "N", "stop after N steps of the run (--resume goes on)"},
      {"json", "", "print a JSON report at the end"}}};
  for (const auto &option : overrideOptions())
    spec.options.push_back(option);
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, train};
}

} // namespace peftrt
