// SearchCommand: peftc search SPEC: tries out what a program leaves open, and writes the program with the best choices.
#include "compiler/driver/Compile.h"
#include "compiler/search/Report.h"
#include "compiler/search/Trial.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/sema/Space.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace peftc::tool {
namespace {

using search::TrialRecord;
using State = TrialRecord::State;

struct SearchRequest {
  Request program;
  std::string train, valid, output, folder;
  std::optional<int64_t> trials, seed;
};

std::optional<UsageError> wholeFrom(const CommandLine &line, const std::string &option, int64_t least, std::optional<int64_t> &value) {
  if (!line.has(option))
    return std::nullopt;
  const std::string text = line.get(option);
  char *end = nullptr;
  const int64_t number = std::strtoll(text.c_str(), &end, 10);
  if (*end != '\0' || number < least || number > INT32_MAX)
    return UsageError{"`" + option + "` takes a whole number, at least " + std::to_string(least) + ", not `" + text + "`", ""};
  value = number;
  return std::nullopt;
}

std::optional<UsageError> complain(const CommandLine &line) {
  if (line.operands().size() != 1)
    return UsageError{line.operands().empty() ? "which program? no .peft file is named" : "one program at a time", "peftc search SPEC.peft --model DIR --data ROWS --valid ROWS -o BEST.peft"};
  for (const auto &[option, what] : {std::pair("--model", "for which checkpoint? `--model DIR` is missing"), std::pair("--data", "on which rows? `--data FILE` is missing"),
                                     std::pair("--output", "where should the best program go? `-o FILE` is missing")})
    if (!line.has(option))
      return UsageError{what, "peftc search SPEC.peft --model DIR --data ROWS --valid ROWS -o BEST.peft"};
  if (!line.has("--valid") && fs::path(line.get("--data")).extension() != ".jsonl")
    return UsageError{"which rows are to compare on? `--valid FILE` is missing", "of a .jsonl file every tenth row is held out without it"};
  return std::nullopt;
}

/// Every tenth row of a JSONL file apart from the others, in the study's folder. False where it cannot be done.
bool holdOut(SearchRequest &request) {
  std::ifstream rows(request.train);
  const std::string train = request.folder + "/train.jsonl", valid = request.folder + "/valid.jsonl";
  std::ofstream kept(train), held(valid);
  int64_t number = 0;
  for (std::string row; std::getline(rows, row); ++number)
    (number % 10 == 9 ? held : kept) << row << "\n";
  request.train = train, request.valid = valid;
  return kept.flush() && held.flush() && number >= 10;
}

/// What a file's rows are known by.
std::string stampOf(const std::string &path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return fs::absolute(path, error).lexically_normal().string() + " " + std::to_string(error ? 0 : size);
}

class Search {
public:
  Search(const CommandLine &line, SearchRequest request, const Surroundings &surroundings) : line(line), request(std::move(request)), surroundings(surroundings) {}

  int run() {
    if (int code = readProgram())
      return code;
    std::error_code error;
    fs::create_directories(request.folder, error);
    if (error)
      return refuse(line, diag::Kind::E0701, {request.folder, error.message()}, "`--study DIR` names the study's folder");
    if (request.valid.empty() && !holdOut(request))
      return cannot("`" + request.train + "` cannot be parted into rows to train on and rows to compare on", "`--valid FILE` names the latter");
    std::string why;
    study = search::Study::open(studyOptions(), why);
    if (!study)
      return cannot(why, why.find("is of another") != std::string::npos ? "`--study DIR` names another folder for this one" : "`pip install optuna`, then PEFT_PYTHON names the interpreter that has it");
    announce();
    search::catchInterruptions();
    while (!search::interrupted() && tryOne()) {
    }
    return study->error().empty() ? finish() : cannot(study->error(), "what has ended is kept in `" + request.folder + "`");
  }

private:
  int cannot(const std::string &what, const std::string &help) { return refuse(line, diag::Kind::E0507, {what}, help); }

  int readProgram() {
    SourceMap sources;
    diag::Engine diags(sources);
    auto spec = readSpace(sources, request.program.specPath, *request.program.stdlib, request.program.overrides, diags, loaderOf(request.program));
    if (diags.hasErrors())
      return show(diags, line.get("--diag-format", "text"));
    space = spec->space;
    text = sources.file(spec->main().source).text();
    if (space.choices.empty())
      return cannot("the program leaves nothing open", "`r = choose(4, 8, 16)` leaves a value open, `attach maybe …` an attach");
    space.strategy.trials = request.trials.value_or(space.strategy.trials);
    space.strategy.seed = request.seed.value_or(space.strategy.seed);
    return 0;
  }

