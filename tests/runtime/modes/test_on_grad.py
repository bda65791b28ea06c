#!/usr/bin/env python3
"""`on grad`: gradients of a whole step are replaced behind accumulation and before clipping, each attach's own, and nothing else changes."""
import json
import os
import sys
import unittest

import torch
from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compiled

SPEC = """%(methods)s
model base = bert
task classify(labels = 3)
%(attach)s
train head
optimize %(optimizer)s
run { epochs = 1, batch = 8, max_length = 24, base_dropout = 0, clip = %(clip)s }
"""
SCALED = """method scaled(k: real) on linear {
  param v: [out] = zeros
  shared param c: [out] = zeros
  y <- y + v + c
  on grad { grad(v) <- k * grad(v); grad(c) <- 3 * grad(c) }
}
"""
UNEVEN = """method uneven(r: rank = 4) on linear {
  param A: [r, in] = kaiming_uniform(a = sqrt(5))
  param B: [out, r] = zeros
  sample kept ~ bernoulli(0.7, [out]) per step
  y <- y + (x @ A.T) @ B.T
  on grad {
    grad(B) <- kept[:, None] * sign(grad(B)) * sqrt(abs(grad(B)) + 1e-3 * mean(abs(grad(B)))) + lr * W[:, :r] * (1 - step / steps)
    grad(A) <- inverse(B.T @ B + 0.1 * eye_of(A)) @ grad(A) * bernoulli(0.5, like = A)
  }
}
fn eye_of(A) = one_hot(index(A, axis = 0), size(A, axis = 0))
"""


