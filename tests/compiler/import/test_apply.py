"""A method that is applied to a value (`part(y)`): what it may be, and what is said when it may not."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/compiler"))
import tiny_bert  # noqa: E402

PEFTC = pathlib.Path(os.environ["PEFT_BUILD"]) / "bin/peftc"
PROGRAM = """use peft.methods.{lora, dora, ia3, prefix, bitfit}

method half(part: method on %(kind)s) on %(kind)s {
  %(point)s <- 0.5 * (%(point)s + part(%(point)s))
}

model base = bert
task classify(labels = 3)
attach half(%(part)s) to layers[*].attention%(place)s
optimize adamw(lr = 1e-3)
"""


class Apply(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.model = cls.scratch.name + "/model"
        tiny_bert.make(cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def compile(self, part, kind="linear", point="y", place=".q"):
        spec = pathlib.Path(self.scratch.name) / "spec.peft"
        spec.write_text(PROGRAM % dict(part=part, kind=kind, point=point, place=place))
        done = subprocess.run([PEFTC, spec, "--model", self.model, "-o", self.scratch.name + "/trainer"], capture_output=True, text=True)
        return done.returncode, done.stderr

    def refused(self, texts, *words, **options):
        code, said = self.compile(*words, **options)
        self.assertEqual(code, 1, said)
        for text in texts:
            self.assertIn(text, said)
        self.assertEqual(said.count("error["), 1, said)

    def test_point_of_its_own(self):
        for part, point in (("lora(r = 2)", "y"), ("ia3", "y"), ("dora(r = 2)", "W")):
            with self.subTest(part):
                self.assertEqual(self.compile(part, point=point), (0, ""))

    def test_another_point(self):
        self.refused(["E0350", "`dora` rewires `W`", "[24, 24]", "[seq, 24]"], "dora(r = 2)")

    def test_no_point(self):
        self.refused(["E0350", "`bitfit` rewires nothing"], "bitfit")

    def test_several_points(self):
        self.refused(["E0350", "one point", "`v`", "`k`"], "prefix(n = 2)", kind="attention", point="k", place="")


if __name__ == "__main__":
    unittest.main(verbosity=2)
