"""Attention as a library's step (plan-choose-attention): whole steps against the reference interpreter, beside those with generated kernels, whose rounding is another; how far a
token sees, heads that share keys; a trainer under the driver for tests. Without CUDA LibTorch does such a step by products: what is LibTorch's
own is seen on a GPU (tests/gpu/check), and here what shapes it asks for and gives."""
import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import decoders  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from bundle import Scratch, gpu_plan  # noqa: E402
from emulated import Emulated  # noqa: E402
from machine import TARGET, Gpu, Trainer  # noqa: E402
from subject import BIN, compare, random_rows, run, tiny_bert  # noqa: E402

SMALL = dict(vocab_size=101, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36, max_position_embeddings=64)
LORA = "attach lora(r = 8) to layers[*].attention.{q, v}"
# Name, arch, what is attached, what a step says of how far is seen.
CASES = [("shared", "llama", LORA, {"right": 0}), ("window", "mistral", LORA, {"left": 4, "right": 0}),
         ("all", "bert", LORA, {})]
LENGTHS = [33, 2, 7, 18]


def steps(plan, program="train_step"):
    return [step for one in plan["programs"] if one["name"] == program for step in one["steps"] if step["kind"] == "attention"]


class Attention(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        decoders.random_checkpoint(cls.folder / "llama", transformers.LlamaConfig(**SMALL, num_key_value_heads=2))
        decoders.random_checkpoint(cls.folder / "mistral", transformers.MistralConfig(**SMALL, num_key_value_heads=2, head_dim=8, sliding_window=5))
        tiny_bert.make(cls.folder / "bert")

    def program(self, arch, attach, attention, **options):
        task = "classify(labels = 3)" if arch == "bert" else "causal_lm"
        run = ", ".join(f"{name} = {value}" for name, value in {"precision": "bf16", "attention": attention, "base_dropout": 0, "batch": 3, "max_length": 64, **options}.items())
        return f"use peft.methods.{{lora}}\nmodel base = {arch}\ntask {task}\n{attach}\n{'train head' if arch == 'bert' else ''}\noptimize adamw(lr = 3e-3)\nrun {{ {run} }}\n"

    def rows(self, arch):
        if arch == "bert":
            return [random_rows(1, 3, lengths=(length, length), seed=place)[0] for place, length in enumerate(LENGTHS)]
        return [{"input_ids": row["input_ids"]} for row in decoders.rows_of(LENGTHS)]

    def test_steps(self):
        for name, arch, attach, sight in CASES:
            with self.subTest(name):
                worst, rows, init = {}, self.rows(arch), None
                for attention in ("library", "generated"):
                    subject = Emulated(self.folder / name / attention, self.folder / arch, self.program(arch, attach, attention), TARGET)
                    found = steps(gpu_plan(subject.bundle))
                    self.assertEqual([step["op"] for step in found], ["attention"] * 2 + ["attention_backward"] * 2 if attention == "library" else [])
                    for step in found:
                        self.assertEqual({which: step["attrs"][which] for which in ("left", "right") if which in step["attrs"]}, sight)
                    expected = subject.inspect(rows, init, emulated=False)
                    if init is None:
                        generator = torch.Generator().manual_seed(11)
                        init = subject.save_init({key[len("grad."):]: torch.randn(value.shape, generator=generator) * 0.2 for key, value in expected.items() if key.startswith("grad.")})
                        expected = subject.inspect(rows, init, emulated=False)
                    worst[attention] = compare(subject.inspect(rows, init), expected, 1)
                print(f"{name}: {worst['library']:.1e} by the library's formula, {worst['generated']:.1e} generated", flush=True)
                self.assertLess(worst["library"], 2 * worst["generated"])

    def test_a_trainer(self):
        """Texts of all lengths, evaluated and written on; the losses of generated kernels within what rounding makes of them. What its steps stand between is recorded as before."""
        rows, losses = None, {}
        for attention in ("library", "generated"):
            folder = self.folder / "trainer" / attention
            trainer, gpu = Trainer(folder, self.folder / "llama", self.program("llama", LORA, attention)), Gpu(folder / "gpu")
            rows = rows or trainer.rows("rows.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 40, 33, 2, 5, 18, 7, 7, 7])])
            done = trainer.run("train", "--data", rows, "--valid", rows, "--out", folder / "out", "--device", "cuda", "--json", "--set", "run.epochs=3", gpu=gpu)
            losses[attention] = [line["loss"] for line in trainer.metrics(folder / "out") if "loss" in line] + [line["eval"]["loss"] for line in trainer.metrics(folder / "out") if "eval" in line]
            self.assertGreater(json.loads(done.stdout)["graphs"]["launches"], 0)
            written = json.loads(trainer.run("generate", folder / "out", "--data", rows, "--max-new", 3, "--unmerged", "--json", "--device", "cuda", gpu=gpu).stdout.splitlines()[0])
            self.assertTrue(written)
        self.assertGreater(len(losses["library"]), 9)
        for ours, theirs in zip(losses["library"], losses["generated"]):
            self.assertLess(abs(ours - theirs), 1e-2 * abs(theirs))

    def test_dropout(self):
        """In training alone; the same numbers in the same run, others with another seed."""
        trainer, losses = Trainer(self.folder / "dropped", self.folder / "bert", self.program("bert", LORA, "library", base_dropout=0.2)), []
        plan = gpu_plan(trainer.bundle)
        self.assertEqual([step["attrs"].get("dropout") for step in steps(plan)], [0.2] * 4)
        self.assertEqual(len({step["attrs"]["site"] for step in steps(plan)}), 2)
        self.assertEqual([step["attrs"].get("dropout") for step in steps(plan, "eval")], [None] * 2)
        rows = trainer.rows("rows.jsonl", self.rows("bert"))
        for place, seed in enumerate((1, 1, 2)):
            out = self.folder / f"dropped {place}"
            trainer.run("train", "--data", rows, "--valid", rows, "--out", out, "--device", "cuda", "--set", f"run.seed={seed}", "--set", "run.shuffle=false", gpu=Gpu(self.folder / f"gpu {place}"))
            losses.append([line["loss"] for line in trainer.metrics(out) if "loss" in line])
        self.assertEqual(losses[0], losses[1])
        self.assertNotEqual(losses[0][0], losses[2][0])

    def explained(self, name, arch, attention, **options):
        spec = self.folder / f"{name}.peft"
        spec.write_text(self.program(arch, LORA, attention, **options))
        return run(BIN / "peftc", spec, "--model", self.folder / arch, "--target", "sm_90a", "--explain", "layout")

    def test_networks(self):
        """That attention is found does not hang on how one network writes it; nor on whether a layer is computed again."""
        shared = {**SMALL, "num_key_value_heads": 2}
        networks = {
            "gpt2": transformers.GPT2Config(vocab_size=101, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0), "qwen3": transformers.Qwen3Config(**shared, head_dim=8),
            "gemma": transformers.GemmaConfig(**shared, head_dim=8), "phi3": transformers.Phi3Config(**shared, pad_token_id=0, bos_token_id=0, eos_token_id=0)}
        for name, config in networks.items():
            decoders.random_checkpoint(self.folder / name, config)
        for name, options in [*((name, {}) for name in networks), ("llama", {"recompute": "layers"})]:
            with self.subTest(name):
                step = self.explained(f"{name} found", name, "library", base_dropout=0.1, **options).partition("train_step:\n")[2].partition("inspect:")[0]
                self.assertEqual(len(re.findall(r"(?m)^ +×2 +library: .* with its way back", step)), 1, step)
                self.assertNotIn("generated:", step)

    def test_what_is_quicker(self):
        """Long texts by the library, short ones not; and never what it cannot do."""
        words = r"train_step:\n +×2 +{0}: [\d.]+ us by the library, [\d.]+ us generated, with its way back\n +×2 +{0}: a way back\n"
        self.assertRegex(self.explained("long", "llama", "auto", tokens_per_batch=8192), words.format("library"))
        self.assertRegex(self.explained("short", "llama", "auto", max_length=8, tokens_per_batch=64), words.format("generated"))
        self.assertRegex(self.explained("fp32", "bert", "library", precision="fp32"), r"train_step:\n +×\d +generated: it is not in bf16")
        self.assertIn("with its way back; it draws numbers of its own\n", self.explained("dropout", "bert", "library", base_dropout=0.1))

    def test_memory(self):
        """What the library has for a moment is counted; kernels of ours have nothing of that."""
        found = {}
        for attention in ("library", "generated"):
            spec = self.folder / f"memory {attention}.peft"
            spec.write_text(self.program("llama", LORA, attention))
            gpu = run(BIN / "peftc", spec, "--model", self.folder / "llama", "--target", "sm_90a", "--explain", "memory").partition("training on a GPU, ")[2]
            found[attention] = float((re.search(r"(?m)^  attention +([\d.]+) KiB ", gpu) or [0, 0])[1])
        rows = 3 * 64
        self.assertAlmostEqual(found["library"], (rows * 4 * 8 * 2 + 2 * rows * 2 * 8 * 2 + (rows + 3 * 128) * 4 * 33 * 4 + 2 * rows * 4 * 8 * 2) / 1024, delta=0.1)
        self.assertEqual(found["generated"], 0)

    def test_what_libtorch_asks_for(self):
        """The shapes of its flash attention, which a GPU alone computes."""
        q, k, starts, none = (torch.empty(shape, dtype=kind, device="meta") for shape, kind in (((9, 4, 8), torch.bfloat16), ((12, 2, 8), torch.bfloat16), ((3,), torch.int32), ((0,), torch.float32)))
        words = dict(scale=0.5, window_size_left=None, window_size_right=0)
        context, lse, *_ = torch.ops.aten._flash_attention_forward(q, k, k, starts, starts, 5, 8, 0.0, True, False, **words)
        self.assertEqual((context.shape, lse.shape, lse.dtype), (q.shape, (4, 9), torch.float32))
        gradients = torch.ops.aten._flash_attention_backward(context, q, k, k, context, lse, starts, starts, 5, 8, 0.0, True, none, none, **words)
        self.assertEqual([one.shape for one in gradients], [q.shape, k.shape, k.shape])


if __name__ == "__main__":
    unittest.main()
