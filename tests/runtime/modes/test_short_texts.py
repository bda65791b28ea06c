"""Texts that are too short for what is attached: one error with the row and both lengths, in every mode; one token more is enough."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "compiler"))
from compiles import CompilerTest  # noqa: E402

SPEC = """use peft.methods.{infix}
model base = bert
task classify(labels = 2)
attach infix(n = 2, after = 5) to model
train head
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = 2, max_length = 16 }
"""


class ShortTexts(CompilerTest):
    def rows(self, name, *lengths):
        self.write(name, "".join(json.dumps({"input_ids": [7] * length, "label": place % 2}) + "\n" for place, length in enumerate(lengths)))
        return name

    def trainer(self, *words):
        return subprocess.run([self.here / "trainer", *words], capture_output=True, text=True, cwd=self.here)

    def test_infix(self):
        self.write("spec.peft", SPEC)
        self.peftc("spec.peft", "--model", self.model, "-o", "trainer")
        good, short = self.rows("good.jsonl", 5, 9), self.rows("short.jsonl", 9, 4)
        done = self.trainer("train", "--data", good, "--out", "run")
        self.assertEqual(done.returncode, 0, done.stderr)
        for words in (("train", "--data", short, "--out", "never"), ("eval", "run", "--data", short), ("predict", "run", "--data", short, "--out", "never.jsonl"), ("inspect", "--data", short, "--out", "never.safetensors")):
            done = self.trainer(*words)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("error[R0146]: short.jsonl:2: the text has 4 tokens, what is attached needs 5", done.stderr)
        self.assertFalse([path.name for path in self.here.glob("never*")])


if __name__ == "__main__":
    unittest.main(verbosity=1)
