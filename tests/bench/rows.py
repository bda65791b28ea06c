"""Rows of `input_ids` that both sides read: random ones of one length from a seed, or the topics' text by the checkpoint's tokenizer.

As a program: `rows.py TOKENIZER.json MAX_LENGTH TEXT.jsonl OUT.jsonl` (needs the package tokenizers)."""
import itertools
import json
import pathlib
import random
import subprocess
import sys

LABELS, MAX_LENGTH = 16, 128


def batch_and_length(shape):
    """`32x64` as (32, 64); `real` as (32, None)."""
    if shape == "real":
        return 32, None
    batch, by, length = shape.partition("x")
    if not (by and batch.isdigit() and length.isdigit() and int(batch) and int(length)):
        raise ValueError(f"`{shape}` is not a shape: ROWSxTOKENS or real")
    return int(batch), int(length)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def fixed(path, count, length, vocabulary, seed, tasks=None):
    """`tasks`: rows are of so many tasks, or domains, in turn."""
    source = random.Random(seed)
    least = min(1000, vocabulary // 2)  # special tokens have small numbers
    return write(path, ({"input_ids": [source.randrange(least, vocabulary) for _ in range(length)], "label": source.randrange(LABELS), **({"task": row % tasks, "domain": row % tasks} if tasks else {})}
                        for row in range(count)))


def real(path, count, text, model, python):
    """The text's rows in file order, from the beginning again where they do not suffice."""
    whole = path.with_suffix(".all")
    subprocess.run([python, __file__, str(model / "tokenizer.json"), str(MAX_LENGTH), str(text), str(whole)], check=True)
    rows = read(whole)
    return write(path, itertools.islice(itertools.cycle(rows), count) if count else rows)


def main(tokenizer_file, longest, text, out):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(longest))
    rows = read(text)
    classes = sorted({row["label"] for row in rows})
    coded = tokenizer.encode_batch([row["text"] for row in rows])
    write(pathlib.Path(out), ({"input_ids": one.ids, "label": classes.index(row["label"])} for one, row in zip(coded, rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
