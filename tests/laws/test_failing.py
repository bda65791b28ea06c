#!/usr/bin/env python3
"""A law that cannot fail says nothing: each is shown to, on a false claim or a bundle that was tampered with."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from laws import DECODER, LAWS, RUNNER, STDLIB, LawsTest, laws


class Failing(LawsTest):
    def broken_law(self, bundle, law):
        done = subprocess.run([RUNNER, "--bundle", bundle, "laws", "--json", "--only", law], capture_output=True, text=True, timeout=300)
        line = json.loads(done.stdout)
        self.assertEqual((line["verdict"], done.returncode), ("FAIL", 1), line)
        return line["detail"]

    def test_a_false_claim_about_the_start(self):
        text = "method loud on linear {\n  param l: [out] = normal(1, 0.1)\n  y <- l * y\n}\n"
        answer = laws(self.write("loud.peft", text), "--stdlib", STDLIB)
        self.assertEqual({line["law"]: line["verdict"] for line in answer.lines}, {law: {"at_init": "FAIL", "decode": "none"}.get(law, "pass") for law in LAWS})
        self.assertEqual(answer.code, 1)

    def test_tampered_bundles_are_found_out(self):
        spec = self.write("spec.peft", "use peft.methods.{lora, dora, lora_fa}\nmodel base = bert\ntask classify(labels = 16)\nattach lora to layers[0].attention.{q, k}\n"
                                       "attach dora to layers[1].ffn.up\nattach lora_fa(r = 2) to layers[1].attention.{q, k}\ntrain head\noptimize adamw(lr = 1e-2)\nrun { epochs = 1, batch = 2, max_length = 8 }\n")
        answer = laws(spec, "--stdlib", STDLIB, "--keep", self.path("kept"))
        self.assertEqual(answer.code, 0, f"{answer.lines}\n{answer.said}")
        bundle = self.path("kept/spec.peft/bundle")
        gradients = self.tampered(bundle, "programs.json", swap("train_step", "grad.layers.0.attention.q.lora.A", "grad.layers.0.attention.k.lora.A"))
        self.assertIn("lora.A", self.broken_law(gradients, "gradient"))
        self.assertIn("lora.A", self.broken_law(gradients, "plan"))
        unpinned = self.tampered(bundle, "programs.json", rename_op("train_step", "stop_grad", "squeeze"))
        self.assertIn("dora", self.broken_law(unpinned, "gradient"))  # a constant that the gradient took for one, and now moves
        merged = self.tampered(bundle, "programs.json", swap("merge", "layers.0.attention.q.W", "layers.0.attention.k.W"))
        self.assertIn("logits", self.broken_law(merged, "merge"))
        replaced = self.tampered(bundle, "programs.json", swap("on_grad", "grad.layers.1.attention.q.lora_fa.B", "grad.layers.1.attention.k.lora_fa.B"))
        self.assertIn("on_grad grad.layers.1.attention", self.broken_law(replaced, "plan"))
        plan = self.tampered(bundle, "plan.json", swap_results("optimizer.0"))
        self.assertIn("optimizer.0", self.broken_law(plan, "plan"))
        text = DECODER.replace("attach prefix", "attach ia3 to layers[*].attention.{k, v}\nattach prefix").replace("{lora, prefix}", "{lora, ia3, prefix}")
        answer = laws(self.write("writes.peft", text), "--stdlib", STDLIB, "--keep", self.path("writes"))
        self.assertEqual(answer.code, 0, answer.said)
        kept = self.tampered(self.path("writes/writes.peft/bundle"), "plan.json", swap("prefill", "cache.0", "cache.1"))
        self.assertIn("next", self.broken_law(kept, "decode"))
        lost = self.tampered(bundle, "manifest.json", forget_offset)
        self.assertIn("flat buffer", self.broken_law(lost, "step"))

    def test_what_later_tokens_change_is_not_kept(self):
        text = "method look on layer {\n  at_init changes(\"the text's mean is added\")\n  param w: [d] = ones\n  y <- y + w * mean(x, axis = 0, keep = true)\n}\n"
        text += DECODER.replace("attach lora(r = 2) to layers[*].** where kind == linear", "attach look to layers[0]").replace("attach prefix(n = 2) to layers[1].attention where kind == attention\n", "")
        answer = laws(self.write("look.peft", text), "--stdlib", STDLIB)
        self.assertEqual(answer.code, 0, f"{answer.lines}\n{answer.said}")
        found = next(line for line in answer.lines if line["law"] == "decode")
        self.assertTrue(found["verdict"] == "none" and "earlier ones" in found["detail"], found)

    def tampered(self, bundle, section, change):
        folder = tempfile.mkdtemp(dir=self.scratch.name)
        shutil.copytree(os.path.join(bundle, "kernels"), os.path.join(folder, "kernels"))
        for name in os.listdir(bundle):
            if name == "kernels":
                continue
            with open(os.path.join(bundle, name)) as file:
                text = file.read()
            if name == section:
                content = json.loads(text)
                change(content)
                self.assertNotEqual(json.loads(text), content)
                text = json.dumps(content)
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        return folder


def program(content, name):
    return next(each for each in content["programs"] if each["name"] == name)


def swap(name, left, right):
    def change(content):
        results = {result["name"]: result for result in program(content, name)["results"]}
        results[left]["value"], results[right]["value"] = results[right]["value"], results[left]["value"]
    return change


def rename_op(name, old, new):
    def change(content):
        for op in program(content, name)["ops"]:
            op["op"] = new if op["op"] == old else op["op"]
    return change


def swap_results(name):
    """The optimizer's kernel writes one vector where another belongs."""
    def change(content):
        kernel = next(step for step in program(content, name)["steps"] if step["kind"] == "kernel")
        kernel["out"][0], kernel["out"][1] = kernel["out"][1], kernel["out"][0]
    return change


def forget_offset(manifest):
    trained = [parameter for parameter in manifest["parameters"] if parameter["trainable"] and parameter["name"].endswith("lora.A")]
    trained[1]["offset"] = trained[0]["offset"]


if __name__ == "__main__":
    unittest.main()
