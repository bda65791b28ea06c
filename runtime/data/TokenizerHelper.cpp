// TokenizerHelper: the Python text of the helper process, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TokenizerHelper.h"

namespace peftrt {

const char *const kTokenizerHelper = R"PYTHON(
"""Texts to token ids: reads JSON lists of one or two strings, objects of `prompt` and `response`, or objects of `words`, a line each, and writes the token file of runtime/data/Tokenizer.cpp.

usage: tokenize_rows.py TOKENIZER_JSON MAX_LENGTH OUT < rows
Exit status 3: the `tokenizers` library is not installed.
"""
import json
import os
import struct
import sys
from array import array
from itertools import chain

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(3)


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


def first_pieces(words):
    """Of each token the word that it begins, else -1."""
    return (-1 if word is None or word == before else word for word, before in zip(words, [None] + words[:-1]))


def main(tokenizer_path, max_length, out):
    lines = iter(sys.stdin.buffer)
    first = next(lines)
    kind = json.loads(first)
    by_words = isinstance(kind, dict) and "words" in kind
    tokenizer = tokenizer_of(tokenizer_path, by_words)
    tokenizer.no_padding()
    if int(max_length) > 0:
        special = tokenizer.num_special_tokens_to_add(False)
        if special >= int(max_length):
            sys.exit(f"max_length = {max_length} leaves no room beside {special} special tokens")
        tokenizer.enable_truncation(int(max_length))
    else:
        tokenizer.no_truncation()
    offsets, starts, ids, words, truncated, block, prompts = array("q", [0]), array("q"), array("i"), array("i"), 0, [], []

    def flush():
        nonlocal truncated
        for encoding, prompt in zip(tokenizer.encode_batch(block, is_pretokenized=by_words), prompts):
            starts.append(next((place for place, (_, end) in enumerate(encoding.offsets) if end > prompt), len(encoding.ids)) if prompt else 0)
            ids.extend(encoding.ids)
            words.extend(first_pieces(encoding.word_ids) if by_words else ())
            offsets.append(len(ids))
            truncated += bool(encoding.overflowing)
        block.clear()
        prompts.clear()

    for line in chain([first], lines):
        row = json.loads(line)
        answers = isinstance(row, dict) and not by_words
        prompts.append(len(row["prompt"]) if answers else 0)
        block.append(row["words"] if by_words else row["prompt"] + row["response"] if answers else row[0] if len(row) == 1 else tuple(row))
        if len(block) == 4096:
            flush()
    flush()
    with open(out, "wb") as file:
        file.write(b"PEFTTOK3" + struct.pack("<qqqq", len(offsets) - 1, len(ids), truncated, len(words)))
        offsets.tofile(file)
        starts.tofile(file)
        ids.tofile(file)
        words.tofile(file)
        file.flush()
        os.fsync(file.fileno())


main(*sys.argv[1:4])
)PYTHON";

} // namespace peftrt
