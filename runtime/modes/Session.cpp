// Session: see Session.h.
#include "runtime/modes/Session.h"
#include "runtime/modes/Devices.h"
#include "runtime/plan/Device.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include "runtime/data/Records.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace peftrt {
namespace {

using nlohmann::json;

constexpr int64_t kMostThreads = 1024;

/// Whether a parameter is in an adapter file.
bool isSaved(const json &parameter) {
  const std::string role = parameter.at("role");
  return parameter.value("trainable", false) || (role != "base" && role != "frozen");
}

std::vector<int64_t> shapeOf(const json &parameter) { return parameter.at("shape").get<std::vector<int64_t>>(); }

/// Views of the flat buffer for trainables, the mapped checkpoint for the rest of the base.
void placeBase(Session &session) {
  session.parameters.flat = session.device().empty({session.manifest().at("trainable_size").get<int64_t>()}, at::kFloat).zero_();
  for (const json &parameter : session.manifest().at("parameters")) {
    const std::string name = parameter.at("name");
    const bool isBase = parameter.at("role") == "base";
    if (parameter.value("trainable", false)) {
      const auto shape = shapeOf(parameter);
      int64_t size = 1;
      for (const int64_t dim : shape)
        size *= dim;
      at::Tensor view = session.parameters.flat.narrow(0, parameter.at("offset").get<int64_t>(), size).view(shape);
      if (isBase)
        view.copy_(session.model->loadBase(parameter));
      session.parameters.set(name, view);
    } else if (isBase && (session.readsOnce || parameter.value("half", false))) {
      session.parameters.setLoader(name, [&model = *session.model, &parameter] { return model.loadBase(parameter); });
      if (!session.readsOnce)
        session.parameters.setHalf(name, session.device().here(session.model->loadBase(parameter, at::kBFloat16)));
    } else if (isBase) {
      session.parameters.set(name, session.device().here(session.model->loadBase(parameter)));
    }
  }
}

/// Runs `init`: parameters that the checkpoint does not hold.
void initialise(Session &session, uint64_t seed) {
  bool needed = false;
  for (const json &parameter : session.manifest().at("parameters"))
    needed = needed || parameter.at("role") != "base";
  if (!needed)
    return;
  RandomState random;
  random.seed = seed;
  const Results results = session.executor->run("init", Batch{}, {}, random);
  for (const json &parameter : session.manifest().at("parameters")) {
    if (parameter.at("role") == "base")
      continue;
    const std::string name = parameter.at("name");
    const auto made = results.find(name);
    if (made == results.end())
      throw RuntimeError("R0102", "the program `init` does not make the parameter `" + name + "`", "this is a bug of the compiler that wrote the trainer");
    if (parameter.value("trainable", false))
      session.parameters.get(name).copy_(made->second.view(shapeOf(parameter)));
    else
      session.parameters.set(name, session.device().here(made->second.to(at::kFloat).reshape(shapeOf(parameter)).clone()));
  }
}

std::map<std::string, at::Tensor> loadAdapter(const SafetensorsFile &file, const json &manifest) {
  const std::string expected = contractFingerprint(manifest);
  const auto found = file.metadata().find("contract");
  if (found != file.metadata().end() && found->second != expected)
    throw RuntimeError("R0116", "`" + file.path() + "` was written by the trainer of another spec (fingerprint " + found->second + ", this one is " + expected + ")",
                       "use the trainer that wrote it, or compile its spec again");
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[name, stored] : file.tensors())
    tensors[name] = file.load(name);
  return tensors;
}

/// The seed from which frozen parameters are re-made: the adapter's, else the run's.
uint64_t seedOf(const std::optional<SafetensorsFile> &adapter, uint64_t fallback) {
  if (!adapter)
    return fallback;
  const auto found = adapter->metadata().find("seed");
  return found == adapter->metadata().end() ? fallback : std::strtoull(found->second.c_str(), nullptr, 10);
}

/// The labels that an adapter's head was trained for, if the file says so.
Labels labelsOf(const SafetensorsFile &adapter) {
  const auto found = adapter.metadata().find("labels");
  if (found == adapter.metadata().end())
    return {};
  const json names = parseJson(found->second);
  if (!names.is_array() || std::any_of(names.begin(), names.end(), [](const json &name) { return !name.is_string(); }))
    throw RuntimeError("R0116", "`" + adapter.path() + "`: its labels are not a list of names", "the file is damaged");
  return Labels::fromJson(names);
}

