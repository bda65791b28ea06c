"""`--explain kernels` over the library: what stands alone on the tokens' path says why, and what it says is true.

Every method is compiled on a small BERT, or a small LLaMA where it needs a gated branch; each step that is no product, no kernel and no view is held against the types that the plan has of it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests/compiler")]
import library  # noqa: E402
import tiny_bert  # noqa: E402

PEFTC = pathlib.Path(os.environ["PEFT_BUILD"]) / "bin/peftc"
HIDDEN, FF = 64, 128
ON_LLAMA = {"mixlora": "use peft.methods.{mixlora}\nattach mixlora(silu, n = 3, r = 2) to layers[*].ffn"}
NOT_ON_LLAMA = {"bitfit", "hiwi", "info_prompt", "late_prompt", "prompt_ensemble", "trainable_tokens"}  # biases, a row more in each text, or BERT's names of sites
NEEDS_FILES = {"attempt_prompt", "lorahub", "ipt", "ipt_space", "spot"}  # tests/oracle/test_trained.py has them
ELEMENTWISE = set("neg exp log sqrt rsqrt tanh erf sin cos abs sign floor not cast add sub mul div max min lt le eq ne gt ge and or select pow".split())
LOOKED_AT = ELEMENTWISE | {"reduce", "broadcast", "random"}
PROGRAMS = ("train_step", "eval", "predict", "decode", "prefill")
TYPE = re.compile(r"!plan\.packed<(example, )?\[(.*?)\], (\w+)>")
STEP = re.compile(r'plan\.step "\w+" "(\w+)"\((.*?)\)(.*?)(?: \{plan\.why_alone = "(.*?)"\})? : \((.*)\) -> (.*)$')


class Type:
    """Of one value: whether each text has its own, its axes, its elements. A text's tokens are the axis `seq`, or a sum with it."""

    def __init__(self, example, dims, element):
        self.example, self.element = bool(example), element
        self.dims = [dim for dim in dims.split(", ") if dim]
        self.of_tokens = self.example and any(not dim.isdigit() for dim in self.dims)
        self.is_table = all(dim.isdigit() for dim in self.dims[1:])

    def columns(self):
        return self.dims[1:] if self.of_tokens or (len(self.dims) > 1 and (not self.example or self.dims[0] == "1")) else self.dims


class Alone:
    def __init__(self, program, op, attributes, why, operands, result):
        self.program, self.op, self.attributes, self.why = program, op, attributes, why
        self.operands, self.result = [Type(*found) for found in TYPE.findall(operands)], Type(*TYPE.search(result).groups())
        self.axes = [int(axis) for axis in re.search(r"axes = array<i64(?:: )?(.*?)>", attributes).group(1).split(", ") if axis] if op == "reduce" else []
        self.over_examples = "over_examples = true" in attributes

    def on_tokens_path(self):
        return any(value.of_tokens for value in [*self.operands, self.result])

    def __str__(self):
        shapes = ", ".join(f"{value.element}{value.dims}" for value in [*self.operands, self.result])
        return f"{self.program}: {self.op}({shapes}) {self.attributes.strip()}: {self.why}"


def whole(step):
    return any(value.element.startswith("i") and value.element != "i1" for value in [*step.operands, step.result])


def is_of_text(step):
    return step.result.of_tokens and any(value.example and not value.of_tokens for value in step.operands)


def is_broadcast_otherwise(step):
    """Of tables: an operand is neither of the result's shape, nor a row's number, nor a row of the run, nor a number; nor one of a row's parts."""
    def meets(value):
        columns, own = step.result.columns(), [dim for dim in value.dims]
        if not value.example:
            while own and own[0] == "1":
                own = own[1:]
            return not own or own == columns or own == columns[-1:] or own == [*columns[:-1], "1"]
        return value.dims == step.result.dims or (value.of_tokens and value.columns() in ([], ["1"], [*columns[:-1], "1"], ["1", *columns[1:]]))
    return step.op != "reduce" and all(value.is_table for value in step.operands) and not all(map(meets, step.operands)) and not is_of_text(step)


# What each reason claims, told from types alone.
TRUE = {
    "it reads or makes whole numbers": whole,
    "a single number of the run": lambda step: not step.result.example and all(dim == "1" for dim in step.result.dims),
    "its type is no table of rows": lambda step: not all(value.is_table for value in [*step.operands, step.result]),
    "an operand is one for all rows of a text": is_of_text,
    "an operand is broadcast along other axes than rows or columns": is_broadcast_otherwise,
    "it makes a value of the run": lambda step: not step.result.example,
    "it reduces over the examples of the batch": lambda step: step.over_examples,
    "it reduces over the rows of a text": lambda step: step.operands[0].of_tokens and 0 in step.axes and not step.over_examples,
    "it reduces another axis than the keys": lambda step: len(step.operands[0].dims) == 3 and not step.operands[0].dims[2].isdigit() and step.axes != [2],
    "it does not reduce exactly the columns of a row or of its parts": lambda step: step.op == "reduce" and step.operands[0].is_table and not (step.operands[0].of_tokens and 0 in step.axes) and not step.over_examples and step.axes != [len(step.operands[0].dims) - 1],
    "it reduces the only row": lambda step: step.op == "reduce" and not step.operands[0].example and len(step.operands[0].dims) == 1,
    "only uniform numbers of a text are made inside kernels": lambda step: not step.result.example or 'dist = "normal"' in step.attributes,
    "its exponent is none of the whole numbers that become products": lambda step: step.op == "pow",
}
# Of a text's tokens these are passes of their own. What is new here is either a kernel's work that a kernel does not do, or belongs into this table with a reason.
PASSES = {
    "it reduces over the rows of a text": {"apt", "idpg", "late_prompt", "mixlora", "moa", "moelora", "mole", "pha", "ptp_adversarial", "smop", "unipelt"},
    "an operand is one for all rows of a text": {"apt", "mixlora", "moa", "moelora", "mole", "pha", "ptp_adversarial", "unipelt"},
    "its type is no table of rows": {"attention_fusion"},
    "it reduces another axis than the keys": {"aprompt"},
    "only uniform numbers of a text are made inside kernels": {"ptp"},
}


