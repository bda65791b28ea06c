"""Who shares a parameter: each site its own, `shared` one for the attach, `shared per layer`, one that the program declares."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

PROGRAM = """%s
model base = bert
task classify(labels = 3)
%s
optimize adamw(lr = 1e-3)
"""


class Sharing(CompilerTest):
    def parameters(self, declarations, attaches="attach m to layers[*].attention.{q, k}"):
        """Names of what is trained besides the head, with shapes, after all laws held."""
        self.write("spec.peft", PROGRAM % (declarations, attaches))
        self.peftc("spec.peft", "--model", self.model, "-o", "trainer")
        told = subprocess.run([self.here / "trainer", "info", "--json"], capture_output=True, text=True, check=True).stdout
        laws = subprocess.run([self.here / "trainer", "laws"], capture_output=True, text=True)
        self.assertEqual(laws.returncode, 0, laws.stdout + laws.stderr)
        return {p["name"]: p["shape"] for p in json.loads(told)["parameters"] if p["trainable"] and not p["name"].startswith("head.")}

    def refuses(self, error, texts, declarations, attaches):
        self.write("spec.peft", PROGRAM % (declarations, attaches))
        self.refused(error, texts, "spec.peft", "--model", self.model, "-o", "trainer")

    def test_each_site_its_own(self):
        self.assertEqual(self.parameters("method m on linear { param a: [out] = ones; y <- y * a }"),
                         {f"layers.{i}.attention.{w}.m.a": [24] for i in range(2) for w in "qk"})

    def test_one_for_the_attach(self):
        self.assertEqual(self.parameters("method m on linear { shared param a: [out] = ones; y <- y * a }"), {"m.a": [24]})
        self.assertEqual(self.parameters("method m on linear { shared per model param a: [out] = ones; y <- y * a }"), {"m.a": [24]})

    def test_one_a_layer(self):
        self.assertEqual(self.parameters("method m on linear { shared per layer param a: [out] = ones; y <- y * a }"),
                         {f"layers.{i}.m.a": [24] for i in range(2)})

    def test_one_a_weight(self):
        """Sites that have a weight in common share: `shared per W` is each linear layer's own, and one for a head and the embedding that it is tied to."""
        self.assertEqual(self.parameters("method m on linear { shared per W param a: [out] = ones; y <- y * a }"),
                         {f"layers.{i}.attention.{w}.m.a": [24] for i in range(2) for w in "qk"})

    def test_unlike_sites(self):
        everywhere = "attach m to layers[*].ffn.** where kind == linear"
        own = {f"layers.{i}.ffn.{w}.m.B": [n, 2] for i in range(2) for w, n in (("up", 36), ("down", 24))}
        self.assertEqual(self.parameters("method m on linear { shared param A: [2, max(in)] = normal(0, 1); param B: [out, 2] = zeros\n"
                                         "  y <- y + x @ A[:, :in].T @ B.T }", everywhere), {"m.A": [2, 36], **own})
        self.refuses("E0350", ["`m.A` is shared and has shape [2, 24], at `layers.0.ffn.down` it would be [2, 36]", ":1:38", "max(in)"],
                     "method m on linear { shared param A: [2, in] = normal(0, 1); param B: [out, 2] = zeros; y <- y + x @ A.T @ B.T }", everywhere)

    def test_no_such_owner(self):
        self.refuses("E0403", "`layers.0.ffn.norm` has no `attention`", "method m on norm { shared per attention param a: [d] = ones; y <- y * a }",
                     "attach m to layers[*].ffn.norm")

    def test_declared_by_the_program(self):
        self.assertEqual(self.parameters("param A: [2, d] = normal(0, 0.02)\nmethod m(p) on linear { param B: [out, 2] = zeros; y <- y + x @ p.T @ B.T }",
                                         "attach m(A) to layers[0].attention.q\nattach m(A) to layers[1].attention.k as other"),
                         {"A": [2, 24], "layers.0.attention.q.m.B": [24, 2], "layers.1.attention.k.other.B": [24, 2]})


if __name__ == "__main__":
    unittest.main(verbosity=1)
