// Render: see the header. One snippet a file; one row of marks and rows of label texts a line.
#include "lang/diag/Render.h"
#include <algorithm>
#include <map>
#include <tuple>

namespace peftc::diag {
namespace {

constexpr unsigned kTabWidth = 4, kMostColumns = 160, kColumnsBefore = 40; // of a line: shown at most, and before its first mark

const char *word(Severity severity) { return severity == Severity::Error ? "error" : "warning"; }

struct Mark {
  unsigned column, width; // of the shown line, from 0
  char sign;
  std::string text;
};

unsigned codePoints(std::string_view text) {
  return static_cast<unsigned>(std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}
unsigned shownWidth(std::string_view text) {
  return codePoints(text) + (kTabWidth - 1) * static_cast<unsigned>(std::count(text.begin(), text.end(), '\t'));
}
/// What is not UTF-8, and unless `raw` what a terminal would obey, as U+FFFD.
std::string printable(std::string_view text, bool raw = false) {
  std::string out;
  for (size_t i = 0, bad = invalidByte(text); i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool control = !raw && ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F);
    out += i == bad || control ? "\uFFFD" : std::string(1, text[i]);
    if (i == bad)
      bad = invalidByte(text, i + 1);
  }
  return out;
}
std::string shown(std::string_view line) {
  std::string out;
  for (char c : printable(line))
    out += c == '\t' ? std::string(kTabWidth, ' ') : std::string(1, c);
  return out;
}

/// The marks of one file by line.
using Lines = std::map<unsigned, std::vector<Mark>>;

void addMark(Lines &lines, const SourceFile &file, Range range, char sign, const std::string &text) {
  LineColumn begin = file.position(range.begin);
  std::string_view line = file.line(begin.line);
  size_t byte = 0; // of the range's begin in the line
  for (unsigned column = 1; byte < line.size() && column < begin.column; ++byte)
    if (byte + 1 < line.size() && (static_cast<unsigned char>(line[byte + 1]) & 0xC0) == 0x80)
      continue;
    else
      ++column;
  size_t length = std::min<size_t>(range.end - range.begin, line.size() - byte); // of several lines the first
  unsigned width = std::max(1u, shownWidth(line.substr(byte, length)));
  lines[begin.line].push_back({shownWidth(line.substr(0, byte)), width, sign, text});
}

/// The code points [from, to) of a text.
std::string_view columns(std::string_view text, unsigned from, unsigned to) {
  size_t begin = text.size(), end = text.size();
  for (size_t byte = 0, column = 0; byte < text.size(); ++byte)
    if ((static_cast<unsigned char>(text[byte]) & 0xC0) != 0x80) {
      begin = column == from ? byte : begin;
      end = column == to ? byte : end;
      ++column;
    }
  return text.substr(begin, end - begin);
}

/// A line that nobody can read, cut to what is around its marks.
void cut(std::string &text, std::vector<Mark> &marks) {
  const unsigned width = codePoints(text);
  if (width <= kMostColumns)
    return;
  unsigned first = marks.front().column;
  for (const Mark &mark : marks)
    first = mark.sign == '^' ? mark.column : first;
  const unsigned from = first < kColumnsBefore ? 0 : first - kColumnsBefore, to = std::min(width, from + kMostColumns), before = from > 0;
  text = (before ? "…" : "") + std::string(columns(text, from, to)) + (to < width ? "…" : "");
  for (Mark &mark : marks) {
    const unsigned begin = std::clamp(mark.column, from, to), end = std::clamp(mark.column + mark.width, from, to);
    mark.column = begin - from + before;
    mark.width = std::max(1u, end - begin);
  }
}

void put(std::string &row, unsigned column, const std::string &text) {
  if (row.size() < column)
    row.resize(column, ' ');
  row.replace(column, std::min(row.size() - column, text.size()), text);
}

/// `^^^^ text` and, for further marks on the line, `|` down to their texts.
std::vector<std::string> markRows(std::vector<Mark> marks) {
  std::stable_sort(marks.begin(), marks.end(), [](const Mark &a, const Mark &b) {
    return std::tie(a.column, b.sign) < std::tie(b.column, a.sign); // at one place the primary one last
  });
  std::vector<std::string> rows(1);
  for (char sign : {'-', '^'})
    for (const Mark &mark : marks)
      if (mark.sign == sign)
        put(rows[0], mark.column, std::string(mark.width, sign));
  if (!marks.back().text.empty() && rows[0].size() == marks.back().column + marks.back().width) {
    rows[0] += " " + marks.back().text;
    marks.pop_back();
  }
  marks.erase(std::remove_if(marks.begin(), marks.end(), [](const Mark &m) { return m.text.empty(); }), marks.end());
  if (marks.empty())
    return rows;
  auto bars = [&] {
    std::string row;
    for (const Mark &mark : marks)
      put(row, mark.column, "|");
    return row;
  };
  rows.push_back(bars());
  while (!marks.empty()) {
    Mark last = marks.back();
    marks.pop_back();
    std::string row = bars();
    row.resize(std::max<size_t>(row.size(), last.column), ' ');
    rows.push_back(row.substr(0, last.column) + last.text);
  }
  return rows;
}

size_t gutterOf(const Diagnostic &diagnostic, const SourceMap &sources) {
  unsigned highest = 1;
  auto see = [&](Range range) {
    if (range.valid())
      highest = std::max(highest, sources.file(range.file).position(range.begin).line);
  };
  see(diagnostic.range);
  for (const Label &label : diagnostic.labels)
    see(label.range);
  return std::to_string(highest).size();
}

void snippet(std::string &out, const SourceFile &file, const Lines &lines, const std::string &margin) {
  out += margin + " |\n";
  for (auto [number, marks] : lines) {
    std::string digits = std::to_string(number), text = shown(file.line(number));
    cut(text, marks);
    out += std::string(margin.size() - digits.size(), ' ') + digits + " |" + (text.empty() ? "" : " " + text) + "\n";
    for (const std::string &row : markRows(marks))
      out += margin + " | " + row + "\n";
  }
}

std::string place(const SourceFile &file, Range range) {
  LineColumn at = file.position(range.begin);
  return printable(file.name()) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

void remark(std::string &out, const std::string &margin, const char *word, const std::string &text) {
  out += margin + " = " + word + ": ";
  for (char c : printable(text))
    out += c == '\n' ? "\n" + std::string(margin.size() + 9, ' ') : std::string(1, c);
  out += "\n";
}

std::string rich(const Diagnostic &diagnostic, const SourceMap &sources) {
  std::string out = std::string(word(severity(diagnostic.kind))) + "[" + code(diagnostic.kind) + "]: " + printable(diagnostic.message) + "\n";
  const std::string margin(gutterOf(diagnostic, sources), ' ');
  std::vector<int32_t> files; // the primary one's first
  std::map<int32_t, Lines> lines;
  std::map<int32_t, Range> first;
  auto add = [&](Range range, char sign, const std::string &text) {
    if (!range.valid())
      return;
    if (first.emplace(range.file, range).second)
      files.push_back(range.file);
    addMark(lines[range.file], sources.file(range.file), range, sign, text);
  };
  add(diagnostic.range, '^', diagnostic.primaryLabel);
  for (const Label &label : diagnostic.labels)
    add(label.range, '-', label.text);
  for (int32_t file : files) {
    out += margin + (file == files.front() ? "--> " : "::: ") + place(sources.file(file), first[file]) + "\n";
    snippet(out, sources.file(file), lines[file], margin);
  }
  if (!files.empty() && !(diagnostic.notes.empty() && diagnostic.helps.empty()))
    out += margin + " |\n";
  for (const std::string &note : diagnostic.notes)
    remark(out, margin, "note", note);
  for (const std::string &help : diagnostic.helps)
    remark(out, margin, "help", help);
  return out;
}

std::string quoted(std::string_view given) {
  const std::string text = printable(given, true);
  static const char *hex = "0123456789abcdef";
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      out += std::string("\\") + static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c < 0x20)
      out += std::string("\\u00") + hex[c >> 4] + hex[c & 15];
    else
      out += static_cast<char>(c);
  }
  return out + "\"";
}

std::string jsonPlace(Range range, const SourceMap &sources) {
  if (!range.valid())
    return "\"file\": null";
  const SourceFile &file = sources.file(range.file);
  LineColumn begin = file.position(range.begin), end = file.position(range.end);
  auto field = [](const char *name, unsigned value) { return std::string(", \"") + name + "\": " + std::to_string(value); };
  return "\"file\": " + quoted(file.name()) + field("line", begin.line) + field("column", begin.column) +
         field("end_line", end.line) + field("end_column", end.column) + field("begin", range.begin) + field("end", range.end);
}

template <typename T, typename F> std::string jsonList(const std::vector<T> &items, F one) {
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i)
    out += (i == 0 ? "" : ", ") + one(items[i]);
  return out + "]";
}

