"""What is taken to a machine with a GPU works: a pack is made, `check` and `bench` run in it under the driver for tests, and `check` can say no."""
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from bundle import Scratch  # noqa: E402
from machine import Gpu  # noqa: E402

PTXAS = {"PEFT_PTXAS": "none"}


class Pack(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pack = cls.folder / "pack"
        said = cls.command(ROOT / "tests/gpu/pack", cls.pack, "--targets", "sm_80", "--only", "ia3-bitfit,attention,bert-base", **PTXAS)
        assert re.search(r"3 subjects, \d+\.\d MiB", said), said

    @staticmethod
    def command(*words, code=0, **environment):
        done = subprocess.run([sys.executable, "-B", *map(str, words)], capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def gpu(self):
        return Gpu(self.folder / "gpus" / self.id().rsplit(".", 1)[1])

    def test_check(self):
        gpu, report = self.gpu(), self.folder / "check.json"
        said = self.command(self.pack / "check", "--json", report, **gpu.environment)
        self.assertIn("2 of 2 are right", said)
        attention, entry = json.loads(report.read_text())
        self.assertEqual((attention["name"], attention["wrong"]), ("attention", []))
        self.assertEqual((entry["gpu"], entry["code"], entry["wrong"]), ("emulated GPU", "sm_80 ptx", []))
        self.assertLess(entry["tensors"]["reference"], 1e-3)
        self.assertGreater(len(gpu.launches()), 100)
        # Code that computes something else.
        text = self.pack / "subjects/ia3-bitfit/bundle/kernels/sm_80.ptx"
        whole = text.read_text()
        try:
            text.write_text(re.sub(r"add\.rn\.f32|add\.f32", "sub.f32", whole))
            said = self.command(self.pack / "check", "--only", "ia3-bitfit", code=1, **gpu.environment)
        finally:
            text.write_text(whole)
        self.assertIn("0 of 1 are right", said)

    def test_without_a_gpu(self):
        self.assertIn("no GPU is used: there is no NVIDIA driver", self.command(self.pack / "check", code=1))
        self.assertIn("no subject of the pack", self.command(self.pack / "check", "--only", "none", code=1))

    def test_bench(self):
        """The large subject's weights would take a minute; that it is packed whole shows in its header. Turns are taken with peft on this CPU."""
        report = self.folder / "bench.json"
        (self.pack / "subjects/ia3-bitfit/timed.json").write_text(json.dumps({"batch": 4, "other": {"rank": 4, "dora": False, "dropout": 0.0}}))
        said = self.command(self.pack / "bench", "--only", "ia3-bitfit", "--steps", 2, "--rounds", 1, "--variants", "eager", "--least", 0, "--json", report, **self.gpu().environment)
        self.assertRegex(said, r"ia3-bitfit .* tokens/s; .* ms a step; \d+ launches of \d+ graphs; .* of peft eager \(losses of")
        line, = json.loads(report.read_text())
        self.assertGreater(line["ratios"]["eager"]["median"], 0)
        (ours, its), = line["pairs"]["eager"]
        self.assertEqual(len(ours["losses"]), len(its["losses"]))
        self.assertEqual(line["failed"], {})
        self.assertGreater(line["graphs"]["launches"], 0)
        self.assertRegex(said, r"kernels of rows \d+ GB/s, \d\.\d\d of a copy, at least \d+ \(`\w+`, kernel rows_\d+\)")
        self.assertGreater(len(line["kernels"]["steps"]), 5)
        for step in line["kernels"]["steps"]:
            self.assertGreater(step["bytes"], 0)
        self.assertIn("--variants: some of", self.command(self.pack / "bench", "--variants", "lazy", code=2))
        self.assertNotIn("transformers", self.command(self.pack / "bench", "--only", "none", "--variants", "none", code=1))
        header = (self.pack / "subjects/bert-base/header.bin").read_bytes()
        self.assertIn("encoder.layer.11.output.dense.weight", json.loads(header[8:]))


if __name__ == "__main__":
    unittest.main()
