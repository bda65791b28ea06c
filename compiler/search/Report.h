// Report: what is written of a study.
#pragma once
#include "compiler/search/Study.h"

namespace peftc::search {

/// "lora.r=8  lora.layers=0,3  no adapter": what a trial has chosen, on one line.
std::string choicesText(const Space &space, const TrialRecord &trial);
/// A row a trial: number, state, whether on the front, objectives, seconds, choices, error.
std::string csv(const Space &space, const std::vector<TrialRecord> &trials);
/// The complete trials by the first two objectives, the front as a line; of one objective, by number.
std::string svg(const Space &space, const std::vector<TrialRecord> &trials);
nlohmann::ordered_json trialJson(const Space &space, const TrialRecord &trial);
nlohmann::ordered_json spaceJson(const Space &space);
/// The trial of the front that is best in the first objective, then in the second …; null: none is complete.
const TrialRecord *bestOf(const Space &space, const std::vector<TrialRecord> &trials);

} // namespace peftc::search
