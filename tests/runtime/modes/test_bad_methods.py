#!/usr/bin/env python3
"""What a trainer of every method says of what does not fit it: rows without a field that the method reads, or with a number that it has not; a trained file whose tensor has another
shape, or that another method made. One error each, with its code and both sides, and no file changes."""
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compiled

sys.path.insert(0, os.path.join(compiled.ROOT, "tests", "bench"))
import library
import tiny_bert

FIELD = re.compile(r'^\s*row \w+: index\("(\w+)"', re.M)
ROW = {"input_ids": [2, 20, 30, 3], "label": "x", "task": 0, "domain": 0}  # what some method reads
FAR = 99


class BadMethods(compiled.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wide = cls.path("wide")
        tiny_bert.make(cls.wide, hidden_size=64, num_attention_heads=4, intermediate_size=128)
        cls.rows = cls.written("rows.jsonl", ROW)

    @classmethod
    def written(cls, name, row):
        pathlib.Path(cls.path(name)).write_text(2 * (json.dumps(row) + "\n"))
        return cls.path(name)

    def trainer_of(self, method, attach):
        use, rest = attach.replace("[1, 101, 102, 1000]", "[1, 5, 100]").split("\n", 1)
        spec = self.path(f"{method}.peft")
        pathlib.Path(spec).write_text(f"{use}\nmodel base = bert\ntask classify(labels = 3)\n{rest}\noptimize adamw(lr = 1e-3)\nrun {{ epochs = 1, batch = 2, max_length = 8 }}\n")
        program = self.path(f"{method}.trainer")
        done = subprocess.run([compiled.BIN + "/peftc", spec, "--model", self.wide, "-o", program, "--runner", compiled.BIN + "/peft-runner"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{method}\n{done.stderr}")
        return program

    def check_rows(self, method, program):
        fields = FIELD.findall((pathlib.Path(compiled.ROOT) / f"stdlib/methods/{method}.peft").read_text())
        for field in dict.fromkeys(fields):
            without = self.written("without.jsonl", {name: value for name, value in ROW.items() if name != field})
            self.refused("R0133", ["without.jsonl:1: ", f"no field `{field}`"], "eval", "--data", without, program=program)
            for value in (FAR, -1):
                other = self.written("other.jsonl", {**ROW, field: value})
                said = self.refused("R0134", ["other.jsonl:1: ", f"`{field}` is {value}"], "eval", "--data", other, program=program).stderr
                self.assertRegex(said, r"0 to \d+", f"{method}: which ones there are")
        return bool(fields)

    def check_files(self, method, program, other):
        """Returns the file that one step of training left; `other` is one of another method."""
        run = self.path(f"{method}.run")
        self.trainer("train", "--data", self.rows, "--out", run, program=program)
        adapter = run + "/adapter.safetensors"
        tensors = load_file(adapter)
        for name, tensor in list(tensors.items())[:2]:
            shape = [*tensor.shape[:-1], tensor.shape[-1] + 1] if tensor.dim() else [2]
            save_file({**tensors, name: torch.zeros(shape)}, self.path("other.safetensors"))
            self.refused("R0116", [f"`{name}` has shape {shape}", str(list(tensor.shape))], "eval", "--data", self.rows, "--init", self.path("other.safetensors"), program=program)
        if other:
            self.refused("R0116", "is", "eval", "--data", self.rows, "--init", other, program=program)
        return adapter

    def test_every_method(self):
        reading, other = 0, None
        for method, attach in library.attaches().items():
            with self.subTest(method):
                program = self.trainer_of(method, attach)
                reading += self.check_rows(method, program)
                other = self.check_files(method, program, other)
                os.remove(program)
        self.assertGreaterEqual(reading, 5)


if __name__ == "__main__":
    unittest.main()