/// The same config may come with other weights; an adapter means something beside its own only.
void checkWeights(const Session &session, const SafetensorsFile &adapter, bool strict) {
  const auto found = adapter.metadata().find("weights");
  if (found == adapter.metadata().end() || found->second == session.weights)
    return;
  const std::string message = "`" + adapter.path() + "` was trained beside other weights than those in `" + session.modelPath + "` (fingerprint " + found->second + ", these are " + session.weights + ")";
  if (strict)
    throw RuntimeError("R0204", message, "give the folder of its own checkpoint with --model DIR");
  std::fprintf(stderr, "note: %s\n", message.c_str());
}

/// A run that was stopped before its first evaluation has no best adapter yet.
void requireAdapter(const SessionOptions &options) {
  const std::string last = options.run + "/last/adapter.safetensors";
  std::error_code ignored;
  if (!options.run.empty() && !std::filesystem::exists(options.adapter, ignored) && std::filesystem::exists(last, ignored))
    throw RuntimeError("R0119", "`" + options.run + "` has no best adapter yet: training stopped before its first evaluation",
                       "continue it with `train --resume --out " + options.run + "`, or take the latest as it is with `--init " + last + "`");
}

/// What run.json says: labels, the model's folder, options where the command line is silent.
void applyRun(Session &session, const SessionOptions &options, const json &manifest, std::map<std::string, std::string> &overrides) {
  const json run = RunFolder(options.run).readRun();
  try {
    if (run.at("contract") != contractFingerprint(manifest))
      throw RuntimeError("R0120", "the run `" + options.run + "` belongs to the trainer of another spec (fingerprint " + run.at("contract").get<std::string>() + ", this one is " +
                                      contractFingerprint(manifest) + ")",
                         "use the trainer that made it, or compile its spec again");
    session.labels = Labels::fromJson(run.at("labels"));
    if (options.model.empty())
      session.modelPath = run.at("model").get<std::string>();
    for (const auto &[name, value] : run.at("options").items())
      if (!overrides.count(name) && !value.is_null())
        overrides[name] = value.is_string() ? value.get<std::string>() : value.dump();
  } catch (const json::exception &) {
    throw RuntimeError("R0119", "`" + options.run + "/run.json` lacks a field", "the run folder is damaged");
  }
}

} // namespace

std::string contractFingerprint(const json &manifest) {
  json contract = {{"rows", manifest.value("rows", json())}, {"attaches", json::array()}, {"parameters", json::array()}, {"model", manifest.at("model").value("config_fnv64", "")}};
  for (const json &parameter : manifest.at("parameters"))
    contract["parameters"].push_back({parameter.at("name"), parameter.at("shape"), parameter.at("role"), parameter.value("trainable", false)});
  for (const json &attach : manifest.value("attaches", json::array()))
    contract["attaches"].push_back({attach.value("name", ""), attach.value("text", "")});
  return hex(fingerprint(contract.dump()));
}

std::string bundleFingerprint(const Bundle &bundle) {
  json manifest = bundle.manifest;
  manifest["model"].erase("path"); // the same model may move
  return hex(fingerprint(bundle.programs.text(), fingerprint(manifest.dump())));
}

bool Session::hasProgram(const std::string &name) const {
  for (const json &program : bundle.programs.value().at("programs"))
    if (program.at("name") == name)
      return true;
  return false;
}

std::unique_ptr<Executor> Session::makeExecutor(const ParameterStore &store) const {
  return reference ? makeReferenceExecutor(bundle, store, referenceFp32 ? at::kFloat : at::kDouble) : makePlanExecutor(bundle, store, plan);
}

/// A length that the manifest may have as null.
static int64_t lengthIn(const json &model, const char *name) {
  const json &length = model.at(name);
  return length.is_null() ? 0 : length.get<int64_t>();
}

int64_t Session::vocabulary() const { return lengthIn(manifest().at("model"), "vocab"); }
int64_t Session::positions() const { return lengthIn(manifest().at("model"), "max_positions"); }

