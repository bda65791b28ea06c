#!/usr/bin/env python3
"""What holds for a method holds beside another: all pairs of some methods, one for each construct of the language, attached to the same sites of one network; then
pairs and triples of the whole library, drawn anew by PEFT_SEED. By hand, `test_composition.py --square`: all pairs of the library.

What cannot be combined is refused with a code and a reason, and is listed here."""
import glob
import itertools
import json
import os
import random
import re
import subprocess
import sys
import unittest

from laws import PEFTC, STDLIB, WITHOUT_DEFAULTS, LawsTest, all_laws, laws, with_library

SEED = int(os.environ.get("PEFT_SEED", "14"))
PAIRS, TRIPLES = 20, 10  # drawn
AT_A_TIME = 100  # of the square

# What each stands for; arguments that keep it small.
CONSTRUCTS = {
    "lora": ("lora(r = 2)", "a branch beside a product"),
    "dora": ("dora(r = 2)", "a weight that is rewired, with a norm that is not differentiated"),
    "ia3": ("ia3", "a factor"),
    "bitfit": ("bitfit", "weights of the checkpoint"),
    "ssf": ("ssf", "two kinds of sites"),
    "vera": ("vera(r = 4)", "frozen random numbers, common to all sites"),
    "lora_dropout": ("lora_dropout(r = 2)", "samples of a step"),
    "mov": ("mov(n = 2)", "a router that each token asks"),
    "prefix": ("prefix(n = 2)", "more keys"),
    "serial_adapter": ("serial_adapter(reduction = 8)", "a branch behind a branch"),
    "hyperformer": ("hyperformer(reduction = 16, e = 4)", "weights that are generated for each task"),
    "prompt": ("prompt(n = 2)", "more tokens"),
    "lst": ("lst(reduction = 16)", "a network beside the network"),
    "adamix": ("adamix(copies = 2, reduction = 16)", "two passes"),
    "lora_fa": ("lora_fa(r = 2)", "gradients that are replaced"),
    "infix": ("infix(n = 2, after = 3)", "a text that is cut"),
    "pasta": ("pasta", "which tokens are the text's own"),
    "prompt_ensemble": ("prompt_ensemble(k = 2, n = 2)", "passes that take the network's place"),
    "ptp_adversarial": ("ptp_adversarial(n = 2)", "a gradient of the pass itself"),
}
HEAD = "model base = bert\ntask classify(labels = 3)\n"
END = "train head\noptimize adamw(lr = 1e-2)\nrun { epochs = 2, batch = 2, max_length = 8 }\n"

# A pair that has no meaning, in any order or in this one, and the code that says why.
REFUSED = {frozenset({"child_tuning"}): "E0206",  # a weight's gradient is replaced once
           # What stands beside the network adds up what its layers make: some of them have more tokens than others.
           frozenset({"late_prompt", "lst"}): "E0407", frozenset({"late_prompt", "attention_fusion"}): "E0407",
           ("unipelt", "aprompt"): "E0407"}  # keys of new tokens through a product with a gate of each of the text's


def kinds():
    """{method: the kinds of its sites}"""
    listed = json.loads(subprocess.run([PEFTC, "methods", "--json", "--stdlib", STDLIB], capture_output=True, text=True, check=True).stdout)
    return {entry["name"]: entry["kinds"] for entry in listed}


def sites(of):
    """Few, and the same ones for all methods of a kind."""
    few = {"linear": "layers[1].attention.{q, v}", "attention": "layers[1].attention", "sublayer": "layers[1].ffn", "layer": "layers[1]", "norm": "layers[1].ffn.norm"}
    chosen = [few[kind] for kind in of if kind in few]
    return ", ".join(chosen) if chosen else "model"


def program(calls, of):
    names = sorted({re.match(r"\w+", call).group() for call in calls})
    attaches = []
    for place, call in enumerate(calls):
        kind = of[re.match(r"\w+", call).group()]
        selector = "model" if "model" in kind else sites(kind)
        attaches.append(f"attach {call} to {selector}{' as again' if calls.index(call) < place else ''}\n")
    return f"use peft.methods.{{{', '.join(names)}}}\n{HEAD}{''.join(attaches)}{END}"


