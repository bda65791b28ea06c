"""Generated code against the reference interpreter (fp64), whole steps with every dropout on: texts of 1 to 129 tokens, dims that no vector divides,
every CPU variant that this machine runs, one thread and two. The masks of all of them are the same numbers, or nothing would agree."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "oracle"))
from subject import BIN, Subject, compare, load_file, random_rows, run, tiny_bert, write_rows  # noqa: E402

# Of a gradient's largest entry, through a whole step. In fp32 LibTorch's own products are off by 1.2e-5 at the widest shape; a bf16 has 8 bits.
TOLERANCES = {"fp32": 3e-5, "bf16": 0.1}
LABELS = 5
LENGTHS = ([1], [1, 1, 2], [127, 1, 129, 16, 33], [31, 32, 33, 64], [17] * 40)
SHAPES = {"odd": dict(hidden_size=21, num_attention_heads=3, intermediate_size=37), "even": dict(hidden_size=64, num_attention_heads=2, intermediate_size=96),
          "wide": dict(hidden_size=84, num_attention_heads=2, intermediate_size=600), "one head": dict(hidden_size=19, num_attention_heads=1, intermediate_size=5)}
METHODS = {
    "lora": "attach lora(r = 3, dropout = 0.3) to layers[*].** where kind == linear",
    "dora": "attach dora(r = 2) to layers[*].attention.{q, o}",
    "ia3 and bitfit": "attach ia3 to layers[*].attention.{k, v}\nattach bitfit to layers[*].ffn.up",
    "prefix": "attach prefix(n = 3, hidden = 7) to layers[*].attention",
    "adapters": "attach serial_adapter(reduction = 3) to layers[*].ffn\nattach parallel_adapter(k = 4) to layers[*].attention",
    "smooth adapters": "attach serial_adapter(reduction = 3, act = gelu) to layers[*].ffn\nattach parallel_adapter(k = 4, act = gelu) to layers[*].attention",
    # numbers of each part of a row: of experts, of groups; the second has as many parts as a part is long
    "parts": "attach molora(n = 5, r = 2) to layers[0].attention.{q, v}\nattach molora(n = 4, r = 4) to layers[0].ffn.up\nattach qalora(r = 2, group = 3) to layers[1].attention.{q, k}\n"
             "attach mole([lora(2), lora(3)]) to layers[1].ffn.up",
    "sums of all": "attach lst(reduction = 3) to model",
    "cubes": "attach serial_adapter(reduction = 3, act = gelu_tanh) to layers[*].ffn",
    "norms": "train layers[*].**.norm.{weight, bias}",
    "sums": "train layers[*].**.norm.{weight, bias}\nattach bitfit to layers[*].{attention.{v, o}, ffn.{up, down}}\nattach ssf to layers[*].{attention.{v, o}, ffn.{up, down}}",
}
USES = "use peft.methods.{lora, dora, ia3, bitfit, prefix, serial_adapter, parallel_adapter, ssf, molora, qalora, mole, lst}\n"
# Rows of a batch: one, about the stretch of rows that is summed at a time, about a thread's rows of a band, and none that a stretch divides.
SUMMED = ([1], [23], [24, 1], [127], [95, 97, 2], [129, 160, 160])


def cpu_targets(trainer, rows):
    """The variants that this CPU runs, by asking for each."""
    found = []
    for target in ("x86-64-v3", "x86-64-v4", "x86-64-v4-bf16"):
        done = subprocess.run([str(trainer), "inspect", "--data", str(rows), "--out", str(rows) + ".probe"], env={**os.environ, "PEFT_CPU_TARGET": target}, capture_output=True, text=True)
        if "R0107" not in done.stderr:
            found.append(target)
    return found


class Kernels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        for name, options in SHAPES.items():
            tiny_bert.make(cls.folder / name, **options)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def subject(self, shape, method, precision="fp32"):
        text = f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{METHODS[method]}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ precision = {precision} }}\n"
        return Subject(self.folder / f"{shape} {method} {precision}".replace(" ", "_"), self.folder / shape, text)

    def rows(self, lengths):
        rows = random_rows(len(lengths), LABELS)
        many = random_rows(1, LABELS, lengths=(160, 160))[0]["input_ids"]
        for index, (row, length) in enumerate(zip(rows, lengths)):
            row["input_ids"] = [(word * (index + 1)) % 101 for word in many[:length]]
        return rows

    def started(self, subject):
        """Parameters away from where they start: at B = 0 most of a gradient is 0."""
        import torch

        values = subject.inspect(self.rows([2]), None, "--reference")
        generator = torch.Generator().manual_seed(11)
        shapes = {name[len("grad."):]: value.shape for name, value in values.items() if name.startswith("grad.")}
        return subject.save_init({name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()})

    def check(self, shape, method, all_lengths=LENGTHS, precision="fp32"):
        subject = self.subject(shape, method, precision)
        init = self.started(subject)
        targets = cpu_targets(subject.trainer, subject.folder / "batch.jsonl")
        self.assertTrue(targets)
        worst = 0.0
        for lengths in all_lengths:
            rows = self.rows(lengths)
            expected = subject.inspect(rows, init, "--reference")
            # With one or two keys the gradients of queries and keys are differences of nearly equal numbers.
            least = 1e-6 if precision == "fp32" else 0.1 * max(value.abs().max().item() for name, value in expected.items() if name.startswith("grad."))
            for target in targets:
                with unittest.mock.patch.dict(os.environ, PEFT_CPU_TARGET=target):
                    for threads in (1, 2):
                        with self.subTest(shape=shape, method=method, lengths=lengths, target=target, threads=threads):
                            worst = max(worst, compare(subject.inspect(rows, init, "--threads", threads), expected, TOLERANCES[precision], least))
        print(f"{shape}, {method}, {precision}: {worst:.1e} ({', '.join(targets)})", flush=True)

    def plan(self, subject, shape):
        return subprocess.run([BIN / "peftc", subject.folder / "spec.peft", "--model", self.folder / shape, "--emit=plan"], capture_output=True, text=True, check=True).stdout

    def test_products(self):
        """Own matrix products, at depths and widths beyond one block of theirs, and the library's."""
        for products in ("own", "library"):
            with unittest.mock.patch.dict(os.environ, PEFT_PRODUCTS=products):
                self.check("wide", "lora", LENGTHS[2:3])
        with unittest.mock.patch.dict(os.environ, PEFT_PRODUCTS="none"):
            with self.assertRaisesRegex(AssertionError, "R0107"):
                self.subject("wide", "lora").inspect(self.rows([2]))

    def test_bf16(self):
        """Tokens' vectors as bf16 in memory, in both halves of the step. Without kinks: rounding may put a number that is nearly 0 on the other side."""
        plan = self.plan(self.subject("even", "lora", "bf16"), "even")
        self.assertGreater(plan.count("bf16>"), 50)
        self.assertNotIn("bf16>", self.plan(self.subject("even", "lora"), "even"))
        for shape, method in (("odd", "lora"), ("even", "lora"), ("odd", "prefix"), ("odd", "smooth adapters"), ("odd", "ia3 and bitfit"), ("even", "dora"), ("one head", "norms"), ("odd", "sums")):
            self.check(shape, method, LENGTHS[1:3], "bf16")

    def test_odd_dims(self):
        self.check("odd", "lora")

    def test_even_dims(self):
        self.check("even", "lora")

    def test_one_head(self):
        self.check("one head", "lora", LENGTHS[1:3])

    def test_methods(self):
        for method in METHODS:
            if method not in ("lora", "smooth adapters", "sums"):
                self.check("odd", method, LENGTHS[2:3])

    def test_sums_over_rows(self):
        """Gradients of biases, norms and scales: beside what a row's kernel makes, and the same bits by any number of threads."""
        subject = self.subject("odd", "sums")
        step = self.plan(subject, "odd").split("plan.program @train_step")[1].split("plan.return")[0]
        self.assertNotIn('plan.step "aten" "reduce"', step)
        init = self.started(subject)
        for lengths in SUMMED:
            with self.subTest(lengths=lengths):
                rows = self.rows(lengths)
                found = [subject.inspect(rows, init, "--threads", threads) for threads in (1, 2, 3)]
                self.assertGreater(len(found[0]), 30)
                for other in found[1:]:
                    for name, value in other.items():
                        self.assertTrue(value.equal(found[0][name]), name)
                worst = compare(found[0], subject.inspect(rows, init, "--reference"), TOLERANCES["fp32"], 1e-6)
                print(f"sums over {sum(lengths)} rows: {worst:.1e}", flush=True)

    def test_stretches_that_are_split(self):
        """What a wrong plan does: parts that begin inside a stretch change the sums, and a band that ends inside one is refused."""
        subject = self.subject("odd", "sums")
        bundle, out = subject.folder / "bundle", subject.folder / "split.safetensors"
        data = write_rows(subject.folder / "split.jsonl", self.rows([95, 97, 2]))
        run(BIN / "peftc", subject.folder / "spec.peft", "--model", subject.model, "--bundle", bundle)
        plan = json.loads((bundle / "plan.json").read_text())
        kernels = [step["attrs"] for program in plan["programs"] for step in program["steps"] if "sums" in step["attrs"]]
        self.assertGreater(len(kernels), 8)

        def sums(stretch, threads):
            for kernel in kernels:
                kernel["stretch"] = stretch
            (bundle / "plan.json").write_text(json.dumps(plan))
            run(BIN / "peft-runner", "--bundle", bundle, "inspect", "--data", data, "--out", out, "--threads", threads)
            return {name: value for name, value in load_file(out).items() if name.startswith("grad.")}

        whole = sums(kernels[0]["stretch"], 1)
        self.assertTrue(any(not value.equal(whole[name]) for name, value in sums(1, 2).items()))
        with self.assertRaisesRegex(AssertionError, "R0102.*ends inside a stretch"):
            sums(7, 1)

    def test_no_matrix_of_scores_is_in_memory(self):
        """Sizes of the step's slots have no part that grows with the square of a text."""
        plan = self.plan(self.subject("even", "lora"), "even")
        step = next(line for line in plan.splitlines() if "plan.program @train_step" in line)
        self.assertIn("#plan.size<", step)
        self.assertNotRegex(step, r"q = [1-9]")


if __name__ == "__main__":
    unittest.main()
