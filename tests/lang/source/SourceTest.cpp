// Lines, columns and texts of ranges.
#include "tests/lang/Check.h"

int main() {
  peftc::SourceFile file("f", "a\r\n\xc3\xa4x\n\nlast");
  CHECK_EQ(file.lineCount(), 4u);
  CHECK_EQ(file.line(1), "a");
  CHECK_EQ(file.line(2), "\xc3\xa4x");
  CHECK_EQ(file.line(3), "");
  CHECK_EQ(file.line(4), "last");
  CHECK_EQ(file.line(5), "");
  CHECK_EQ(file.line(0), "");
  CHECK_EQ(file.position(0).line, 1u);
  CHECK_EQ(file.position(5).line, 2u); // the x after two bytes of one code point
  CHECK_EQ(file.position(5).column, 2u);
  CHECK_EQ(file.position(1000).line, 4u);
  CHECK_EQ(file.position(1000).column, 5u);
  peftc::SourceMap sources;
  sources.add("g", "text");
  int32_t index = sources.add("f", file.text());
  CHECK_EQ(index, 1);
  CHECK_EQ(sources.text({index, 3, 6}), "\xc3\xa4x");
  CHECK_EQ(sources.text({}), "");
  CHECK_EQ(peftc::SourceFile("", "").lineCount(), 1u);
  return failures != 0;
}
