#!/usr/bin/env python3
"""The laws of every method of the library, of the examples and of a user's method; and that each law can fail. Under other names: test_renaming.py."""
import glob
import json
import os
import shutil
import re
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

BIN = os.path.join(os.environ["PEFT_BUILD"], "bin")
PEFTC, RUNNER = os.path.join(BIN, "peftc"), os.path.join(BIN, "peft-runner")
STDLIB = "stdlib"
WITHOUT_DEFAULTS = {"adapter_fusion", "mole", "mixlora", "attempt_prompt"}  # three are in PROGRAMS; the last starts from a file: tests/oracle/test_methods.py
LAWS = ["at_init", "gradient", "plan", "merge", "decode", "save", "step", "resume"]

USERS_METHOD = """
/// A gate on the input of an affine map and a shift by a tanh of noise-free features.  Does not merge.
method squashed(k: rank = 4, strength: real = 1) on linear {
  param gate: [in] = ones
  param P: [k, in] = normal(0, 0.5)
  param Q: [out, k] = zeros
  let s = stop_grad(row_norm(Q)) + 1
  x <- gate * x
  y <- y + strength * (tanh(drop(x, 0.2) @ P.T) @ Q.T) / s
}
/// A factor on the weight's rows.  Merges.
method rescale on linear {
  param f: [out] = ones
  W <- f[:, None] * W
}
"""

DECODER = """use peft.methods.{lora, prefix}

model base = llama
task causal_lm
attach lora(r = 2) to layers[*].** where kind == linear
attach prefix(n = 2) to layers[1].attention where kind == attention
optimize adamw(lr = 1e-2)
run { epochs = 2, batch = 2, max_length = 8 }
"""

