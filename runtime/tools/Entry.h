// Entry: the one symbol that the launcher looks up in libpeft-runtime.so.
#pragma once

constexpr const char *kRuntimeEntry = "peftRuntimeMain";
using RuntimeEntry = int (*)(int count, char **words);

extern "C" __attribute__((visibility("default"))) int peftRuntimeMain(int count, char **words);
