// TextHelper: see the header.
#include "runtime/data/TextHelper.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include "runtime/data/TextHelperScript.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace peftrt {

using nlohmann::json;

TextHelper::TextHelper(const HelperOptions &options, const std::string &modelPath) : python_(options.python), modelPath_(modelPath) {
  if (!std::filesystem::exists(modelPath + "/tokenizer.json"))
    throw RuntimeError("R0112", "the model folder `" + modelPath + "` has no tokenizer.json", "save it: AutoTokenizer.from_pretrained(…).save_pretrained(DIR), or give rows of `input_ids`");
  int toChild[2], fromChild[2];
  if (::pipe2(toChild, O_CLOEXEC) != 0 || ::pipe2(fromChild, O_CLOEXEC) != 0)
    throw RuntimeError("R0140", std::string("cannot start the tokenizers helper: ") + std::strerror(errno), "");
  const char *arguments[] = {python_.c_str(), "-c", kTextHelperScript, modelPath_.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, toChild[0], 0);
  posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1);
  const int failure = ::posix_spawnp(&child_, python_.c_str(), &actions, nullptr, const_cast<char **>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(toChild[0]);
  ::close(fromChild[1]);
  questions_ = ::fdopen(toChild[1], "w");
  answers_ = ::fdopen(fromChild[0], "r");
  if (failure != 0)
    throw RuntimeError("R0140", "cannot start the tokenizers helper: `" + python_ + "`: " + std::strerror(failure), installHelp(kTokenizers));
}

TextHelper::~TextHelper() {
  if (questions_)
    std::fclose(questions_);
  if (answers_)
    std::fclose(answers_);
  while (child_ > 0 && ::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// It is gone: why.
void TextHelper::fail() {
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  refuseMissing(kTokenizers, python_, code);
  throw RuntimeError("R0141", "the tokenizers helper failed (status " + std::to_string(code) + ")", "it reads `" + modelPath_ + "/tokenizer.json`");
}

json TextHelper::ask(const nlohmann::ordered_json &question, const std::vector<std::string> &where) {
  const auto before = std::signal(SIGPIPE, SIG_IGN); // a helper that is gone says so by its status
  const std::string text = question.dump(-1, ' ', true) + "\n";
  const bool sent = std::fwrite(text.data(), 1, text.size(), questions_) == text.size() && std::fflush(questions_) == 0;
  std::signal(SIGPIPE, before);
  char *line = nullptr;
  size_t room = 0;
  const ssize_t length = sent ? ::getline(&line, &room, answers_) : -1;
  const std::string said = length > 0 ? std::string(line, static_cast<size_t>(length)) : std::string();
  std::free(line);
  if (said.empty())
    fail();
  const json answer = parseJson(said);
  if (answer.is_object()) {
    const auto row = answer.find("row");
    const std::string of = row != answer.end() && row->is_number() ? where.at(row->get<size_t>()) : "";
    throw RuntimeError(answer.value("code", "R0141"), of + answer.value("error", "the tokenizers helper failed"), "it reads `" + modelPath_ + "`");
  }
  return answer;
}

std::vector<TokenIds> TextHelper::encode(const std::vector<std::string> &texts) { return ask({{"encode", texts}}).get<std::vector<TokenIds>>(); }
std::vector<std::string> TextHelper::decode(const std::vector<TokenIds> &ids) { return ask({{"decode", ids}}).get<std::vector<std::string>>(); }
std::vector<TokenIds> TextHelper::chats(const nlohmann::ordered_json &conversations, const std::vector<std::string> &where) { return ask({{"chat", conversations}}, where).get<std::vector<TokenIds>>(); }

} // namespace peftrt