class Composition(LawsTest):
    def check(self, combinations):
        """The laws of each combination, or its refusal."""
        of, paths = kinds(), {}
        for calls in combinations:
            names = [re.match(r"\w+", call).group() for call in calls]
            paths[self.write("_and_".join(names) + ".peft", program(calls, of))] = names
        broken = []
        for path, answer in all_laws(list(paths), "--stdlib", STDLIB).items():
            due = REFUSED.get(frozenset(paths[path])) or REFUSED.get(tuple(paths[path]))
            about = re.findall(r"^error\[(\w+)\]: (.*)\n --> " + re.escape(path), answer.said, re.M)
            with open(path) as file:
                text = file.read()
            if due or not answer.lines:
                if [code for code, _ in about] != ([due] if due else None):
                    broken.append(f"{os.path.basename(path)}: {about or answer.said[-1500:]}, due {due}")
                continue
            try:
                self.hold(path, answer, with_library(text))
            except AssertionError as error:
                broken.append(f"{error}\n{text}")
        self.assertEqual(broken, [], "\n".join(broken))

    def test_one_of_each_construct(self):
        self.check([(CONSTRUCTS[a][0], CONSTRUCTS[b][0]) for a, b in itertools.combinations_with_replacement(CONSTRUCTS, 2)])

    def test_drawn(self):
        print(f"combinations of seed {SEED}", file=sys.stderr)
        library = sorted(set(os.path.basename(path)[:-5] for path in glob.glob(f"{STDLIB}/methods/*.peft")) - WITHOUT_DEFAULTS)
        drawn = random.Random(SEED)
        self.check([tuple(drawn.sample(library, 2)) for _ in range(PAIRS)] + [tuple(drawn.sample(library, 3)) for _ in range(TRIPLES)])


    def test_texts_that_no_longer_fit(self):
        """More tokens than a network has places for, or beside values of as many as before; a text has what places are left."""
        text = "use peft.methods.{%s}\nmodel base = %s\ntask classify(labels = 3)\nattach %s to model\n" + END
        for name, words, code, said in [("late", ("late_prompt", "llama", "late_prompt(n = 2)"), "E0407", "[seq+2, 4, 16] and example [seq, 1, 16]"),
                                        ("many", ("prompt", "gpt2", "prompt(n = 160)"), "E0355", "160 tokens come before those of a text, the model has 160 positions")]:
            answer = laws(self.write(name + ".peft", text % words), "--stdlib", STDLIB)
            self.assertEqual((answer.lines, answer.code), ([], 1))
            self.assertIn(f"error[{code}]", answer.said)
            self.assertIn(said, answer.said)
        for network, left in (("gpt2", 157), ("bert", 157), ("llama", 160)):  # the last turns by any number of places
            answer = laws(self.write(network + ".peft", text % ("prompt", network, "prompt(n = 3)")), "--stdlib", STDLIB, "--keep", self.path(network))
            self.assertEqual(answer.code, 0, answer.said)
            with open(os.path.join(answer.lines[0]["kept"], "bundle", "manifest.json")) as file:
                self.assertEqual(json.load(file)["model"]["max_positions"], left)


def square():
    """All pairs of the library, in both orders, so many at a time; what is broken is said at once, and all of it is done."""
    class Square(Composition):
        def runTest(self):
            library = sorted(set(os.path.basename(path)[:-5] for path in glob.glob(f"{STDLIB}/methods/*.peft")) - WITHOUT_DEFAULTS)
            pairs = list(itertools.product(library, repeat=2))
            for first in range(0, len(pairs), AT_A_TIME):
                with self.subTest(first=first):
                    try:
                        self.check(pairs[first:first + AT_A_TIME])
                    except AssertionError as error:
                        print(error, file=sys.stderr)
                        raise
                print(f"{min(first + AT_A_TIME, len(pairs))} of {len(pairs)} pairs", file=sys.stderr, flush=True)
    return unittest.TextTestRunner().run(unittest.TestSuite([Square()])).wasSuccessful()


if __name__ == "__main__":
    if sys.argv[1:] == ["--square"]:
        sys.exit(0 if square() else 1)
    unittest.main()
