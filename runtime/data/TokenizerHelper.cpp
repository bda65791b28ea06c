// TokenizerHelper: the Python text of the helper process, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TokenizerHelper.h"
#include "runtime/data/ChatTemplateScript.h"

namespace peftrt {

namespace {

constexpr auto kText = joined(kChatTemplate, R"PYTHON(
"""Texts to token ids: reads rows, a line of JSON each, and writes the token file of runtime/data/Tokenizer.cpp. A row is a list of one or two strings, or an object of `prompt` and
`response`, which are one text, of `words`, or of `messages` and `tools`, a conversation.

usage: tokenize_rows.py TOKENIZER_JSON MAX_LENGTH OUT < rows
Exit status 3: the `tokenizers` library is not installed. 4: the checkpoint has no chat template, 5: it does not do for a conversation; the last line is the row's index, a tab, and why.
"""
import struct
import sys
from array import array
from itertools import chain, groupby

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(3)

BLOCK = 4096


def spaced(part):
    """The part of tokenizer.json with every word as if a space stood before it."""
    if isinstance(part, list):
        return [spaced(each) for each in part]
    if not isinstance(part, dict):
        return part
    changes = {"add_prefix_space": True, "prepend_scheme": "always"}
    return {name: changes.get(name, spaced(value)) for name, value in part.items()}


def tokenizer_of(path, by_words):
    if not by_words:
        return Tokenizer.from_file(path)
    with open(path, encoding="utf-8") as file:
        parsed = json.load(file)
    return Tokenizer.from_str(json.dumps({**parsed, "pre_tokenizer": spaced(parsed.get("pre_tokenizer"))}))


def kind_of(row):
    return next(kind for kind in ("text", "prompt", "words", "messages") if kind == "text" and isinstance(row, list) or kind in row)


def first_pieces(words):
    """Of each token the word that it begins, else -1."""
    return (-1 if word is None or word == before else word for word, before in zip(words, [None] + words[:-1]))


def behind(encoding, prompt):
    """Which tokens come with the first one that holds something behind the prompt, or after it."""
    first = next((place for place, (_, end) in enumerate(encoding.offsets) if end > prompt), len(encoding.ids))
    return (place >= first for place in range(len(encoding.ids)))


def within(encoding, spans):
    """Which tokens hold something of the spans."""
    return (any(begin < last and first < end for first, last in spans) for begin, end in encoding.offsets)


class Table:
    """What the token file holds."""

    def __init__(self, tokenizer, folder, max_length):
        self.tokenizer, self.folder, self.max_length, self.template = tokenizer, folder, max_length, None
        self.offsets, self.ids, self.words, self.learned, self.truncated = array("q", [0]), array("i"), array("i"), bytearray(), 0

    def conversation(self, row):
        self.template = self.template or ChatTemplate(self.folder, (token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special))
        return self.template.learned(row["messages"], row.get("tools"))

    def add(self, kind, rows):
        """Rows of one kind."""
        texts, learned = rows, [None] * len(rows)
        if kind == "text":
            texts = [row[0] if len(row) == 1 else tuple(row) for row in rows]
        elif kind == "prompt":
            texts, learned = [row["prompt"] + row["response"] for row in rows], [len(row["prompt"]) for row in rows]
        elif kind == "words":
            texts = [row["words"] for row in rows]
        else:
            texts, learned = [], []
            for place, row in enumerate(rows):
                try:
                    text, spans = self.conversation(row)
                except (NoTemplate, Refused) as error:
                    print(len(self.offsets) - 1 + place, " ".join(str(error).split()), sep="\t", file=sys.stderr)
                    sys.exit(4 if isinstance(error, NoTemplate) else 5)
                texts.append(text)
                learned.append(spans)
        special = 0 if kind == "messages" else self.tokenizer.num_special_tokens_to_add(False)
        if 0 < self.max_length <= special:
            sys.exit(f"max_length = {self.max_length} leaves no room beside {special} special tokens")
        for encoding, of in zip(self.tokenizer.encode_batch(texts, is_pretokenized=kind == "words", add_special_tokens=kind != "messages"), learned):
            self.ids.extend(encoding.ids)
            self.words.extend(first_pieces(encoding.word_ids) if kind == "words" else ())
            self.learned.extend(b"\1" * len(encoding.ids) if of is None else behind(encoding, of) if kind == "prompt" else within(encoding, of))
            self.offsets.append(len(self.ids))
            self.truncated += bool(encoding.overflowing)

    def write(self, path):
        with open(path, "wb") as file:
            file.write(b"PEFTTOK4" + struct.pack("<qqqq", len(self.offsets) - 1, len(self.ids), self.truncated, len(self.words)))
            for part in (self.offsets, self.ids, self.words):
                part.tofile(file)
            file.write(self.learned)
            file.flush()
            os.fsync(file.fileno())


def blocks(lines):
    """Rows that follow each other and are of one kind, some thousands at a time."""
    for (kind, _), rows in groupby(((json.loads(line), number // BLOCK) for number, line in enumerate(lines)), lambda one: (kind_of(one[0]), one[1])):
        yield kind, [row for row, _ in rows]


def main(tokenizer_path, max_length, out):
    lines = iter(sys.stdin.buffer)
    first = next(lines)
    tokenizer = tokenizer_of(tokenizer_path, kind_of(json.loads(first)) == "words")
    tokenizer.no_padding()
    if int(max_length) > 0:
        tokenizer.enable_truncation(int(max_length))
    else:
        tokenizer.no_truncation()
    table = Table(tokenizer, os.path.dirname(tokenizer_path), int(max_length))
    for kind, rows in blocks(chain([first], lines)):
        table.add(kind, rows)
    table.write(out)


main(*sys.argv[1:4])
)PYTHON");

} // namespace

const char *const kTokenizerHelper = kText.data();

} // namespace peftrt
