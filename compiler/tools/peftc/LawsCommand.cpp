// LawsCommand: peftc check --laws FILE: what holds for every method, checked by the runner's mode `laws`.
//
// In     a file of methods: each is attached, with its defaults, to every site of its kinds in the library's program for this
//        (the one file of the library with a `model`); or a program: as it is, without its budgets
// Out    a line a law, the method's name in front; exit code 1 if a law is broken or a method does not compile
// Why a process of its own  the compiler knows no LibTorch, the runtime no LLVM
#include "compiler/driver/Compile.h"
#include "compiler/driver/Example.h"
#include "compiler/tools/peftc/Commands.h"
#include "lang/syntax/Parse.h"
#include "llvm/Support/Program.h"
#include "runtime/bundle/Writer.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

namespace fs = std::filesystem;
using nlohmann::json;

namespace peftc::tool {
namespace {

/// A program to check.
struct Subject {
  std::string name;     ///< of the method, or of the file
  std::string appended; ///< what makes a program of the file
  std::string skipped;  ///< why it cannot be checked by itself
};

/// DIR/NAME for `--keep DIR` (DIR/NAME-2, … where there is one), or one that goes with the object.
class Folder {
public:
  Folder(const std::string &keep, const std::string &name) : kept_(!keep.empty()) {
    std::error_code error;
    if (kept_) {
      fs::path folder = fs::path(keep) / name;
      for (int copy = 2; fs::exists(folder, error); ++copy)
        folder = fs::path(keep) / (name + "-" + std::to_string(copy));
      fs::create_directories(folder, error);
      path_ = error ? "" : folder.string();
      return;
    }
    std::string pattern = (fs::temp_directory_path() / "peftc-check-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) ? pattern : "";
  }
  Folder(const Folder &) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty() && !kept_)
      fs::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  bool kept_;
  std::string path_;
};

bool isProgram(const ast::File &file) {
  return std::any_of(file.statements.begin(), file.statements.end(), [](const ast::StmtPtr &stmt) { return stmt->as<ast::ModelStmt>(); });
}

/// The library's program with room for a method.
std::string hostProgram(Library &library) {
  SourceMap sources;
  diag::Engine diags(sources);
  library.addTo(sources);
  for (size_t index = 0; index < library.files().size(); ++index)
    if (isProgram(*library.parsed(index, sources, diags)))
      return library.files()[index].text;
  return "";
}

void collectKinds(const ast::Block &body, std::set<std::string> &kinds) {
  for (const ast::StmtPtr &stmt : body)
    if (auto *on = stmt->as<ast::OnStmt>())
      kinds.insert(on->site.text);
}

/// `attach NAME to` every site of its kinds.
Subject subjectOf(const ast::MethodStmt &method, const std::string &host) {
  Subject subject{method.name.text, "", ""};
  for (const ast::Parameter &parameter : method.params)
    if (!parameter.defaultValue)
      subject.skipped = "`" + parameter.name.text + "` has no default: check a program that attaches it";
  std::set<std::string> kinds;
  if (method.site)
    kinds.insert(method.site->text);
  collectKinds(method.body, kinds);
  std::string condition;
  for (const std::string &kind : kinds)
    if (kind != "model")
      condition += (condition.empty() ? "" : " or ") + ("kind == " + kind);
  const std::string selector = condition.empty() ? "model" : "** where " + condition;
  subject.appended = "\n" + host + "\nattach " + method.name.text + " to " + selector + "\n";
  return subject;
}

/// What there is to check in a file; nothing after an error, which is shown.
std::vector<Subject> subjectsOf(const std::string &path, const CommandLine &line, Library &library, int &code) {
  SourceMap sources;
  diag::Engine diags(sources);
  auto text = readFile(path);
  if (!text) {
    code = refuse(line, diag::Kind::E0201, {path, unreadable(path)});
    return {};
  }
  ast::File file = parse(sources, sources.add(path, *text), diags);
  code = show(diags, line.get("--diag-format", "text"));
  if (code != 0)
    return {};
  if (isProgram(file))
    return {{fs::path(path).filename().string(), "", ""}};
  const std::string host = hostProgram(library);
  std::vector<Subject> subjects;
  for (const ast::StmtPtr &stmt : file.statements)
    if (auto *method = stmt->as<ast::MethodStmt>())
      subjects.push_back(subjectOf(*method, host));
  if (host.empty() && !subjects.empty())
    code = failed("the library has no program to attach a method in", "give a program: `model …`, `task …`, `attach …`");
  if (subjects.empty())
    code = failed("`" + path + "` has neither a method nor a program");
  return code == 0 ? subjects : std::vector<Subject>{};
}

/// A subject that has been compiled and waits for the runner.
struct Prepared {
  std::string name, path;
  std::unique_ptr<Folder> folder;
  bool answered = false;
  std::string bundle() const { return folder->path() + "/bundle"; }
};

/// A line of the answer: as it is, or for people.
void print(const std::string &name, const std::string &path, json line, bool asJson) {
  if (asJson) {
    line["method"] = name;
    line["file"] = path;
    std::printf("%s\n", line.dump().c_str());
  } else {
    const std::string law = line.value("law", "");
    std::printf("%s  %s  %s%s\n", name.c_str(), line.value("verdict", "").c_str(), law.empty() ? "" : (law + std::string(law.size() < 10 ? 10 - law.size() : 1, ' ')).c_str(),
                line.value("detail", "").c_str());
  }
}

/// Runs the laws of all that waits in one process, which for small models takes less time than to start one.
int runLaws(std::vector<Prepared> &waiting, const CommandLine &line, const Surroundings &surroundings) {
  if (waiting.empty())
    return 0;
  const std::string runner = runnerPath(line, surroundings), said = waiting[0].folder->path() + "/said";
  if (!fs::exists(runner))
    return failed("there is no runner at `" + runner + "`", "`--runner FILE` or PEFT_RUNNER names it");
  std::vector<std::string> words = {runner, "--bundle", waiting[0].bundle(), "laws", "--json", "--seed", line.get("--seed", "1")};
  for (size_t other = 1; other < waiting.size(); ++other)
    words.insert(words.end(), {"--also", waiting[other].bundle()});
  std::vector<llvm::StringRef> arguments(words.begin(), words.end());
  std::string problem;
  const std::optional<llvm::StringRef> redirects[] = {std::nullopt, llvm::StringRef(said), std::nullopt};
  int code = llvm::sys::ExecuteAndWait(runner, arguments, std::nullopt, redirects, 0, 0, &problem);
  std::istringstream lines(readFile(said).value_or(""));
  for (std::string text; std::getline(lines, text);) {
    json found = json::parse(text, nullptr, false);
    const size_t place = found.is_object() ? found.value("bundle", waiting.size()) : waiting.size();
    if (place >= waiting.size())
      return failed("`" + runner + "` does not answer as this peftc asks: " + text, "it must be of the same build");
    Prepared &subject = waiting[place];
    found.erase("bundle");
    if (line.has("--keep"))
      found["kept"] = subject.folder->path();
    subject.answered = true;
    print(subject.name, subject.path, found, line.has("--json"));
  }
  if (code < 0)
    code = failed("`" + runner + "` did not run to its end: " + problem);
  for (const Prepared &subject : waiting)
    if (!subject.answered)
      code = std::max(code, failed("the laws of `" + subject.name + "` were not reached"));
  waiting.clear();
  return code;
}

/// Compiles for the checkpoint that is given, or for a small one that is made.
int prepare(const Subject &subject, Request request, const CommandLine &line, const Surroundings &surroundings, std::vector<Prepared> &waiting) {
  Prepared made{subject.name, request.specPath, std::make_unique<Folder>(line.get("--keep"), subject.name)};
  const std::string &folder = made.folder->path();
  if (folder.empty())
    return failed("cannot make a folder in `" + line.get("--keep", fs::temp_directory_path().string()) + "`");
  request.appended = subject.appended;
  request.exact = true;
  request.here = !surroundings.cpuIsChosen;
  request.cacheFolder = surroundings.cacheFolder;
  request.budgets = line.has("--model");
  request.modelPath = line.get("--model", folder);
  SourceMap sources;
  diag::Engine diags(sources);
  if (!line.has("--model") && !writeExample(request, folder, 1, sources, diags))
    return show(diags, line.get("--diag-format", "text"));
  SourceMap again;
  diag::Engine found(again);
  Outcome outcome = compile(request, again, found);
  if (int code = show(found, line.get("--diag-format", "text")); code != 0)
    return code;
  if (int code = failureOf(line, outcome); code != 0) {
    std::fprintf(stderr, "  = note: of `%s`, %s\n", subject.name.c_str(), request.specPath.c_str());
    return code;
  }
  peftrt::writeDirectory(*outcome.bundle, made.bundle());
  waiting.push_back(std::move(made));
  return 0;
}

constexpr size_t kAtOnce = 16; ///< that wait for the runner

} // namespace

int lawsCommand(const CommandLine &line, const Surroundings &surroundings) {
  Request request;
  if (auto wrong = overridesFrom(line, request.overrides))
    return usage(*wrong);
  if (auto wrong = choicesFrom(line, request.choices))
    return usage(*wrong);
  if (!(request.stdlib = libraryFrom(line)))
    return 1;
  int worst = 0;
  bool named = !line.has("--method");
  std::vector<Prepared> waiting;
  for (const std::string &path : line.operands()) {
    int code = 0;
    request.specPath = path;
    for (const Subject &subject : subjectsOf(path, line, *request.stdlib, code)) {
      if (line.has("--method") && subject.name != line.get("--method"))
        continue;
      named = true;
      if (!subject.skipped.empty()) {
        print(subject.name, path, {{"verdict", "none"}, {"detail", subject.skipped}}, line.has("--json"));
        continue;
      }
      try {
        code = std::max(code, prepare(subject, request, line, surroundings, waiting));
        if (waiting.size() == kAtOnce)
          code = std::max(code, runLaws(waiting, line, surroundings));
      } catch (const std::exception &error) {
        code = std::max(code, failed(error.what()));
      }
    }
    worst = std::max(worst, code);
  }
  worst = std::max(worst, runLaws(waiting, line, surroundings));
  return worst == 0 && !named ? failed("no file has the method `" + line.get("--method") + "`") : worst;
}

} // namespace peftc::tool
