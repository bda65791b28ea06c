"""The newest token's kernels, in which a block of threads has one row or one head: continuations of prompts under the driver for tests, where every access is checked, against the
CPU's; how many threads do what; and that a barrier which is missing is seen."""
import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import decoders  # noqa: E402
import transformers  # noqa: E402
from bundle import Scratch, gpu_plan  # noqa: E402
from machine import Gpu, Trainer  # noqa: E402

SMALL = {"vocab_size": 101, "num_hidden_layers": 2, "max_position_embeddings": 128}
# Heads of 8 numbers that share keys, in whole accesses; of 24, of which a warp's lanes take five rows and some lanes none; of 10, which no access divides; of 36, in f32 alone; a window.
MODELS = {"shared": transformers.LlamaConfig(**SMALL, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=600),
          "wide": transformers.LlamaConfig(**SMALL, hidden_size=144, num_attention_heads=6, num_key_value_heads=3, head_dim=24, intermediate_size=40),
          "odd": transformers.LlamaConfig(**SMALL, hidden_size=30, num_attention_heads=3, num_key_value_heads=1, intermediate_size=34),
          "half": transformers.LlamaConfig(**SMALL, hidden_size=72, num_attention_heads=2, num_key_value_heads=2, intermediate_size=64),
          "window": transformers.MistralConfig(**SMALL, hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=48, sliding_window=9)}
PROMPTS = [2, 90, 33, 7]  # more keys than threads that share them, and fewer than a warp's
NEW = 8


class Decode(Scratch):
    def trainer(self, name, precision):
        folder = self.folder / f"{self.id()}-{name}-{precision}"
        if not (self.folder / name).exists():
            decoders.random_checkpoint(self.folder / name, MODELS[name])
        text = decoders.spec("attach lora(r = 8, alpha = 4) to layers[*].** where kind == linear", "lora") + f"\nrun {{ precision = {precision}, attention = generated }}\n"
        text = text.replace("model base = llama", f"model base = {MODELS[name].model_type}")
        trainer = Trainer(folder, self.folder / name, text)
        return trainer, trainer.rows("prompts.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of(PROMPTS)]), folder / "trained"

    def written(self, trainer, rows, trained, device, **on):
        answer = trainer.run("generate", trained, "--data", rows, "--max-new", NEW, "--unmerged", "--device", device, **on).stdout.splitlines()
        return [json.loads(line)["ids"] for line in answer[:len(PROMPTS)]]

    def test_tokens(self):
        for name in MODELS:
            for precision in ("fp32", "bf16"):
                with self.subTest(name, precision=precision):
                    trainer, rows, trained = self.trainer(name, precision)
                    trainer.run("train", "--data", rows, "--out", trained, "--device", "cpu")
                    gpu = Gpu(self.folder / f"gpu-{name}-{precision}")
                    ours, theirs = (self.written(trainer, rows, trained, device, **on) for device, on in (("cuda", {"gpu": gpu}), ("cpu", {})))
                    self.assertEqual(len(theirs), len(PROMPTS))
                    if precision == "fp32":
                        self.assertEqual(ours, theirs)
                    else: # until rounding decides between two tokens that are nearly alike
                        alike = [next((place for place, (a, b) in enumerate(zip(one, other)) if a != b), len(other)) for one, other in zip(ours, theirs)]
                        print(f"{name}: of {[len(one) for one in theirs]} tokens {alike} are the CPU's", flush=True)
                        self.assertGreater(sum(alike), NEW * len(PROMPTS) / 2)

    def test_threads(self):
        """A row of 600 numbers is 256 threads', a head of attention too; parts of a row go to teams side by side."""
        trainer, _, _ = self.trainer("shared", "bf16")
        plan = gpu_plan(trainer.bundle)
        kernels = {program["name"]: [(step["attrs"]["space"], step["attrs"]["columns"], step["attrs"]["team"], step["attrs"]["block"]) for step in program["steps"] if step["kind"] == "kernel"] for program in plan["programs"]}
        self.assertIn(("rows", 600, 256, 256), kernels["decode"])
        self.assertIn(("tiles", 1, 256, 256), kernels["decode"])
        self.assertIn(("rows", 32, 8, 128), kernels["decode"])
        self.assertNotIn(256, {team for _, _, team, _ in kernels["train_step"]})

    def test_a_missing_barrier_is_seen(self):
        trainer, rows, trained = self.trainer("window", "bf16")
        trainer.run("train", "--data", rows, "--out", trained, "--device", "cpu")
        for path in trainer.bundle.rglob("*.ptx"):
            text = path.read_text()
            self.assertIn("bar.sync", text)
            path.write_text(text.replace("bar.sync", "// bar.sync"))
        said = trainer.run("generate", trained, "--data", rows, "--max-new", 3, "--unmerged", "--device", "cuda", gpu=Gpu(self.folder / "gpu-broken"), code=1).stderr
        self.assertRegex(said, "race|uninitialised")


if __name__ == "__main__":
    unittest.main()