  search::StudyOptions studyOptions() const {
    search::StudyOptions options{surroundings.python, request.folder, "", space.objectives, space.strategy, {}};
    const auto described = search::spaceJson(space);
    options.identity = {{"space", described["choices"].dump() + described["objectives"].dump()},
                        {"program", sema::withChoices(space, text, sema::coveringPoints(space)[0])},
                        {"checkpoint", fs::absolute(request.program.modelPath).lexically_normal().string()},
                        {"data", stampOf(request.train) + "\n" + stampOf(request.valid)},
                        {"--set", line.all("--set")}};
    return options;
  }

  search::TrialSetting setting() const {
    search::TrialSetting setting{{fs::read_symlink("/proc/self/exe").string(), request.program.specPath, "--model", request.program.modelPath}, request.train, request.valid, request.folder, space.objectives};
    for (const char *option : {"--set", "--stdlib", "--runner"})
      for (const std::string &value : line.all(option))
        setting.compile.insert(setting.compile.end(), {option, value});
    return setting;
  }

  void announce() const {
    if (line.has("--json"))
      return;
    std::string aims;
    for (const Objective &objective : space.objectives)
      aims += (aims.empty() ? "" : ", ") + std::string(objective.maximize ? "maximize " : "minimize ") + objective.name;
    std::printf("%zu choices; %s; %s, %lld trials, seed %lld; study: %s\n", space.choices.size(), aims.c_str(), space.strategy.name.c_str(), static_cast<long long>(space.strategy.trials),
                static_cast<long long>(space.strategy.seed), request.folder.c_str());
    std::printf("%6s  ", "trial");
    for (const Objective &objective : space.objectives)
      std::printf("%12s  ", objective.name.c_str());
    std::printf("%8s  choices\n", "seconds");
    std::fflush(stdout);
  }

  /// One that ended before with the same choices: the seed is the same, and so would be all that comes of it.
  bool known(TrialRecord &trial) {
    const auto same = [&](const TrialRecord &other) {
      return (other.state == State::Complete || other.state == State::Pruned || other.state == State::Failed) &&
             std::equal(other.choices.begin(), other.choices.end(), trial.choices.begin(), trial.choices.end(), [](auto &a, auto &b) { return a.name == b.name && a.value == b.value; });
    };
    const auto all = study->trials(space);
    auto found = std::find_if(all.begin(), all.end(), same);
    if (found == all.end())
      return false;
    trial.state = found->state, trial.values = found->values, trial.error = found->error;
    return trial.repeats = true;
  }

  bool tryOne() {
    std::optional<TrialRecord> trial = study->ask(space);
    if (!trial)
      return false;
    const bool terminal = ::isatty(2) != 0;
    if (terminal)
      std::fprintf(stderr, "\r\033[Ktrial %lld of %lld: %s", static_cast<long long>(trial->number), static_cast<long long>(space.strategy.trials), search::choicesText(space, *trial).c_str());
    if (!known(*trial))
      search::runTrial(setting(), *trial);
    if (terminal)
      std::fprintf(stderr, "\r\033[K");
    study->tell(*trial);
    if (!trial->repeats)
      show(*trial);
    return true;
  }

  void show(const TrialRecord &trial) const {
    if (line.has("--json")) {
      std::printf("%s\n", search::trialJson(space, trial).dump().c_str());
    } else {
      std::printf("%6lld  ", static_cast<long long>(trial.number));
      for (size_t i = 0; i < space.objectives.size(); ++i) {
        if (i >= trial.values.size())
          std::printf("%12s  ", "-");
        else
          std::printf("%12.*f  ", space.objectives[i].name == "params" ? 0 : 4, trial.values[i]);
      }
      std::printf("%8.1f  %s%s\n", trial.seconds, search::choicesText(space, trial).c_str(), trial.state == State::Complete ? "" : ("  " + nameOf(trial.state) + ": " + trial.error).c_str());
    }
    std::fflush(stdout);
  }
  int show(const diag::Engine &diags, const std::string &format) const { return tool::show(diags, format); }

  int finish() {
    const auto trials = study->trials(space);
    std::vector<TrialRecord> front;
    std::copy_if(trials.begin(), trials.end(), std::back_inserter(front), [](const TrialRecord &trial) { return trial.front; });
    if (int code = writeText(line, request.folder + "/trials.csv", search::csv(space, trials)))
      return code;
    if (int code = writeText(line, request.folder + "/front.csv", search::csv(space, front)))
      return code;
    if (int code = writeText(line, request.folder + "/front.svg", search::svg(space, trials)))
      return code;
    const TrialRecord *best = search::bestOf(space, trials);
    if (best)
      if (int code = writeText(line, request.output, bestProgram(*best, trials.size())))
        return code;
    report(trials, front, best);
    if (search::interrupted())
      return 130;
    return best ? 0 : cannot("no trial came to its end", "`" + request.folder + "/trials.csv` says of each why");
  }

