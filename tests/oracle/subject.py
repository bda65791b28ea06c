"""What the oracle tests share: a checkpoint, a compiled trainer, rows, and the comparison with what transformers or peft compute.

`compare` holds two dicts of tensors against each other: an entry may differ by `tolerance` of the largest entry of its tensor."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/compiler"))
BIN = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin"

import tiny_bert  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import transformers  # noqa: E402

torch.set_num_threads(2)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def refused(*command):
    """What a command says that must fail with exit code 1."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 1, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def random_rows(count, labels, vocabulary=101, lengths=(3, 17), seed=3):
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        length = int(torch.randint(lengths[0], lengths[1] + 1, (), generator=generator))
        rows.append({"input_ids": torch.randint(0, vocabulary, (length,), generator=generator).tolist(),
                     "label": int(torch.randint(0, labels, (), generator=generator))})
    return rows


class Subject:
    """A spec compiled for a checkpoint in a folder of its own."""

    def __init__(self, folder, model, text):
        self.folder, self.model = pathlib.Path(folder), model
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "spec.peft").write_text(text)
        self.trainer = self.folder / "trainer"
        run(BIN / "peftc", self.folder / "spec.peft", "--model", model, "-o", self.trainer)

    def save_init(self, tensors):
        path = self.folder / "init.safetensors"
        save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, path)
        return path

    def inspect(self, rows, init=None, *options):
        data = write_rows(self.folder / "batch.jsonl", rows)
        out = self.folder / "inspect.safetensors"
        run(self.trainer, "inspect", "--data", data, "--out", out, *(["--init", init] if init else []), *options)
        return load_file(out)

    def losses(self, rows, init=None, *options):
        """The losses of training on the rows in file order, one step a batch."""
        data = write_rows(self.folder / "train.jsonl", rows)
        out = self.folder / "run"
        run(self.trainer, "train", "--data", data, "--out", out, "--overwrite", *(["--init", init] if init else []), "--set", "run.shuffle=false", *options)
        return [line["loss"] for line in map(json.loads, (out / "metrics.jsonl").read_text().splitlines()) if "loss" in line]


def padded(rows):
    """The rows as transformers takes them: padded, with a mask."""
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, :len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[index, :len(row["input_ids"])] = 1
    return {"input_ids": ids, "attention_mask": mask}


def labels_of(rows):
    return torch.tensor([row["label"] for row in rows])


def compare(ours, theirs, tolerance=1e-4, least=1e-6):
    """Every tensor of `theirs` in `ours`; differences as a share of the largest entry. Returns the largest share."""
    worst, failures = 0.0, []
    for name, expected in theirs.items():
        if name not in ours:
            failures.append(f"{name} is missing")
            continue
        got = ours[name].double()
        assert got.shape == expected.shape, f"{name}: {tuple(got.shape)}, not {tuple(expected.shape)}"
        scale = max(expected.abs().max().item(), least)
        share = (got - expected.double()).abs().max().item() / scale
        worst = max(worst, share)
        if not share <= tolerance:
            failures.append(f"{name} differs by {share:.2e} of its largest entry {scale:.3g}")
    assert not failures, "\n".join(failures)
    return worst


def checkpoint(folder):
    """A tiny random BERT with pooler, as a folder, and as a classifier of 5 labels in transformers with the same weights."""
    tiny_bert.make(folder)
    return str(folder)


def classifier(model, labels=5, **options):
    """transformers' classifier on the checkpoint, in fp32, dropout off, its new head random."""
    from transformers import BertForSequenceClassification
    torch.manual_seed(11)
    loaded = BertForSequenceClassification.from_pretrained(model, num_labels=labels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                                                           attn_implementation="eager", **options)
    with torch.no_grad():
        loaded.classifier.weight.normal_(0, 0.3)
        loaded.classifier.bias.normal_(0, 0.1)
    return loaded


def head_tensors(loaded):
    return {"head.classifier.W": loaded.classifier.weight, "head.classifier.b": loaded.classifier.bias}


def adamw_losses(parameters, rows, loss_of, batch, lr):
    """The losses of one pass over the rows, an AdamW step a batch; `loss_of`: of some rows."""
    optimizer = torch.optim.AdamW(parameters.values(), lr=lr, weight_decay=0.01)
    losses = []
    for start in range(0, len(rows), batch):
        optimizer.zero_grad()
        loss = loss_of(rows[start:start + batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(tests):
    """Runs test functions with a temporary folder each; exit code 1 if one fails."""
    import tempfile
    import traceback
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"pass  {test.__name__}  {test(pathlib.Path(folder)) or ''}")
            except Exception:
                failed += 1
                print(f"FAIL  {test.__name__}")
                traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
