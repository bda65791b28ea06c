// Parse: the parser of Text.h, by recursive descent over words.
#include "tests/gpu/emulator/Fault.h"
#include "tests/gpu/emulator/Text.h"
#include <cctype>
#include <cstdlib>
#include <cstring>

namespace emulator {
namespace {

struct Word {
  std::string text;
  int line;
};

bool isNameByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.' || c == ':'; }

/// Behind a comment that begins at `at`, or `at`.
size_t behindComment(const std::string &source, size_t at, int &line) {
  if (source.compare(at, 2, "//") == 0)
    return std::min(source.find('\n', at), source.size());
  if (source.compare(at, 2, "/*") != 0)
    return at;
  const size_t end = std::min(source.find("*/", at), source.size() - 2) + 2;
  for (size_t place = at; place < end; ++place)
    line += source[place] == '\n';
  return end;
}

/// Names (opcodes with their dots, labels without their colon), numbers, strings, single signs.
std::vector<Word> wordsOf(const std::string &source) {
  std::vector<Word> words;
  int line = 1;
  for (size_t at = 0; at < source.size();) {
    if (source[at] == '\n' || std::isspace(static_cast<unsigned char>(source[at])) || source[at] == '\0') {
      line += source[at++] == '\n';
      continue;
    }
    if (const size_t behind = behindComment(source, at, line); behind != at) {
      at = behind;
      continue;
    }
    size_t end = at;
    while (end < source.size() && isNameByte(source[end]))
      ++end;
    if (end > at + 1 && source[end - 1] == ':')
      --end; // a label's colon is a word of its own
    if (source[at] == '"')
      end = source.find('"', at + 1) + 1;
    end = std::max(end, at + 1);
    words.push_back({source.substr(at, end - at), line});
    at = end;
  }
  return words;
}

class Parser {
public:
  explicit Parser(const std::string &source) : words_(wordsOf(source)) {}

  Text text() {
    Text text;
    while (at_ < words_.size()) {
      if (take(".version"))
        text.version = next();
      else if (take(".target"))
        text.target = next();
      else if (take(".address_size"))
        expect("64");
      else if (is(".visible") || is(".weak") || is(".extern"))
        ++at_;
      else if (take(".entry"))
        text.kernels.push_back(kernel());
      else if (is(".global") || is(".const") || is(".shared"))
        text.variables.push_back(variable());
      else
        fail("`" + next() + "` outside a kernel is not in the subset");
    }
    if (text.version.empty() || text.target.empty())
      throw Fault("the text lacks .version or .target");
    return text;
  }

private:
  [[noreturn]] void fail(const std::string &what) const {
    throw Fault("line " + std::to_string(words_[std::min(at_ ? at_ - 1 : 0, words_.size() - 1)].line) + " of the PTX: " + what);
  }
  bool is(const char *word) const { return at_ < words_.size() && words_[at_].text == word; }
  bool take(const char *word) { return is(word) ? (++at_, true) : false; }
  const std::string &next() {
    if (at_ >= words_.size())
      throw Fault("the text ends too early");
    return words_[at_++].text;
  }
  void expect(const char *word) {
    const std::string found = next();
    if (found != word)
      fail("`" + found + "` where `" + word + "` is wanted");
  }

  /// The bits of an integer, 0f… or 0d…
  uint64_t number() {
    const bool minus = take("-");
    const std::string word = next();
    if (word.compare(0, 2, "0f") == 0 || word.compare(0, 2, "0F") == 0 || word.compare(0, 2, "0d") == 0 || word.compare(0, 2, "0D") == 0)
      return std::strtoull(word.c_str() + 2, nullptr, 16);
    char *end = nullptr;
    const uint64_t value = std::strtoull(word.c_str(), &end, 0);
    if (end == word.c_str() || (*end && std::strcmp(end, "U") != 0))
      fail("`" + word + "` is no number of the subset");
    return minus ? -value : value;
  }
  bool isNumber() const { return is("-") || (at_ < words_.size() && std::isdigit(static_cast<unsigned char>(words_[at_].text[0]))); }

  uint64_t bytesOf(const std::string &type) {
    const std::string digits = type.substr(type.find_first_of("0123456789", 1) == std::string::npos ? type.size() : type.find_first_of("0123456789", 1));
    const int bits = std::atoi(digits.c_str());
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
      fail("a variable of type `" + type + "` is not in the subset");
    return bits / 8;
  }

