"""`on grad`: what of it shows only at a site, and which program comes of it."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

PROGRAM = """use peft.methods.{lora, lora_fa}

method m(n: int = 1) on linear {
  param v: [out] = ones
  shared param c: [out] = ones
  frozen F: [out] = normal(0, 1)
  sample z ~ bernoulli(0.5, [out]) per pass
  sample w ~ bernoulli(0.5, [out]) per step
  let t = mean(x, axis = 0) @ W.T
  y <- c * v * z * w * y
  %(body)s
}

model base = bert
task classify(labels = 3)
%(attach)s
train head
optimize %(optimizer)s
"""


class Gradients(CompilerTest):
    def compile(self, body, attach="attach m to layers[*].attention.q", optimizer="sgd(lr = 1e-3)"):
        self.write("spec.peft", PROGRAM % dict(body=body, attach=attach, optimizer=optimizer))
        return ["spec.peft", "--model", self.model, "--bundle", "bundle"]

    def refuses(self, texts, *words, **options):
        self.refused(texts[0], texts[1:], *self.compile(*words, **options))

    def program(self, *words, name="on_grad", **options):
        """(inputs, results) of the program; None if there is none."""
        self.peftc(*self.compile(*words, **options))
        for program in json.loads((self.here / "bundle/programs.json").read_text())["programs"]:
            if program["name"] == name:
                return [[value["name"] for value in program[part]] for part in ("inputs", "results")]
        return None

    def test_what_an_example_has(self):
        self.refuses(["E0359", "what is drawn in each pass", "spec.peft:11:"], "on grad { grad(v) <- grad(v) * z }")
        self.refuses(["E0359", "`x`, which each example has of its own"], "on grad { grad(v) <- grad(v) * t }")

    def test_what_has_no_gradient(self):
        self.refuses(["E0358", "`W`", "nothing trains"], "on grad { grad(W) <- grad(W) / 2 }")
        self.refuses(["E0358", "`F`"], "on grad { grad(v) <- grad(F) }")
        self.refuses(["E0358", "`n`"], "on grad { grad(v) <- grad(n) * grad(v) }")
        self.refuses(["E0350", "in `on grad` only"], "loss += sum(grad(v))")
        self.refuses(["E0358", "layers.0.attention.q.m.v", "nothing trains it in this program"], "if n == 1 { freeze v }\n on grad { grad(c) <- grad(c) + grad(v) }", attach="attach m to layers[0].attention.q")

    def test_shapes_at_the_site(self):
        self.refuses(["E0350", "the gradient is [24], this is [12]"], "on grad { grad(v) <- grad(v)[:12] }")
        self.refuses(["E0350", "[36, 24] holds no square matrices"], "on grad { grad(v) <- sum(inverse(W), axis = 1) }", attach="attach m to layers[0].ffn.up")

    def test_twice(self):
        self.refuses(["E0206", "`grad(m.c)`", "sites share the parameter"], "on grad { grad(c) <- grad(c) + v }")
        self.refuses(["E0206", "`grad(m.c)`", "sites share the parameter"], "on grad { grad(c) <- site.index * grad(c) }")
        self.refuses(["E0206", "`grad(m.c)`", "first said here"], "if site.index == 0 { on grad { grad(c) <- 2 * grad(c) } } else { on grad { grad(c) <- 3 * grad(c) } }")
        self.refuses(["E0206", "`grad(layers.0.attention.q.W)`"], "train W\n on grad { grad(W) <- 2 * grad(W) }", attach="attach m to layers[0].attention.q as a\nattach m(n = 2) to layers[0].attention.q as b")

    def test_shared_is_replaced_once(self):
        self.assertEqual(self.program("on grad { grad(c) <- n * grad(c) * mean(c) }"), [["grad.m.c"], ["grad.m.c"]])

    def test_of_what_a_method_attaches(self):
        own = "method fixed(r: rank = 2) on linear { attach lora(r) to self as l;  freeze l.A;  on grad { grad(l.B) <- grad(%s) @ inverse(l.A @ l.A.T) } }\n"
        attach = "attach fixed to layers[0].attention.q"
        name = "grad.layers.0.attention.q.fixed.l.B"
        self.assertEqual(self.program("", attach=own % "l.B" + attach), [[name], [name]])
        self.refuses(["E0358", "`l.C`"], "", attach=own % "l.C" + attach)
        self.refuses(["E0358", "nothing trains it"], "", attach=own.replace("grad(%s) @", "grad(l.B) * sum(grad(l.A)) @") + attach)

    def test_rate(self):
        self.refuses(["E0350", "`lr`", "has none"], "on grad { grad(v) <- lr * grad(v) }", optimizer="still(rate = 1)\noptimizer still(rate: real) { p <- p - rate * g }")
        body = "on grad { grad(v) <- lr * grad(v) }"
        self.assertEqual(self.program(body, attach="attach m to layers[0].attention.q"), [["grad.layers.0.attention.q.m.v"], ["grad.layers.0.attention.q.m.v"]])
        inputs, _ = self.program(body, attach="attach m to layers[0].attention.q", optimizer="sgd(lr = 1e-3) {\n  schedule linear(warmup = 10%)\n}")
        self.assertEqual(sorted(inputs), ["grad.layers.0.attention.q.m.v", "step", "steps"])

    def test_there_is_none(self):
        """Where nobody says it, or of nothing that is trained."""
        self.assertIsNone(self.program(""))
        self.assertIsNone(self.program("if n == 1 { freeze v }\n on grad { grad(v) <- w * grad(v) }"))
        self.assertIsNone(self.program("", attach="attach lora_fa(r = 2, corrected = false) to layers[0].attention.q"))
        self.assertIsNotNone(self.program("", attach="attach lora_fa(r = 2) to layers[0].attention.q"))


if __name__ == "__main__":
    unittest.main()
