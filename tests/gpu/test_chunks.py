"""Wide rows some at a time (plan-narrow-bands): a trainer whose device takes few rows through its widest steps gives the numbers of one that takes all at once, with graphs
and without, whatever remains for the last time; random numbers and sums over rows know which rows they are at."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import decoders  # noqa: E402
import transformers  # noqa: E402
from bundle import Scratch, gpu_plan  # noqa: E402
from machine import SPEC, Gpu, Trainer  # noqa: E402
from subject import BIN, random_rows, run, tiny_bert  # noqa: E402

VOCABULARY = 499
FEW = 24  # rows: what a kernel that sums over them takes at least


class Chunks(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.folder / "llama"
        decoders.random_checkpoint(cls.model, transformers.LlamaConfig(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=64))

    def trainer(self, name, options):
        text = decoders.spec("attach lora(r = 4) to layers[*].** where kind == linear", "lora") + f"\nrun {{ batch = 4, epochs = 3, shuffle = false, {options} }}\n"
        return Trainer(self.folder / name, self.model, text)

    def losses(self, trainer, name, data, **on):
        out = self.folder / name
        on.setdefault("gpu", Gpu(self.folder / f"{name} gpu"))
        trainer.run("train", "--data", data, "--valid", data, "--out", out, "--device", "cuda" if on["gpu"] else "cpu", **on)
        return [number for line in trainer.metrics(out) for number in ([line[what] for what in ("loss", "grad_norm") if what in line] + ([line["eval"]["loss"]] if "eval" in line else []))]

    def same(self, ours, theirs, tolerance):
        self.assertEqual(len(ours), len(theirs))
        for one, other in zip(ours, theirs):
            self.assertAlmostEqual(one, other, delta=tolerance * max(1, abs(other)))

    def test_a_language_model(self):
        """Batches of 100, 24 and 25 rows: five turns, one, and one more for a single row."""
        rows = [{"input_ids": row["input_ids"]} for row in decoders.rows_of([40, 33, 17, 10, 6, 6, 6, 6, 7, 6, 6, 6])]
        for precision, tolerance in (("fp32", 1e-5), ("bf16", 2e-3)):
            with self.subTest(precision):
                few, all_at_once = (self.trainer(f"{precision} {name}", f"precision = {precision}{asked}") for name, asked in (("few", f", chunk_rows = {FEW}"), ("all", "")))
                programs = {program["name"]: program for program in gpu_plan(few.bundle)["programs"]}
                self.assertEqual([programs[name]["bands"] for name in ("train_step", "eval")], [[FEW]] * 2)
                self.assertEqual({slot["p"] for program in gpu_plan(all_at_once.bundle)["programs"] for slot in program["slots"]}, {0})
                wide = [value for value in programs["train_step"]["values"] if value["per"] == "example" and value["dims"][-1:] == [VOCABULARY] and value["slot"] >= 0 and value.get("alias", -1) < 0]
                self.assertGreaterEqual(len(wide), 2)  # logits and their gradient
                for value in wide:
                    self.assertGreater(programs["train_step"]["slots"][value["slot"]]["p"], 0)
                data = few.rows("rows.jsonl", rows)
                ours, theirs = (self.losses(trainer, f"{precision} {name} run", data) for name, trainer in (("few", few), ("all", all_at_once)))
                self.assertEqual(len(set(ours)), len(ours))
                self.same(ours, theirs, tolerance)
                self.same(ours, self.losses(few, f"{precision} on the CPU", data, gpu=None), 1e-4 if precision == "fp32" else 2e-2)
                self.assertEqual(ours, self.losses(few, f"{precision} without graphs", data, environment={"PEFT_GRAPHS": "off"}), "graphs change nothing")

    def test_random_numbers(self):
        """Dropout and a sum over rows inside the band: all rows of an encoder go through its widest steps, few at a time."""
        tiny_bert.make(self.folder / "bert")
        rows = random_rows(9, 3, lengths=(3, 20))
        reports = {}
        for name, options in (("few", f", chunk_rows = {FEW}"), ("all", "")):
            trainer = Trainer(self.folder / f"dropped {name}", self.folder / "bert", SPEC.replace("clip = 1.0", "clip = 1.0" + options))
            bands = [program["bands"] for program in gpu_plan(trainer.bundle)["programs"] if program["name"] == "train_step"]
            self.assertEqual(bands != [[]], name == "few")
            reports[name] = self.losses(trainer, f"dropped {name} run", trainer.rows("rows.jsonl", rows))
        self.same(reports["few"], reports["all"], 1e-5)

    def test_memory(self):
        """What is asked for is told, and takes less; without a word nothing is done in parts where rows are few."""
        spec = self.folder / "memory.peft"
        took = {}
        for options in ("", ", chunk_rows = 24"):
            spec.write_text(decoders.spec("attach lora(r = 4) to layers[*].** where kind == linear", "lora") + f"\nrun {{ batch = 64, max_length = 64{options} }}\n")
            said = run(BIN / "peftc", spec, "--model", self.model, "--target", "sm_90a", "--explain", "memory")
            took[options] = [line for line in said[said.index("on a GPU") :].splitlines() if line.startswith("train_step")][0].split()
        self.assertEqual(took[""][4], "0.0")
        self.assertLess(float(took[", chunk_rows = 24"][3]), float(took[""][3]))


if __name__ == "__main__":
    unittest.main()
