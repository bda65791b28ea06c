// TokenizerHelper: the Python text of the helper process, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TokenizerHelper.h"

namespace peftrt {

const char *const kTokenizerHelper = R"PYTHON(
"""Texts to token ids: reads JSON lists of one or two strings, a line each, and writes the token file of runtime/data/Tokenizer.cpp.

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
    offsets, ids, truncated, block = array("q", [0]), array("i"), 0, []

    def flush():
        nonlocal truncated
        for encoding in tokenizer.encode_batch(block):
            ids.extend(encoding.ids)
            offsets.append(len(ids))
            truncated += bool(encoding.overflowing)
        block.clear()

    for line in sys.stdin.buffer:
        texts = json.loads(line)
        block.append(texts[0] if len(texts) == 1 else tuple(texts))
        if len(block) == 4096:
            flush()
    flush()
    with open(out, "wb") as file:
        file.write(b"PEFTTOK1" + struct.pack("<qqq", len(offsets) - 1, len(ids), truncated))
        offsets.tofile(file)
        ids.tofile(file)
        file.flush()
        os.fsync(file.fileno())


main(*sys.argv[1:4])
)PYTHON";

} // namespace peftrt
