"""Sites by chance: `where … and drawn(…)` takes so many, or as many as stay within so many parameters; by a seed that is written, so the same ones each time."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

PROGRAM = """use peft.methods.{lora}
%s
model base = bert
task classify(labels = 3)
%s
optimize adamw(lr = 1e-3)
"""
LINEARS = "layers[*].** where kind == linear"


class Drawn(CompilerTest):
    def trained(self, statement, declarations=""):
        """{what is trained beside the head: how many numbers}"""
        self.write("spec.peft", PROGRAM % (declarations, statement))
        self.peftc("spec.peft", "--model", self.model, "-o", "trainer")
        told = json.loads(subprocess.run([self.here / "trainer", "info", "--json"], capture_output=True, text=True, check=True).stdout)
        sizes = {}
        for parameter in told["parameters"]:
            if parameter["trainable"] and not parameter["name"].startswith("head."):
                place = re.sub(r"(\.lora)?\.\w+$", "", parameter["name"])
                size = 1
                for length in parameter["shape"]:
                    size *= length
                sizes[place] = sizes.get(place, 0) + size
        return sizes

    def refuses(self, error, texts, statement, declarations=""):
        self.write("spec.peft", PROGRAM % (declarations, statement))
        self.refused(error, texts, "spec.peft", "--model", self.model, "-o", "trainer")

    def test_so_many(self):
        sites = self.trained(f"attach lora(r = 2) to {LINEARS} and drawn(5)")
        self.assertEqual(len(sites), 5)
        self.assertEqual(self.trained(f"attach lora(r = 2) to {LINEARS} and drawn(sites = 5, seed = 0)"), sites)
        others = [frozenset(self.trained(f"attach lora(r = 2) to {LINEARS} and drawn(5, seed = {seed})")) for seed in (1, 2, 3)]
        self.assertGreater(len({frozenset(sites), *others}), 2, "a seed changes nothing")

    def test_within(self):
        """What is taken stays within, and nothing that was left out would fit: an up or down layer has 2 (24 + 36) numbers, others 2 (24 + 24)."""
        everything = self.trained(f"attach lora(r = 2) to {LINEARS}")
        self.assertEqual(sorted(set(everything.values())), [96, 120])
        for most in (500, 96, 10 ** 6):
            taken = self.trained(f"attach lora(r = 2) to {LINEARS} and drawn(within = {most})")
            self.assertLessEqual(sum(taken.values()), most)
            left = [size for site, size in everything.items() if site not in taken]
            self.assertGreater(sum(taken.values()) + min(left, default=most + 1), most)
        base = sum(size for size in self.trained("train layers[*], embeddings, pooler").values())
        taken = sum(self.trained(f"attach lora(r = 2) to {LINEARS} and drawn(within = 2.5%)").values())
        self.assertTrue(0.025 * base - 96 < taken <= 0.025 * base, (taken, base))

    def test_weights(self):
        """Modules of the network, trained as they are."""
        taken = self.trained("train layers[*].{attention, ffn}.* where kind == linear and drawn(within = 2000)")
        self.assertTrue(0 < sum(taken.values()) <= 2000, taken)
        self.assertTrue(set(taken.values()) <= {24 * 24 + 24, 36 * 24 + 36, 36 * 24 + 24}, taken)

    def test_what_sites_share(self):
        """A parameter that all sites have in common counts once."""
        shared = "method m on linear { shared param A: [5, max(in)] = normal(0, 1); param B: [out, 5] = zeros; y <- y + x @ A[:, :in].T @ B.T }"
        taken = self.trained("attach m to layers[*].attention.{q, k, v} where drawn(within = 5 * 24 + 3 * 120)", shared)
        self.assertEqual(sorted(taken.values()), [120] * 4)

    def test_refused(self):
        cases = [("E0350", ["`drawn` takes 20 of 12 sites"], f"attach lora to {LINEARS} and drawn(20)"), ("E0350", ["`drawn` takes 0 of 12 sites"], f"attach lora to {LINEARS} and drawn(0)"),
                 ("E0401", ["of 12 sites the smallest has 96 parameters, this is 50"], f"attach lora(r = 2) to {LINEARS} and drawn(within = 50)"),
                 ("E0350", ["`drawn` wants `sites`, how many, or `within`"], f"attach lora to {LINEARS} and drawn()"),
                 ("E0350", ["`drawn` wants `sites`, how many, or `within`"], f"attach lora to {LINEARS} and drawn(3, within = 1%)"),
                 ("E0350", ["joined to others by `and`"], f"attach lora to {LINEARS} and not drawn(3)"),
                 ("E0350", ["joined to others by `and`"], f"attach lora to layers[*].** where kind == linear or drawn(3)"),
                 ("E0354", ["what is drawn within"], f"attach lora to {LINEARS} and drawn(within = \"all\")")]
        for error, texts, statement in cases:
            self.refuses(error, texts, statement)
        self.refuses("E0350", ["only an `attach` or a `train` of the program"], "attach m to layers[*]", "method m on layer { attach lora(r = 2) to attention.* where kind == linear and drawn(2) }")


if __name__ == "__main__":
    unittest.main(verbosity=1)
