"""A method that is applied to a value (`part(y)`): what it may be, and what is said when it may not."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

PROGRAM = """use peft.methods.{lora, dora, ia3, prefix, bitfit}

method half(part: method on %(kind)s) on %(kind)s {
  %(point)s <- 0.5 * (%(point)s + part(%(point)s))
}

model base = bert
task classify(labels = 3)
attach half(%(part)s) to layers[*].attention%(place)s
optimize adamw(lr = 1e-3)
"""


class Apply(CompilerTest):
    def compile(self, part, kind="linear", point="y", place=".q"):
        self.write("spec.peft", PROGRAM % dict(part=part, kind=kind, point=point, place=place))
        return ["spec.peft", "--model", self.model, "-o", "trainer"]

    def refuses(self, texts, *words, **options):
        self.refused(texts[0], texts[1:], *self.compile(*words, **options))

    def test_point_of_its_own(self):
        for part, point in (("lora(r = 2)", "y"), ("ia3", "y"), ("dora(r = 2)", "W")):
            with self.subTest(part):
                self.assertEqual(self.peftc(*self.compile(part, point=point)), ("", ""))

    def test_another_point(self):
        self.refuses(["E0350", "`dora` rewires `W`", "[24, 24]", "[seq, 24]"], "dora(r = 2)")

    def test_no_point(self):
        self.refuses(["E0350", "`bitfit` rewires nothing"], "bitfit")

    def test_several_points(self):
        self.refuses(["E0350", "one point", "`v`", "`k`"], "prefix(n = 2)", kind="attention", point="k", place="")


if __name__ == "__main__":
    unittest.main(verbosity=2)
