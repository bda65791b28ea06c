"""Every example as its README says: compile, train, resume, evaluate, predict, merge (or say why not), on a tiny BERT and rows
whose label is the first word, so that training must help."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin"
sys.path.insert(0, str(ROOT / "tests/compiler"))
import tiny_bert  # noqa: E402


def run(*command, code=0):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == code, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def write_rows(path, count, seed):
    pick = random.Random(seed)
    with open(path, "w") as file:
        for _ in range(count):
            label = pick.randrange(16)
            file.write(json.dumps({"input_ids": [label + 3] + [pick.randrange(97) for _ in range(pick.randrange(2, 12))], "label": label}) + "\n")
    return path


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.model = cls.folder / "model"
        tiny_bert.make(cls.model, hidden_size=64, num_attention_heads=4, intermediate_size=80)
        cls.train, cls.valid = write_rows(cls.folder / "train.jsonl", 480, 1), write_rows(cls.folder / "valid.jsonl", 64, 2)

    def example(self, name, merges):
        folder = self.folder / name
        folder.mkdir()
        trainer, out = folder / "trainer", folder / "run"
        run(BIN / "peftc", ROOT / "examples" / name / "spec.peft", "--model", self.model, "-o", trainer)
        rows = ["--data", self.train, "--valid", self.valid, "--epochs", "6"]
        self.assertIn("--resume", run(trainer, "train", *rows, "--out", out, "--limit-steps", "20"))
        run(trainer, "train", "--out", out, "--resume")
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines if "tokens" in line]
        self.assertEqual(len(losses), 90)
        self.assertLess(sum(losses[-10:]), 0.7 * sum(losses[:10]), "the loss does not fall")
        report = json.loads(run(trainer, "eval", out, "--data", self.valid, "--json"))
        self.assertGreater(report["accuracy"], 0.25)
        self.assertAlmostEqual(report["loss"], min(line["eval"]["loss"] for line in lines if "eval" in line), places=5)
        for predictions, option in (("merged", []), ("unmerged", ["--unmerged"])):
            run(trainer, "predict", out, "--data", self.valid, "--out", folder / predictions, *option)
        pairs = list(zip(*(map(json.loads, (folder / file).read_text().splitlines()) for file in ("merged", "unmerged"))))
        self.assertEqual(len(pairs), 64)
        self.assertTrue(all(a["label"] == b["label"] and abs(a["probability"] - b["probability"]) < 1e-4 for a, b in pairs))
        said = run(trainer, "merge", out, "--out", folder / "merged-model", code=0 if merges else 1)
        self.assertEqual((folder / "merged-model/model.safetensors").exists(), merges, said)
        self.assertTrue(merges or "R0202" in said, said)
        self.assertIn("attach", run(trainer, "info", out))

    def test_01_lora(self):
        self.example("01-lora", merges=True)

    def test_02_adapters(self):
        self.example("02-adapters", merges=False)

    def test_03_unipelt(self):
        self.example("03-unipelt", merges=False)

    def test_04_your_own_method(self):
        self.example("04-your-own-method", merges=True)

    def test_every_example_is_here_and_has_a_readme(self):
        for spec in sorted(ROOT.glob("examples/*/spec.peft")):
            self.assertTrue(hasattr(self, "test_" + spec.parent.name.replace("-", "_")), spec.parent.name)
            self.assertTrue((spec.parent / "README.md").exists(), f"{spec.parent.name} has no README.md")
            run(BIN / "peftc", "check", spec)
            run(BIN / "peftc", "fmt", "--check", spec)


if __name__ == "__main__":
    unittest.main()
