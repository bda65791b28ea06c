"""summary.py WORK ROWS MODEL: the merged folder in transformers against the trainer's own predictions, then quickstart's table.

WORK holds what quickstart made. Writes WORK/summary.json; fails if a prediction differs."""
import json
import os
import pathlib
import sys

import torch
import transformers

WORK, ROWS, MODEL = map(pathlib.Path, sys.argv[1:4])


def read(name):
    return json.loads((WORK / name).read_text())


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def probabilities(folder, texts):
    """What BertForSequenceClassification says, label by label. It knows nothing of peftc."""
    transformers.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    if any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        sys.exit(f"the merged folder does not fit {type(model).__name__}: {loading}")
    model.eval()
    rows = []
    with torch.no_grad():
        for start in range(0, len(texts), 50):
            batch = tokenizer(texts[start : start + 50], padding=True, truncation=True, max_length=128, return_tensors="pt")
            for row in model(**batch).logits.softmax(-1):
                rows.append({model.config.id2label[i]: value.item() for i, value in enumerate(row)})
    return type(model).__name__, rows


def compare():
    ours = rows_of(WORK / "predictions.jsonl")
    name, theirs = probabilities(WORK / "merged", [row["text"] for row in rows_of(ROWS)])
    equal = sum(a["label"] == max(b, key=b.get) for a, b in zip(ours, theirs, strict=True))
    worst = max(abs(value - b[label]) for a, b in zip(ours, theirs) for label, value in a["probabilities"].items())
    return {"class": name, "rows": len(ours), "equal": equal, "difference": worst}


def size(path):
    path = WORK / path
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def figures(name):
    counts, train = read(f"{name}.info.json")["counts"], read(f"{name}.train.json")
    return {"accuracy": read(f"{name}.eval.json")["accuracy"], "trained": counts["trainable"], "share": counts["trainable"] / counts["base"],
            "tokens_per_second": train["tokens"] / train["seconds"], "seconds": train["seconds"],
            "adapter_bytes": size(f"{name}.run/adapter.safetensors"), "trainer_bytes": size(name)}


def megabytes(count):
    return f"{count / 1e6:.2f} MB"


def table(summary):
    lines = [("", "probe", "lora")]
    for title, key, form in [("accuracy", "accuracy", "{:.4f}".format), ("trained parameters", "trained", "{:,}".format), ("share of the model", "share", "{:.3%}".format),
                             ("tokens/s in training", "tokens_per_second", "{:,.0f}".format), ("seconds of training", "seconds", "{:,.0f}".format),
                             ("adapter", "adapter_bytes", megabytes), ("trainer", "trainer_bytes", megabytes)]:
        lines.append((title, *(form(summary[name][key]) for name in ("probe", "lora"))))
    text = [f"{title:<24}{left:>12}{right:>12}" for title, left, right in lines]
    merged = summary["merged"]
    text.append(f"{'checkpoint':<24}{megabytes(summary['checkpoint_bytes']):>12}")
    text.append(f"{'merged, in transformers':<24}{merged['equal']:,} of {merged['rows']:,} predictions equal, probabilities differ by {merged['difference']:.1e} at most")
    return "\n".join(text)


summary = {"merged": compare(), "probe": figures("probe"), "lora": figures("lora"), "checkpoint_bytes": (MODEL / "model.safetensors").stat().st_size}
(WORK / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
print(f"{summary['merged']['class']} loaded the merged folder\n")
print(table(summary))
if summary["merged"]["equal"] != summary["merged"]["rows"]:
    sys.exit("the merged model does not predict what the adapters predict")
