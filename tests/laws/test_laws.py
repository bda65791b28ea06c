#!/usr/bin/env python3
"""The laws of every method of the library, of the examples and of a user's method. Other arguments: test_arguments.py; under other names: test_renaming.py."""
import glob
import json
import os
import re
import unittest

from laws import DECODER, STDLIB, LawsTest, all_laws, about, with_library

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


class Laws(LawsTest):
    def test_library_examples_and_a_users_methods(self):
        examples = [path for path in sorted(glob.glob("examples/*/*.peft")) if "-search/" not in path]  # spaces of programs
        paths = sorted(glob.glob(f"{STDLIB}/methods/*.peft")) + examples + [self.write("mine.peft", USERS_METHOD), self.write("decoder.peft", DECODER)]
        self.assertGreater(len(paths), 60)
        checked = 0
        for path, answer in all_laws(paths, "--stdlib", STDLIB, keep=self.path("kept")).items():
            with open(path) as file:
                source = with_library(file.read())
            checked += self.hold(path, answer, source)
            for method, kept in {line["method"]: line["kept"] for line in answer.lines if "law" in line}.items():
                self.only_declared_are_trained(os.path.join(kept, "bundle", "manifest.json"), source, method)
        self.assertGreaterEqual(checked, len(paths))

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


if __name__ == "__main__":
    unittest.main()