# Arguments, tasks, optimizers, schedules and combinations that no default reaches: (what is used, the program's own lines).
PROGRAMS = {
    "dropout and rank scaling": ("lora", "task classify(labels = 16)\nattach lora(dropout = 0.3, rs = true, alpha = 3) to layers[*].** where kind == linear\ntrain head"),
    "one site twice": ("lora, ia3", "task classify(labels = 5)\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach ia3 to layers[*].attention.{q, k}\n"
                                    "attach lora(r = 3) to layers[*].attention.q\ntrain head"),
    "weight and output": ("dora, lora", "task regress\nattach dora(r = 4) to layers[*].ffn.{up, down}\nattach lora(r = 4) to layers[*].ffn.down\ntrain head"),
    "reparameterised prefix": ("prefix", "task classify(labels = 3)\nattach prefix(n = 3, hidden = 12, strength = 0.5) to layers[*].attention where kind == attention\ntrain head"),
    "activation by argument": ("serial_adapter, parallel_adapter", "task regress\nattach serial_adapter(reduction = 8, act = gelu, strength = 0.5) to layers[*].ffn\n"
                                                                  "attach parallel_adapter(k = 8, act = silu) to layers[*].attention where kind == sublayer\ntrain head"),
    "prompt and prefix": ("prompt, prefix", "task classify(labels = 3)\nattach prompt(n = 2) to model\nattach prefix(n = 2) to layers[1].attention where kind == attention\ntrain head"),
    "norms": ("bitfit", "task classify(labels = 3)\nattach bitfit to layers[0].** where kind == linear\ntrain layers[*].**.norm.{weight, bias}\ntrain head"),
    "the site again": ("lora", "method again on linear { shared param s: [max(in)] = ones; param t: [out] = zeros; y <- base(x * s[:in]) + t * y }\n"
                               "task classify(labels = 3)\nattach lora(r = 2) to layers[*].ffn.up\nattach again to layers[*].ffn.{up, down}\ntrain head"),
    "noise of a step": ("ia3", "method noisy on linear {\n  at_init changes(\"half of it is dropped\")\n  param a: [out] = ones\n  buffer n: [out] = constant(2)\n"
                               "  sample z ~ bernoulli(0.5, [out]) per step\n  y <- y * (a + 0.1 * n) * (if training then z else 0.5)\n"
                               "  loss += 0.01 * sum(rearrange(y * a, \"s o -> (s o)\") ** 2)\n}\n"
                               "task classify(labels = 3)\nattach noisy to layers[0].attention.q\nattach ia3 to layers[*].attention.k"),
    "one for the program": ("lora", "param P: [2, d] = normal(0, 0.3)\nmethod m(p) on linear { shared per layer param c: [2] = ones; param B: [out, 2] = zeros; y <- y + (c * (x @ p.T)) @ B.T }\n"
                                    "task classify(labels = 3)\nattach m(P) to layers[*].attention.{q, v}\nattach m(P) to layers[0].attention.k as other"),
    "a decoder": ("lora, prefix", "model base = llama\ntask causal_lm\nattach lora(r = 2, dropout = 0.2) to layers[*].** where kind == linear\n"
                                  "attach prefix(n = 2) to layers[1].attention where kind == attention"),
    "classes of a decoder": ("dora, prompt", "model base = llama\ntask classify(labels = 3)\nattach dora(r = 2) to layers[*].ffn.{gate, down}\nattach prompt(n = 2) to model\ntrain head"),
    "windows and ties": ("ia3, prompt", "model base = qwen2\ntask causal_lm\nattach ia3 to layers[*].attention.{k, v}\nattach prompt(n = 2) to model\ntrain tokens"),
    "a fused checkpoint": ("lora, serial_adapter", "model base = gpt2\ntask causal_lm\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach serial_adapter(reduction = 8) to layers[1].ffn\n"
                                                   "train layers[0].attention.k"),
    "parts that merge": ("lora, ia3", "model base = phi3\ntask classify(labels = 3)\nattach lora(r = 2) to layers[*].ffn.{gate, up}\nattach ia3 to layers[*].attention.v\ntrain head"),
    "norms of heads": ("lora", "model base = qwen3\ntask causal_lm\nattach lora(r = 2) to layers[0].attention.{q, k}\ntrain layers[*].**.{q_norm, k_norm, norm}"),
    "norms counted from one": ("dora", "model base = gemma\ntask causal_lm\nattach dora(r = 2) to layers[*].attention.{q, o}\ntrain norm"),
    "patches of an image": ("lora, prompt", "model base = vit\ntask image_classify(labels = 3)\nattach lora(r = 2) to embeddings.projection, layers[*].** where kind == linear\n"
                                            "attach prompt(n = 2) to model\ntrain head"),
    "labels of words": ("lora, prompt, prefix", "model base = roberta\ntask token_classify(labels = 3)\nattach lora(r = 2) to layers[*].attention.{q, v}\n"
                                               "attach prompt(n = 2) to model\nattach prefix(n = 2) to layers[1].attention where kind == attention\ntrain head"),
    "another classifier": ("serial_adapter, lora", "model base = distilbert\ntask classify(labels = 3)\nattach serial_adapter(reduction = 8) to layers[*].ffn\nattach lora(r = 2) to head.dense\ntrain head"),
    "a number from another encoder": ("ia3", "model base = roberta\ntask regress\nattach ia3 to layers[*].attention.{k, v}\ntrain head, embeddings"),
    "labels of a decoder's words": ("lora", "model base = llama\ntask token_classify(labels = 4)\nattach lora(r = 2) to layers[*].** where kind == linear\ntrain head"),
    "a choice": ("lora, prompt", "model base = roberta\ntask multiple_choice(choices = 3)\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach prompt(n = 2) to model\ntrain head"),
    "an answer to a text": ("lora, prefix, prompt", "model base = t5\ntask seq2seq\nattach lora(r = 2, dropout = 0.2) to encoder.layers[*].ffn.up, decoder.layers[*].cross.{q, k, v, o}\n"
                                                    "attach prefix(n = 2) to encoder.layers[1].attention, decoder.layers[*].{attention, cross} where kind == attention\nattach prompt(n = 2) to model"),
    "distances and an answer": ("dora, serial_adapter", "model base = t5\ntask seq2seq\nattach dora(r = 2) to encoder.layers[0].attention.o, decoder.layers[1].cross.k\n"
                                                        "attach serial_adapter(reduction = 8) to decoder.layers[*].cross\ntrain encoder.distance_bias, decoder.distance_bias, decoder.norm"),
    "adapters fused": ("adapter_fusion, serial_adapter", "task classify(labels = 3)\nattach adapter_fusion([serial_adapter(16), serial_adapter(8, act = gelu)]) to layers[*].ffn\ntrain head"),
    "updates gated": ("mole, lora", "task classify(labels = 3)\nattach mole([lora(2), lora(3)]) to layers[*].attention.{q, v}\ntrain head"),
    "a residual Kronecker adapter": ("krona_adapter, krona", "task classify(labels = 3)\nattach krona_adapter(residual = true) to layers[*].ffn\nattach krona(rows = 4, columns = 8) to layers[*].attention.{q, v}\ntrain head"),
    "weights that adapt": ("hiwi", "task classify(labels = 3)\nattach hiwi(k = 4, weight = true) to layers[*].ffn.{up, down}\ntrain head"),
    "experts of a decoder": ("mixlora", "model base = llama\ntask classify(labels = 3)\nattach mixlora(silu, n = 3, r = 2) to layers[*].ffn\ntrain head"),
    "generators of each site": ("hyperformer, moelora", "task classify(labels = 3)\nattach hyperformer(tasks = 3, own = true) to layers[*].ffn\nattach moelora(tasks = 3) to layers[*].attention.{q, v}\ntrain head"),
    "norms of a decoder": ("ln_tuning, lora", "model base = llama\ntask causal_lm\nattach ln_tuning to layers[*].** where kind == norm\nattach lora(r = 2) to layers[*].attention.{q, v}"),
    "a prompt of three layers": ("p_tuning", "task classify(labels = 3)\nattach p_tuning(n = 3, hidden = 8, recurrent = false) to model\ntrain head"),
    "two passes": ("adamix, lora", "task classify(labels = 3)\nattach adamix(copies = 2, reduction = 8) to model\nattach lora(r = 2) to layers[*].attention.{q, v}\ntrain head"),
    "a decoder's own attention": ("tiny_attn", "model base = llama\ntask causal_lm\nattach tiny_attn(masked = true) to layers[*].ffn"),
    "everything": ("lora", "task classify(labels = 3)\ntrain layers[*]\ntrain embeddings\ntrain head"),
}
OPTIMIZE = ["adamw(lr = 1e-2)", "sgd(lr = 1e-2, momentum = 0.9, weight_decay = 0.1) {\n  schedule cosine(warmup = 20%)\n}",
            "adamw(lr = 1e-2) {\n  schedule linear(warmup = 10%)\n  group lr = 1e-3, weight_decay = 0 for head\n}"]


