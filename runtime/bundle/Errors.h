// Errors: what a runtime function throws, and what the modes' border prints. Standard library only.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace peftrt {

/// An error that a person reads. `code` is a row of the table in runtime/modes/README.md; `message` says what was found, in
/// lower case; `help` says what to do, and may be empty.
struct RuntimeError : std::runtime_error {
  std::string code, message, help;
  RuntimeError(std::string code_, std::string message_, std::string help_ = "")
      : std::runtime_error(code_ + ": " + message_), code(std::move(code_)), message(std::move(message_)), help(std::move(help_)) {}
};

/// A bundle that contradicts itself: its compiler's bug, not its user's.
[[noreturn]] inline void failBundle(const std::string &message) {
  throw RuntimeError("R0102", message, "this is a bug of the compiler that wrote the bundle");
}

} // namespace peftrt
