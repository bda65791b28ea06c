"""Every argument of every method of the library, given a number that cannot be: too large a rank, nothing at all, what does not divide. One message with a code
and both numbers, or a program that is right."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tiny_bert  # noqa: E402
from compiles import PEFTC, CompilerTest  # noqa: E402

LIBRARY = str(pathlib.Path(__file__).resolve().parents[3] / "stdlib")
HEAD = "model base = bert\ntask classify(labels = 3)\n"
SITES = {"linear": "layers[1].attention.q", "attention": "layers[1].attention", "sublayer": "layers[1].ffn", "layer": "layers[1]", "norm": "layers[1].ffn.norm"}
UNASKED = {"attempt_prompt", "lorahub", "ipt_space", "ipt", "mixlora", "adapter_fusion", "mole", "moa"}  # need a file, a branch with a gate, other methods
BOTH = re.compile(r"\b\d+(?:\.\d+)?\b")


class BadArguments(CompilerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.model, hidden_size=64, num_attention_heads=4, intermediate_size=64)

    def asked(self, programs):
        """{name: [(code, message)]} of `peftc check`, all in one process."""
        for name, text in programs.items():
            self.write(name, text)
        done = subprocess.run([PEFTC, "check", *programs, "--stdlib", LIBRARY, "-m", str(self.model), "--diag-format", "short"], cwd=self.here, capture_output=True, text=True)
        self.assertNotIn("internal error", done.stderr)
        found = {name: [] for name in programs}
        for line in done.stderr.splitlines():
            place = re.match(r"([^:]+):\d+:\d+: error\[(\w+)\]: (.*)", line)
            self.assertTrue(place and place.group(1) in found, line)
            found[place.group(1)].append(place.groups()[1:])
        return found

    def test_numbers(self):
        methods = json.loads(subprocess.run([PEFTC, "methods", "--json", "--stdlib", LIBRARY], capture_output=True, text=True, check=True).stdout)
        programs, due = {}, {}
        for method in methods:
            if method["name"] in UNASKED:
                continue
            for argument in method["arguments"]:
                kind = argument["type"].split()[0]
                for value in {"rank": (0, 1000), "int": (0, 7, 1000)}.get(kind, ()):
                    name = f"{method['name']}_{argument['name']}_{value}.peft"
                    call = f"{method['name']}({argument['name']} = {value})"
                    sites = "model" if "model" in method["kinds"] else ", ".join(SITES[site] for site in method["kinds"])
                    programs[name] = f"use peft.methods.{{{method['name']}}}\n{HEAD}attach {call} to {sites}\ntrain head\n"
                    due[name] = (kind, value, argument["type"])
        self.assertGreater(len(programs), 150)
        refused = 0
        for name, messages in self.asked(programs).items():
            kind, value, spelled = due[name]
            if kind == "rank" or value == 0 and ">= 1" in spelled:
                self.assertEqual([code for code, _ in messages], ["E0353"], f"{name}: {messages}")
            self.assertLessEqual(len(messages), 1, f"{name}: {messages}")
            for code, message in messages:
                self.assertIn(code, ("E0353", "E0355"), f"{name}: {message}")
                self.assertGreaterEqual(len(set(BOTH.findall(message))), 2, f"{name}: {message}")
                refused += 1
        self.assertGreater(refused, 100)


if __name__ == "__main__":
    unittest.main()