std::string json(const Diagnostic &d, const SourceMap &sources) {
  auto text = [](const std::string &item) { return quoted(item); };
  return std::string("{\"code\": \"") + code(d.kind) + "\", \"severity\": \"" + word(severity(d.kind)) + "\", \"message\": " +
         quoted(d.message) + ", " + jsonPlace(d.range, sources) + ", \"label\": " + quoted(d.primaryLabel) + ", \"labels\": " +
         jsonList(d.labels, [&](const Label &l) { return "{" + jsonPlace(l.range, sources) + ", \"text\": " + quoted(l.text) + "}"; }) +
         ", \"notes\": " + jsonList(d.notes, text) + ", \"helps\": " + jsonList(d.helps, text) + ", \"fixits\": " +
         jsonList(d.fixits, [&](const FixIt &f) {
           return "{" + jsonPlace(f.range, sources) + ", \"replacement\": " + quoted(f.replacement) + "}";
         }) + "}";
}

} // namespace

bool formatNamed(std::string_view name, Format &format) {
  if (name != "rich" && name != "short" && name != "json")
    return false;
  format = name == "rich" ? Format::Rich : name == "short" ? Format::Short : Format::Json;
  return true;
}

std::vector<const Diagnostic *> inOrder(const Engine &diags) {
  std::vector<const Diagnostic *> out;
  for (const Diagnostic &diagnostic : diags.all())
    out.push_back(&diagnostic);
  auto key = [](const Diagnostic *d) { return std::tie(d->range.file, d->range.begin, d->range.end, d->kind, d->message); };
  std::stable_sort(out.begin(), out.end(), [&](auto *a, auto *b) { return key(a) < key(b); });
  out.erase(std::unique(out.begin(), out.end(), [&](auto *a, auto *b) { return key(a) == key(b); }), out.end());
  return out;
}

