// Trial: see the header. Each step is a process: what it says is kept in the trial's folder.
#include "compiler/search/Trial.h"
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace peftc::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using State = TrialRecord::State;

std::string textOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The line that names the error, else the last one.
std::string errorIn(const std::string &text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("error") != std::string::npos)
      return line;
    last = line.empty() ? last : line;
  }
  return last;
}

class Running {
public:
  Running(const TrialSetting &setting, TrialRecord &trial) : setting(setting), trial(trial), folder(setting.folder + "/trials/" + std::to_string(trial.number)) {
    std::error_code error;
    fs::create_directories(folder, error);
  }

  void run() {
    std::vector<std::string> compile = setting.compile;
    compile.insert(compile.end(), {"--diag-format=short", "-o", folder + "/trainer"});
    for (const MadeChoice &choice : trial.choices)
      compile.insert(compile.end(), {"--choose", choice.name + "=" + choice.value});
    const std::string trainer = folder + "/trainer", run = folder + "/run";
    if (step("compile", compile) && step("info", {trainer, "info", "--json"}) &&
        step("train", {trainer, "train", "--data", setting.train, "--valid", setting.valid, "--out", run, "--overwrite", "--json"}) &&
        step("eval", {trainer, "eval", run, "--data", setting.valid, "--json"}))
      measure();
    std::error_code error;
    fs::remove(trainer, error); // the cache makes it again at once
  }

private:
  bool step(const std::string &name, const std::vector<std::string> &words) {
    const std::string said = folder + "/" + name + ".log";
    const int status = runProcess(words, folder + "/" + name + ".out", said);
    if (status == 0 && !interrupted())
      return true;
    trial.error = errorIn(textOf(said));
    trial.state = interrupted() ? State::Interrupted : trial.error.find("[E0501]") != std::string::npos ? State::Pruned : State::Failed;
    if (trial.error.empty())
      trial.error = name + " ended with status " + std::to_string(status);
    return false;
  }

  json reportOf(const std::string &name) const {
    const std::string text = textOf(folder + "/" + name + ".out");
    return json::parse(text, nullptr, false);
  }

  void measure() {
    const json info = reportOf("info"), eval = reportOf("eval");
    for (const Objective &objective : setting.objectives) {
      const json value = objective.name == "params" ? info.value("counts", json::object()).value("trainable", json()) : eval.value(objective.name, json());
      if (!value.is_number()) {
        trial.state = State::Failed;
        trial.error = "`eval` says no number for `" + objective.name + "`";
        return;
      }
      trial.values.push_back(value.get<double>());
    }
    trial.state = State::Complete;
  }

  const TrialSetting &setting;
  TrialRecord &trial;
  const std::string folder;
};

} // namespace

void runTrial(const TrialSetting &setting, TrialRecord &trial) {
  const auto start = std::chrono::steady_clock::now();
  Running(setting, trial).run();
  trial.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace peftc::search