int64_t leastLengthOf(const Bundle &bundle) {
  const JsonSection &section = bundle.programs;
  int64_t least = 0;
  if (section.text().find("\"c\":-") == std::string::npos) // no length is less than a text's; reading all of them takes longer
    return least;
  for (const json &program : section.value().at("programs"))
    for (const json &value : program.at("values"))
      for (const json &text : value.at("dims"))
        if (const Dim dim = text.is_number() ? Dim{} : dimOf(text); dim.k > 0 && dim.sequence == 0)
          least = std::max(least, (dim.k - 1 - dim.c) / dim.k);
  return least;
}

static void requireLengths(const Dataset &dataset, int64_t least) {
  for (int64_t row = 0; row < dataset.size(); ++row)
    for (int64_t example = 0; example < dataset.examplesOfRow; ++example)
      if (const int64_t length = dataset.lengthOf(row, example); length < least)
        throw RuntimeError("R0146", at(dataset.path, dataset.lines[static_cast<size_t>(row)]) + "the text has " + std::to_string(length) + (length == 1 ? " token" : " tokens") + ", what is attached needs " +
                                        std::to_string(least), "leave it out, or attach at an earlier place");
}

Dataset Session::read(const std::string &path, bool targets) {
  ReadOptions read;
  read.maxLength = options.maxLength;
  read.vocab = vocabulary();
  read.targets = targets;
  read.modelPath = modelPath;
  read.helper = helper;
  Dataset dataset = readDataset(path, rowFieldsOf(manifest()), read, labels);
  requireLengths(dataset, leastLengthOf(bundle));
  return dataset;
}

std::map<std::string, at::Tensor> Session::saved() const {
  std::map<std::string, at::Tensor> tensors;
  for (const json &parameter : manifest().at("parameters"))
    if (isSaved(parameter))
      tensors[parameter.at("name")] = device().onHost(parameters.get(parameter.at("name")));
  return tensors;
}

std::map<std::string, std::string> Session::adapterMetadata() const {
  std::map<std::string, std::string> metadata = {{"format", "peftc"}, {"contract", contractFingerprint(manifest())}, {"seed", std::to_string(initSeed)}, {"weights", weights}};
  if (!labels.empty())
    metadata["labels"] = labels.toJson().dump(); // which row of the head means what
  return metadata;
}

json Session::runRecord() const {
  return {{"format", 1}, {"threads", at::get_num_threads()}, {"bundle", bundleFingerprint(bundle)}, {"contract", contractFingerprint(manifest())}, {"model", std::filesystem::absolute(modelPath).string()},
          {"labels", labels.toJson()}, {"options", options.toJson()}};
}

void Session::restore(const std::map<std::string, at::Tensor> &tensors, const std::string &where) {
  std::string problems;
  const auto expected = saved();
  for (const auto &[name, tensor] : expected) {
    const auto found = tensors.find(name);
    if (found == tensors.end())
      problems += "\n  `" + name + "` is missing";
    else if (found->second.sizes() != tensor.sizes())
      problems += "\n  `" + name + "` has shape " + shapeText(found->second.sizes().vec()) + ", the trainer needs " + shapeText(tensor.sizes().vec());
  }
  for (const auto &[name, tensor] : tensors)
    if (!expected.count(name))
      problems += "\n  `" + name + "` is not a parameter of this trainer";
  if (!problems.empty())
    throw RuntimeError("R0116", "`" + where + "` does not fit this trainer:" + problems.substr(0, 2000), "the file was written for another spec");
  for (const auto &[name, tensor] : expected)
    parameters.get(name).copy_(tensors.at(name));
}

