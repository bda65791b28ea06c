// Output: where a mode may write: never over what it reads.
//
// Errs   R0118 the path is a folder, or a file that this command reads, or lies in the model's folder
#pragma once
#include "runtime/modes/Session.h"
#include <string>
#include <vector>

namespace peftrt {

/// Refuses `out` if it is `data`, a file of RUN, the --init file, or lies in the model's folder. Other files are replaced whole.
void refuseInputAsOutput(const std::string &out, const std::string &data, const SessionOptions &options, const std::string &modelPath);
/// Into a file, whole or not at all; to standard output where `out` is empty. Errs R0117.
void writeLines(const std::string &out, const std::vector<std::string> &lines);
/// Prints a report as one JSON object on standard output.
void printJson(const nlohmann::json &report);

} // namespace peftrt
