"""Low-rank products in the kernels that make their inputs (plan-fuse-branches): whole steps whose kernels are the shipped PTX, run by the emulator, against the reference
interpreter and against the same products by themselves; what the plan and `--explain layout` say of them; and that mistakes of what only such kernels do are seen."""
import re
import sys
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler/conversion"), str(ROOT / "tests/oracle")]
import decoders  # noqa: E402
import test_training  # noqa: E402
import transformers  # noqa: E402
from bundle import Scratch, gpu_plan  # noqa: E402
from emulated import Emulated  # noqa: E402
from machine import Gpu, Trainer  # noqa: E402
from subject import BIN, compare, run, tiny_bert  # noqa: E402
from test_kernels import LABELS, USES  # noqa: E402

# Rows of 192 columns are two warps', of 128 four warps'.
WIDE = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 128, "num_hidden_layers": 2}
LENGTHS = ([33, 7, 17], [1, 1, 2])  # of 57 rows the last eight lack some, and the last block
LORA = "attach lora(r = {}, alpha = 2{}) to layers[*].** where kind == linear"
# Ranks are a tile's half, a tile and a half, three of them in one product; a factor that is a window's; products that are added behind others.
CASES = [("r8", LORA.format(8, ""), "auto", "sm_80"), ("r24", LORA.format(24, ""), "auto", "sm_90a"), ("dropout", LORA.format(16, ", dropout = 0.2"), "auto", "sm_80"), ("added", LORA.format(16, ""), "added", "sm_90a"),
         ("adapter", "attach pfeiffer_adapter(reduction = 12) to layers[*].ffn", "auto", "sm_80")]
MULTIPLIES = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"


def products(plan, program="train_step"):
    """How many products of a batch's rows are by themselves, and how many kernels multiply."""
    steps = next(one for one in plan["programs"] if one["name"] == program)["steps"]
    return sum(step["kind"] == "gemm" for step in steps), sum(step["kind"] == "kernel" and step["attrs"]["block"] > step["attrs"]["team"] > 4 and step["attrs"]["block"] == 512 for step in steps)