std::unique_ptr<Session> openSession(Bundle bundle, const SessionOptions &options) {
  auto session = std::make_unique<Session>();
  session->bundle = std::move(bundle);
  session->helper = options.helper;
  session->reference = options.reference;
  session->referenceFp32 = options.referenceFp32;
  session->plan = options.plan;
  session->plan.device = openDevice(session->bundle, options);
  const json &manifest = session->manifest();
  session->modelPath = options.model.empty() ? manifest.at("model").at("path").get<std::string>() : options.model;
  auto overrides = options.overrides;
  if (!options.run.empty())
    applyRun(*session, options, manifest, overrides);
  session->options = runOptionsOf(manifest, overrides);
  session->readsOnce = options.readsOnce;
  std::optional<SafetensorsFile> &adapter = session->adapter;
  if (!options.adapter.empty()) {
    requireAdapter(options);
    adapter.emplace(options.adapter);
  }
  if (adapter && session->labels.empty())
    session->labels = labelsOf(*adapter);
  session->model.emplace(session->modelPath, manifest.at("model"));
  session->weights = hex(session->model->weightsFingerprint());
  if (adapter)
    checkWeights(*session, *adapter, options.sameWeights);
  session->model->checkBase(manifest.at("parameters"));
  session->initSeed = seedOf(adapter, session->options.seed);
  return session;
}

void Session::load() {
  placeBase(*this);
  executor = makeExecutor(parameters);
  initialise(*this, initSeed);
  if (adapter)
    restore(loadAdapter(*adapter, manifest()), adapter->path());
  adapter.reset();
}

std::unique_ptr<Session> openLoadedSession(Bundle bundle, const SessionOptions &options) {
  auto session = openSession(std::move(bundle), options);
  session->load();
  return session;
}

std::vector<OptionSpec> sessionOptions() {
  return {{"model", "DIR", "the checkpoint's folder, if it is not where the trainer was compiled"},
          {"reference", "[=fp32]", "run the reference interpreter (fp64) instead of the plan: slow, for comparison"},
          {"device", "D", "cpu, cuda, or auto: the GPU where there is one that the trainer has code for (default)"},
          {"threads", "N", "CPU threads"},
          {"profile", "", "print where the time went, by step of the plan; on a GPU steps are then asked for one by one, never as a graph"}};
}

SessionOptions sessionOptionsOf(const Arguments &arguments, const Surroundings &surroundings) {
  SessionOptions options;
  options.model = arguments.get("model");
  options.helper = {surroundings.python, surroundings.cacheFolder};
  if (arguments.has("reference")) {
    const std::string dtype = arguments.get("reference");
    if (!dtype.empty() && dtype != "fp32" && dtype != "fp64")
      throw UsageError{"--reference is `" + dtype + "`; fp32 or fp64 is needed", ""};
    options.reference = true;
    options.referenceFp32 = dtype == "fp32";
  }
  options.plan = {surroundings.cpuTarget, surroundings.products, arguments.has("profile")};
  if (!surroundings.graphs.empty() && surroundings.graphs != "on" && surroundings.graphs != "off")
    throw UsageError{"PEFT_GRAPHS is `" + surroundings.graphs + "`", "it is `on`, `off`, or unset"};
  options.plan.graphs = surroundings.graphs != "off";
  if (!surroundings.gemms.empty() && surroundings.gemms != "own" && surroundings.gemms != "library")
    throw UsageError{"PEFT_GEMMS is `" + surroundings.gemms + "`", "it is `own`, `library`, or unset"};
  options.ownGemms = surroundings.gemms != "library", options.cublasLt = surroundings.cublasLt, options.gemmFolder = surroundings.gemmFolder;
  options.device = deviceOf(arguments, options.reference);
  options.torchCuda = surroundings.torchCuda;
  if (arguments.has("threads"))
    at::set_num_threads(static_cast<int>(arguments.integer("threads", 1, 1, kMostThreads)));
  return options;
}

void reportProfile(const Executor &executor) { std::fputs(tableOf(executor.profile()).c_str(), stderr); }

void reportUntrained(const SessionOptions &options) {
  if (options.run.empty() && options.adapter.empty())
    std::fprintf(stderr, "note: neither RUN nor --init is given: the parameters are as they were initialised\n");
}

SessionOptions trainedSessionOptions(const Arguments &arguments, const Surroundings &surroundings) {
  SessionOptions options = sessionOptionsOf(arguments, surroundings);
  options.overrides = overridesOf(arguments);
  options.run = arguments.word();
  options.adapter = arguments.get("init");
  if (options.adapter.empty() && !options.run.empty())
    options.adapter = RunFolder(options.run).adapterPath();
  return options;
}

} // namespace peftrt
