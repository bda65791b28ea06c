#!/usr/bin/env python3
"""The laws of every method of the library, of the examples and of a user's method. Other arguments: test_arguments.py; under other names: test_renaming.py."""
import glob
import json
import os
import re
import subprocess
import unittest

from laws import DECODER, LAWS, PEFTC, STDLIB, LawsTest, all_laws, about, with_library

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

TURNED = """
/// The rows of the weight turned by Cayley's transform of a skew matrix; of its gradient the skew part is taken, and by chance only half of it.  Merges.
method turned on linear {
  param S: [out, out] = zeros
  frozen I: [out, out] = eye
  let K = S - S.T
  W <- inverse(I + K) @ (I - K) @ W
  on grad { grad(S) <- bernoulli(0.5, like = S) * (grad(S) - grad(S).T) * (step + 1) / steps }
}
"""


class Laws(LawsTest):
    def test_library_examples_and_a_users_methods(self):
        examples = [path for path in sorted(glob.glob("examples/*/*.peft")) if "-search/" not in path]  # spaces of programs
        paths = sorted(glob.glob(f"{STDLIB}/methods/*.peft")) + examples + [self.write("mine.peft", USERS_METHOD), self.write("turned.peft", TURNED), self.write("decoder.peft", DECODER)]
        self.assertGreater(len(paths), 60)
        checked = 0
        for path, answer in all_laws(paths, "--stdlib", STDLIB, "--keep", self.path("kept")).items():
            with open(path) as file:
                source = with_library(file.read())
            checked += self.hold(path, answer, source)
            for method, kept in {line["method"]: line["kept"] for line in answer.lines if "law" in line}.items():
                self.only_declared_are_trained(os.path.join(kept, "bundle", "manifest.json"), source, method)
        self.assertGreaterEqual(checked, len(paths))

    def test_several_files_in_one_process(self):
        """Answers are told apart, in order; a file that is wrong leaves the others their answers. What is compiled is for this machine, or for those that may be asked for."""
        wrong, good = self.write("wrong.peft", "method wrong on linear { y <- z }\n"), self.write("good.peft", USERS_METHOD)
        words = [PEFTC, "check", "--laws", "--json", "--stdlib", STDLIB]
        done = subprocess.run([*words, wrong, good, f"{STDLIB}/methods/ia3.peft", good, "--keep", self.path("several")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"error[E0356]: nothing is called `z` here\n --> {wrong}:1:", done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        methods = [("squashed", good), ("rescale", good), ("ia3", f"{STDLIB}/methods/ia3.peft"), ("squashed", good), ("rescale", good)]
        self.assertEqual([(line["method"], line["file"], line["law"]) for line in lines], [(*method, law) for method in methods for law in LAWS])
        kept = list(dict.fromkeys(line["kept"] for line in lines))
        self.assertEqual([os.path.basename(folder) for folder in kept], ["squashed", "rescale", "ia3", "squashed-2", "rescale-2"])
        self.assertEqual(len(os.listdir(os.path.join(kept[0], "bundle", "kernels"))), 1)
        done = subprocess.run([*words, good, "--method", "rescale", "--keep", self.path("other")], capture_output=True, text=True, env={**os.environ, "PEFT_CPU_TARGET": "x86-64-v3"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(len(os.listdir(self.path("other/rescale/bundle/kernels"))), 1)

    def only_declared_are_trained(self, path, source, method):
        """A method trains its `param`s, and of the checkpoint what it says with `train`."""
        with open(path) as file:
            manifest = json.load(file)
        bodies = [body for _, body in about(source, method)]
        declared = set(re.findall(r"\bparam (\w+)", "".join(bodies)))
        trained = set(re.findall(r"^\s*train (\w+)$", "\n".join(bodies), re.M))
        drawn = set(re.findall(r"\bfrozen (\w+)", "".join(bodies))) | set(re.findall(r"^\s*freeze (?:\w+\.)?(\w+)$", "\n".join(bodies), re.M))
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


if __name__ == "__main__":
    unittest.main()
