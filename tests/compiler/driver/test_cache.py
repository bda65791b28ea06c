"""What is kept for the next compile: the same bytes as without it; made again for any other input, and where it is damaged; safe under compiles at the same time."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from compiles import PEFTC, CompilerTest  # noqa: E402

SPEC = """use peft.methods.{lora}

input rank: int = 4
model base = bert
task classify(labels = 3)
attach lora(r = rank) to layers[*].attention.q
train head
optimize adamw(lr = 1e-3)
"""


class Cache(CompilerTest):
    def compiled(self, out="trainer", *words, spec="s.peft", model=None, cache="cache"):
        env = {**os.environ, "PEFT_CACHE": str(self.here / cache) if cache else ""}
        subprocess.run([PEFTC, spec, "-m", model or self.model, "-o", out, *words], cwd=self.here, env=env, check=True, capture_output=True)
        return (self.here / out).read_bytes()

    def entries(self, suffix, cache="cache"):
        return sorted((self.here / cache).rglob("*" + suffix))

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.here / "cache", ignore_errors=True)
        self.write("s.peft", SPEC)

    def test_equal_bytes(self):
        first = self.compiled()
        bundle, = self.entries(".bundle")
        made = bundle.stat().st_mtime_ns
        self.assertEqual(self.compiled("again"), first)
        self.assertEqual(bundle.stat().st_mtime_ns, made)
        self.assertEqual(self.compiled(cache="elsewhere"), first)

    def test_equal_code_is_compiled_once(self):
        """Only programs in bf16 multiply pairs; others have no third variant of their attention."""
        for precision, due in (("fp32", ["x86-64-v3", "x86-64-v4"]), ("bf16", ["x86-64-v3", "x86-64-v4", "x86-64-v4-bf16"])):
            shutil.rmtree(self.here / "bundle", ignore_errors=True)
            self.write("s.peft", SPEC + f"run {{ precision = {precision} }}\n")
            self.compiled("trainer", "--bundle", "bundle", cache=None)
            self.assertEqual(sorted(path.stem for path in (self.here / "bundle/kernels").iterdir()), due, precision)

    def test_every_input_counts(self):
        first = self.compiled()
        self.assertNotEqual(self.compiled("two", "--set", "rank=2"), first)
        self.write("s.peft", SPEC.replace("1e-3", "2e-3"))
        self.assertNotEqual(self.compiled("three"), first)
        self.write("s.peft", SPEC)
        other = self.here / "other"
        shutil.copytree(self.model, other)
        config = json.loads((other / "config.json").read_text())
        config["layer_norm_eps"] = 1e-6
        (other / "config.json").write_text(json.dumps(config))
        self.assertNotEqual(self.compiled("four", model=other), first)
        self.assertEqual(len(self.entries(".bundle")), 4)
        self.assertEqual(self.compiled("five"), first)

    def test_damaged(self):
        first = self.compiled()
        for entry in self.entries(".bundle") + self.entries(".so") + self.entries(".o")[:1]:
            whole = entry.read_bytes()
            for bytes_ in (b"", whole[:-1], whole[: len(whole) // 2]):
                entry.write_bytes(bytes_)
                if entry.suffix != ".bundle":
                    self.entries(".bundle")[0].unlink()
                if entry.suffix == ".o":
                    for shared in self.entries(".so"):
                        shared.unlink()
                self.assertEqual(self.compiled(), first)
                self.assertEqual(entry.read_bytes(), whole)

    def test_at_the_same_time(self):
        env = {**os.environ, "PEFT_CACHE": str(self.here / "cache")}
        commands = [subprocess.Popen([PEFTC, "s.peft", "-m", self.model, "-o", f"out{index}"], cwd=self.here, env=env) for index in range(4)]
        self.assertEqual([command.wait() for command in commands], [0] * 4)
        self.assertEqual(len({(self.here / f"out{index}").read_bytes() for index in range(4)}), 1)
        self.assertFalse(list((self.here / "cache").rglob("*.new-*")))

    def test_old_entries_go(self):
        self.compiled()
        folder = self.entries(".bundle")[0].parent
        for index in range(4200):
            entry = folder / f"{index:04d}.so"
            entry.write_bytes(b"old")
            os.utime(entry, (time.time() - 10_000 + index,) * 2)
        self.compiled("two", "--set", "rank=2")
        left = {entry.name for entry in folder.iterdir()}
        self.assertLess(len(left), 2500)
        self.assertIn("4199.so", left)
        self.assertNotIn("0000.so", left)


if __name__ == "__main__":
    unittest.main()
