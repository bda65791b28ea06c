"""examples/05-search/run --quick: four studies, a program and a front of each, the best ones trained again to the loss that they were chosen by, and a table. Run again it has nothing to
search."""
import csv
import json
import os
import pathlib
import re
import tempfile
import unittest

from commands import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "examples/05-search/run"
SPACES = ("hybrid", "lora", "adapter", "prefix")
PEFTC = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin/peftc"


class SearchExample(unittest.TestCase):
    def test_layout(self):
        for name in SPACES:
            run(PEFTC, "fmt", "--check", RUN.parent / f"{name}.peft")
            run(PEFTC, "check", RUN.parent / f"{name}.peft")

    def test_single_spaces_are_parts_of_the_hybrid(self):
        """What is compared is the same but for what is attached."""
        hybrid, *singles = ({choice["name"]: choice["values"] for choice in json.loads(run(PEFTC, RUN.parent / f"{name}.peft", "--emit=space"))["choices"]} for name in SPACES)
        for single in singles:
            self.assertLessEqual(single.items(), hybrid.items())
        self.assertEqual({name for single in singles for name in single} | {"lora", "prefix", "serial_adapter"}, set(hybrid))

    def test_quick(self):
        with tempfile.TemporaryDirectory() as name:
            out = pathlib.Path(name) / "out"
            said = run(RUN, "--quick", "--trials", "2", "--out", out)
            table = re.findall(r"^\| (\w+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", said, re.M)
            self.assertEqual([row[0] for row in table], list(SPACES))
            for space, params, loss, unseen, accuracy in table:
                with open(out / f"{space}.study/trials.csv", newline="") as file:
                    rows = list(csv.DictReader(file))
                self.assertEqual(len(rows), 2)
                self.assertEqual(f"{min(float(row['loss']) for row in rows if row['loss']):.4f}", loss)
                again = json.loads(run(out / space, "eval", out / f"{space}.run", "--data", out / "valid.jsonl", "--json"))
                self.assertAlmostEqual(again["loss"], float(loss), delta=2e-4)
                on_unseen = json.loads((out / f"{space}.unseen.json").read_text())
                self.assertEqual((f"{on_unseen['loss']:.4f}", f"{on_unseen['accuracy']:.4f}"), (unseen, accuracy))
                self.assertNotEqual(unseen, loss)
                run(PEFTC, "check", out / f"{space}.peft")
                self.assertNotIn("choose(", re.sub(r"//.*", "", (out / f"{space}.peft").read_text()))
            self.assertNotRegex(run(RUN, "--quick", "--trials", "2", "--out", out), r"(?m)^ +\d+ +\d\.\d")
            run(RUN, "--fast", code=2)


if __name__ == "__main__":
    os.environ.setdefault("PEFT_BUILD", str(ROOT / "build"))
    unittest.main(verbosity=2)
