"""Merging takes one weight after another: what it needs at once does not grow with the network, and merged weights take the place of those that they were made of."""
import json
import os
import pathlib
import subprocess
import time

import torch
import transformers
from subject import Subject, main, run, write_rows

SIZES = dict(vocab_size=64, hidden_size=1024, intermediate_size=2048, num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=64, tie_word_embeddings=True, pad_token_id=0)
SPEC = """use peft.methods.{lora}
model base = llama
task causal_lm
attach lora(r = 4) to layers[*].** where kind == linear
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = 2, max_length = 16 }
"""
LAYERS, LAYER_BYTES = (2, 8), 4 * (4 * 1024 * 1024 + 3 * 1024 * 2048)
LARGEST = 4 * 1024 * 2048
# Weights are given back as soon as they are freed, as glibc does by itself from 32 MiB on.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=65536"}


def peak(*command):
    """The most memory that a command had of its own, in bytes: without pages of files."""
    process, most = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT), 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        most = max([most] + [1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")])
        time.sleep(0.0005)
    said = process.stderr.read().decode()
    assert process.wait() == 0, said
    return most


def subjects(folder):
    """The same network, small and large, in bf16: nothing that is computed with is as the file has it."""
    made = []
    for layers in LAYERS:
        torch.manual_seed(7)
        model = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(num_hidden_layers=layers, **SIZES))
        model.to(torch.bfloat16).save_pretrained(folder / f"model{layers}")
        made.append(Subject(folder / f"subject{layers}", folder / f"model{layers}", SPEC))
    return made


def test_merge(folder):
    most = [peak(subject.trainer, "merge", "--threads", 1, "--out", folder / f"merged{place}") for place, subject in enumerate(subjects(folder))]
    grown = (most[1] - most[0]) / ((LAYERS[1] - LAYERS[0]) * LAYER_BYTES)
    assert grown < 0.15, f"{most} bytes: {grown:.2f} of the added weights"
    return f"{(most[1] - most[0]) / LARGEST:.2f} of the largest weight for {LAYERS[1] - LAYERS[0]} layers more"


def test_predict(folder):
    """Merged weights instead of the checkpoint's, not beside them."""
    subject = subjects(folder)[1]
    data = write_rows(folder / "rows.jsonl", [{"input_ids": [3, 4, 5]}])
    merged, unmerged = (peak(subject.trainer, "predict", "--threads", 1, "--data", data, *options) for options in ((), ("--unmerged",)))
    more = (merged - unmerged) / (LAYERS[1] * LAYER_BYTES)
    assert more < 0.15, f"{merged} and {unmerged} bytes: {more:.2f} of the weights more"
    lines = [json.loads(run(subject.trainer, "predict", "--data", data, *options)) for options in ((), ("--unmerged",))]
    assert lines[0]["next"] == lines[1]["next"] and abs(lines[0]["loss"] - lines[1]["loss"]) < 1e-4, lines
    return f"{more:+.2f} of the weights beside unmerged"


if __name__ == "__main__":
    main([test_merge, test_predict])
