// Cache: what was compiled before, by content. An entry is named by a hash of everything that its bytes depend on, this program's own file among it; it is written
// beside its place and renamed, so that compiles at the same time see none or a whole one. What cannot be read or kept is made again, without a word.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace peftc {

/// The file for what these parts make; "" where nothing can be kept (`folder` is empty).
std::string cacheEntry(const std::string &folder, llvm::ArrayRef<llvm::StringRef> parts, llvm::StringRef suffix);
/// The bytes of an entry that is there, whole and begins so; else "".
std::string readCache(const std::string &entry, llvm::StringRef begin);
void writeCache(const std::string &entry, llvm::StringRef bytes);
/// Removes the entries that were made longest ago, where the folder of this one holds very many.
void trimCache(const std::string &entry);

} // namespace peftc