class Branches(test_training.Training):
    test_methods = test_mistakes_are_seen = None  # those of other programs

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.folder / "wide", **WIDE)

    def subject(self, name, attach, layout, target, branches):
        method = re.match(r"attach (\w+)", attach)[1]
        text = f"use peft.methods.{{{method}}}\nmodel base = bert\ntask classify(labels = {LABELS})\n{attach}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0.1, precision = bf16, layout = {layout}, branches = {branches}, attention = generated }}\n"
        return Emulated(self.folder / f"{name}-{branches}", self.folder / "wide", text, target)

    def test_steps(self):
        """Where they are made is not seen beyond how a sum is rounded, and not in how far a step is off from what is exact."""
        for name, attach, layout, target in CASES:
            with self.subTest(name):
                values, exact, by, counts, least = {}, {}, {}, {}, 0.0
                for branches in ("fused", "apart"):
                    subject = self.subject(name, attach, layout, target, branches)
                    init = self.started(subject)
                    counts[branches] = products(gpu_plan(subject.bundle))
                    self.assertEqual(MULTIPLIES in subject.ptx, branches == "fused")
                    values[branches] = [subject.inspect(self.rows(lengths), init) for lengths in LENGTHS]
                    exact[branches] = [subject.inspect(self.rows(lengths), init, emulated=False) for lengths in LENGTHS]
                    # With one or two keys the gradients of queries and keys are differences of nearly equal numbers.
                    least = least or 0.1 * max(value.abs().max().item() for step in exact[branches] for name, value in step.items() if name.startswith("grad."))
                    by[branches] = self.worst_of(values[branches], exact[branches], least)
                self.assertEqual(counts["apart"][1], 0)
                self.assertGreater(counts["fused"][1], 1)
                self.assertGreaterEqual(counts["apart"][0] - counts["fused"][0], counts["fused"][1])
                apart = self.worst_of(values["fused"], values["apart"], least)
                print(f"{name}: {counts['fused'][1]} kernels multiply, of {counts['apart'][0]} products {counts['fused'][0]} are left; off by {by['fused']:.1e}, apart {by['apart']:.1e}, from each other {apart:.1e}", flush=True)
                self.assertLess(by["fused"], 1.5 * by["apart"])
                self.assertLess(apart, 0.5 * by["apart"])

    def worst_of(self, ours, theirs, least):
        return max(compare(one, other, 1, least) for one, other in zip(ours, theirs, strict=True))

    def test_mistakes_are_seen(self):
        subject = self.subject("mistakes", LORA.format(8, ""), "auto", "sm_90a", "fused")
        init = self.started(subject)
        rows = self.rows(LENGTHS[0])
        fine = subject.inspect(rows, init)
        first, second = r"(mma\.sync[^{]*\{[^}]*\},\s*\{)(%r\d+), (%r\d+)", r"(mma\.sync[^{]*\{[^}]*\},\s*\{[^}]*\},\s*\{)(%r\d+), (%r\d+)"
        for found, what, instead in (("race|uninitialised", r"bar\.sync\s+[^;]+;", ""), ("differs by", first, r"\1\3, \2"), ("differs by", second, r"\1\3, \2")):
            with self.subTest(what):
                subject.change(lambda text: self.replaced(what, instead, text))
                with self.assertRaisesRegex(AssertionError, found):
                    compare(subject.inspect(rows, init), fine, 0.2)

    def test_operands_that_lie_anywhere(self):
        """The other body, which reads an element at a time, gives the same numbers: no address is said to be whole."""
        subject = self.subject("anywhere", LORA.format(24, ""), "auto", "sm_90a", "fused")
        init = self.started(subject)
        rows = self.rows(LENGTHS[0])
        fine = subject.inspect(rows, init)
        subject.change(lambda text: self.replaced(r"(or\.b64\s+(%rd\d+), %rd\d+, %rd\d+;\s*and\.b64\s+%rd\d+, \2), 15;", r"\1, -1;", text))
        self.assertEqual(compare(subject.inspect(rows, init), fine, 1e-6), 0)

    def explained(self, options):
        spec = self.folder / "explained.peft"
        spec.write_text(f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{LORA.format(8, '')}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ precision = bf16, max_length = 512, tokens_per_batch = 8192{options} }}\n")
        text = run(BIN / "peftc", spec, "--model", self.folder / "wide", "--target", "sm_90a", "--explain", "layout")
        return text[text.index("low-rank products on the GPU"):]

    def test_explained(self):
        line = r"(?m)^  ×\d+ +to \d+ columns {}: \+[\d.]+ us in its input's kernel, \+[\d.]+ us by itself$"
        chosen, apart = self.explained(""), self.explained(", branches = apart")
        self.assertRegex(chosen, line.format("fused"))
        self.assertRegex(apart, line.format("apart"))
        self.assertNotIn("fused:", apart)


class Training(Scratch):
    """A language model under the driver for tests: its blocks are as large as the runtime makes them, and steps are recorded."""

    def test_a_trainer(self):
        LlamaConfig = transformers.LlamaConfig
        decoders.random_checkpoint(self.folder / "llama", LlamaConfig(vocab_size=101, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=128, max_position_embeddings=64))
        losses, launched = {}, {}
        for branches in ("fused", "apart"):
            text = decoders.spec("attach lora(r = 8) to layers[*].** where kind == linear", "lora") + f"\nrun {{ epochs = 3, branches = {branches}, precision = bf16, layout = bordered, attention = generated }}\n"
            trainer, gpu, out = Trainer(self.folder / branches, self.folder / "llama", text), Gpu(self.folder / f"gpu-{branches}"), self.folder / f"out-{branches}"
            rows = trainer.rows("train.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 40, 33, 2, 21])])
            trainer.run("train", "--data", rows, "--valid", rows, "--out", out, "--device", "cuda", gpu=gpu)
            trainer.run("eval", out, "--data", rows, "--device", "cuda", gpu=gpu)
            losses[branches] = [line["loss"] for line in trainer.metrics(out) if "loss" in line] + [line["eval"]["loss"] for line in trainer.metrics(out) if "eval" in line]
            launched[branches] = {int(threads) for _, _, threads, _ in gpu.launches()}
        self.assertIn(512, launched["fused"])
        self.assertGreater(len(losses["fused"]), 2)
        for ours, theirs in zip(losses["fused"], losses["apart"], strict=True):
            self.assertLess(abs(ours - theirs), 5e-3 * max(1, abs(theirs)))


if __name__ == "__main__":
    unittest.main()
