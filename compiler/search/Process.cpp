// Process: see the header. A process that runs is in a group of its own: a terminal's ctrl-C reaches it once, through here.
#include "compiler/search/Process.h"
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace peftc::search {
namespace {

volatile std::sig_atomic_t stopped = 0;
volatile pid_t running = 0;

void stop(int) {
  stopped = 1;
  if (running > 0)
    ::kill(running, SIGINT);
}

std::vector<char *> pointersTo(const std::vector<std::string> &words) {
  std::vector<char *> pointers;
  for (const std::string &word : words)
    pointers.push_back(const_cast<char *>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

int statusOf(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

int runProcess(const std::vector<std::string> &words, const std::string &outPath, const std::string &errorPath) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, outPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&actions, 2, errorPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, words[0].c_str(), &actions, &attributes, pointersTo(words).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0)
    return 127;
  running = child;
  if (stopped) // between the two lines before
    ::kill(child, SIGINT);
  const int status = statusOf(child);
  running = 0;
  return status;
}

void catchInterruptions() {
  struct sigaction action = {};
  action.sa_handler = stop;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return stopped != 0; }

Conversation::Conversation(const std::vector<std::string> &words) {
  int toChild[2], fromChild[2];
  if (::pipe2(toChild, O_CLOEXEC) != 0 || ::pipe2(fromChild, O_CLOEXEC) != 0)
    return;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, toChild[0], 0);
  posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1);
  pid_t child = -1;
  if (::posix_spawnp(&child, words[0].c_str(), &actions, nullptr, pointersTo(words).data(), environ) == 0)
    child_ = child;
  posix_spawn_file_actions_destroy(&actions);
  ::close(toChild[0]);
  ::close(fromChild[1]);
  questions_ = ::fdopen(toChild[1], "w");
  answers_ = ::fdopen(fromChild[0], "r");
}

Conversation::~Conversation() {
  status();
  if (answers_)
    std::fclose(answers_);
}

std::string Conversation::ask(const std::string &line) {
  if (child_ < 0 || !questions_)
    return "";
  const auto before = std::signal(SIGPIPE, SIG_IGN); // one that is gone says so by its status
  const std::string text = line + "\n";
  const bool sent = std::fwrite(text.data(), 1, text.size(), questions_) == text.size() && std::fflush(questions_) == 0;
  std::signal(SIGPIPE, before);
  char *said = nullptr;
  size_t room = 0;
  const ssize_t length = sent ? ::getline(&said, &room, answers_) : -1;
  std::string answer = length > 0 ? std::string(said, static_cast<size_t>(length)) : "";
  std::free(said);
  return answer;
}

int Conversation::status() {
  if (questions_)
    std::fclose(questions_);
  questions_ = nullptr;
  if (child_ < 0)
    return 127;
  const int status = statusOf(child_);
  child_ = -1;
  return status;
}

} // namespace peftc::search
