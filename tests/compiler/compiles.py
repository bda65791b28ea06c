"""For tests of the command `peftc`: a scratch folder with a tiny checkpoint, and what a refusal must be."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import tiny_bert

ROOT = pathlib.Path(__file__).resolve().parents[2]

PEFTC = os.path.join(os.environ["PEFT_BUILD"], "bin/peftc")
HEAD = "use peft.methods.{lora, prefix, serial_adapter, prompt}\nmodel base = bert\ntask classify(labels = 2)\n"
GOOD = HEAD + "attach lora(r = 2) to layers[*].attention.q\noptimize adamw(lr = 1e-3)\n"
CRASHES = ("internal error", "terminate called", "what():", "Stack dump", "std::", "nlohmann", "Assertion", "Traceback")


class CompilerTest(unittest.TestCase):
    """`cls.model` is a checkpoint; tests run in a fresh folder `self.here`, which is the working directory of every command."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.model = cls.scratch.name + "/model"
        tiny_bert.make(cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp(dir=self.scratch.name))

    def write(self, name, content):
        (self.here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def checkpoint(self, name="broken"):
        """A copy of the checkpoint, to break."""
        shutil.rmtree(self.here / name, ignore_errors=True)
        shutil.copytree(self.model, self.here / name)
        return self.here / name

    def tree(self):
        """Every path below the test's folder with its bytes' hash."""
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in self.here.rglob("*")}

    def peftc(self, *words, code=0, **options):
        done = subprocess.run([PEFTC, *map(str, words)], capture_output=True, cwd=self.here, timeout=60, **options)
        said = (done.stdout + done.stderr).decode(errors="backslashreplace")
        for crash in CRASHES:
            self.assertNotIn(crash, said, words)
        self.assertEqual(done.returncode, code, f"{words}\n{said}")
        return done.stdout.decode(errors="backslashreplace"), done.stderr.decode(errors="backslashreplace")

    def refused(self, error, texts, *words, **options):
        """Exit code 1, one message with the code, the texts in it, and every file as it was."""
        before = self.tree()
        out, said = self.peftc(*words, code=1, **options)
        self.assertEqual(out, "")
        self.assertEqual(said[:14], f"error[{error}]: ", said)
        self.assertEqual(said.count("error["), 1, said)
        for text in [texts] if isinstance(texts, str) else texts:
            self.assertIn(text, said)
        self.assertEqual(self.tree(), before, f"{words}: a refusal changed files")
        return said

    def usage(self, texts, *words):
        """Exit code 2, and the texts."""
        before = self.tree()
        out, said = self.peftc(*words, code=2)
        self.assertEqual(out, "")
        for text in [texts] if isinstance(texts, str) else texts:
            self.assertIn(text, said)
        self.assertNotIn("error", said)
        self.assertEqual(self.tree(), before)

    def messages(self, *words):
        """What `--diag-format=json` says."""
        out, said = self.peftc(*words, "--diag-format=json", code=1)
        self.assertEqual(said, "")
        return json.loads(out)
