"""What the phases make of each construct of the language: specs/NAME.peft beside its specs/NAME.PHASE.golden.

A program says what of it is kept: `// EMIT: PHASE` all of that phase's text, `// EMIT: PHASE WORD…` only the module's operations that
one of the words (shell patterns) names by kind (`peft.attach`), by symbol (`layers.0.attention.q`) or, for `module`, the module's own
attributes. `PEFT_UPDATE_GOLDEN=1` writes the goldens anew: read the difference before you commit it.
"""
import difflib
import fnmatch
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest

PEFTC = os.path.join(os.environ["PEFT_BUILD"], "bin/peftc")
SPECS = pathlib.Path(__file__).resolve().parent / "specs"
UPDATE = os.environ.get("PEFT_UPDATE_GOLDEN") == "1"
PHASES = ("ast", "spec", "peft", "sites", "nn", "plan")


def checkpoint(folder):
    """A checkpoint of the architecture in specs/tiny.peft: 2 layers, 4 wide. Only its headers matter."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(model_type="tiny", d=4, heads=2, vocab=7, layers=2)))
    shapes = {"embed.weight": [7, 4]}
    for i in range(2):
        shapes |= {f"layers.{i}.attention.{name}": shape for name, shape in (("q.weight", [4, 4]), ("v.weight", [4, 4]), ("v.bias", [4]))}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * shape[0] * (shape + [1])[1]
        header[name] = dict(dtype="F32", shape=shape, data_offsets=[begin, end])
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def emitted(spec, phase, model):
    done = subprocess.run([PEFTC, spec, "--model", model, f"--emit={phase}"], cwd=SPECS, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else f"exit code {done.returncode}\n{done.stderr}"


def only(text, words):
    """The operations of a module's text that the words name; every word names one."""
    operations = re.split(r"^(?=  [a-z])", text.removesuffix("}\n\n").removesuffix("}\n"), flags=re.M)  # two spaces: directly in the module
    found, kept = set(), []
    for operation in operations:
        head = re.match(r"\s*([\w.]+)(?: (?:private )?@([\w.]+))?", operation)
        names = [name for name in head.groups() if name]
        hits = {word for word in words if any(fnmatch.fnmatchcase(name, word) for name in names)}
        found |= hits
        if hits:
            kept.append(operation)
    return "".join(kept) + "".join(f"nothing is called `{word}`\n" for word in words if word not in found)


class Golden(unittest.TestCase):
    maxDiff = None

    def test_goldens(self):
        specs = sorted(path for path in SPECS.glob("*.peft") if path.name != "tiny.peft")
        self.assertGreater(len(specs), 15)
        wanted = set()
        with tempfile.TemporaryDirectory() as scratch:
            model = pathlib.Path(scratch) / "model"
            checkpoint(model)
            for spec in specs:
                emits = re.findall(r"^// EMIT: (\w+) ?(.*)$", spec.read_text(), re.M)
                with self.subTest(spec.name):
                    self.assertTrue(emits, "no `// EMIT:` line")
                    self.assertEqual(len(emits), len({phase for phase, _ in emits}), "one line a phase")
                for phase, words in emits:
                    golden = spec.with_suffix(f".{phase}.golden")
                    wanted.add(golden)
                    with self.subTest(golden.name):
                        self.assertIn(phase, PHASES)
                        self.compare(golden, emitted(spec.name, phase, model), words.split())
        stale = set(SPECS.glob("*.golden")) - wanted
        self.assertFalse(stale, "goldens that no `// EMIT:` line asks for")

    def compare(self, golden, text, words):
        self.assertFalse(text.startswith("exit code"), text)
        if words:
            text = only(text, words)
        self.assertNotIn("nothing is called", text)
        self.assertNotRegex(text, r"(?<![\w.])/\w+/", "a path of this machine")
        if UPDATE:
            golden.write_text(text)
        before = golden.read_text() if golden.exists() else ""
        if before != text:
            self.fail("".join(difflib.unified_diff(before.splitlines(True), text.splitlines(True), golden.name, "now")))

    def test_the_filter(self):
        text = 'module attributes {a = 1} {\n  peft.attach 0 "m"\n  func.func @f(%x) {\n    return\n  }\n  func.func @g.0() {\n  }\n}\n'
        self.assertEqual(only(text, ["f"]), "  func.func @f(%x) {\n    return\n  }\n")
        self.assertEqual(only(text, ["peft.attach", "module"]), 'module attributes {a = 1} {\n  peft.attach 0 "m"\n')
        self.assertEqual(only(text, ["g.*"]), "  func.func @g.0() {\n  }\n")
        self.assertIn("nothing is called `h`", only(text, ["f", "h"]))

    def test_small(self):
        lines = sum(path.read_text().count("\n") for path in SPECS.glob("*.golden"))
        self.assertLess(lines, 2500, "who shall read so many lines?")


if __name__ == "__main__":
    unittest.main(verbosity=1)
