// Expect: the few checks that the runtime's C++ tests need; a failed one says where and ends the test.
#pragma once
#include "runtime/bundle/Errors.h"
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#define EXPECT(condition)                                                                                                                                      \
  do {                                                                                                                                                         \
    if (!(condition)) {                                                                                                                                        \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                                                           \
      std::exit(1);                                                                                                                                            \
    }                                                                                                                                                          \
  } while (false)

/// The statement must throw a RuntimeError with this code whose message holds this text.
#define EXPECT_ERROR(code_, text_, statement)                                                                                                                  \
  do {                                                                                                                                                         \
    bool thrown = false;                                                                                                                                       \
    try {                                                                                                                                                      \
      statement;                                                                                                                                               \
    } catch (const peftrt::RuntimeError &error) {                                                                                                              \
      thrown = true;                                                                                                                                           \
      if (std::string(error.code) != code_ || error.message.find(text_) == std::string::npos) {                                                                \
        std::fprintf(stderr, "%s:%d: wanted %s with `%s`, got %s: %s\n", __FILE__, __LINE__, code_, text_, std::string(error.code).c_str(), error.message.c_str()); \
        std::exit(1);                                                                                                                                          \
      }                                                                                                                                                        \
    }                                                                                                                                                          \
    if (!thrown) {                                                                                                                                             \
      std::fprintf(stderr, "%s:%d: no error from: %s\n", __FILE__, __LINE__, #statement);                                                                      \
      std::exit(1);                                                                                                                                            \
    }                                                                                                                                                          \
  } while (false)

/// A folder for one test, removed at its end.
struct Scratch {
  std::string path;
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "peft-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string file(const std::string &name, const std::string &text) const {
    std::ofstream(path + "/" + name, std::ios::binary) << text;
    return path + "/" + name;
  }
};
