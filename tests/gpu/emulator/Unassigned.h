// Unassigned: which instructions may read a register before anything gave it a value. Almost none may in a compiler's text, so that threads look only there.
#pragma once
#include "tests/gpu/emulator/Program.h"

namespace emulator {

/// Sets `looks` of each such instruction, and of those that give such a register its value.
void markUnassigned(Program &program);

} // namespace emulator