class OnGrad(compiled.TrainerTest):
    def subject(self, name, attach, methods="", optimizer="sgd(lr = 0.1)", clip=0):
        text = SPEC % dict(methods=methods, attach=attach, optimizer=optimizer, clip=clip)
        return self.compile(name, spec=text.replace("%", "%%") + "// %d\n")

    def trained(self, program, run, *words, data=None):
        """What a run ends with."""
        self.trainer("train", "--data", data or self.train_rows, "--out", self.path(run), "--overwrite", "--set", "run.shuffle=false", *words, program=program)
        return load_file(self.path(run + "/last/adapter.safetensors"))

    def one_step(self, program, run):
        """(gradients of the loss, how far the parameters moved) of the first eight rows."""
        rows = self.path("eight.jsonl")
        with open(self.train_rows) as source, open(rows, "w") as target:
            target.writelines(source.readlines()[:8])
        self.trainer("inspect", "--data", rows, "--out", self.path(run + ".inspected"), program=program)
        gradients = {name[5:]: value for name, value in load_file(self.path(run + ".inspected")).items() if name.startswith("grad.")}
        return gradients, self.trained(program, run, data=rows)

    def same(self, ours, theirs, tolerance):
        self.assertEqual(set(ours), set(theirs))
        for name, value in theirs.items():
            self.assertLessEqual((ours[name] - value).abs().max().item(), tolerance * value.abs().max().item() + 1e-9, name)

    def test_two_attaches_and_what_is_shared(self):
        """Each replaces its own, at one site as at two; a parameter that sites share is replaced once; the head's stay the loss's, and so does what `inspect` writes."""
        program = self.subject("two", "attach scaled(k = 2) to layers[*].attention.q as a\nattach scaled(k = -0.5) to layers[0].attention.{q, v} as b", SCALED)
        gradients, moved = self.one_step(program, "two.run")
        checked = 0
        for name, value in moved.items():
            if name.startswith("head."):
                continue  # it starts elsewhere
            factor = 3 if name in ("a.c", "b.c") else 2 if ".a." in name else -0.5
            self.assertGreater(gradients[name].abs().max().item(), 1e-6, name)
            self.same({name: value}, {name: -0.1 * factor * gradients[name]}, 1e-4)
            checked += 1
        self.assertEqual(checked, 2 + 2 + 2)
        plain = self.subject("plain", "attach scaled(k = 2) to layers[*].attention.q as a\nattach scaled(k = -0.5) to layers[0].attention.{q, v} as b", SCALED.split("  on grad")[0] + "}\n")
        others, _ = self.one_step(plain, "plain.run")
        self.same(gradients, others, 1e-6)
        head = self.trained(plain, "plain.run", data=self.path("eight.jsonl"))["head.classifier.W"]
        self.assertTrue(torch.equal(head, moved["head.classifier.W"]), "what is not replaced moves as it would")

    def test_masked_entries_stay(self):
        masked = """method masked on linear {
  param B: [out, in] = zeros
  y <- y + x @ B.T
  on grad { grad(B) <- where(index(B, axis = 0)[:, None] < 5, grad(B), 0) }
}
"""
        end = self.trained(self.subject("masked", "attach masked to layers[*].attention.q", masked, "adamw(lr = 1e-2)"), "masked.run")
        for layer in range(2):
            B = end[f"layers.{layer}.attention.q.masked.B"]
            self.assertTrue((B[5:] == 0).all())
            self.assertGreater(B[:5].abs().min(), 0)

    def test_accumulated(self):
        """Four batches of two are a batch of eight: `on grad`, which is not linear, sees the whole gradient."""
        program = self.subject("accumulated", "attach uneven to layers[*].attention.{q, v}", UNEVEN)
        whole = self.trained(program, "whole", "--batch", "8", "--accumulate", "1")
        parts = self.trained(program, "parts", "--batch", "2", "--accumulate", "4")
        self.same(parts, whole, 1e-3)
        self.assertGreater(whole["layers.0.attention.q.uneven.B"].abs().max(), 0.01)

    def test_what_a_step_does_not_reach(self):
        """A parameter that the loss never reads has a gradient of zeros, and so has one in a step that does not draw it: what is made of them holds, and nothing else."""
        text = """method now_and_then on linear {
  param v: [out] = zeros
  param unread: [out] = zeros
  sample drawn ~ bernoulli(0.5, [1]) per step
  y <- y + drawn * v
  on grad { grad(v) <- 2 * grad(v); grad(unread) <- grad(unread) + drawn }
}
"""
        program = self.subject("drawn", "attach now_and_then to layers[0].attention.q", text)
        moved, still, before = 0, 0, {"v": torch.zeros(24), "unread": torch.zeros(24)}
        for step in range(1, 9):
            end = self.trained(program, "drawn.run", "--limit-steps", str(step))
            now = {name: end[f"layers.0.attention.q.now_and_then.{name}"] for name in before}
            change, before = {name: now[name] - before[name] for name in before}, now
            drawn = bool((change["unread"] != 0).all())
            self.assertLess((change["unread"] + 0.1 * drawn).abs().max(), 1e-6)
            self.assertEqual(drawn, bool((change["v"] != 0).any()))
            moved, still = moved + drawn, still + (not drawn)
        self.assertTrue(moved and still, (moved, still))

    def test_clipped_behind_it(self):
        loud = SCALED.replace("y <- y + v + c", "y <- y + v + 0 * c").replace("k * grad(v)", "10000 * k * grad(v)")
        program = self.subject("loud", "attach scaled(k = 2) to layers[0].attention.q", loud, clip=0.25)
        gradients, moved = self.one_step(program, "loud.run")
        v = moved["layers.0.attention.q.scaled.v"]
        self.assertGreater(20000 * gradients["layers.0.attention.q.scaled.v"].norm(), 25)
        self.assertAlmostEqual(v.norm().item() / (0.1 * 0.25), 1, delta=1e-3)
        with open(self.path("loud.run/metrics.jsonl")) as file:
            self.assertGreater(json.loads(file.readline())["grad_norm"], 25)

    def test_rate_of_the_group(self):
        text = SCALED.replace("k * grad(v)", "ones(like = v) * lr * (step + 1)").replace("3 * grad(c)", "0 * c + lr")
        program = self.subject("rate", "attach scaled(k = 2) to layers[0].attention.q", text, "sgd(lr = 0.1) {\n  schedule constant(warmup = 50%)\n  group lr = 0.5 for layers[0].attention.q\n}")
        moved = self.trained(program, "rate.run", "--limit-steps", "2")  # of 20 steps: 10 of warm-up
        v, c = moved["layers.0.attention.q.scaled.v"], moved["scaled.c"]
        self.assertLess((v + 0.5 ** 2 * (0.1 ** 2 + 2 * 0.2 ** 2)).abs().max(), 1e-6)
        self.assertLess((c + 0.1 ** 2 * (0.1 ** 2 + 0.2 ** 2)).abs().max(), 1e-6)

    def test_reference_and_resume(self):
        program = self.subject("uneven", "attach uneven to layers[*].attention.{q, v}\nattach lora_fa(r = 2) to layers[1].ffn.up", "use peft.methods.{lora_fa}\n" + UNEVEN,
                               "adamw(lr = 1e-2) {\n  schedule linear(warmup = 10%)\n}", clip=1)
        few = ["--limit-steps", "4"]
        self.same(self.trained(program, "compiled", *few), self.trained(program, "reference", "--reference", *few), 2e-3)
        whole = self.trained(program, "steady")
        self.trained(program, "stopped", "--limit-steps", "7")
        self.trainer("train", "--out", self.path("stopped"), "--resume", program=program)
        resumed = load_file(self.path("stopped/last/adapter.safetensors"))
        self.assertEqual(set(whole), set(resumed))
        for name, value in whole.items():
            self.assertTrue(torch.equal(value, resumed[name]), name)

    def test_frozen_numbers_are_worked_out_once(self):
        """Large enough, an inverse of what is frozen is made before the first step; it is the same numbers."""
        model = self.path("wide")
        compiled.tiny_bert.make(model, intermediate_size=128)
        compiled.write_tokenizer(model)
        text = SPEC % dict(methods="use peft.methods.{lora_fa}", attach="attach lora_fa(r = 16) to layers[*].ffn.down", optimizer="adamw(lr = 1e-2)", clip=0)
        program = self.compile("wide.trainer", spec=text + "// %d\n", model=model)
        with open(self.path("wide.trainer.bundle/programs.json")) as file:
            made = {each["name"]: {op["op"] for op in each["ops"]} for each in json.load(file)["programs"]}
        self.assertIn("inverse", made["on_grad.constant"])
        self.assertNotIn("inverse", made["on_grad"])
        words = ["--limit-steps", "3", "--model", model]
        self.same(self.trained(program, "wide.plan", *words), self.trained(program, "wide.reference", "--reference", *words), 1e-3)

    def test_weights_that_a_method_trains(self):
        """A weight of the checkpoint is moved where the gradient is let through, and nowhere else."""
        text = "method half on linear {\n  train W\n  on grad { grad(W) <- bernoulli(0.5, like = W) * grad(W) }\n}\n"
        program = self.subject("weights", "attach half to layers[0].attention.q", text)
        gradients, moved = self.one_step(program, "weights.run")
        name = "layers.0.attention.q.W"
        before = load_file(self.path("model/model.safetensors"))
        change = moved[name] - next(value for key, value in before.items() if key.endswith("layer.0.attention.self.query.weight"))
        share = (change == 0).float().mean().item()
        self.assertTrue(0.3 < share < 0.7, share)
        self.same({name: change[change != 0]}, {name: -0.1 * gradients[name][change != 0]}, 1e-2)

    def test_what_is_not_finite(self):
        """A matrix without an inverse ends the run with the parameter's name, and nothing has moved."""
        text = SCALED.replace("k * grad(v)", "grad(v) * sum(inverse(v[:, None] * v), axis = 0)")
        program = self.subject("singular", "attach scaled(k = 2) to layers[0].attention.q", text)
        for words in ([], ["--reference"]):
            done = self.run_trainer("train", "--data", self.train_rows, "--out", self.path("singular.run"), "--overwrite", *words, program=program)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("error[R0201]: the gradient of `layers.0.attention.q.scaled.v` is not finite at step 1", done.stderr)


if __name__ == "__main__":
    unittest.main()
