// Trial: one point of a space, trained and evaluated. Nothing that goes wrong in it ends the study.
#pragma once
#include "compiler/search/Study.h"

namespace peftc::search {

struct TrialSetting {
  std::vector<std::string> compile; ///< `peftc SPEC --model DIR …`, but for output and choices
  std::string train, valid;         ///< rows
  std::string folder;               ///< of the study
  std::vector<Objective> objectives;
};

/// Fills in what came of `trial`: its state, values, error and seconds.
void runTrial(const TrialSetting &setting, TrialRecord &trial);

} // namespace peftc::search