def standing_alone(plan):
    """Every step of the programs that run often which no kernel holds."""
    found, program = [], ""
    for line in plan.splitlines():
        if named := re.search(r"plan\.program @([\w.]+)", line):
            program = named.group(1)
        if program not in PROGRAMS or not (step := STEP.search(line)) or step[1] not in LOOKED_AT:
            continue
        found.append(Alone(program, step[1], step[3], step[4], step[5], step[6]))
    return found


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from transformers import LlamaConfig, LlamaForCausalLM
        cls.scratch = tempfile.TemporaryDirectory()
        cls.here = pathlib.Path(cls.scratch.name)
        tiny_bert.make(cls.here / "bert", hidden_size=HIDDEN, num_attention_heads=4, intermediate_size=FF)
        LlamaForCausalLM(LlamaConfig(vocab_size=101, hidden_size=HIDDEN, intermediate_size=FF, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)).save_pretrained(cls.here / "llama")
        cls.programs = {name: ("bert", text.replace("[1, 101, 102, 1000]", "[1, 5, 100]")) for name, text in library.attaches().items()}
        cls.programs.update({name: ("llama", text) for name, text in ON_LLAMA.items()})
        with ThreadPoolExecutor(2) as pool:
            cls.plans = dict(zip(cls.programs, pool.map(cls.plan, cls.programs)))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def plan(cls, name):
        model, attach = cls.programs[name]
        use, rest = attach.split("\n", 1)
        spec = cls.here / f"{name}.peft"
        spec.write_text(f"{use}\nmodel base = {model}\ntask classify(labels = 3)\n{rest}\ntrain head\noptimize adamw(lr = 1e-3)\n")
        done = subprocess.run([PEFTC, spec, "--model", cls.here / model, "--emit=plan"], capture_output=True, text=True)
        assert done.returncode == 0, f"{name}\n{done.stderr}"
        return done.stdout

    def test_all_of_the_library(self):
        self.assertEqual(set(self.plans) | NEEDS_FILES, {file.stem for file in (ROOT / "stdlib/methods").glob("*.peft")})

    def test_for_a_gpu(self):
        """Every method, in bf16, for a GPU, whose passes are others; on a decoder too, where the method can be there."""
        def compiled(subject):
            name, model = subject
            use, rest = self.programs[name][1].split("\n", 1)
            spec = self.here / f"{name}-{model}-gpu.peft"
            spec.write_text(f"{use}\nmodel base = {model}\n" + ("task classify(labels = 3)\n" if model == "bert" or name in ON_LLAMA else "task causal_lm()\n") + f"{rest}\n" + ("train head\n" if model == "bert" or name in ON_LLAMA else "") + "optimize adamw(lr = 1e-3)\nrun { precision = bf16 }\n")
            return subject, subprocess.run([PEFTC, spec, "--model", self.here / model, "--target", "sm_90a", "--emit=plan"], capture_output=True, text=True, cwd=self.here)

        subjects = [(name, model) for name, (own, _) in self.programs.items() for model in ({own} | ({"llama"} - {"llama" if name in NOT_ON_LLAMA else ""}))]
        with ThreadPoolExecutor(2) as pool:
            for (name, model), done in pool.map(compiled, subjects):
                with self.subTest(name, model=model):
                    self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(len(subjects), 100)

    def test_reasons(self):
        count, reasons = Counter(), set()
        for name, plan in self.plans.items():
            for step in standing_alone(plan):
                if not step.why:  # places, which kernels count out for themselves; this one is for something else
                    self.assertTrue(whole(step), f"{name}: {step}: no reason")
                    continue
                self.assertIn(step.why, TRUE, f"{name}: {step}")
                self.assertTrue(TRUE[step.why](step), f"{name}: {step}: that is not so")
                count[step.on_tokens_path()] += 1
                reasons.add(step.why)
        print(f"{len(self.plans)} methods, {count[True]} ops of tokens and {count[False]} others alone for {len(reasons)} reasons", flush=True)
        self.assertGreater(len(reasons), 8)

    def test_tokens_path(self):
        """Floats of tokens: only what PASSES lists. Whole numbers and lookups are read a row at a time anyway."""
        seen = {}
        for name, plan in self.plans.items():
            for step in standing_alone(plan):
                if step.on_tokens_path() and not whole(step):
                    seen.setdefault(step.why, {}).setdefault(name, str(step))
        steps = "\n".join(f"{name}: {step}" for names in seen.values() for name, step in names.items())
        for why in PASSES.keys() | seen.keys():
            self.assertEqual(set(seen.get(why, ())), PASSES.get(why, set()), f"{why}\n{steps}")

    def test_report(self):
        """What people read is what the plan has."""
        name = "moelora"
        said = subprocess.run([PEFTC, self.here / f"{name}.peft", "--model", self.here / "bert", "--explain", "kernels"], capture_output=True, text=True, check=True).stdout
        step = said.split("\ntrain_step: ")[1].split("\ninspect: ")[0]
        told = {(op, why): int(times) for op, times, why in re.findall(r"^  (\w+) ×(\d+) stands alone: (.*)$", step, re.M) if op in LOOKED_AT}
        due = Counter((found.op, found.why) for found in standing_alone(self.plans[name]) if found.program == "train_step")
        self.assertEqual(told, due)


if __name__ == "__main__":
    unittest.main()
