// Request: everything that a compilation is asked for, and what comes of it. Validated by the tool before work starts.
#pragma once
#include "compiler/target/Nvptx.h"
#include "lang/sema/Check.h"
#include "runtime/bundle/Format.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace peftc {

/// Phases by the words that a person uses, in order.
enum class Stop { Parse, Check, Import, Sites, Nn, Plan, Kernels, Ptx, Bundle };

struct Request {
  std::string specPath;
  std::string modelPath;                ///< folder of the checkpoint; needed after `check`
  std::vector<InputOverride> overrides; ///< --set
  std::vector<MadeChoice> choices;      ///< --choose
  std::shared_ptr<Library> stdlib;
  Stop stopAfter = Stop::Bundle;
  std::vector<const target::GpuTarget *> gpus; ///< whose code a bundle holds beside the CPUs'; of Kernels and Ptx one, which Ptx needs, none: the CPUs
  std::string assembler;                  ///< NVIDIA's ptxas; empty: there is none, and a GPU's driver compiles the PTX
  bool explain = false;                   ///< fill in the outcome's tables
  std::string appended;                 ///< text read as if it stood at the program's end (`check --laws` attaches there)
  bool exact = false;                   ///< fp32, whatever the program's `precision` (laws are about derivations, not about rounding)
  bool budgets = true;                  ///< hold them; not on an architecture's example, where no share means anything
  bool here = false;                    ///< what is compiled is to run on this machine only
  std::string reproducerFolder = ".";
  std::string cacheFolder;              ///< of compiled kernels; empty: none
};

struct Outcome {
  std::optional<peftrt::Bundle> bundle; ///< with stopAfter == Bundle and no error
  std::string text;                     ///< what the last phase made, as text (not for Bundle)
  std::string memory, kernels, layout;  ///< --explain memory, --explain kernels, --explain layout
  std::string timing;                   ///< a line a phase and pass
  std::string unwritten;                ///< a temporary file for which there was no room
  std::string notAssembled;             ///< what the assembler says that does not take a GPU's kernels
  std::string internalError;            ///< our bug: the pass and the reproducer
};

} // namespace peftc
