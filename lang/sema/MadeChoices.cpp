// MadeChoices: choices that are made against those that there are (Space.h), and the program's text with them.
#include "lang/diag/Suggest.h"
#include "lang/sema/Space.h"
#include <algorithm>
#include <map>

namespace peftc::sema {
using diag::Kind;

namespace {

std::map<std::string, std::string> valuesOf(const std::vector<MadeChoice> &made) {
  std::map<std::string, std::string> values;
  for (const MadeChoice &choice : made)
    values[choice.name] = choice.value;
  return values;
}

/// Whether it is a choice at all, given the others.
bool matters(const OpenChoice &choice, const std::map<std::string, std::string> &values) {
  auto maybe = values.find(choice.within);
  return choice.within.empty() || maybe == values.end() || maybe->second != "no";
}

bool checkMade(const Space &space, const MadeChoice &made, diag::Engine &diags) {
  std::vector<std::string> names;
  for (const OpenChoice &choice : space.choices) {
    names.push_back(choice.name);
    if (choice.name != made.name)
      continue;
    if (std::find(choice.values.begin(), choice.values.end(), made.value) != choice.values.end())
      return true;
    std::string list;
    for (const std::string &value : choice.values)
      list += (list.empty() ? "" : ", ") + value;
    diags.report(Kind::E0506, choice.range, {made.name, made.value}).help("it is one of " + list);
    return false;
  }
  auto report = diags.report(Kind::E0505, Range{}, {made.name});
  if (auto better = diag::suggest(made.name, names))
    report.help("there is `" + *better + "`");
  else
    report.help("`peftc SPEC --emit=space` lists the choices");
  return false;
}

/// A text for a range of another.
struct Edit {
  Range range;
  std::string text;
};

/// `layers[0..4]`, `{layers[0], layers[3..6]}`: runs of indices.
std::string selected(const OpenAttach::Subset &subset, const std::map<std::string, std::string> &values) {
  std::vector<std::string> runs;
  const auto chosen = [&](size_t i) { return i < subset.elements.size() && values.at(subset.elements[i]) == "yes"; };
  for (size_t i = 0; i < subset.elements.size(); ++i) {
    if (!chosen(i))
      continue;
    const size_t from = i;
    while (chosen(i + 1))
      ++i;
    const auto at = [&](size_t index) { return std::to_string(subset.first + static_cast<int64_t>(index)); };
    runs.push_back(subset.member + "[" + at(from) + (i > from ? ".." + at(i + 1) : "") + "]");
  }
  std::string list;
  for (const std::string &run : runs)
    list += (list.empty() ? "" : ", ") + run;
  return runs.size() > 1 ? "{" + list + "}" : list;
}

class Writing {
public:
  Writing(const Space &space, const std::string &text, const std::vector<MadeChoice> &made) : text(text), values(valuesOf(made)) {
    for (const OpenAttach &attach : space.attaches)
      place(attach);
    for (const OpenChoice &choice : space.choices)
      if (choice.kind == OpenChoice::Kind::Value && values.count(choice.name))
        edits.push_back({choice.range, choice.enclose && isOperation(values.at(choice.name)) ? "(" + values.at(choice.name) + ")" : values.at(choice.name)});
    if (space.search)
      edits.push_back({wholeLines(*space.search), ""});
    std::sort(edits.begin(), edits.end(), [](const Edit &a, const Edit &b) { return a.range.begin < b.range.begin; });
  }

  std::string run() const {
    std::string out;
    uint32_t at = 0;
    for (const Edit &edit : edits) {
      if (edit.range.begin < at) // in a statement that is a comment now
        continue;
      out += text.substr(at, edit.range.begin - at) + edit.text;
      at = edit.range.end;
    }
    return out + text.substr(at);
  }

private:
  void place(const OpenAttach &attach) {
    bool chosen = attach.name.empty() || values.at(attach.name) == "yes";
    for (const OpenAttach::Subset &subset : attach.subsets)
      chosen = chosen && std::any_of(subset.elements.begin(), subset.elements.end(), [&](const std::string &name) { return values.at(name) == "yes"; });
    if (!chosen) {
      drop(attach.statement);
      return;
    }
    if (attach.maybe)
      edits.push_back({{attach.maybe->file, attach.maybe->begin, afterSpace(attach.maybe->end)}, ""});
    for (const OpenAttach::Subset &subset : attach.subsets)
      edits.push_back({subset.range, selected(subset, values)});
  }
  /// What is not chosen is a comment; where it shares its lines with others it is left out.
  void drop(Range statement) {
    if (!aloneOnLines(statement)) {
      edits.push_back({statement, ""});
      return;
    }
    std::string comment = "// not chosen: ";
    for (uint32_t i = statement.begin; i < statement.end; ++i)
      comment += text[i] == '\n' ? std::string("\n// ") : std::string(1, text[i]);
    edits.push_back({statement, comment});
  }

