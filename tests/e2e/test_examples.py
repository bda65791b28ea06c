"""Every example, as its README does it, on a tiny random BERT: compile, train, interrupt and resume, eval, predict, merge or its refusal.

There is no list: a folder of examples/ with a spec.peft is tested. What an example must show beyond that stands in EXPECTED."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler"), str(ROOT / "tests/runtime/modes")]
import tiny_bert  # noqa: E402
from compiled import write_rows, write_tokenizer  # noqa: E402

BIN = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin"
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/spec.peft"))
STEPS = 30  # 80 rows, 8 a step, 3 epochs

# What does not merge, with the operation and the file that its refusal must name; all others must merge.
REFUSALS = {"02-adapters": r"nn\.max at \S*_adapter\.peft:\d+:\d+ \(\S*prelude\.peft:\d+:\d+\)", "03-unipelt": r"nn\.\w+ at \S+\.peft:\d+:\d+"}
# What trains, by hand: d = 48, 3 heads of 16, ff = 64, 2 layers, 16 labels.
HEAD = 16 * 49
LINEARS = 4 * (48 + 48) + 2 * (48 + 64)
EXPECTED_TRAINABLE = {
    "01-lora": HEAD + 2 * 8 * LINEARS,
    "02-adapters": HEAD + 2 * ((2 * 3 * 48 + 3 + 48) + (2 * 24 * 48 + 24 + 48)),
    # A layer: prefix 10 keys and values; its gate; lora on q and v with a gate each; adapter with its gate.
    "03-unipelt": HEAD + 2 * (10 * 2 * 48 + 48 + 2 * (8 * 96 + 48) + (2 * 3 * 48 + 3 + 48) + 48),
    "04-your-own-method": HEAD + 2 * 8 * LINEARS,
}


def run(*command, code=0):
    environment = dict(os.environ, OMP_NUM_THREADS="1", PEFT_PYTHON=sys.executable, XDG_CACHE_HOME=str(Examples.root / "cache"))
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    assert done.returncode == code, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        Examples.root = pathlib.Path(cls.scratch.name)
        cls.model = cls.root / "model"
        tiny_bert.make(cls.model, hidden_size=48, num_attention_heads=3, intermediate_size=64)
        write_tokenizer(cls.model)
        cls.train, cls.valid = (write_rows(cls.root / name, count, seed, text=True) for name, count, seed in (("train.jsonl", 80, 1), ("valid.jsonl", 24, 2)))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def test_there_are_some(self):
        self.assertLessEqual({"01-lora", "02-adapters", "03-unipelt", "04-your-own-method"}, {path.name for path in EXAMPLES})

    def test_readmes(self):
        for example in EXAMPLES:
            text = (example / "README.md").read_text()
            for command in ("peftc ", " train ", " eval "):
                self.assertIn(command, text, example.name)

    def test_examples(self):
        for example in EXAMPLES:
            with self.subTest(example.name):
                self.check(example, self.root / example.name)

    def check(self, example, work):
        work.mkdir()
        trainer = work / "trainer"
        run(BIN / "peftc", "check", example / "spec.peft")
        run(BIN / "peftc", example / "spec.peft", "--model", self.model, "-o", trainer)
        self.check_layout(example)
        counts = json.loads(run(trainer, "info", "--json"))["counts"]
        if example.name in EXPECTED_TRAINABLE:
            self.assertEqual(counts["trainable"], EXPECTED_TRAINABLE[example.name])
        self.check_training(trainer, work)
        report = json.loads(run(trainer, "eval", work / "run", "--data", self.valid, "--json").splitlines()[-1])
        run(trainer, "predict", work / "run", "--data", self.valid, "--out", work / "predictions.jsonl")
        predictions, rows = lines_of(work / "predictions.jsonl"), lines_of(pathlib.Path(self.valid))
        right = sum(said["label"] == row["label"] for said, row in zip(predictions, rows, strict=True))
        self.assertAlmostEqual(right / len(rows), report["accuracy"], places=6)
        if example.name in REFUSALS:
            said = run(trainer, "merge", work / "run", "--out", work / "merged", code=1)
            self.assertRegex(said, r"R0202")
            self.assertRegex(said, REFUSALS[example.name])
            self.assertFalse((work / "merged").exists())
        else:
            self.check_merge(trainer, work, rows)

    def check_layout(self, example):
        for spec in example.glob("*.peft"):
            run(BIN / "peftc", "fmt", "--check", spec)

    def check_training(self, trainer, work):
        """Loss goes down; a run in three pieces is the same run."""
        train = (trainer, "train", "--data", self.train, "--valid", self.valid, "--batch", "8", "--max-length", "24")
        run(*train, "--out", work / "run")
        whole = [line for line in lines_of(work / "run/metrics.jsonl")]
        losses = [line["loss"] for line in whole if "loss" in line]
        self.assertEqual(len(losses), STEPS)
        self.assertLess(sum(losses[-5:]) / 5, sum(losses[:5]) / 5 - 0.3)
        run(*train, "--out", work / "pieces", "--limit-steps", "7")
        run(trainer, "train", "--out", work / "pieces", "--resume", "--limit-steps", "16")
        run(trainer, "train", "--out", work / "pieces", "--resume")
        self.assertEqual(whole, lines_of(work / "pieces/metrics.jsonl"))
        self.assertEqual((work / "run/adapter.safetensors").read_bytes(), (work / "pieces/adapter.safetensors").read_bytes())

    def check_merge(self, trainer, work, rows):
        import torch
        import transformers

        transformers.logging.disable_progress_bar()
        run(trainer, "merge", work / "run", "--out", work / "merged")
        model, loading = transformers.BertForSequenceClassification.from_pretrained(work / "merged", output_loading_info=True)
        self.assertFalse(loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"], loading)
        run(trainer, "predict", work / "run", "--data", self.valid, "--unmerged", "--out", work / "unmerged.jsonl")
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.model / "tokenizer.json"))
        model.eval()
        for said, row in zip(lines_of(work / "unmerged.jsonl"), rows, strict=True):
            ids = tokenizer.encode(row["text"]).ids[:24]
            with torch.no_grad():
                probabilities = model(torch.tensor([ids])).logits.softmax(-1)[0]
            for index, label in model.config.id2label.items():
                if label in said["probabilities"]:
                    self.assertAlmostEqual(probabilities[int(index)].item(), said["probabilities"][label], places=5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
