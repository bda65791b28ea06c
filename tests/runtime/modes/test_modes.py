#!/usr/bin/env python3
"""The modes of a trainer, on a hand-made bundle: train, eval, predict, merge, inspect, resume, bad input."""
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_bundle

os.environ["OMP_NUM_THREADS"] = "1"  # on a busy machine two threads of tiny steps wait for each other most of the time
RUNNER = os.path.join(os.environ["PEFT_BUILD"], "bin", "peft-runner")


def write_rows(path, count, seed, named=True):
    """The label is the third of the vocabulary that most tokens come from."""
    source = random.Random(seed)
    with open(path, "w") as file:
        for _ in range(count):
            label = source.randrange(3)
            ids = [source.randrange(50) if source.random() < 0.3 else label * 16 + source.randrange(16) for _ in range(source.randrange(3, 30))]
            file.write(json.dumps({"input_ids": ids, "label": "xyz"[label] if named else label}) + "\n")
    return path


class Modes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.root = cls.scratch.name
        cls.model = cls.path("model")
        os.makedirs(cls.model)
        with open(cls.path("model/config.json"), "w") as file:
            json.dump({"hidden_size": 8, "architectures": ["Bag"]}, file)
        torch.manual_seed(0)
        cls.table = torch.randn(50, 8)
        save_file({"embeddings.weight": cls.table, "position_ids": torch.arange(4)[None]}, cls.path("model/model.safetensors"))
        cls.bundle = tiny_bundle.write(cls.path("bundle"), cls.model)
        cls.train_rows = write_rows(cls.path("train.jsonl"), 400, 1)
        cls.valid_rows = write_rows(cls.path("valid.jsonl"), 100, 2)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.root, name)

    def trainer(self, *words, code=0, bundle=None, **options):
        done = subprocess.run([RUNNER, "--bundle", bundle or self.bundle, *words], capture_output=True, text=True, timeout=120, **options)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def refused(self, error, text, *words, **options):
        done = self.trainer(*words, code=1, **options)
        self.assertIn(f"error[{error}]", done.stderr)
        self.assertIn(text, done.stderr)

    def train(self, run, *words, **options):
        return self.trainer("train", "--data", self.train_rows, "--valid", self.valid_rows, "--out", self.path(run), *words, **options)

    def losses(self, run):
        with open(self.path(run + "/metrics.jsonl")) as file:
            return [line for line in map(json.loads, file) if "loss" in line]

    def rows(self, path):
        with open(path) as file:
            return [json.loads(line) for line in file]

    # ---- what training, evaluating, predicting and merging give ----

    def test_learns_evaluates_predicts(self):
        self.train("learn", "--epochs", "10")
        report = json.loads(self.trainer("eval", self.path("learn"), "--data", self.valid_rows, "--json").stdout)
        self.assertGreater(report["accuracy"], 0.6)  # chance is 0.33
        self.assertEqual(report["rows"], 100)
        merged, unmerged = self.path("merged.jsonl"), self.path("unmerged.jsonl")
        said = json.loads(self.trainer("predict", self.path("learn"), "--data", self.valid_rows, "--out", merged, "--json").stdout)
        self.assertTrue(said["merged"])
        self.assertEqual(sum(batch["tokens"] for batch in said["batches"]), said["tokens"])
        self.trainer("predict", self.path("learn"), "--data", self.valid_rows, "--out", unmerged, "--unmerged")
        ordered, lengths = self.path("ordered.jsonl"), [len(row["input_ids"]) for row in self.rows(self.valid_rows)]
        said = json.loads(self.trainer("predict", self.path("learn"), "--data", self.valid_rows, "--out", ordered, "--in-order", "--set", "run.batch=8", "--json").stdout)
        self.assertEqual([batch["tokens"] for batch in said["batches"]], [sum(lengths[first:first + 8]) for first in range(0, len(lengths), 8)])
        for a, b in zip(self.rows(merged), self.rows(ordered), strict=True):
            self.assertAlmostEqual(a["probability"], b["probability"], places=4)
        truth = self.rows(self.valid_rows)
        for a, b in zip(self.rows(merged), self.rows(unmerged), strict=True):
            for label in "xyz":
                self.assertAlmostEqual(a["probabilities"][label], b["probabilities"][label], places=4)
        right = sum(p["label"] == t["label"] for p, t in zip(self.rows(unmerged), truth, strict=True))
        self.assertAlmostEqual(right / 100, report["accuracy"])  # rows are in the file's order

    def test_merge_writes_a_checkpoint(self):
        self.train("for_merge", "--epochs", "1")
        out = self.path("checkpoint")
        self.trainer("merge", self.path("for_merge"), "--out", out)
        tensors, adapter = load_file(out + "/model.safetensors"), load_file(self.path("for_merge/adapter.safetensors"))
        self.assertEqual(set(tensors), {"bag.embeddings.weight", "bag.position_ids", "classifier.weight", "classifier.bias"})
        self.assertTrue(torch.equal(tensors["bag.position_ids"], torch.arange(4)[None]))  # carried over, in its dtype
        torch.testing.assert_close(tensors["bag.embeddings.weight"], self.table * adapter["embed.scale.l"])
        torch.testing.assert_close(tensors["classifier.weight"], adapter["head.W"])
        with open(out + "/config.json") as file:
            config = json.load(file)
        self.assertEqual(config["architectures"], ["BagForClassification"])
        self.assertEqual(config["id2label"], {"0": "x", "1": "y", "2": "z"})
        self.refused("R0118", "exists", "merge", self.path("for_merge"), "--out", out)
        stuck = tiny_bundle.write(self.path("stuck"), self.model, mergeable=False)
        self.refused("R0202", "`embed` cannot be merged: `tanh` at spec.peft:7:9", "merge", "--out", self.path("never"), bundle=stuck)
        self.assertFalse(os.path.exists(self.path("never")))

    def transcription(self, rows, parameters):
        logits = torch.stack([parameters["head.W"] @ (parameters["embed.scale.l"] * self.table.double()[r["input_ids"]].mean(0)) + parameters["head.b"] for r in rows])
        targets = torch.tensor(["xyz".index(r["label"]) for r in rows])
        return logits, torch.nn.functional.cross_entropy(logits, targets)

    def test_inspect_and_steps_equal_pytorch(self):
        torch.manual_seed(3)
        start = {"head.W": torch.randn(3, 8), "head.b": torch.randn(3), "embed.scale.l": torch.randn(8)}
        save_file(start, self.path("start.safetensors"))
        small = write_rows(self.path("small.jsonl"), 24, 5)
        rows = self.rows(small)
        p = {name: value.double().requires_grad_() for name, value in start.items()}
        logits, loss = self.transcription(rows, p)
        loss.backward()
        for flags in ([], ["--reference"], ["--reference=fp32"]):
            self.trainer("inspect", "--init", self.path("start.safetensors"), "--data", small, "--out", self.path("seen.safetensors"), *flags)
            seen = load_file(self.path("seen.safetensors"))
            self.assertAlmostEqual(seen["loss"].item(), loss.item(), places=5)
            torch.testing.assert_close(seen["logits"].double(), logits.detach(), rtol=1e-5, atol=1e-5)
            for name in start:
                torch.testing.assert_close(seen["grad." + name].double(), p[name].grad, rtol=1e-5, atol=1e-5)
        # 6 steps of the whole file, in two micro-batches each: momentum, two groups, linear schedule, clipping
        expected, momentum = [], {name: 0 for name in p}
        for step in range(6):
            for value in p.values():
                value.grad = None
            loss = self.transcription(rows, p)[1]
            loss.backward()
            expected.append(loss.item())
            norm = sum((value.grad ** 2).sum() for value in p.values()).sqrt()
            with torch.no_grad():
                for name, value in p.items():
                    momentum[name] = 0.9 * momentum[name] + value.grad * min(1, 0.5 / (norm + 1e-6))
                    value -= (0.1 if name == "embed.scale.l" else 0.5) * (1 - step / 6) * momentum[name]
        self.trainer("train", "--data", small, "--out", self.path("steps"), "--init", self.path("start.safetensors"), "--epochs", "6", "--batch", "16", "--accumulate", "2", "--clip", "0.5")
        for step, loss in zip(self.losses("steps"), expected, strict=True):
            self.assertAlmostEqual(step["loss"], loss, places=5)

    def test_labels_that_are_numbers(self):
        rows = write_rows(self.path("numbers.jsonl"), 60, 4, named=False)
        self.trainer("train", "--data", rows, "--out", self.path("numbers"), "--epochs", "1")
        with open(self.path("numbers/run.json")) as file:
            self.assertEqual(json.load(file)["labels"], ["0", "1", "2"])

    def test_early_stopping_keeps_the_best(self):
        self.train("early", "--set", "run.patience=2", "--set", "run.eval_every=1", "--set", "run.best=accuracy:max", "--epochs", "50")
        with open(self.path("early/metrics.jsonl")) as file:
            evals = [line["eval"]["accuracy"] for line in map(json.loads, file) if "eval" in line]
        self.assertLess(len(evals), 50 * 25)
        self.assertEqual(max(evals), evals[-3])  # two evaluations without improvement, then the end
        report = json.loads(self.trainer("eval", self.path("early"), "--data", self.valid_rows, "--json").stdout)
        self.assertAlmostEqual(report["accuracy"], max(evals))

    # ---- resuming ----

    def same_run(self, a, b):
        self.assertEqual(self.losses(a), self.losses(b))
        with open(self.path(a + "/adapter.safetensors"), "rb") as x, open(self.path(b + "/adapter.safetensors"), "rb") as y:
            self.assertEqual(x.read(), y.read())

    def test_resume_is_bit_equal(self):
        self.train("whole")
        self.train("parts", "--limit-steps", "7")
        self.trainer("train", "--out", self.path("parts"), "--resume", "--limit-steps", "31")
        self.trainer("train", "--out", self.path("parts"), "--resume")
        self.same_run("whole", "parts")
        self.assertIn("is complete", self.trainer("train", "--out", self.path("parts"), "--resume").stderr)

    def test_resume_refuses_what_would_change_the_run(self):
        self.train("fixed", "--limit-steps", "2")
        out = self.path("fixed")
        self.refused("R0204", "run.epochs is 9, the run to resume has 3", "train", "--out", out, "--resume", "--epochs", "9")
        self.refused("R0204", "train rows", "train", "--out", out, "--resume", "--data", self.valid_rows)
        other = tiny_bundle.write(self.path("other"), self.model, broken_loss=True)
        self.refused("R0120", "another trainer", "train", "--out", out, "--resume", bundle=other)
        self.refused("R0118", "--overwrite", "train", "--data", self.train_rows, "--out", out)
        self.refused("R0118", "not a run folder", "train", "--data", self.train_rows, "--out", self.model, "--overwrite")
        self.train("fixed", "--overwrite", "--epochs", "1")
        self.assertEqual(len(self.losses("fixed")), 25)

    # ---- bad input ----

    def test_not_a_number_stops_the_run(self):
        broken = tiny_bundle.write(self.path("broken"), self.model, broken_loss=True)
        self.refused("R0201", "at step", "train", "--data", self.train_rows, "--out", self.path("nan"), bundle=broken)
        load_file(self.path("nan/last/adapter.safetensors"))

    def test_foreign_files(self):
        self.train("native", "--limit-steps", "1", "--epochs", "1")
        save_file({"head.W": torch.zeros(3, 9), "other": torch.zeros(1)}, self.path("foreign.safetensors"))
        done = self.trainer("eval", "--init", self.path("foreign.safetensors"), "--data", self.valid_rows, code=1)
        for text in ("error[R0116]", "`head.W` has shape [3, 9], the trainer needs [3, 8]", "`head.b` is missing", "`other` is not a parameter"):
            self.assertIn(text, done.stderr)
        sibling = tiny_bundle.write(self.path("sibling"), self.model, attaches=[{"index": 0, "name": "scale", "text": "scale(2)"}])
        self.refused("R0120", "another spec", "eval", self.path("native"), "--data", self.valid_rows, bundle=sibling)
        self.refused("R0116", "another spec", "eval", "--init", self.path("native/last/adapter.safetensors"), "--data", self.valid_rows, bundle=sibling)
        self.refused("R0119", "no run folder", "eval", self.path("nowhere"), "--data", self.valid_rows)
        self.refused("R0112", "no model folder", "eval", "--data", self.valid_rows, "--model", self.path("nowhere"))

    def test_data_and_options(self):
        text = self.path("text.jsonl")
        with open(text, "w") as file:
            file.write('{"text": "hello", "label": "x"}\n')
        self.refused("R0112", "no tokenizer.json", "eval", "--data", text)
        self.refused("R0150", "did you mean run.epochs?", "train", "--data", self.train_rows, "--out", self.path("n"), "--set", "run.epoch=3")
        self.refused("R0150", "64 positions", "train", "--data", self.train_rows, "--out", self.path("n"), "--max-length", "65")
        self.refused("R0150", "compiled", "train", "--data", self.train_rows, "--out", self.path("n"), "--set", "run.precision=bf16")
        self.assertIn("`export` needs --out", self.trainer("export", code=2).stderr)
        self.assertFalse(os.path.exists(self.path("n")))
        self.assertIn("did you mean --data?", self.trainer("eval", "--date", "x", code=2).stderr)
        self.assertIn("did you mean train?", self.trainer("trian", code=2).stderr)
        self.assertIn("--limit-steps", self.trainer("train", "--help").stdout)
        cut = self.trainer("eval", "--data", self.valid_rows, "--set", "run.max_length=5", "--json")
        self.assertIn("longer than max_length = 5", cut.stderr)
        self.assertGreater(json.loads(cut.stdout)["truncated"], 50)
        self.assertEqual(json.loads(self.trainer("info", "--json").stdout)["trainable_size"], 35)
        self.assertIn("35 parameters", self.trainer("info").stdout)

    def test_text_by_the_helper(self):
        from tokenizers import Tokenizer, models, pre_tokenizers
        words = {"[UNK]": 0, **{f"w{i}": i for i in range(1, 50)}}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        model = self.path("text_model")
        os.makedirs(model)
        for name in ("config.json", "model.safetensors"):
            os.symlink(os.path.join(self.model, name), os.path.join(model, name))
        tokenizer.save(model + "/tokenizer.json")
        rows, ids = self.path("words.jsonl"), self.path("ids.jsonl")
        with open(rows, "w") as a, open(ids, "w") as b:
            for row in self.rows(self.valid_rows):
                a.write(json.dumps({"text": " ".join(f"w{i}" for i in row["input_ids"]), "label": row["label"]}) + "\n")
                b.write(json.dumps(row) + "\n")
        environment = dict(os.environ, PEFT_PYTHON=sys.executable, XDG_CACHE_HOME=self.path("cache"))
        by_text = json.loads(self.trainer("eval", "--model", model, "--data", rows, "--json", "--set", "run.max_length=20", env=environment).stdout)
        by_ids = json.loads(self.trainer("eval", "--data", ids, "--json", "--set", "run.max_length=20").stdout)
        for key in ("loss", "accuracy", "tokens", "truncated"):
            self.assertEqual(by_text[key], by_ids[key])
        environment["PEFT_PYTHON"] = "/nonexistent/python"  # the cache needs no helper
        again = json.loads(self.trainer("eval", "--model", model, "--data", rows, "--json", "--set", "run.max_length=20", env=environment).stdout)
        self.assertEqual(again["loss"], by_text["loss"])
        environment["XDG_CACHE_HOME"] = self.path("cold")
        self.refused("R0140", "pip install tokenizers", "eval", "--model", model, "--data", rows, env=environment)
        bare = self.path("bare-python")
        with open(bare, "w") as file:
            file.write("#!/bin/sh\nexit 3\n")
        os.chmod(bare, 0o755)
        environment["PEFT_PYTHON"] = bare
        self.refused("R0140", "has no `tokenizers`", "eval", "--model", model, "--data", rows, env=environment)


if __name__ == "__main__":
    unittest.main()
