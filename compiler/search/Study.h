// Study: all trials of a space, kept in a storage that several processes may share; Optuna says what to try next.
//
// Errs   an error's text: no Python, no Optuna, a study of something else, a storage that cannot be used
#pragma once
#include "compiler/search/Process.h"
#include "lang/spec/Space.h"
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

namespace peftc::search {

struct StudyOptions {
  std::string python;
  std::string folder;  ///< of the study: its lock, and study.db where no other storage is named
  std::string storage; ///< an address as Optuna takes it; "": the folder's study.db
  std::vector<Objective> objectives;
  Strategy strategy;
  nlohmann::json identity; ///< what the trials are of; a study of anything else is refused
};

struct TrialRecord {
  enum class State { Running, Complete, Pruned, Failed, Interrupted };
  int64_t number = 0;
  State state = State::Running;
  std::vector<MadeChoice> choices; ///< those that matter, in the space's order
  std::vector<double> values;      ///< of the objectives, if complete
  std::string error;               ///< of one that is pruned or failed
  double seconds = 0;
  bool repeats = false;            ///< it has the choices of an earlier one, and so all that came of it
  bool front = false;              ///< no other is better in one objective and as good in all
};
std::string nameOf(TrialRecord::State state);

class Study {
public:
  /// Null, and why in `error`.
  static std::unique_ptr<Study> open(const StudyOptions &options, std::string &error);

  /// What to try next; nothing when `trials` have ended or are under way, or after an error.
  std::optional<TrialRecord> ask(const Space &space);
  void tell(const TrialRecord &trial);
  /// All of them, other processes' too.
  std::vector<TrialRecord> trials(const Space &space);
  /// What went wrong; "" where nothing has.
  const std::string &error() const { return error_; }

private:
  explicit Study(const std::vector<std::string> &words) : helper_(words) {}
  nlohmann::json request(const nlohmann::json &question);

  Conversation helper_;
  std::string python_, error_;
};

} // namespace peftc::search
