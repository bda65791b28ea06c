// Space: what a program leaves open: `choose(…)`, `attach maybe …`, `choose subset(…)`, and what to look for (`search`).
//
// A space is a list of choices, each among a few values that are written out. A program with its choices made is a text
// again (`lang/sema/Space.h`), so nothing behind `lang` knows that there was a space.
#pragma once
#include "lang/source/Source.h"
#include <optional>
#include <string>
#include <vector>

namespace peftc {

/// One thing that is left open.
struct OpenChoice {
  enum class Kind {
    Value,  ///< `choose(4, 8)`: the values are those texts
    Maybe,  ///< `attach maybe …`: yes or no
    Element ///< one index of `choose subset(layers, 0..12)`: yes or no
  };
  Kind kind = Kind::Value;
  std::string name;                ///< by its place: "lora.r", "lora", "lora.layers[3]"
  std::vector<std::string> values; ///< as they are written, in their order
  std::string within;              ///< the Maybe without which it is none; "" where there is always one
  Range range;                     ///< the text that it replaces; of an Element all of the `choose subset(…)`
  bool enclose = false;            ///< a value that is an operation needs parentheses there
};

/// An attach that may not be there, or not at some places.
struct OpenAttach {
  Range statement;
  std::optional<Range> maybe;      ///< the word
  std::string name;                ///< of the Maybe, if there is one
  struct Subset {
    Range range;
    std::string member;            ///< "layers"
    int64_t first = 0;             ///< the index that the first Element stands for
    std::vector<std::string> elements; ///< names of the choices
  };
  std::vector<Subset> subsets;
};

struct Objective {
  std::string name; ///< loss, params, or a metric of the task
  bool maximize = false;
};
struct Strategy {
  std::string name = "tpe";
  int64_t trials = 20, seed = 0;
};

struct Space {
  std::vector<OpenChoice> choices; ///< in order of place, a Maybe before what it holds
  std::vector<OpenAttach> attaches;
  std::optional<Range> search;     ///< the statement
  std::vector<Objective> objectives = {};
  Strategy strategy;
};

/// A choice that is made: `--choose lora.r=8`, as text.
struct MadeChoice {
  std::string name, value;
};

} // namespace peftc
