// Check: the one macro that the compiler's C++ tests need.
#pragma once
#include <cstdio>

inline int failures = 0;

#define CHECK(CONDITION)                                                                                                                                       \
  do {                                                                                                                                                         \
    if (!(CONDITION)) {                                                                                                                                        \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #CONDITION);                                                                           \
      ++failures;                                                                                                                                              \
    }                                                                                                                                                          \
  } while (false)
