"""A trainer on a GPU, as a person runs it (`--device cuda`), under the driver for tests: its kernels are the bundle's PTX, its memory is the GPU's. Training, with
dropout, evaluation, prediction, merged weights: the CPU's numbers."""
import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import decoders  # noqa: E402
import transformers  # noqa: E402
from bundle import gpu_plan  # noqa: E402
from machine import TARGET, Gpu, SmallTrainer, Trainer  # noqa: E402
from subject import load_file, random_rows  # noqa: E402

class Device(SmallTrainer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.train = cls.trainer.rows("train.jsonl", random_rows(12, 3, lengths=(3, 9)))
        cls.valid = cls.trainer.rows("valid.jsonl", random_rows(5, 3, lengths=(3, 9), seed=5))

    def trained(self, name, *words, gpu=None, data=True):
        out = self.folder / name
        done = self.trainer.run("train", *(["--data", self.train, "--valid", self.valid] if data else []), "--out", out, *words, gpu=gpu)
        return out, done

    def gpu(self, name, **settings):
        return Gpu(self.folder / "gpus" / name, **settings)

    def same(self, ours, theirs, what, tolerance=1e-4):
        self.assertEqual(len(ours), len(theirs), what)
        for a, b in zip(ours, theirs):
            self.assertLess(abs(a - b), tolerance * max(1, abs(b)), what)

    def test_training(self):
        gpu = self.gpu("training")
        ours, said = self.trained("on-gpu", "--device", "cuda", gpu=gpu)
        theirs, _ = self.trained("on-cpu", "--device", "cpu")
        losses = [[line["loss"] for line in self.trainer.metrics(out) if "loss" in line] for out in (ours, theirs)]
        self.assertEqual(len(losses[1]), 6)
        self.assertGreater(max(losses[1]) - min(losses[1]), 0.01)
        self.same(*losses, "losses")
        self.same(*[[line["eval"]["loss"] for line in self.trainer.metrics(out) if "eval" in line] for out in (ours, theirs)], "evaluations")
        self.same(*[[line["grad_norm"] for line in self.trainer.metrics(out) if "loss" in line] for out in (ours, theirs)], "norms of gradients")
        ran = {name for name, *_ in gpu.launches()}
        self.assertGreater(len(ran), 15)
        plan = gpu_plan(self.trainer.bundle)
        step = {op["attrs"]["symbol"] + "__entry" for program in plan["programs"] if program["name"] in ("train_step", "optimizer.0", "eval") for op in program["steps"] if op["kind"] == "kernel"}
        self.assertLessEqual(step, ran)
        self.assertIn("products run on the CPU", said.stderr)
        # What was trained on one is read on the other.
        adapters = [load_file(out / "adapter.safetensors") for out in (ours, theirs)]
        self.assertEqual(adapters[0].keys(), adapters[1].keys())
        for words in (("eval", ours, "--data", self.valid, "--json"), ("eval", theirs, "--data", self.valid, "--json")):
            here, there = [json.loads(self.trainer.run(*words, "--device", device, gpu=gpu if device == "cuda" else None).stdout) for device in ("cuda", "cpu")]
            self.same([here["loss"]], [there["loss"]], words[0])
        predicted = [json.dumps([json.loads(line)["label"] for line in self.trainer.run("predict", theirs, "--data", self.valid, "--device", device, *more, gpu=gpu if device == "cuda" else None).stdout.splitlines()])
                     for device, more in (("cuda", ()), ("cuda", ("--unmerged",)), ("cpu", ()))]
        self.assertEqual(predicted[0], predicted[2])
        self.assertEqual(predicted[1], predicted[2])

    def test_inspect(self):
        gpu, values = self.gpu("inspect"), []
        for device in ("cuda", "cpu"):
            out = self.folder / f"{device}.safetensors"
            self.trainer.run("inspect", "--data", self.valid, "--out", out, "--device", device, gpu=gpu if device == "cuda" else None)
            values.append(load_file(out))
        self.assertEqual(values[0].keys(), values[1].keys())
        for name, theirs in values[1].items():
            self.assertLess((values[0][name] - theirs).abs().max().item(), 1e-5 + 1e-4 * theirs.abs().max().item(), name)

    def test_resumed(self):
        gpu = self.gpu("resumed")
        whole, _ = self.trained("whole", "--device", "cuda", gpu=gpu)
        parts, _ = self.trained("parts", "--device", "cuda", "--limit-steps", 2, gpu=gpu)
        refused = self.trainer.run("train", "--out", parts, "--resume", "--device", "cpu", code=1)
        self.assertIn("error[R0204]", refused.stderr)
        self.assertIn("plan on cuda", refused.stderr)
        self.trained("parts", "--resume", gpu=gpu, data=False)  # `auto` finds it
        self.assertEqual(self.trainer.metrics(whole), self.trainer.metrics(parts))

    def writer(self):
        """A causal model whose heads share keys."""
        LlamaConfig = transformers.LlamaConfig
        folder = self.folder / self.id().rpartition(".")[2]
        decoders.random_checkpoint(folder / "llama", LlamaConfig(vocab_size=101, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=64))
        return Trainer(folder / "writer", folder / "llama", decoders.spec("attach lora(r = 2) to layers[*].** where kind == linear", "lora"))

    def test_a_language_model(self):
        """Longer than a tile of rows; gradients of keys that heads share."""
        trainer, gpu, losses = self.writer(), self.gpu("language"), []
        rows = trainer.rows("train.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 40, 33, 2])])
        for device in ("cuda", "cpu"):
            out = self.folder / f"language-{device}"
            trainer.run("train", "--data", rows, "--out", out, "--device", device, gpu=gpu if device == "cuda" else None)
            losses.append([line[what] for line in trainer.metrics(out) for what in ("loss", "grad_norm") if what in line])
        self.assertGreater(len(losses[1]), 1)
        self.same(*losses, "losses and norms of gradients")

    def test_generation(self):
        """Beside a cache that steps write into."""
        trainer = self.writer()
        rows = trainer.rows("prompts.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 3])])
        gpu = self.gpu("generation")
        said = [trainer.run("generate", "--data", rows, "--max-new", 5, "--device", device, gpu=gpu if device == "cuda" else None).stdout for device in ("cuda", "cpu")]
        self.assertEqual(said[0], said[1])
        self.assertEqual(len(said[0].splitlines()), 2)

    def test_info(self):
        gpu = self.gpu("info")
        report = json.loads(self.trainer.run("info", "--json", gpu=gpu).stdout)["device"]
        self.assertEqual((report["auto"], report["gpu"], report["architecture"], report["code"], report["driver"]), ("cuda", "emulated GPU", "sm_90", f"{TARGET} ptx", "13.0"))
        self.assertIn("sm_90", self.trainer.run("info", gpu=gpu).stdout)
        report = json.loads(self.trainer.run("info", "--json").stdout)["device"]
        self.assertEqual(report["auto"], "cpu")
        self.assertIn("libcuda.so.1", report["why_not_cuda"])


if __name__ == "__main__":
    unittest.main()