  uint32_t afterSpace(uint32_t at) const {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t'))
      ++at;
    return at;
  }
  uint32_t lineBegin(uint32_t at) const { return at == 0 ? 0 : static_cast<uint32_t>(text.rfind('\n', at - 1) + 1); } // npos + 1 is 0
  uint32_t lineEnd(uint32_t at) const { return static_cast<uint32_t>(std::min(text.find('\n', at), text.size())); }
  /// Nothing else stands there but a comment behind it.
  bool aloneOnLines(Range range) const {
    const uint32_t after = afterSpace(range.end);
    const bool last = after >= text.size() || text[after] == '\n' || text[after] == '\r' || text.compare(after, 2, "//") == 0;
    return last && afterSpace(lineBegin(range.begin)) == range.begin;
  }
  Range wholeLines(Range range) const {
    if (!aloneOnLines(range))
      return range;
    uint32_t begin = lineBegin(range.begin), end = std::min(lineEnd(range.end) + 1, static_cast<uint32_t>(text.size()));
    if (end == text.size() || text[end] == '\n') // the blank lines before it would stand for nothing
      while (begin >= 2 && text.compare(begin - 2, 2, "\n\n") == 0)
        --begin;
    return {range.file, begin, end};
  }
  /// Whether a neighbour could bind a part of it: anything but a word, a number, or a call of one.
  static bool isOperation(const std::string &value) {
    return value.find_first_of(" +-*/%@<>=") != std::string::npos && value.front() != '"';
  }

  const std::string &text;
  const std::map<std::string, std::string> values;
  std::vector<Edit> edits;
};

} // namespace

bool checkChoices(const Space &space, const std::vector<MadeChoice> &made, diag::Engine &diags) {
  bool good = true;
  for (const MadeChoice &choice : made)
    good = checkMade(space, choice, diags) && good;
  const auto values = valuesOf(made);
  std::vector<const OpenChoice *> open;
  for (const OpenChoice &choice : space.choices)
    if (!values.count(choice.name) && matters(choice, values))
      open.push_back(&choice);
  if (!good || open.empty())
    return good;
  const std::string rest = open.size() == 1 ? "" : open.size() == 2 ? " and one choice more" : " and " + std::to_string(open.size() - 1) + " choices more";
  auto report = diags.report(Kind::E0504, open[0]->range, {"`" + open[0]->name + "`" + rest});
  report.here(open[0]->name);
  for (size_t i = 1; i < open.size(); ++i)
    if (open[i]->kind != OpenChoice::Kind::Element || open[i]->range.begin != open[i - 1]->range.begin)
      report.label(open[i]->range, open[i]->name);
  report.help("`--choose " + open[0]->name + "=" + open[0]->values[0] + "` makes this one, `peftc search` tries them out");
  return false;
}

std::vector<std::vector<MadeChoice>> coveringPoints(const Space &space) {
  size_t most = 1;
  for (const OpenChoice &choice : space.choices)
    if (choice.kind == OpenChoice::Kind::Value)
      most = std::max(most, choice.values.size());
  std::vector<std::vector<MadeChoice>> points(most);
  for (size_t point = 0; point < most; ++point)
    for (const OpenChoice &choice : space.choices)
      points[point].push_back({choice.name, choice.kind == OpenChoice::Kind::Value ? choice.values[std::min(point, choice.values.size() - 1)] : "yes"});
  return points;
}

std::string withChoices(const Space &space, const std::string &text, const std::vector<MadeChoice> &made) { return Writing(space, text, made).run(); }

} // namespace peftc::sema
