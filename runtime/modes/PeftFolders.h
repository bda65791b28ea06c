// PeftFolders: the modes that exchange adapters with Hugging Face PEFT.
#pragma once
#include "runtime/modes/Modes.h"

namespace peftrt {

Mode exportMode(); // Export.cpp
Mode importMode(); // Import.cpp

} // namespace peftrt
