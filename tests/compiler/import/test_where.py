"""Conditions on sites: their kind, name, path, index, and what they lie in."""
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

PROGRAM = """method m on %s { param a: [d] = ones; y <- y * a }
model base = bert
task classify(labels = 3)
attach m to %s
optimize sgd(lr = 1e-3)
"""


class Where(CompilerTest):
    def sites(self, selector, kind="layer"):
        self.write("spec.peft", PROGRAM % (kind, selector))
        out, _ = self.peftc("spec.peft", "--model", self.model, "--emit=sites")
        return re.findall(r'"([^"]+)"', re.search(r"peft\.attach .* sites \[(.*)\]", out)[1])

    def test_index(self):
        self.assertEqual(self.sites("layers[*] where index > 0"), ["layers.1"])
        self.assertEqual(self.sites("layers[*].** where kind == layer and layer.index == 0"), ["layers.0"])
        self.assertEqual(self.sites("layers[*].** where kind == sublayer and layer.index == 1 and name == \"ffn\"", "sublayer"), ["layers.1.ffn"])
        self.assertEqual(self.sites("layers[*] where layer.index == layer.count - 1"), ["layers.1"])

    def test_what_is_in_no_list_meets_no_condition_on_an_index(self):
        self.assertEqual(self.sites("** where kind == layer and index >= 0"), ["layers.0", "layers.1"])
        self.assertEqual(self.sites("** where index == 1 and kind == layer"), ["layers.1"])

    def test_nothing_left(self):
        self.write("spec.peft", PROGRAM % ("layer", "layers[*] where index > 7"))
        self.refused("E0401", "nothing is left of this", "spec.peft", "--model", self.model, "-o", "trainer")


if __name__ == "__main__":
    unittest.main(verbosity=1)