  void initial(Variable &variable, uint64_t width) {
    const auto value = [&] {
      const uint64_t bits = number();
      variable.bytes.append(reinterpret_cast<const char *>(&bits), width);
    };
    if (!take("{"))
      return value();
    do
      value();
    while (take(","));
    expect("}");
  }

  /// From its space on; to the semicolon, or as a parameter to what follows.
  Variable variable() {
    static const std::map<std::string, Space> kSpaces = {{".global", Space::global}, {".const", Space::constant}, {".shared", Space::shared}, {".local", Space::local}, {".param", Space::param}};
    Variable variable;
    variable.space = kSpaces.at(next());
    bool said = false;
    if (take(".align"))
      variable.align = number(), said = true;
    const uint64_t width = bytesOf(next());
    while (take(".ptr") || is(".global") || is(".align") || is(".shared") || is(".const")) // what a pointer points at: advice
      if (take(".align"))
        number();
      else if (is(".global") || is(".shared") || is(".const"))
        ++at_;
    variable.name = next();
    variable.size = width;
    bool open = false;
    if (take("[")) {
      open = is("]");
      variable.size = open ? 0 : width * number();
      expect("]");
    }
    if (!said)
      variable.align = width;
    if (take("="))
      initial(variable, width);
    variable.bytes.resize(variable.bytes.empty() ? 0 : variable.size);
    if (variable.space != Space::param)
      expect(";");
    return variable;
  }

  Operand operand() {
    Operand operand;
    if (isNumber()) {
      operand.kind = Operand::Kind::number;
      operand.number = number();
    } else if (take("{")) {
      operand.kind = Operand::Kind::vector;
      do
        operand.parts.push_back(this->operand());
      while (take(","));
      expect("}");
    } else if (take("[")) {
      operand.kind = Operand::Kind::address;
      if (!isNumber())
        operand.name = next();
      if (take("+") || isNumber())
        operand.number = number();
      expect("]");
    } else {
      operand.negated = take("!");
      operand.name = next();
      if (!take("|"))
        return operand;
      Operand other = this->operand();
      return {Operand::Kind::pair, "", 0, false, {operand, other}};
    }
    return operand;
  }

  void registers(Kernel &kernel) {
    const std::string type = next();
    do {
      Registers row{type, next()};
      if (take("<")) {
        row.count = number();
        expect(">");
      }
      kernel.registers.push_back(row);
    } while (take(","));
    expect(";");
  }

  void statement(Kernel &kernel) {
    Statement statement;
    statement.line = words_[at_].line;
    if (take("@")) {
      statement.unless = take("!");
      statement.guard = next();
    }
    statement.opcode = next();
    while (!take(";")) {
      statement.operands.push_back(operand());
      if (!is(";"))
        expect(",");
    }
    kernel.statements.push_back(std::move(statement));
  }

  void table(std::vector<std::string> &labels) {
    do
      labels.push_back(next());
    while (take(","));
    expect(";");
  }

  void body(Kernel &kernel) {
    while (!take("}")) {
      if (take("{"))
        body(kernel);
      else if (take(".reg"))
        registers(kernel);
      else if (is(".shared") || is(".local"))
        kernel.variables.push_back(variable());
      else if (take(".loc") || take(".pragma"))
        while (!take(";") && words_[at_].line == words_[at_ - 1].line)
          ++at_;
      else if (at_ + 1 < words_.size() && words_[at_ + 1].text == ":") {
        const std::string name = next();
        expect(":");
        if (take(".branchtargets"))
          table(kernel.tables[name]);
        else
          kernel.labels[name] = kernel.statements.size();
      } else if (words_[at_].text[0] == '.')
        fail("`" + next() + "` in a kernel is not in the subset");
      else
        statement(kernel);
    }
  }

  Kernel kernel() {
    Kernel kernel{next(), words_[at_].line};
    if (take("("))
      while (!take(")")) {
        kernel.parameters.push_back(variable());
        take(",");
      }
    while (!take("{")) { // .maxntid 128, 1, 1 and the like: bounds for the assembler
      const std::string word = next();
      if (word[0] != '.' && word != "," && !std::isdigit(static_cast<unsigned char>(word[0])))
        fail("`" + word + "` before a kernel's body");
    }
    body(kernel);
    return kernel;
  }

  std::vector<Word> words_;
  size_t at_ = 0;
};

} // namespace

Text parse(const std::string &source) { return Parser(source).text(); }

} // namespace emulator