def laws(path, *words):
    """[{method, law, verdict, detail}], exit code"""
    done = subprocess.run([PEFTC, "check", "--laws", "--json", path, *words], capture_output=True, text=True, timeout=300)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, done.returncode, done.stderr


def all_laws(jobs):
    """Two at a time: each is one thread's work."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda job: laws(*job), jobs))


class LawsTest(unittest.TestCase):
    """A folder, and the laws of the library as it is."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def path(self, name):
        return os.path.join(self.scratch.name, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def plain(self):
        """Answers and kept folders by path, under the names as they are; made once."""
        if not hasattr(type(self), "made"):
            paths = sorted(glob.glob(f"{STDLIB}/methods/*.peft")) + sorted(glob.glob("examples/*/*.peft")) + [self.write("mine.peft", USERS_METHOD), self.write("decoder.peft", DECODER)]
            kept = {path: self.path(f"kept_{place}") for place, path in enumerate(paths)}
            type(self).made = dict(zip(paths, all_laws([(path, "--stdlib", STDLIB, "--keep", kept[path]) for path in paths]))), kept
        return type(self).made


class Laws(LawsTest):
    def hold(self, path, answer, source):
        """Every law was asked of every method; `none` only where the text says so."""
        lines, code, errors = answer
        broken = [f"{line['method']} {line.get('law')}: {line['detail']}" for line in lines if line["verdict"] == "FAIL"]
        self.assertEqual(broken, [], path)
        self.assertEqual(code, 0, f"{path}\n{errors}")
        skipped = {line["method"] for line in lines if "law" not in line}
        self.assertLessEqual(skipped, WITHOUT_DEFAULTS, path)
        lines = [line for line in lines if line["method"] not in skipped]
        methods = list(dict.fromkeys(line["method"] for line in lines))
        self.assertEqual([line.get("law") for line in lines], LAWS * len(methods), path)
        for line in lines:
            if line["law"] == "merge":
                self.assertEqual(line["verdict"] == "none", not merges(source, line["method"]), f"{path}: {line['detail']}")
            elif line["law"] == "at_init":
                self.assertEqual(line["verdict"] == "none", changes(source, line["method"]), f"{path}: {line['detail']}")
            elif line["law"] == "decode":
                self.assertEqual(line["verdict"] == "none", not re.search(r"^task (causal_lm|seq2seq)", source, re.M), f"{path}: {line['detail']}")
            else:
                self.assertEqual(line["verdict"], "pass", f"{path}: {line}")
        return len(methods) + len(skipped)

    def test_library_examples_and_a_users_methods(self):
        answers, kept = self.plain()
        self.assertGreater(len(answers), 10)
        checked = 0
        for path, answer in answers.items():
            with open(path) as file:
                source = with_library(file.read())
            checked += self.hold(path, answer, source)
            for method in {line["method"] for line in answer[0] if "law" in line}:
                self.only_declared_are_trained(os.path.join(kept[path], method, "bundle", "manifest.json"), source, method)
        self.assertGreaterEqual(checked, len(answers))

    def only_declared_are_trained(self, path, source, method):
        """A method trains its `param`s, and of the checkpoint what it says with `train`."""
        with open(path) as file:
            manifest = json.load(file)
        bodies = [body for _, body in about(source, method)]
        declared = set(re.findall(r"\bparam (\w+)", "".join(bodies)))
        trained = set(re.findall(r"^\s*train (\w+)$", "\n".join(bodies), re.M))
        drawn = set(re.findall(r"\bfrozen (\w+)", "".join(bodies))) | set(re.findall(r"^\s*freeze \w+\.(\w+)$", "\n".join(bodies), re.M))
        whole = re.search(r"^train (?!head$)", source, re.M)  # the program's own statement: it says modules, not weights
        for parameter in manifest["parameters"]:
            last = parameter["name"].rsplit(".", 1)[-1]
            if parameter["role"] == "frozen" or parameter["role"] == "method" and last in drawn:
                self.assertTrue(not parameter["trainable"] and last in drawn, parameter["name"])
                continue
            due = {"base": last in trained, "method": last in declared, "new": True}[parameter["role"]]
            if parameter["role"] == "base" and parameter["trainable"] and not whole:
                self.assertTrue(due, parameter["name"])
            if parameter["role"] != "base":
                self.assertTrue(parameter["trainable"] and due, parameter["name"])

    def test_other_arguments_and_combinations(self):
        paths = []
        for place, (name, (used, body)) in enumerate(PROGRAMS.items()):
            fitting = OPTIMIZE if "train head" in body else OPTIMIZE[:2] # the third speaks of a head
            text = f"use peft.methods.{{{used}}}\n{'' if 'model base' in body else 'model base = bert' + chr(10)}{body}\noptimize {fitting[place % len(fitting)]}\nrun {{ epochs = 2, batch = 2, max_length = 8, clip = 0.1 }}\n"
            paths.append(self.write(name.replace(" ", "_") + ".peft", text))
        for path, answer in zip(paths, all_laws([(path, "--stdlib", STDLIB) for path in paths])):
            with open(path) as file:
                self.hold(path, answer, with_library(file.read()))

    # ---- a law that cannot fail says nothing ----

    def broken_law(self, bundle, law):
        done = subprocess.run([RUNNER, "--bundle", bundle, "laws", "--json", "--only", law], capture_output=True, text=True, timeout=300)
        line = json.loads(done.stdout)
        self.assertEqual((line["verdict"], done.returncode), ("FAIL", 1), line)
        return line["detail"]

    def test_a_false_claim_about_the_start(self):
        text = "method loud on linear {\n  param l: [out] = normal(1, 0.1)\n  y <- l * y\n}\n"
        lines, code, _ = laws(self.write("loud.peft", text), "--stdlib", STDLIB)
        self.assertEqual({line["law"]: line["verdict"] for line in lines}, {law: {"at_init": "FAIL", "decode": "none"}.get(law, "pass") for law in LAWS})
        self.assertEqual(code, 1)

    def test_tampered_bundles_are_found_out(self):
        spec = self.write("spec.peft", "use peft.methods.{lora, dora}\nmodel base = bert\ntask classify(labels = 16)\nattach lora to layers[0].attention.{q, k}\n"
                                       "attach dora to layers[1].ffn.up\ntrain head\noptimize adamw(lr = 1e-2)\nrun { epochs = 1, batch = 2, max_length = 8 }\n")
        lines, code, errors = laws(spec, "--stdlib", STDLIB, "--keep", self.path("kept"))
        self.assertEqual(code, 0, f"{lines}\n{errors}")
        bundle = self.path("kept/spec.peft/bundle")
        gradients = self.tampered(bundle, "programs.json", swap("train_step", "grad.layers.0.attention.q.lora.A", "grad.layers.0.attention.k.lora.A"))
        self.assertIn("lora.A", self.broken_law(gradients, "gradient"))
        self.assertIn("lora.A", self.broken_law(gradients, "plan"))
        unpinned = self.tampered(bundle, "programs.json", rename_op("train_step", "stop_grad", "squeeze"))
        self.assertIn("dora", self.broken_law(unpinned, "gradient"))  # a constant that the gradient took for one, and now moves
        merged = self.tampered(bundle, "programs.json", swap("merge", "layers.0.attention.q.W", "layers.0.attention.k.W"))
        self.assertIn("logits", self.broken_law(merged, "merge"))
        plan = self.tampered(bundle, "plan.json", swap_results("optimizer.0"))
        self.assertIn("optimizer.0", self.broken_law(plan, "plan"))
        text = DECODER.replace("attach prefix", "attach ia3 to layers[*].attention.{k, v}\nattach prefix").replace("{lora, prefix}", "{lora, ia3, prefix}")
        _, code, errors = laws(self.write("writes.peft", text), "--stdlib", STDLIB, "--keep", self.path("writes"))
        self.assertEqual(code, 0, errors)
        kept = self.tampered(self.path("writes/writes.peft/bundle"), "plan.json", swap("prefill", "cache.0", "cache.1"))
        self.assertIn("next", self.broken_law(kept, "decode"))
        lost = self.tampered(bundle, "manifest.json", forget_offset)
        self.assertIn("flat buffer", self.broken_law(lost, "step"))

    def test_what_later_tokens_change_is_not_kept(self):
        text = "method look on layer {\n  at_init changes(\"the text's mean is added\")\n  param w: [d] = ones\n  y <- y + w * mean(x, axis = 0, keep = true)\n}\n"
        text += DECODER.replace("attach lora(r = 2) to layers[*].** where kind == linear", "attach look to layers[0]").replace("attach prefix(n = 2) to layers[1].attention where kind == attention\n", "")
        lines, code, errors = laws(self.write("look.peft", text), "--stdlib", STDLIB)
        self.assertEqual(code, 0, f"{lines}\n{errors}")
        found = next(line for line in lines if line["law"] == "decode")
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


def code_of(path):
    with open(path) as file:
        return re.sub(r'//[^\n]*|"[^"\n]*"', " ", file.read())


def with_library(text):
    """The text and the library's methods that it may use."""
    for path in sorted(glob.glob(f"{STDLIB}/methods/*.peft")):
        with open(path) as file:
            text += "\n" + file.read()
    return text


def about(source, method):
    """Documentation and text of the methods that are meant: the one of that name, or all that a program attaches, and what they attach."""
    found = re.findall(r"((?:^///[^\n]*\n)*)^method (\w+)(.*?^})", source, re.M | re.S)
    bodies = {name: body for _, name, body in found}
    names, next_ones = set(), {method} & set(bodies) or set(re.findall(r"\w+", " ".join(re.findall(r"^attach .*", source, re.M))))
    while next_ones:
        names |= next_ones & set(bodies)
        next_ones = set(re.findall(r"\w+", " ".join(re.findall(r"^\s+attach .*", "\n".join(bodies[name] for name in names), re.M)))) & set(bodies) - names
    return [(doc, body) for doc, name, body in found if name in names]


def merges(source, method):
    return all("Does not merge" not in doc for doc, _ in about(source, method))


def changes(source, method):
    return any("at_init changes" in body for _, body in about(source, method))


if __name__ == "__main__":
    unittest.main()
