"""Every argument of every method of the library, given a number that cannot be: too large a rank, nothing at all, below nothing, what does not divide, what no memory
holds. One message with a code and both numbers, or a program that compiles."""
import json
import pathlib
import re
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tiny_bert  # noqa: E402
from compiles import PEFTC, CompilerTest  # noqa: E402

LIBRARY = str(pathlib.Path(__file__).resolve().parents[3] / "stdlib")
HIDDEN, POSITIONS, WORDS = 64, 160, 101
SITES = {"linear": "layers[1].attention.q", "attention": "layers[1].attention", "sublayer": "layers[1].ffn", "layer": "layers[1]", "norm": "layers[1].ffn.norm"}
OWN_SITES = {"trainable_tokens": "embeddings.tokens"}
REQUIRED = {  # arguments without a default
    "mixlora": "silu", "mole": "[lora(2), lora(3)]", "moa": "[lora(2), lora(3)]", "adapter_fusion": "[serial_adapter(16), serial_adapter(8)]", "trainable_tokens": "[1, 5]",
    "attempt_prompt": '["nowhere.safetensors"]', "lorahub": '["nowhere.safetensors"]', "ipt_space": '["nowhere.safetensors"]', "ipt": '"nowhere.safetensors"',
    "spot": '["nowhere.safetensors"], task = "nowhere.safetensors"'}
NEEDS_FILES = {"attempt_prompt", "lorahub", "ipt_space", "ipt", "spot"}
GATED = {"mixlora"}  # on a small LLaMA
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
VALUES = {"rank": (-1, 0, HIDDEN + 1, 1000), "int": (-1, 0, 7, 1000, 10**13), "real": (-1, 0), "prob": (-0.1, 1.5)}


def is_outside(kind, bound, value):
    """What the type alone forbids."""
    if kind == "rank":
        return value < 1 or value > HIDDEN
    if kind == "prob":
        return not 0 <= value <= 1
    relation, _, least = bound.partition(" ")
    return bool(bound) and not (value > float(least) if relation == ">" else value >= float(least))


class BadArguments(CompilerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.model, hidden_size=HIDDEN, num_attention_heads=4, intermediate_size=HIDDEN, max_position_embeddings=POSITIONS, vocab_size=WORDS)
        from transformers import LlamaConfig, LlamaForCausalLM
        cls.gated = cls.scratch.name + "/gated"
        LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, hidden_size=HIDDEN, intermediate_size=HIDDEN, num_hidden_layers=2, num_attention_heads=4)).save_pretrained(cls.gated)
        cls.methods = json.loads(subprocess.run([PEFTC, "methods", "--json", "--stdlib", LIBRARY], capture_output=True, text=True, check=True).stdout)

    def program(self, method, argument, value):
        first = REQUIRED.get(method["name"]) if argument["name"] != method["arguments"][0]["name"] else None
        given = f"{first}, {argument['name']} = {value}" if first else f"{argument['name']} = {value}"
        sites = OWN_SITES.get(method["name"]) or ("model" if "model" in method["kinds"] else ", ".join(SITES[site] for site in method["kinds"]))
        base = "llama" if method["name"] in GATED else "bert"
        return f"use peft.methods.{{{', '.join(dict.fromkeys([method['name'], 'lora', 'serial_adapter']))}}}\nmodel base = {base}\ntask classify(labels = 3)\nattach {method['name']}({given}) to {sites}\ntrain head\n"

    def asked(self, programs, model):
        """{name: [(code, message)]} of `peftc check`, all in one process."""
        for name, text in programs.items():
            self.write(name, text)
        done = subprocess.run([PEFTC, "check", *programs, "--stdlib", LIBRARY, "-m", model, "--diag-format", "short"], cwd=self.here, capture_output=True, text=True)
        self.assertNotIn("internal error", done.stderr)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        found = {name: [] for name in programs}
        for line in done.stderr.splitlines():
            place = re.match(r"([^:]+):\d+:\d+: error\[(\w+)\]: (.*)", line)
            self.assertTrue(place and place.group(1) in found, line)
            found[place.group(1)].append(place.groups()[1:])
        return found

    def compiles(self, name, model):
        text = (self.here / name).read_text()
        (self.here / name).write_text(text + "optimize adamw(lr = 1e-3)\n")
        done = subprocess.run([PEFTC, name, "--stdlib", LIBRARY, "--model", model, "--emit=plan"], cwd=self.here, capture_output=True, text=True)
        return "" if done.returncode == 0 else f"{name}: {done.stderr}"

    def is_right(self, messages, method, kind, bound, value):
        """At most one message, with a code and what is asked for beside what is given; one surely where the type says no."""
        if is_outside(kind, bound, value) and [code for code, _ in messages] != ["E0353"]:
            return False
        about_files = lambda message: method in NEEDS_FILES and "nowhere" in message
        return len(messages) <= 1 and all(about_files(message) or (code in ("E0353", "E0355") and len(NUMBER.findall(message)) >= 2) for code, message in messages)

    def test_numbers(self):
        programs, due = {False: {}, True: {}}, {}
        for method in self.methods:
            for argument in method["arguments"]:
                kind, _, bound = argument["type"].partition(" ")
                for value in VALUES.get(kind, ()):
                    name = f"{method['name']}_{argument['name']}_{value}.peft"
                    programs[method["name"] in GATED][name] = self.program(method, argument, value)
                    due[name] = (method["name"], kind, bound, value)
        self.assertGreater(len(due), 400)
        refused, accepted, wrong = 0, {}, []
        for gated, texts in programs.items():
            model = self.gated if gated else str(self.model)
            for name, messages in self.asked(texts, model).items():
                refused += len(messages)
                if not self.is_right(messages, *due[name]):
                    wrong.append(f"{name}: {messages}")
                elif not messages and due[name][1] in ("int", "rank"):
                    accepted.setdefault(name.rsplit("_", 1)[0], (name, model))  # one value of an argument
        self.assertEqual(wrong, [])
        with ThreadPoolExecutor(2) as pool:
            self.assertEqual([said for said in pool.map(lambda pair: self.compiles(*pair), accepted.values()) if said], [])
        print(f"{len(due)} programs: {refused} refused, {len(accepted)} compiled", flush=True)
        self.assertGreater(refused, 250)
        self.assertGreater(len(accepted), 30)


if __name__ == "__main__":
    unittest.main()
