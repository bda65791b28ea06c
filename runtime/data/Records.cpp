// Records: see Records.h.
#include "runtime/data/Records.h"
#include "runtime/checkpoint/MappedFile.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <filesystem>
#include <set>
#include <vector>

namespace peftrt {
namespace {

using nlohmann::json;
constexpr int kDeepest = 50; ///< of brackets in a row

[[noreturn]] void failUtf8(const std::string &path, int64_t line, size_t byte) {
  throw RuntimeError("R0132", at(path, line) + "byte " + std::to_string(byte + 1) + " of the line is not UTF-8", "save the file as UTF-8 (iconv -t UTF-8)");
}

/// Splits off the text up to the next newline; drops a carriage return before it.
std::string_view nextLine(std::string_view &rest) {
  const size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (!line.empty() && line.back() == '\r')
    line.remove_suffix(1);
  return line;
}

const char *rowHelp(std::string_view line) {
  return line[line.find_first_not_of(" \t")] == '[' ? "each line is one JSON object; of a list make lines: jq -c '.[]' FILE > rows.jsonl" : "each line is one JSON object: {\"text\": \"…\", \"label\": \"…\"}";
}

int64_t readJsonLines(const std::string &path, std::string_view rest, const Visit &visit) {
  int64_t lineNumber = 0, rows = 0;
  while (!rest.empty()) {
    const std::string_view line = nextLine(rest);
    ++lineNumber;
    if (line.find_first_not_of(" \t") == std::string_view::npos)
      continue;
    if (const size_t bad = firstInvalidUtf8(line); bad != std::string_view::npos)
      failUtf8(path, lineNumber, bad);
    if (nestsDeeperThan(line, kDeepest))
      throw RuntimeError("R0131", at(path, lineNumber) + "lists or objects in each other more than " + std::to_string(kDeepest) + " deep", "a field is a string, a number or a list");
    json row;
    try {
      row = json::parse(line.begin(), line.end());
    } catch (const json::out_of_range &) {
      throw RuntimeError("R0131", at(path, lineNumber) + "a number that is too large", rowHelp(line));
    } catch (const json::parse_error &error) {
      throw RuntimeError("R0131", at(path, lineNumber) + "not JSON, from column " + std::to_string(error.byte), rowHelp(line));
    }
    if (!row.is_object())
      throw RuntimeError("R0131", at(path, lineNumber) + "a JSON " + row.type_name() + ", not an object", rowHelp(line));
    visit(lineNumber, row, line);
    ++rows;
  }
  return rows;
}

/// One CSV record, which may span lines. Advances `rest` and `lineNumber`.
std::vector<std::string> nextCsvRecord(const std::string &path, std::string_view &rest, int64_t &lineNumber) {
  const int64_t firstLine = ++lineNumber;
  std::vector<std::string> cells(1);
  bool quoted = false, closed = false;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (quoted) {
      lineNumber += c == '\n';
      if (c != '"')
        cells.back() += c;
      else if (!rest.empty() && rest.front() == '"')
        cells.back() += '"', rest.remove_prefix(1);
      else
        quoted = false, closed = true;
    } else if (c == ',') {
      cells.emplace_back(), closed = false;
    } else if (c == '\n') {
      return cells;
    } else if (c == '\r' && (rest.empty() || rest.front() == '\n')) {
      continue;
    } else if (c == '"' && cells.back().empty() && !closed) {
      quoted = true;
    } else if (closed) {
      throw RuntimeError("R0131", at(path, firstLine) + "text after a closing quote", "a quote inside a quoted cell is written twice: \"\"");
    } else {
      cells.back() += c;
    }
  }
  if (quoted)
    throw RuntimeError("R0131", at(path, firstLine) + "a quoted cell is not closed", "a quote inside a quoted cell is written twice: \"\"");
  return cells;
}

std::vector<std::string> nextTsvRecord(std::string_view &rest, int64_t &lineNumber) {
  ++lineNumber;
  std::string_view line = nextLine(rest);
  std::vector<std::string> cells;
  for (size_t tab; (tab = line.find('\t')) != std::string_view::npos; line.remove_prefix(tab + 1))
    cells.emplace_back(line.substr(0, tab));
  cells.emplace_back(line);
  return cells;
}

int64_t readTable(const std::string &path, std::string_view rest, bool commas, const Visit &visit) {
  int64_t lineNumber = 0, rows = 0;
  const auto next = [&] { return commas ? nextCsvRecord(path, rest, lineNumber) : nextTsvRecord(rest, lineNumber); };
  const std::vector<std::string> header = next();
  std::set<std::string> seen;
  for (const std::string &name : header) {
    if (const size_t bad = firstInvalidUtf8(name); bad != std::string::npos)
      failUtf8(path, 1, bad);
    if (name.empty())
      throw RuntimeError("R0136", at(path, 1) + "a column has no name", "the first line names the columns");
    if (!seen.insert(name).second)
      throw RuntimeError("R0136", at(path, 1) + "the column `" + name + "` is there twice", "rename one of them");
  }
  while (!rest.empty()) {
    const int64_t firstLine = lineNumber + 1;
    const std::vector<std::string> cells = next();
    if (cells.size() == 1 && cells[0].empty())
      continue;
    if (cells.size() != header.size())
      throw RuntimeError("R0131", at(path, firstLine) + std::to_string(cells.size()) + " columns, the header has " + std::to_string(header.size()),
                         commas ? "quote a cell that holds a comma" : "a cell must not hold a tab");
    json row = json::object();
    for (size_t column = 0; column < cells.size(); ++column) {
      if (const size_t bad = firstInvalidUtf8(cells[column]); bad != std::string_view::npos)
        failUtf8(path, firstLine, bad);
      row[header[column]] = cells[column];
    }
    visit(firstLine, row, {});
    ++rows;
  }
  return rows;
}

} // namespace

std::string at(const std::string &path, int64_t line) { return path + ":" + std::to_string(line) + ": "; }

size_t firstInvalidUtf8(std::string_view text) {
  for (size_t place = 0; place < text.size();) {
    const unsigned char lead = static_cast<unsigned char>(text[place]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (length == 0 || place + length > text.size())
      return place;
    for (size_t next = 1; next < length; ++next)
      if ((static_cast<unsigned char>(text[place + next]) & 0xc0) != 0x80)
        return place;
    const unsigned char second = length > 1 ? static_cast<unsigned char>(text[place + 1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
      return place; // overlong, surrogate, beyond U+10FFFF
    place += length;
  }
  return std::string_view::npos;
}

void forEachRecord(const std::string &path, const Visit &visit) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension != ".jsonl" && extension != ".json" && extension != ".csv" && extension != ".tsv")
    throw RuntimeError("R0130", "`" + path + "`: unknown data format `" + extension + "`", "rename it to .jsonl, .csv or .tsv");
  const auto file = MappedFile::open(path);
  std::string_view text = file->text();
  if (text.substr(0, 3) == "\xef\xbb\xbf")
    text.remove_prefix(3);
  if (text.empty())
    throw RuntimeError("R0135", "`" + path + "` is empty", "");
  const int64_t rows = extension == ".csv" || extension == ".tsv" ? readTable(path, text, extension == ".csv", visit) : readJsonLines(path, text, visit);
  if (rows == 0)
    throw RuntimeError("R0135", "`" + path + "` has no rows", "");
}

} // namespace peftrt
