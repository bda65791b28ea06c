"""./examples/quickstart --quick from another directory, twice: every step is announced, the table is there, its numbers are sound."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = dict(os.environ, PEFT_VENV=sys.prefix, PEFT_BUILD=os.path.abspath(os.environ.get("PEFT_BUILD", ROOT / "build")), OMP_NUM_THREADS="1")


def quickstart(*words, cwd="/", code=0):
    done = subprocess.run([ROOT / "examples/quickstart", *words], cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


class Quickstart(unittest.TestCase):
    def test_whole(self):
        with tempfile.TemporaryDirectory() as scratch:
            out = pathlib.Path(scratch) / "a folder with spaces"
            for _ in range(2):
                text = quickstart("--quick", "--out", str(out))
            self.check_text(text)
            self.check_summary(json.loads((out / "summary.json").read_text()), out)

    def check_text(self, text):
        self.assertIn("PEFT_VENV and PEFT_BUILD are ready", text)  # nothing is built from within a test
        for step in range(1, 8):
            self.assertIn(f"[{step}/7] ", text)
        self.assertIn("ETA", text)
        for title in ("accuracy", "trained parameters", "share of the model", "tokens/s in training", "adapter", "trainer", "checkpoint"):
            self.assertRegex(text, rf"(?m)^{title} .*\d")
        self.assertIn("200 of 200 predictions equal", text)

    def check_summary(self, summary, out):
        self.assertEqual(summary["merged"]["class"], "BertForSequenceClassification")
        self.assertEqual((summary["merged"]["rows"], summary["merged"]["equal"]), (200, 200))
        self.assertLess(summary["merged"]["difference"], 1e-5)
        for name in ("probe", "lora"):
            self.assertGreater(summary[name]["accuracy"], 0.12)  # chance is 1/16; 20 steps learn little, but something
            losses = [line["loss"] for line in map(json.loads, (out / f"{name}.run/metrics.jsonl").read_text().splitlines()) if "loss" in line]
            self.assertEqual(len(losses), 20)
            self.assertLess(sum(losses[-5:]), sum(losses[:5]))
        self.assertEqual(summary["probe"]["trained"], 16 * 385)
        self.assertEqual(summary["lora"]["trained"] - summary["probe"]["trained"], 6 * 8 * (4 * 2 * 384 + 2 * (384 + 1536)))  # r (in + out), by hand

    def test_refusals(self):
        with tempfile.TemporaryDirectory() as scratch:
            mine = pathlib.Path(scratch) / "thesis.txt"
            mine.write_text("mine")
            self.assertIn("is not empty", quickstart("--out", scratch, code=1))
            self.assertEqual([mine], list(pathlib.Path(scratch).iterdir()))
        self.assertIn("--fast", quickstart("--fast", code=2))
        self.assertIn("--quick", quickstart("--help"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
