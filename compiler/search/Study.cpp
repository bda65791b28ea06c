// Study: see the header.
#include "compiler/search/Study.h"
#include "compiler/search/StudyScript.h"

namespace peftc::search {
using nlohmann::json;

namespace {

json choicesJson(const Space &space) {
  json all = json::array();
  for (const OpenChoice &choice : space.choices)
    all.push_back({{"name", choice.name}, {"values", choice.values}, {"within", choice.within}});
  return all;
}

/// In the space's order.
std::vector<MadeChoice> madeOf(const Space &space, const json &values) {
  std::vector<MadeChoice> made;
  for (const OpenChoice &choice : space.choices)
    if (auto value = values.find(choice.name); value != values.end())
      made.push_back({choice.name, value->get<std::string>()});
  return made;
}

constexpr TrialRecord::State kStates[] = {TrialRecord::State::Running, TrialRecord::State::Complete, TrialRecord::State::Pruned, TrialRecord::State::Failed, TrialRecord::State::Interrupted};

TrialRecord::State stateNamed(const std::string &name) {
  for (TrialRecord::State state : kStates)
    if (nameOf(state) == name)
      return state;
  return TrialRecord::State::Running;
}

} // namespace

std::string nameOf(TrialRecord::State state) {
  static const char *const names[] = {"running", "complete", "pruned", "failed", "interrupted"};
  return names[static_cast<size_t>(state)];
}

std::unique_ptr<Study> Study::open(const StudyOptions &options, std::string &error) {
  json directions = json::array();
  for (const Objective &objective : options.objectives)
    directions.push_back(objective.maximize ? "maximize" : "minimize");
  const json said = {{"folder", options.folder},       {"storage", options.storage.empty() ? "sqlite:///" + options.folder + "/study.db" : options.storage},
                     {"directions", directions},       {"strategy", options.strategy.name}, {"trials", options.strategy.trials}, {"seed", options.strategy.seed},
                     {"identity", options.identity}};
  std::unique_ptr<Study> study(new Study({options.python, "-c", kStudyScript, said.dump(-1, ' ', true)}));
  study->python_ = options.python;
  study->request({{"ready", true}});
  error = study->error();
  return error.empty() ? std::move(study) : nullptr;
}

json Study::request(const json &question) {
  if (!error_.empty())
    return json();
  const std::string said = helper_.ask(question.dump(-1, ' ', true));
  const json answer = json::parse(said, nullptr, false);
  if (said.empty() || answer.is_discarded()) {
    const int status = helper_.status();
    error_ = status == 127 ? "there is no `" + python_ + "`" : status == 3 ? "`" + python_ + "` has no `optuna`" : "the helper that runs Optuna failed (status " + std::to_string(status) + ")";
    return json();
  }
  if (answer.is_object() && answer.contains("error"))
    error_ = answer.at("error").get<std::string>();
  return error_.empty() ? answer : json();
}

std::optional<TrialRecord> Study::ask(const Space &space) {
  const json answer = request({{"ask", choicesJson(space)}});
  if (!answer.is_object() || !answer.contains("trial"))
    return std::nullopt;
  TrialRecord trial;
  trial.number = answer.at("trial");
  trial.choices = madeOf(space, answer.at("values"));
  return trial;
}

void Study::tell(const TrialRecord &trial) {
  request({{"tell", trial.number}, {"state", nameOf(trial.state)}, {"values", trial.values}, {"error", trial.error}, {"seconds", trial.seconds}, {"repeats", trial.repeats}});
}

std::vector<TrialRecord> Study::trials(const Space &space) {
  std::vector<TrialRecord> all;
  for (const json &one : request({{"trials", true}})) {
    TrialRecord trial;
    trial.number = one.at("number");
    trial.state = stateNamed(one.at("state"));
    trial.choices = madeOf(space, one.at("choices"));
    trial.values = one.at("values").get<std::vector<double>>();
    trial.error = one.at("error");
    trial.seconds = one.at("seconds");
    trial.front = one.at("front");
    all.push_back(std::move(trial));
  }
  return all;
}

} // namespace peftc::search
