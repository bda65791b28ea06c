// peftc: the compiler's command.
#include "compiler/tools/peftc/Commands.h"
#include "lang/diag/Suggest.h"
#include "llvm/Support/Program.h"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#ifndef PEFT_DEFAULT_PYTHON
#define PEFT_DEFAULT_PYTHON "python3"
#endif

using namespace peftc::tool;

namespace {

constexpr const char *kHelp = R"(peftc: a compiler for parameter-efficient fine-tuning

  peftc SPEC.peft --model DIR -o TRAINER      compile for a checkpoint; reads config.json and tensor headers only
  peftc check SPEC.peft... [--model DIR]      find mistakes; with a model, those of sites and budgets too
  peftc search SPEC.peft --model DIR --data ROWS --valid ROWS -o BEST.peft
                                              try out what a program leaves open (`choose`, `attach maybe`); BEST.peft has the choices made
  peftc fmt [--check | -w] FILE...            lay out texts
  peftc explain E0401                         what a code means
  peftc methods [NAME] [--json]               the standard library's methods: sites, arguments, sources; with NAME, its text

compile
  -m, --model DIR        folder of a Hugging Face checkpoint
  -o, --output FILE      the trainer
  --set NAME=VALUE       a value for an `input` of the program (again for more)
  --choose NAME=VALUE    a choice among what the program leaves open (again for more)
  --bundle DIR           write what the trainer holds as files
  --emit=PHASE           print what a phase makes and stop: ast, space (what is left open), chosen (the text with its choices made), spec, peft, sites, nn, plan, kernels, ptx
  --target GPU           sm_80, sm_89, sm_90a, sm_100 or sm_120: the trainer also runs on such a GPU (`--target sm_80,sm_90a`: on each); with --emit=kernels or ptx
                         that GPU's code is printed
  --explain WHAT         kernels, layout (with --target), merge, memory (with --target the GPU's too) or params
  --diag-format=FORMAT   text, short or json
  --timing               seconds of each pass
  --stdlib DIR           another standard library
  --runner FILE          the peft-runner that the trainer starts with (also PEFT_RUNNER; else the one beside peftc)
check
  --fix                  apply the suggested edits
  --laws                 check what holds for every method: FILE's methods one by one, or FILE's program as it is, on a small
                         random checkpoint (or --model's); --method NAME, --seed N, --json, --keep DIR (checkpoint and bundle, to look at)
  --model, --set, --choose, --stdlib, --diag-format, --runner
search
  -m, --model DIR        folder of the checkpoint
  --data FILE            rows to train on
  --valid FILE           rows to compare on; without it every tenth row of a .jsonl file is held out
  -o, --output FILE      the program with the best choices
  --trials N             how many are to have ended, over all runs of the study (else the program's `strategy`, else 20)
  --seed N               of the strategy (training has the program's own: run.seed)
  --study DIR            where all that is found out is kept, and found again by the next run (default: BEST.study)
  --json                 a line of JSON a trial, then the report
  --set, --stdlib, --diag-format, --runner
fmt
  --check                name the files that would change; exit code 1 if there are any
  -w, --write            change them; without either, the text goes to standard output
  --diag-format
methods
  --json, --stdlib

--help and --version go with every command.
Exit codes: 0 done, 1 the program or a file is wrong, 2 the command is.
)";

/// PEFT_PTXAS, `none` for none, or what is found on the path.
std::string assembler() {
  const char *given = std::getenv("PEFT_PTXAS");
  if (given && *given)
    return std::string(given) == "none" ? "" : given;
  const llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas");
  return found ? *found : "";
}

Surroundings surroundings() {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const char *runner = std::getenv("PEFT_RUNNER");
  auto variable = [](const char *name) { const char *value = std::getenv(name); return std::string(value ? value : ""); };
  std::string cache = variable("PEFT_CACHE"), home = variable("HOME");
  if (cache.empty() && !variable("XDG_CACHE_HOME").empty())
    cache = variable("XDG_CACHE_HOME") + "/peftc";
  if (cache.empty() && !home.empty())
    cache = home + "/.cache/peftc";
  const std::string python = variable("PEFT_PYTHON");
  return {self.parent_path().string(), runner ? runner : "", cache.empty() ? "" : cache + "/kernels", python.empty() ? PEFT_DEFAULT_PYTHON : python,
          assembler(), !variable("PEFT_CPU_TARGET").empty()};
}

/// A first word that is neither an option nor a file nor looks like one.
bool meantAsCommand(const std::string &word) {
  std::error_code error;
  return !word.empty() && word[0] != '-' && word.find_first_of("./") == std::string::npos && std::filesystem::symlink_status(word, error).type() == std::filesystem::file_type::not_found;
}

int run(const std::vector<std::string> &words) {
  if (words.empty()) {
    std::fputs(kHelp, stderr);
    return 2;
  }
  for (const std::string &word : words) {
    if (word == "--help" || word == "-h" || words[0] == "help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (word == "--version") {
      std::puts("peftc 0.1.0");
      return 0;
    }
  }
  const std::map<std::string, int (*)(const std::vector<std::string> &)> commands = {
      {"fmt", fmtCommand}, {"explain", explainCommand}, {"methods", methodsCommand}};
  if (words[0] == "check")
    return checkCommand({words.begin() + 1, words.end()}, surroundings());
  if (words[0] == "search")
    return searchCommand({words.begin() + 1, words.end()}, surroundings());
  if (auto command = commands.find(words[0]); command != commands.end())
    return command->second({words.begin() + 1, words.end()});
  if (meantAsCommand(words[0])) {
    auto meant = peftc::diag::suggest(words[0], {"check", "search", "fmt", "explain", "methods"});
    return usage({"there is no command `" + words[0] + "`", meant ? "did you mean `" + *meant + "`?" : "--help lists all commands"});
  }
  return compileCommand(words, surroundings());
}

} // namespace

int main(int count, char **arguments) {
  std::signal(SIGXFSZ, SIG_IGN); // a file over the limit is a write that fails, not the end
  int code = run({arguments + 1, arguments + count});
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return std::max(code, failed(std::string("cannot write to standard output: ") + std::strerror(errno)));
  return code;
}