  std::string bestProgram(const TrialRecord &best, size_t trials) const {
    std::string values;
    for (size_t i = 0; i < best.values.size(); ++i) {
      char number[48];
      std::snprintf(number, sizeof number, "%.6g", best.values[i]);
      values += ", " + space.objectives[i].name + " " + number;
    }
    return "// trial " + std::to_string(best.number) + ", one of " + std::to_string(trials) + values + "; peftc search " + fs::path(request.program.specPath).filename().string() + "\n" +
           sema::withChoices(space, text, best.choices);
  }

  void report(const std::vector<TrialRecord> &trials, const std::vector<TrialRecord> &front, const TrialRecord *best) const {
    const auto count = [&](State state) { return std::count_if(trials.begin(), trials.end(), [&](const TrialRecord &trial) { return trial.state == state; }); };
    if (line.has("--json")) {
      nlohmann::ordered_json out = {{"complete", count(State::Complete)}, {"pruned", count(State::Pruned)}, {"failed", count(State::Failed)}, {"seed", space.strategy.seed}, {"interrupted", search::interrupted()}};
      out["best"] = best ? search::trialJson(space, *best) : nlohmann::ordered_json();
      out["front"] = nlohmann::ordered_json::array();
      for (const TrialRecord &trial : front)
        out["front"].push_back(search::trialJson(space, trial));
      out["program"] = best ? nlohmann::ordered_json(request.output) : nlohmann::ordered_json();
      out["study"] = request.folder;
      std::printf("%s\n", out.dump().c_str());
      return;
    }
    std::printf("%ld complete, %ld pruned, %ld failed; on the front: %zu (%s/front.csv, front.svg)\n", count(State::Complete), count(State::Pruned), count(State::Failed), front.size(), request.folder.c_str());
    if (best)
      std::printf("best: trial %lld: %s\n%s has these choices\n", static_cast<long long>(best->number), search::choicesText(space, *best).c_str(), request.output.c_str());
    if (search::interrupted())
      std::printf("interrupted: the same command goes on\n");
  }

  const CommandLine &line;
  SearchRequest request;
  const Surroundings &surroundings;
  Space space;
  std::string text; ///< of the program
  std::unique_ptr<search::Study> study;
};

/// A file that is named and cannot be read, and why. Rows may be a folder of images.
std::optional<std::pair<std::string, std::string>> wrongFile(const SearchRequest &request) {
  std::error_code error;
  for (const std::string &path : {request.program.specPath, request.train, request.valid}) {
    const bool areRows = path != request.program.specPath;
    if (path.empty() || (areRows && fs::is_directory(path, error)))
      continue;
    if (std::string why = unreadable(path); !why.empty())
      return std::pair(path, why);
  }
  return std::nullopt;
}

} // namespace

int searchCommand(const std::vector<std::string> &words, const Surroundings &surroundings) {
  CommandLine line;
  SearchRequest request;
  auto wrong = line.parse(words, {{"--model", "-m"}, {"--data", ""}, {"--valid", ""}, {"--output", "-o"}, {"--trials", ""}, {"--seed", ""}, {"--study", ""}, {"--json", "", false}, {"--set", ""},
                                 {"--stdlib", ""}, {"--runner", ""}, diagFormatOption()});
  if (!wrong)
    wrong = complain(line);
  if (!wrong)
    wrong = overridesFrom(line, request.program.overrides);
  if (!wrong)
    wrong = wholeFrom(line, "--trials", 1, request.trials);
  if (!wrong)
    wrong = wholeFrom(line, "--seed", 0, request.seed);
  if (wrong)
    return usage(*wrong);
  request.program.specPath = line.operands()[0];
  request.program.modelPath = line.get("--model");
  request.train = line.get("--data");
  request.valid = line.get("--valid");
  request.output = line.get("--output");
  request.folder = fs::absolute(line.has("--study") ? line.get("--study") : fs::path(request.output).replace_extension(".study").string()).lexically_normal().string();
  if (const auto wrongOne = wrongFile(request))
    return refuse(line, diag::Kind::E0201, {wrongOne->first, wrongOne->second});
  std::error_code error;
  if (fs::equivalent(request.output, request.program.specPath, error))
    return refuse(line, diag::Kind::E0701, {request.output, "this command reads it"}, "`-o` names a program of its own");
  if (!(request.program.stdlib = libraryFrom(line)))
    return 1;
  return Search(line, std::move(request), surroundings).run();
}

} // namespace peftc::tool
