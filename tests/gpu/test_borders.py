"""Products with bordered weights (plan-choose-layout): whole steps whose kernels are the shipped PTX, run by the emulator, against the reference interpreter; trainers under
the driver for tests, against the CPU; what `--explain layout` says. Tables have gaps: whoever takes their rows as dense is seen."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler/conversion"), str(ROOT / "tests/oracle")]
import decoders  # noqa: E402
import test_training  # noqa: E402
import transformers  # noqa: E402
from bundle import gpu_plan  # noqa: E402
from emulated import Emulated  # noqa: E402
from machine import TARGET, Gpu, Trainer  # noqa: E402
from subject import BIN, compare, run  # noqa: E402
from test_kernels import LABELS, USES  # noqa: E402

EVERYWHERE = "attach lora(r = 8, alpha = 2{}) to layers[*].** where kind == linear"
CASES = [  # the attach, and how many products are ones with a border, or with several
    ("straight", EVERYWHERE.format(""), 17), ("dropout", EVERYWHERE.format(", dropout = 0.2"), 12),
    ("twice", EVERYWHERE.format("") + "\n" + EVERYWHERE.replace("alpha = 2", "alpha = 1").format(""), 13), ("queries", "attach lora(r = 8) to layers[*].attention.{q, v}", 4)]
LENGTHS = [33, 7, 17]


def steps(plan, op, program="train_step"):
    return [step for step in next(one for one in plan["programs"] if one["name"] == program)["steps"] if step["op"] == op]


class Borders(test_training.Training):
    test_methods = test_mistakes_are_seen = None  # those of other programs

    def program(self, attach, layout="bordered", precision="fp32", sums="auto"):
        return f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{attach}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0.1, precision = {precision}, layout = {layout}, sums = {sums}, attention = generated }}\n"

    def test_steps(self):
        for name, attach, products in CASES:
            with self.subTest(name):
                subject = Emulated(self.folder / name, self.folder / "even", self.program(attach), TARGET)
                plan = gpu_plan(subject.bundle)
                self.assertEqual(len(steps(plan, "beside")), products)
                weights = [step["attrs"]["weight"] for step in steps(plan, "border")]
                self.assertEqual(len(weights), len(set(weights)), "a weight is there once")
                print(f"{name}: {self.worst(subject, self.started(subject), LENGTHS):.1e}", flush=True)

    def test_sums(self):
        """Products that add to each other, as one or one by one: the same sums, of which every program reads its weights from the same matrices."""
        values, counts, worst = {}, {}, {}
        for precision in ("fp32", "bf16"):
            for sums in ("joined", "apart"):
                subject = Emulated(self.folder / f"{precision}-{sums}", self.folder / "even", self.program(EVERYWHERE.format(""), "bordered", precision, sums), TARGET)
                plan, rows, init = gpu_plan(subject.bundle), self.rows(LENGTHS), self.started(subject)
                counts[sums] = [len([step for step in program["steps"] if step["kind"] == "gemm"]) for program in plan["programs"]]
                stacked = {(step["attrs"]["weight"], step["attrs"]["stacked"]) for program in plan["programs"] for step in steps(plan, "border", program["name"]) if "stacked" in step["attrs"]}
                self.assertEqual(len(stacked), 1 if sums == "joined" else 0) # q, k and v of the layer whose input has a gradient
                self.assertEqual({step["attrs"]["weight"] for program in plan["programs"] for step in steps(plan, "border", program["name"]) if step["attrs"]["weight"] in dict(stacked)}, set(dict(stacked)))
                values[sums] = subject.inspect(rows, init)
                worst[sums] = compare(values[sums], subject.inspect(rows, init, emulated=False), 1)
            fewer = {program["name"]: apart - joined for program, joined, apart in zip(plan["programs"], counts["joined"], counts["apart"])}
            self.assertEqual((fewer["train_step"], fewer["eval"]), (4, 2)) # of a layer's three sums two, and of its three products
            apart = compare(values["joined"], values["apart"], 1e-5 if precision == "fp32" else 0.2)
            print(f"{precision}: {worst['joined']:.1e} joined, {worst['apart']:.1e} apart, {apart:.1e} from each other", flush=True)
            self.assertLess(worst["joined"], 1.2 * worst["apart"] + 1e-5)

    def test_bf16(self):
        """What is rounded where differs between the layouts, and how far gradients are off by it does not."""
        worst = {}
        for layout in ("bordered", "added"):
            subject = Emulated(self.folder / layout, self.folder / "even", self.program(EVERYWHERE.format(""), layout, "bf16"), TARGET)
            self.assertEqual(len(steps(gpu_plan(subject.bundle), "beside")), 17 if layout == "bordered" else 0)
            rows, init = self.rows(LENGTHS), self.started(subject)
            worst[layout] = compare(subject.inspect(rows, init), subject.inspect(rows, init, emulated=False), 1)
        print(f"bf16: {worst['bordered']:.1e} bordered, {worst['added']:.1e} added", flush=True)
        self.assertLess(worst["bordered"], 2 * worst["added"])

    def test_programs_share_weights(self):
        """What one program puts into a border another one must not find where it has nothing."""
        subject = Emulated(self.folder / "shared", self.folder / "even", self.program(EVERYWHERE.format("")), TARGET)
        plan = gpu_plan(subject.bundle)
        shapes = {}
        for program in plan["programs"]:
            for step in steps(plan, "border", program["name"]):
                value = program["values"][step["out"][0]]
                shapes.setdefault(step["attrs"]["weight"], set()).add((tuple(value["dims"]), value["dtype"]))
        self.assertGreater(len(shapes), 10)
        self.assertEqual({len(one) for one in shapes.values()}, {1})
        self.assertTrue(steps(plan, "border", "eval"))

    def test_a_trainer(self):
        """A language model whose heads share keys: training, evaluation, and writing, with weights that are there once."""
        LlamaConfig = transformers.LlamaConfig
        folder = self.folder / "language"
        decoders.random_checkpoint(folder / "llama", LlamaConfig(vocab_size=101, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=64))
        text = decoders.spec("attach lora(r = 4) to layers[*].** where kind == linear", "lora") + "\nrun { layout = bordered }\n"
        trainer, gpu, losses, written = Trainer(folder / "writer", folder / "llama", text), Gpu(folder / "gpu"), [], []
        self.assertTrue(steps(gpu_plan(trainer.bundle), "border"))
        self.assertGreater(len(steps(gpu_plan(trainer.bundle), "beside", "decode")), 10)  # one row of every text
        rows = trainer.rows("train.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 40, 33, 2])])
        for device in ("cuda", "cpu"):
            out, on = folder / device, {"gpu": gpu} if device == "cuda" else {}
            trainer.run("train", "--data", rows, "--valid", rows, "--out", out, "--device", device, **on)
            losses.append([line[what] for line in trainer.metrics(out) for what in ("loss", "grad_norm") if what in line] + [line["eval"]["loss"] for line in trainer.metrics(out) if "eval" in line])
            written.append(trainer.run("generate", folder / "cpu" if (folder / "cpu").exists() else out, "--data", rows, "--max-new", 3, "--unmerged", "--device", device, **on).stdout)
        self.assertGreater(len(losses[1]), 2)
        for ours, theirs in zip(*losses):
            self.assertLess(abs(ours - theirs), 1e-4 * max(1, abs(theirs)))
        self.assertEqual(len(losses[0]), len(losses[1]))

    def explained(self, layout, what="layout"):
        spec = self.folder / f"{layout}.peft"
        spec.write_text(self.program(EVERYWHERE.format(""), layout))
        return run(BIN / "peftc", spec, "--model", self.folder / "even", "--target", "sm_90a", "--explain", what)

    def test_explained(self):
        chosen, added = self.explained("auto"), self.explained("added")
        self.assertRegex(chosen, r"(?m)^train_step:\n(  to \d+ columns +×\d+ +bordered: \+[\d.]+ us bordered, \+[\d.]+ us added\n)+")
        self.assertRegex(added, r"added: \+[\d.]+ us bordered, \+[\d.]+ us added, as `layout` says")
        self.assertFalse(re.search(r"× ?\d+ +bordered", added))

    def test_memory(self):
        """The CPU's, then the GPU's: of that, parts and their sum, and the programs of its own plan. What lies in one table is counted once."""
        found = {}
        for layout in ("bordered", "added"):
            cpu, _, gpu = self.explained(layout, "memory").partition("training on a GPU, ")
            self.assertIn("prepared weights", cpu)
            self.assertNotIn("prepared weights", gpu)
            lines = {name: float(number) * {"KiB": 1, "MiB": 1024}[unit] for name, number, unit in re.findall(r"^ +(\w[^0-9]*?) +([\d.]+) (KiB|MiB) ", gpu, re.M)}
            self.assertAlmostEqual(lines["in all"], sum(lines[name] for name in ("frozen weights", "with borders, rounded", "trained", "a step's values")), delta=110)  # of rounding
            self.assertLess(lines["of them saved"], lines["a step's values"])
            self.assertRegex(gpu, r"(?m)^train_step +\d+ ")
            found[layout] = lines["with borders, rounded"]
        self.assertGreater(found["bordered"], found["added"])


if __name__ == "__main__":
    unittest.main()
