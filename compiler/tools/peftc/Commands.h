// Commands: what `peftc` can be asked to do, one function each. The exit code: 0 done, 1 the program or its files are wrong, 2 the
// command is.
#pragma once
#include "compiler/driver/Request.h"
#include "compiler/tools/peftc/CommandLine.h"
#include "lang/diag/Engine.h"
#include "lang/sema/Check.h"

namespace peftc::tool {

struct Surroundings {
  std::string folder; ///< where this executable lies
  std::string runner; ///< from PEFT_RUNNER, or ""
  std::string cacheFolder; ///< of compiled kernels, or ""
  std::string python;      ///< that runs Optuna
  std::string assembler;   ///< NVIDIA's ptxas, or ""
  bool cpuIsChosen = false; ///< PEFT_CPU_TARGET says whose kernels a trainer runs
};

int compileCommand(const std::vector<std::string> &words, const Surroundings &surroundings); ///< CompileCommand.cpp
int checkCommand(const std::vector<std::string> &words, const Surroundings &surroundings);   ///< CheckCommand.cpp
int searchCommand(const std::vector<std::string> &words, const Surroundings &surroundings);  ///< SearchCommand.cpp
int lawsCommand(const CommandLine &line, const Surroundings &surroundings);                  ///< LawsCommand.cpp: check --laws
int fmtCommand(const std::vector<std::string> &words);                                       ///< TextCommands.cpp
int explainCommand(const std::vector<std::string> &words);                                   ///< TextCommands.cpp
int methodsCommand(const std::vector<std::string> &words);                                   ///< TextCommands.cpp

// ---- shared by commands (Shared.cpp)
int usage(const UsageError &error);
/// "error: …" on stderr; 1.
int failed(const std::string &message, const std::string &help = "");
/// One diagnostic that no place in a text goes with, in the format asked for; 1.
int refuse(const CommandLine &line, diag::Kind kind, std::vector<std::string> args, const std::string &help = "");
/// What a compilation has come to besides diagnostics: nothing (0), or a failure of ours or of the machine, which is said (1).
int failureOf(const CommandLine &line, const Outcome &outcome);
/// Why a file cannot be read; "" where it can.
std::string unreadable(const std::string &path);
/// Diagnostics on stderr in the format asked for (JSON on stdout); 1 if one is an error, else 0.
int show(const diag::Engine &diags, const std::string &format);
OptionSpec diagFormatOption();
/// Replaces a text as a whole or, with a message, not at all; 0 or 1.
int replaceText(const CommandLine &line, const std::string &path, const std::string &text);
/// The same of a file that need not be there.
int writeText(const CommandLine &line, const std::string &path, const std::string &text);
/// `--set name=value`s; a mistake in one of them.
std::optional<UsageError> overridesFrom(const CommandLine &line, std::vector<InputOverride> &overrides);
/// `--choose name=value`s; a mistake in one of them.
std::optional<UsageError> choicesFrom(const CommandLine &line, std::vector<MadeChoice> &choices);
/// --runner, PEFT_RUNNER, or the runner beside peftc.
std::string runnerPath(const CommandLine &line, const Surroundings &surroundings);
/// The embedded library, or the .peft files below `--stdlib DIR`. Null, with a message, where that cannot be read.
std::shared_ptr<Library> libraryFrom(const CommandLine &line);

} // namespace peftc::tool
