// Process: a command in a process of its own, and what an interruption does to it.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

namespace peftc::search {

/// Its exit status (128 + the signal that ended it; 127: it could not be started). Standard output and error go to these files.
int runProcess(const std::vector<std::string> &words, const std::string &outPath, const std::string &errorPath);

/// From here on SIGINT and SIGTERM end the process that runs, and then the study, instead of this one.
void catchInterruptions();
bool interrupted();

/// A process that is asked and answers, by lines.
class Conversation {
public:
  explicit Conversation(const std::vector<std::string> &words);
  ~Conversation();
  Conversation(const Conversation &) = delete;
  /// The line that it answers; "" where it is gone.
  std::string ask(const std::string &line);
  /// After it is gone: its exit status.
  int status();

private:
  int child_ = -1;
  std::FILE *questions_ = nullptr, *answers_ = nullptr;
};

} // namespace peftc::search
