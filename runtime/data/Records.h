// Records: rows of JSONL, CSV and TSV files as JSON objects with their line numbers.
//
// JSONL: one object a line; blank lines are skipped. CSV: RFC 4180, first line names the columns. TSV: columns between tabs,
// no quoting. All text is UTF-8; a byte order mark is skipped.
// Errs   R0110 unreadable, R0130 unknown format, R0131 a broken row, R0132 invalid UTF-8, R0135 empty, R0136 header
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace peftrt {

/// `text`: a line of JSON as it stands; empty for a row of a table.
using Visit = std::function<void(int64_t line, const nlohmann::json &row, std::string_view text)>;
/// Calls `visit` for every row in file order. CSV and TSV values are strings.
void forEachRecord(const std::string &path, const Visit &visit);

/// Place of the first byte that is not UTF-8, or npos.
size_t firstInvalidUtf8(std::string_view text);

/// "train.jsonl:12: "
std::string at(const std::string &path, int64_t line);

} // namespace peftrt
