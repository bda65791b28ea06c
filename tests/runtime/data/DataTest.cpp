// Readers (each bad input), labels, and batching: deterministic, complete, bucketed.
#include "runtime/data/Batching.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Records.h"
#include "tests/runtime/Expect.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <filesystem>
#include <set>

using namespace peftrt;

namespace {

std::vector<RowField> fields() {
  RowField ids{"ids", Encoder::Tokens, "text", "", 0, {}, {}, {}, {}, {}, {}}, target{"target", Encoder::Class, "label", "", 3, {}, {}, {}, {}, {}, {}};
  return {ids, target};
}

Dataset read(const std::string &path, Labels &labels, int64_t maxLength = 8) {
  ReadOptions options;
  options.maxLength = maxLength;
  options.vocab = 100;
  return readDataset(path, fields(), options, labels);
}

void testBadRows() {
  const Scratch s;
  Labels labels;
  const std::string good = "{\"input_ids\": [1, 2], \"label\": \"a\"}\n";
  EXPECT_ERROR("R0110", "nowhere.jsonl", read(s.path + "/nowhere.jsonl", labels));
  EXPECT_ERROR("R0130", ".parquet", read(s.file("a.parquet", good), labels));
  EXPECT_ERROR("R0135", "is empty", read(s.file("a.jsonl", ""), labels));
  EXPECT_ERROR("R0135", "no rows", read(s.file("b.jsonl", "\n  \n"), labels));
  EXPECT_ERROR("R0131", "c.jsonl:2:", read(s.file("c.jsonl", good + "{\"input_ids\": [1,\n"), labels));
  EXPECT_ERROR("R0131", "not an object", read(s.file("d.jsonl", "[1]\n"), labels));
  EXPECT_ERROR("R0132", "e.jsonl:2:", read(s.file("e.jsonl", good + "{\"text\": \"\xff\"}\n"), labels));
  EXPECT_ERROR("R0133", "f.jsonl:1: no field `text`", read(s.file("f.jsonl", "{\"label\": \"a\"}\n"), labels));
  EXPECT_ERROR("R0133", "g.jsonl:2: no field `label`", read(s.file("g.jsonl", good + "{\"input_ids\": [1]}\n"), labels));
  EXPECT_ERROR("R0134", "h.jsonl:1:", read(s.file("h.jsonl", "{\"input_ids\": \"x\", \"label\": \"a\"}\n"), labels));
  EXPECT_ERROR("R0134", "i.jsonl:1:", read(s.file("i.jsonl", "{\"input_ids\": [], \"label\": \"a\"}\n"), labels));
  EXPECT_ERROR("R0134", "`label` is 1.5", read(s.file("j.jsonl", "{\"input_ids\": [1], \"label\": 1.5}\n"), labels));
  EXPECT_ERROR("R0139", "token id 100", read(s.file("k.jsonl", "{\"input_ids\": [100], \"label\": \"a\"}\n"), labels));
  EXPECT_ERROR("R0139", "token id -1", read(s.file("l.jsonl", "{\"input_ids\": [-1], \"label\": \"a\"}\n"), labels));
  EXPECT_ERROR("R0133", "n.jsonl:2:", read(s.file("n.jsonl", good + "{\"text\": \"x\", \"label\": \"a\"}\n"), labels));
  labels = Labels::fromNames({"a", "b"}, 3, "train");
  EXPECT_ERROR("R0137", "o.jsonl:2: the label `c`", read(s.file("o.jsonl", good + "{\"input_ids\": [1], \"label\": \"c\"}\n"), labels));
}

/// An image is its patches, from the top, each row by row; files are named as seen from their rows.
void testImages() {
  const Scratch s;
  Labels labels;
  ReadOptions options;
  options.modelPath = s.path;
  const std::vector<RowField> image = {{"patches", Encoder::Image, "image", "", 0, {}, {}, {}, {}, {}, {1, 2, 4, 2}}};
  const auto readImage = [&](const std::string &path) { return readDataset(path, image, options, labels); };
  const Dataset two = readImage(s.file("a.jsonl", "{\"pixel_values\": [[[0, 1, 2, 3], [4, 5, 6, 7]]]}\n{\"pixel_values\": [8, 9, 10, 11, 12, 13, 14, 15]}\n"));
  const Batch batch = two.pack({1, 0});
  EXPECT(batch.lengths == (std::vector<int64_t>{2, 2}) && batch.columns.at("patches").equal(at::tensor({8.f, 9.f, 12.f, 13.f, 10.f, 11.f, 14.f, 15.f, 0.f, 1.f, 4.f, 5.f, 2.f, 3.f, 6.f, 7.f}).view({4, 4})));
  EXPECT_ERROR("R0143", "b.jsonl:1: `pixel_values` has 3 numbers", readImage(s.file("b.jsonl", "{\"pixel_values\": [1, 2, 3]}\n")));
  EXPECT_ERROR("R0134", "c.jsonl:1:", readImage(s.file("c.jsonl", "{\"pixel_values\": [1, 2, 3, 4, 5, 6, 7, null]}\n")));
  EXPECT_ERROR("R0112", "preprocessor_config.json", readImage(s.file("d.jsonl", "{\"image\": \"x.png\"}\n")));
  s.file("preprocessor_config.json", "{}");
  EXPECT_ERROR("R0142", "d.jsonl:1: there is no file `", readImage(s.path + "/d.jsonl"));
  std::filesystem::create_directory(s.path + "/none");
  EXPECT_ERROR("R0135", "no images", readImage(s.path + "/none"));
  options.helper = {s.path + "/python", s.path};
  s.file("x.png", "no image");
  EXPECT_ERROR("R0140", "PIL helper", readImage(s.path + "/d.jsonl"));
}

void testTables() {
  const Scratch s;
  Labels labels;
  EXPECT_ERROR("R0136", "`label` is there twice", read(s.file("a.csv", "label,label\n1,2\n"), labels));
  EXPECT_ERROR("R0136", "has no name", read(s.file("b.csv", "label,\n1,2\n"), labels));
  EXPECT_ERROR("R0131", "c.csv:3: 1 columns, the header has 2", read(s.file("c.csv", "input_ids,label\n1 2,a\n3\n"), labels));
  EXPECT_ERROR("R0131", "not closed", read(s.file("d.csv", "input_ids,label\n1,\"a\n"), labels));
  EXPECT_ERROR("R0131", "after a closing quote", read(s.file("e.csv", "input_ids,label\n\"1\"2,a\n"), labels));
  EXPECT_ERROR("R0135", "no rows", read(s.file("f.tsv", "input_ids\tlabel\n"), labels));
  std::vector<std::pair<int64_t, std::string>> rows;
  forEachRecord(s.file("g.csv", "\xef\xbb\xbfx,y\r\n\"a,\"\"b\"\"\nc\",1\r\n\r\nd,2"), [&](int64_t line, const nlohmann::json &row, std::string_view) { rows.emplace_back(line, row["x"].get<std::string>()); });
  EXPECT(rows.size() == 2 && rows[0].first == 2 && rows[0].second == "a,\"b\"\nc" && rows[1].first == 5 && rows[1].second == "d");
  const Dataset tsv = read(s.file("h.tsv", "input_ids\tlabel\n1 2 3\tb\n4\ta\n"), labels);
  EXPECT(tsv.size() == 2 && tsv.tokens() == 4 && labels.indexOf("b") == 1 && tsv.columns[1].classes[0] == 1);
}

void testPackAndTruncate() {
  const Scratch s;
  Labels labels;
  const Dataset data = read(s.file("a.jsonl", "{\"input_ids\": [1, 2, 3], \"label\": \"x\"}\n\n{\"input_ids\": [4], \"label\": \"w\"}\n"), labels, 2);
  EXPECT(data.truncated == 1 && data.lengths == (std::vector<int64_t>{2, 1}) && data.lines == (std::vector<int64_t>{1, 3}));
  const Batch batch = data.pack({1, 0});
  EXPECT(batch.lengths == (std::vector<int64_t>{1, 2}));
  EXPECT(batch.columns.at("ids").equal(at::tensor({4, 1, 2}, at::kLong)) && batch.columns.at("target").equal(at::tensor({0, 1}, at::kLong)));
}

void testClassesOfIds() {
  const Scratch s;
  RowField ids, classes;
  ids.name = "ids", ids.encoder = Encoder::Words, ids.field = "tokens";
  classes.name = "classes", classes.encoder = Encoder::Classes, classes.field = "tags", classes.ofIds = "labels", classes.classes = 3;
  ReadOptions options;
  options.maxLength = 3;
  Labels labels;
  const Dataset data = readDataset(s.file("a.jsonl", "{\"input_ids\": [1, 2, 3, 4], \"labels\": [\"b\", -1, \"a\", \"c\"]}\n{\"input_ids\": [5], \"labels\": [\"a\"]}\n"), {ids, classes}, options, labels);
  EXPECT(data.truncated == 1 && data.columns[0].words == (std::vector<int64_t>{4, 1}) && labels.listed() == "a, b, c");
  const Batch batch = data.pack({1, 0});
  EXPECT(batch.columns.at("classes").equal(at::tensor({int64_t{0}, int64_t{1}, kNoTarget, int64_t{0}}, at::kLong)));
  EXPECT_ERROR("R0134", "b.jsonl:2: none of the row's 3 tokens has a label",
               readDataset(s.file("b.jsonl", "{\"input_ids\": [5], \"labels\": [\"a\"]}\n{\"input_ids\": [1, 2, 3, 4], \"labels\": [-1, -1, -1, \"c\"]}\n"), {ids, classes}, options, labels));
  EXPECT_ERROR("R0137", "c.jsonl:2: the label `d`",
               readDataset(s.file("c.jsonl", "{\"input_ids\": [5, 6], \"labels\": [\"a\", \"a\"]}\n{\"input_ids\": [5], \"labels\": [\"d\"]}\n"), {ids, classes}, options, labels));
}

void testChoices() {
  const Scratch s;
  RowField ids, choice;
  ids.name = "ids", ids.encoder = Encoder::Choices, ids.field = "text", ids.choices = "choices", ids.classes = 2;
  choice.name = "choice", choice.encoder = Encoder::Choice, choice.field = "label", choice.classes = 2;
  ReadOptions options;
  Labels labels;
  const Dataset data = readDataset(s.file("a.jsonl", "{\"input_ids\": [[1], [2, 3]], \"label\": 1}\n{\"input_ids\": [[4, 5], [6]], \"label\": \"0\"}\n"), {ids, choice}, options, labels);
  EXPECT(data.size() == 2 && data.examplesOfRow == 2 && data.lengths == (std::vector<int64_t>{3, 3}) && data.lengthOf(1, 0) == 2 && labels.empty());
  const Batch batch = data.pack({1, 0});
  EXPECT(batch.lengths == (std::vector<int64_t>{2, 1, 1, 2}) && batch.columns.at("ids").equal(at::tensor({4, 5, 6, 1, 2, 3}, at::kLong)));
  EXPECT(batch.columns.at("choice").equal(at::tensor({0, 0, 1, 1}, at::kLong)));
  EXPECT_ERROR("R0134", "b.jsonl:1: `input_ids` has 3 entries, the task has 2 choices", readDataset(s.file("b.jsonl", "{\"input_ids\": [[1], [2], [3]], \"label\": 1}\n"), {ids, choice}, options, labels));
  EXPECT_ERROR("R0134", "c.jsonl:1: `label` is 2", readDataset(s.file("c.jsonl", "{\"input_ids\": [[1], [2]], \"label\": 2}\n"), {ids, choice}, options, labels));
}

void testLabels() {
  EXPECT(Labels::fromNames({"2", "0"}, 3, "f").nameOf(1) == "1" && Labels::fromNames({"2", "0"}, 3, "f").indexOf("2") == 2);
  const Labels numbers = Labels::fromNames({"10", "9", "-1"}, 3, "f");
  EXPECT(numbers.nameOf(0) == "-1" && numbers.nameOf(1) == "9" && numbers.nameOf(2) == "10");
  EXPECT(Labels::fromNames({"b", "a"}, 3, "f").nameOf(2) == "LABEL_2");
  EXPECT_ERROR("R0138", "4 different labels, the model has 3", Labels::fromNames({"a", "b", "c", "d"}, 3, "f"));
  EXPECT(firstInvalidUtf8("gr\xc3\xbc\xc3\x9f") == std::string::npos && firstInvalidUtf8("a\xc0\xaf") == 1 && firstInvalidUtf8("\xed\xa0\x80") == 0);
}

void testBatching() {
  std::vector<int64_t> lengths;
  for (int64_t row = 0; row < 1000; ++row)
    lengths.push_back(1 + row * 7919 % 97);
  const BatchingOptions options{16, 0, true}, byTokens{16, 256, true};
  const RowBatches first = planEpoch(lengths, options, 1, 0);
  EXPECT(first == planEpoch(lengths, options, 1, 0));
  EXPECT(first != planEpoch(lengths, options, 1, 1) && first != planEpoch(lengths, options, 2, 0));
  for (const RowBatches &plan : {first, planEpoch(lengths, byTokens, 1, 0), planByLength(lengths, options)}) {
    std::set<int64_t> seen;
    for (const auto &batch : plan)
      seen.insert(batch.begin(), batch.end());
    EXPECT(seen.size() == lengths.size());
  }
  for (const auto &batch : planEpoch(lengths, byTokens, 1, 0)) {
    int64_t tokens = 0;
    for (const int64_t row : batch)
      tokens += lengths[static_cast<size_t>(row)];
    EXPECT(tokens <= 256);
  }
  int64_t spread = 0;
  for (const auto &batch : first) {
    const auto [least, most] = std::minmax_element(batch.begin(), batch.end(), [&](int64_t a, int64_t b) { return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)]; });
    spread += lengths[static_cast<size_t>(*most)] - lengths[static_cast<size_t>(*least)];
  }
  EXPECT(spread / static_cast<int64_t>(first.size()) < 10); // unbucketed batches of 16 would spread over about 85
  const BatchingOptions inOrder{16, 0, false};
  EXPECT(planEpoch(lengths, inOrder, 1, 0) == planEpoch(lengths, inOrder, 9, 5) && planEpoch(lengths, inOrder, 1, 0)[1][0] == 16);
  EXPECT(planEpoch({300, 1}, byTokens, 1, 0).size() == 2); // a row beyond the limit is a batch of its own
}

} // namespace

int main() {
  testBadRows();
  testTables();
  testImages();
  testPackAndTruncate();
  testClassesOfIds();
  testChoices();
  testLabels();
  testBatching();
  std::puts("ok");
}
