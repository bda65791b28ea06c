// MethodList: what there is to say about each method of the standard library, for `peftc methods`.
#pragma once
#include "lang/sema/Check.h"

namespace peftc {

struct MethodEntry {
  struct Argument {
    std::string name, type;
    std::string defaultValue; ///< as it is written; empty: it has to be given
  };
  std::string name;
  std::vector<std::string> kinds; ///< of the sites that it is for
  std::vector<Argument> arguments;
  std::string summary; ///< first line of its doc comment
  std::string doc;     ///< the comment without its sources
  std::string source;  ///< the papers
  std::vector<std::string> formats; ///< of other software, in whose files it has a form (`interop peft`)
  std::string file, text;
};

/// In the order of names. Texts that are damaged give what can be read of them.
std::vector<MethodEntry> methodList(const std::vector<StdlibFile> &library);
/// `lora(r: rank = 8, alpha: real = r) on linear`.
std::string signature(const MethodEntry &entry);

} // namespace peftc
