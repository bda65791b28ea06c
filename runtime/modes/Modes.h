// Modes: what a trainer can be asked to do; a file each. A mode returns the process' exit code.
#pragma once
#include "runtime/bundle/Format.h"
#include "runtime/modes/Arguments.h"
#include "runtime/modes/Session.h"
#include <string>
#include <vector>

namespace peftrt {

struct Mode {
  ModeSpec spec;
  int (*run)(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings);
};

Mode trainMode();   // Train.cpp
Mode evalMode();    // Eval.cpp
Mode predictMode(); // Predict.cpp
Mode generateMode(); // Generate.cpp
Mode mergeMode();   // Merge.cpp
Mode exportMode();  // Export.cpp
Mode importMode();  // Import.cpp
Mode inspectMode(); // Inspect.cpp
Mode infoMode();    // Info.cpp
Mode lawsMode();    // Laws.cpp

/// Parses `trainer MODE …` and runs it. Catches everything: 0 success, 1 a user's or data's error, 2 a usage error.
int runTrainer(Bundle (*openBundle)(const std::string &path), const std::vector<std::string> &words, const Surroundings &surroundings);

} // namespace peftrt
