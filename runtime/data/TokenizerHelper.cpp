// TokenizerHelper: the Python text of the helper process, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TokenizerHelper.h"

namespace peftrt {

const char *const kTokenizerHelper = R"PYTHON(
"""Texts to token ids: reads JSON lists of one or two strings, or objects of `prompt` and `response`, a line each, and writes the token file of runtime/data/Tokenizer.cpp.

usage: tokenize_rows.py TOKENIZER_JSON MAX_LENGTH OUT < rows
Exit status 3: the `tokenizers` library is not installed.
"""
import json
import os
import struct
import sys
from array import array

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(3)


def main(tokenizer_path, max_length, out):
    tokenizer = Tokenizer.from_file(tokenizer_path)
    tokenizer.no_padding()
    if int(max_length) > 0:
        special = tokenizer.num_special_tokens_to_add(False)
        if special >= int(max_length):
            sys.exit(f"max_length = {max_length} leaves no room beside {special} special tokens")
        tokenizer.enable_truncation(int(max_length))
    else:
        tokenizer.no_truncation()
    offsets, starts, ids, truncated, block, prompts = array("q", [0]), array("q"), array("i"), 0, [], []

    def flush():
        nonlocal truncated
        for encoding, prompt in zip(tokenizer.encode_batch(block), prompts):
            starts.append(next((place for place, (_, end) in enumerate(encoding.offsets) if end > prompt), len(encoding.ids)) if prompt else 0)
            ids.extend(encoding.ids)
            offsets.append(len(ids))
            truncated += bool(encoding.overflowing)
        block.clear()
        prompts.clear()

    for line in sys.stdin.buffer:
        texts = json.loads(line)
        answers = isinstance(texts, dict)
        prompts.append(len(texts["prompt"]) if answers else 0)
        block.append(texts["prompt"] + texts["response"] if answers else texts[0] if len(texts) == 1 else tuple(texts))
        if len(block) == 4096:
            flush()
    flush()
    with open(out, "wb") as file:
        file.write(b"PEFTTOK2" + struct.pack("<qqq", len(offsets) - 1, len(ids), truncated))
        offsets.tofile(file)
        starts.tofile(file)
        ids.tofile(file)
        file.flush()
        os.fsync(file.fileno())


main(*sys.argv[1:4])
)PYTHON";

} // namespace peftrt
