// LinkShared: ELF objects become a shared object, by LLD as a library.
//
// Errs  what the linker said: undefined symbols, a temporary folder that cannot be written.
// LLD keeps its state in globals: one link at a time in a process (a lock sees to it), and the values of LLVM's command-line options (its CommandLine library)
// go back to their defaults. Files are in a fresh folder, so processes do not meet.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace peftc::target {

/// A name, and the symbol of an object that it stands for.
using Alias = std::pair<std::string, std::string>;

llvm::Expected<std::string> linkShared(llvm::ArrayRef<std::string> objects, llvm::ArrayRef<Alias> names, std::string &unwritten);

} // namespace peftc::target
