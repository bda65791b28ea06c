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

/// DIR/NAME for `--keep DIR`, or one that goes with the object.
class Folder {
public:
  Folder(const std::string &keep, const std::string &name) : kept_(!keep.empty()) {
    std::error_code error;
    if (kept_) {
      const fs::path folder = fs::path(keep) / name;
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
std::string hostProgram(const std::vector<StdlibFile> &library) {
  for (const StdlibFile &file : library) {
    SourceMap sources;
    diag::Engine diags(sources);
    if (isProgram(parse(sources, sources.add(file.name, file.text), diags)))
      return file.text;
  }
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
std::vector<Subject> subjectsOf(const std::string &path, const CommandLine &line, const std::vector<StdlibFile> &library, int &code) {
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

void print(const std::string &name, const std::string &text, bool asJson) {
  if (!asJson) {
    std::printf("%s  %s\n", name.c_str(), text.c_str());
    return;
  }
  json line = json::parse(text, nullptr, false);
  if (line.is_discarded())
    line = {{"detail", text}};
  line["method"] = name;
  std::printf("%s\n", line.dump().c_str());
}

int runLaws(const Subject &subject, const std::string &bundle, const CommandLine &line, const Surroundings &surroundings, const std::string &folder) {
  const std::string runner = runnerPath(line, surroundings), said = folder + "/said";
  if (!fs::exists(runner))
    return failed("there is no runner at `" + runner + "`", "`--runner FILE` or PEFT_RUNNER names it");
  std::vector<std::string> words = {runner, "--bundle", bundle, "laws", "--seed", line.get("--seed", "1")};
  if (line.has("--json"))
    words.push_back("--json");
  std::vector<llvm::StringRef> arguments(words.begin(), words.end());
  std::string problem;
  const std::optional<llvm::StringRef> redirects[] = {std::nullopt, llvm::StringRef(said), std::nullopt};
  const int code = llvm::sys::ExecuteAndWait(runner, arguments, std::nullopt, redirects, 0, 0, &problem);
  if (code < 0)
    return failed("`" + runner + "` did not run to its end: " + problem);
  std::istringstream lines(readFile(said).value_or(""));
  for (std::string text; std::getline(lines, text);)
    print(subject.name, text, line.has("--json"));
  return code;
}

/// Compiles for the checkpoint and runs the laws.
int checkSubject(const Subject &subject, Request request, const CommandLine &line, const Surroundings &surroundings) {
  if (!subject.skipped.empty()) {
    print(subject.name, line.has("--json") ? json({{"verdict", "none"}, {"detail", subject.skipped}}).dump() : "none  " + subject.skipped, line.has("--json"));
    return 0;
  }
  const Folder folder(line.get("--keep"), subject.name);
  if (folder.path().empty())
    return failed("cannot make a folder in `" + line.get("--keep", fs::temp_directory_path().string()) + "`");
  request.appended = subject.appended;
  request.exact = true;
  request.cacheFolder = surroundings.cacheFolder;
  request.budgets = line.has("--model");
  request.modelPath = line.get("--model", folder.path());
  SourceMap sources;
  diag::Engine diags(sources);
  Outcome outcome;
  if (line.has("--model") || writeExample(request, folder.path(), 1, sources, diags)) {
    SourceMap again;
    diag::Engine found(again);
    outcome = compile(request, again, found);
    if (int code = show(found, line.get("--diag-format", "text")); code != 0)
      return code;
  } else {
    return show(diags, line.get("--diag-format", "text"));
  }
  if (int code = failureOf(line, outcome); code != 0)
    return code;
  peftrt::writeDirectory(*outcome.bundle, folder.path() + "/bundle");
  return runLaws(subject, folder.path() + "/bundle", line, surroundings, folder.path());
}

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
  for (const std::string &path : line.operands()) {
    int code = 0;
    request.specPath = path;
    for (const Subject &subject : subjectsOf(path, line, request.stdlib->files(), code)) {
      if (line.has("--method") && subject.name != line.get("--method"))
        continue;
      named = true;
      std::fflush(stdout);
      try {
        code = std::max(code, checkSubject(subject, request, line, surroundings));
      } catch (const std::exception &error) {
        code = failed(error.what());
      }
    }
    worst = std::max(worst, code);
  }
  return worst == 0 && !named ? failed("no file has the method `" + line.get("--method") + "`") : worst;
}

} // namespace peftc::tool
