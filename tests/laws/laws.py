"""What the tests of laws share: asking `peftc check --laws`, many files a process, and what a text says its laws give."""
import glob
import json
import os
import re
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

BIN = os.path.join(os.environ["PEFT_BUILD"], "bin")
PEFTC, RUNNER = os.path.join(BIN, "peftc"), os.path.join(BIN, "peft-runner")
STDLIB = "stdlib"
WITHOUT_DEFAULTS = {"trainable_tokens", "adapter_fusion", "mole", "mixlora", "attempt_prompt", "moa", "lorahub", "ipt_space", "ipt", "spot"}  # or without a file: test_arguments.py, tests/oracle/test_composed.py, test_trained.py
LAWS = ["at_init", "gradient", "plan", "merge", "decode", "save", "step", "resume"]

DECODER = """use peft.methods.{lora, prefix}

model base = llama
task causal_lm
attach lora(r = 2) to layers[*].** where kind == linear
attach prefix(n = 2) to layers[1].attention where kind == attention
optimize adamw(lr = 1e-2)
run { epochs = 2, batch = 2, max_length = 8 }
"""


class Answer:
    """Of one file: lines [{method, law, verdict, detail, kept}], exit code, what was said on stderr (by all files of the process)."""

    def __init__(self, lines, code, said):
        self.lines, self.code, self.said = lines, code, said

    def broken(self):
        return [f"{line['method']} {line.get('law')}: {line['detail']}" for line in self.lines if line["verdict"] == "FAIL"]


def laws(path, *words):
    """The answer about one file."""
    done = subprocess.run([PEFTC, "check", "--laws", "--json", path, *words], capture_output=True, text=True, timeout=900)
    return Answer([json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr)


def all_laws(paths, *words):
    """{path: answer}. Two processes, each with every other file: starting takes longer than most laws."""
    def some(which):
        done = laws(which[0], *which[1:], *words)
        answers = {path: Answer([line for line in done.lines if line["file"] == path], 0, done.said) for path in which}
        for answer in answers.values():
            answer.code = int(bool(answer.broken()) or not answer.lines)
        if done.code == 0 or any(answer.code for answer in answers.values()):
            return answers
        raise AssertionError(f"exit code {done.code}\n{done.said}")
    with ThreadPoolExecutor(2) as pool:
        return {path: answer for answers in pool.map(some, [paths[start::2] for start in range(min(2, len(paths)))]) for path, answer in answers.items()}


class LawsTest(unittest.TestCase):
    """A folder, and what is expected of a text."""

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

    def hold(self, path, answer, source, names=None):
        """Every law was asked of every method; `none` only where the text says so. Returns how many methods. `names`: what methods are called in `source`."""
        self.assertEqual(answer.broken(), [], f"{path}\n{answer.said}")
        self.assertEqual(answer.code, 0, f"{path}\n{answer.said}")
        called = lambda name: (names or {}).get(name, name)
        skipped = {line["method"] for line in answer.lines if "law" not in line}
        self.assertLessEqual({called(name) for name in skipped}, WITHOUT_DEFAULTS, path)
        lines = [line for line in answer.lines if line["method"] not in skipped]
        methods = list(dict.fromkeys(line["method"] for line in lines))
        self.assertEqual([line["law"] for line in lines], LAWS * len(methods), path)
        for line in lines:
            due = verdict(source, called(line["method"]), line["law"])
            self.assertEqual(line["verdict"], due, f"{path} {line['law']}: {line['detail']}")
        return len(methods) + len(skipped)


def verdict(source, method, law):
    """What the text says that a law gives."""
    silent = {"merge": not merges(source, method), "at_init": changes(source, method), "decode": not re.search(r"^task (causal_lm|seq2seq)", source, re.M)}
    return "none" if silent.get(law) else "pass"


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
