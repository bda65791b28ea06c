// Source: a text, where it came from, and positions in it.
//
// A `Range` is half-open, in bytes, and names its file by index; line and column are computed only when something is
// shown. Columns count UTF-8 code points from 1.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace peftc {

/// Half-open byte range [begin, end) of one source file. `file` is -1 for things that no text says.
struct Range {
  int32_t file = -1;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool valid() const { return file >= 0; }
};

struct LineColumn {
  unsigned line = 1;   ///< from 1
  unsigned column = 1; ///< from 1, in code points
};

/// One text. `name` is what a person reads in messages (`spec.peft`, `<stdlib>/methods/lora.peft`).
class SourceFile {
public:
  SourceFile(std::string name, std::string text);
  const std::string &name() const { return name_; }
  const std::string &text() const { return text_; }
  LineColumn position(uint32_t offset) const;
  /// The text of line `line` (from 1), without its line end.
  std::string_view line(unsigned line) const;
  unsigned lineCount() const { return static_cast<unsigned>(lineStarts_.size()); }

private:
  std::string name_;
  std::string text_;
  std::vector<uint32_t> lineStarts_;
};

/// All texts of one compilation; `Range::file` indexes it.
class SourceMap {
public:
  /// Adds a text and returns its index.
  int32_t add(std::string name, std::string text);
  const SourceFile &file(int32_t index) const { return *files_[index]; }
  size_t size() const { return files_.size(); }
  std::string_view text(Range range) const;

private:
  std::vector<std::unique_ptr<SourceFile>> files_;
};

/// The first byte at or after `from` that is not UTF-8, or the length.
size_t invalidByte(std::string_view text, size_t from = 0);

} // namespace peftc