std::string render(const Engine &diags, Format format, size_t limit) {
  std::vector<const Diagnostic *> all = inOrder(diags);
  const size_t count = std::min(all.size(), limit);
  std::string out = format == Format::Json ? "[" : "";
  for (size_t i = 0; i < count; ++i) {
    const Diagnostic &diagnostic = *all[i];
    if (format == Format::Json) {
      out += (i == 0 ? "\n  " : ",\n  ") + json(diagnostic, diags.sources());
    } else if (format == Format::Short) {
      std::string where = diagnostic.range.valid() ? place(diags.sources().file(diagnostic.range.file), diagnostic.range) + ": " : "";
      out += where + word(severity(diagnostic.kind)) + "[" + code(diagnostic.kind) + "]: " + printable(diagnostic.message) + "\n";
    } else {
      out += (i == 0 ? "" : "\n") + rich(diagnostic, diags.sources());
    }
  }
  if (format == Format::Json)
    return out + (count == 0 ? "]\n" : "\n]\n");
  if (count < all.size())
    out += (format == Format::Rich ? "\n" : "") + std::to_string(count) + " of " + std::to_string(all.size()) + " are shown\n";
  return out;
}

std::string applyFixIts(const Engine &diags, int32_t file) {
  std::vector<const FixIt *> fixits;
  for (const Diagnostic *diagnostic : inOrder(diags))
    for (const FixIt &fixit : diagnostic->fixits)
      if (fixit.range.file == file)
        fixits.push_back(&fixit);
  std::stable_sort(fixits.begin(), fixits.end(), [](auto *a, auto *b) { return a->range.begin < b->range.begin; });
  const std::string &text = diags.sources().file(file).text();
  std::string out;
  uint32_t done = 0;
  for (const FixIt *fixit : fixits) {
    if (fixit->range.begin < done)
      continue;
    out += text.substr(done, fixit->range.begin - done) + fixit->replacement;
    done = fixit->range.end;
  }
  return out + text.substr(done);
}

} // namespace peftc::diag
