"""The benchmarks work: tiny runs have a table and a JSON file with every field, and their losses and predictions are the other sides'.

What differs is found, said, and ends in exit code 1. Speeds are not looked at."""
import argparse
import contextlib
import copy
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "compiler"), str(HERE.parent / "runtime/modes")]
import compiled  # noqa: E402
import tiny_bert  # noqa: E402

SHAPE, ROUNDS, STEPS, WARM = "4x8", 2, 3, 3
METHODS = ["lora", "frozen", "full"]
WIDTH = 24  # of tiny_bert's model
HEAD = 16 * (WIDTH + 1)


def load(name):
    """A command of this folder as a module."""
    loader = SourceFileLoader(name, str(HERE / name))
    module = module_from_spec(spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.here = pathlib.Path(cls.scratch.name)
        tiny_bert.make(cls.here / "model")
        cls.done = cls.command("cpu", "--methods", ",".join(METHODS), "--shapes", f"{SHAPE},real", "--dropout", "0", "--data", str(cls.here), "--json", str(cls.here / "all.json"))
        cls.found = json.loads((cls.here / "all.json").read_text()) if (cls.here / "all.json").exists() else None

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def command(cls, name, *words):
        command = [sys.executable, "-B", str(HERE / name), "--quick", "--threads", "1", "--model", str(cls.here / "model"), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))

    def test_ends_well(self):
        self.assertEqual(self.done.returncode, 0, self.done.stdout + self.done.stderr)

    def test_table(self):
        header = load("cpu").HEADER
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in self.done.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(lines[0], header)
        self.assertEqual(len(lines), 2 + len(METHODS), self.done.stdout)
        for method, line in zip(METHODS, lines[2:]):
            row = dict(zip(header, line))
            self.assertEqual([row[name] for name in ("method", "shape", "dropout", "precision", "against")], [method, SHAPE, "0", "fp32", "fp32"])
            for name in ("ours tokens/s", "its tokens/s", "ours / its", "limit tokens/s", "ours / limit"):
                self.assertRegex(row[name], r"^[\d.]+ \([\d.]+–[\d.]+\)$", name)
            self.assertRegex(row["first losses apart"], "✓$")
            self.assertEqual(row["last losses"], row["its"])

    def test_what_is_said(self):
        for text in ("Machine: ", "avx2", "amx_tile", "torch ", "1 threads", "real: skipped"):
            self.assertIn(text, self.done.stdout)

    def test_json(self):
        self.assertEqual(set(self.found), {"machine", "versions", "settings", "results", "notes", "disagree"})
        self.assertEqual(set(self.found["machine"]["features"]), {"avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"})
        result, frozen, full = self.found["results"]
        flop = {found["method"]: found["limit_flop"] for found in self.found["results"]}
        self.assertGreater(flop["full"], flop["frozen"], "full fine-tuning needs the weights' gradients")
        self.assertEqual(frozen["about"]["fp32"]["trainable"] - 3 * WIDTH, HEAD, "three biases and the classifier")
        self.assertGreater(full["about"]["fp32"]["trainable"], 100 * WIDTH)
        self.assertEqual(set(result["sides"]), {"ours", "fp32", "limit"})
        for name, side in result["sides"].items():
            self.assertEqual(len(side["turns"]), ROUNDS, name)
            self.assertLessEqual(side["rate"]["q1"], side["rate"]["median"], name)
            self.assertTrue(all(turn["seconds"] > 0 and math.isclose(turn["rate"], side["rate"]["all"][i]) for i, turn in enumerate(side["turns"])), name)
        for name in ("ours", "fp32"):
            self.assertGreater(result["sides"][name]["peak_mib"], 10)
            self.assertEqual(len(result["sides"][name]["losses"]), ROUNDS * (WARM + STEPS))

    def test_losses_agree(self):
        for result in self.found["results"]:
            mine, its = (result["sides"][name]["losses"] for name in ("ours", "fp32"))
            for step, (a, b) in enumerate(zip(mine, its)):
                self.assertLess(abs(a - b), 1e-3 * abs(b), f"{result['method']}, step {step}")
            self.assertGreater(max(its) - min(its), 1e-2, f"{result['method']}: nothing was learned, the comparison says little")

    def test_disagreement_is_said(self):
        command, results = load("cpu"), copy.deepcopy(self.found["results"])
        for factor, code in ((1, 0), (1.0015, 1)):
            results[0]["sides"]["ours"]["first_loss"] *= factor
            results[0]["comparisons"] = command.compare(results[0])
            with contextlib.redirect_stdout(io.StringIO()) as said:
                self.assertEqual(command.report(argparse.Namespace(rounds=ROUNDS, steps=STEPS, threads=1, json=None), self.found["machine"], results, []), code)
            self.assertEqual("DISAGREE lora" in said.getvalue(), bool(code))

    def test_disagreement_is_found(self):
        command = load("cpu")
        sides = {name: {"rate": {"all": [1.0]}, "first_loss": loss, "losses": [loss]} for name, loss in (("ours", 2.0), ("fp32", 2.003), ("limit", 1.0))}
        line, = command.compare({"precision": "fp32", "dropout": 0, "sides": sides})
        self.assertTrue(line["must_agree"] and not line["agrees"])
        line, = command.compare({"precision": "fp32", "dropout": 0.1, "sides": sides})
        self.assertFalse(line["must_agree"])

    def test_language(self):
        path = self.here / "language.json"
        done = subprocess.run([sys.executable, "-B", str(HERE / "language"), "--quick", "--threads", "1", "--size", "tiny", "--shapes", "2x24", "--json", str(path)], capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        command, found = load("language"), json.loads(path.read_text())
        self.assertEqual([line.split("|")[4].strip() for line in done.stdout.splitlines() if line.startswith("|")][2:], ["fp32", "bf16 autocast", "bf16 weights"])
        self.assertEqual(len(found["results"][0]["sides"]["ours"]["losses"]), 2 * (command.WARM + 2))
        self.assertEqual(command.compare(found["results"][0])[1], [])
        found["results"][0]["sides"]["ours"]["losses"][-1] *= 1.0015
        self.assertEqual(len(command.compare(found["results"][0])[1]), 1)
        done = subprocess.run([sys.executable, "-B", str(HERE / "language"), "--shapes", "real"], capture_output=True, text=True)
        self.assertEqual((done.returncode, "ROWSxTOKENS" in done.stderr), (2, True), done.stderr)

    def test_methods(self):
        """A row a method, its ratio to the frozen step; beside peft's where peft has it. All of the library is known, or left out for a reason."""
        path, shared, ours = self.here / "methods.json", ["lora", "mpt"], "hadamard_adapter"
        done = self.command("methods", "--methods", ",".join([*shared, ours]), "--shapes", SHAPE, "--json", str(path))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        command, found = load("methods"), {result["method"]: result for result in json.loads(path.read_text())["results"]}
        self.assertEqual([line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")], ["method", "---", *shared, ours])
        for name, result in found.items():
            self.assertEqual("peft" in result, name in shared)
            for side in ("ours", *(["peft"] if name in shared else [])):
                self.assertGreater(result[side]["ratio"]["median"], 0)
                self.assertEqual(len(result[side]["losses"]), command.WARM + 2)
        self.assertIn("mixlora: left out, it needs a gated branch", done.stdout)
        known = command.library.attaches()
        self.assertEqual(set(known) | set(command.library.LEFT_OUT), {file.stem for file in (HERE.parents[1] / "stdlib/methods").glob("*.peft")})
        self.assertLess(command.library.SHARED, set(known))
        self.assertEqual([command.slower({"against": {"median": ratio}}) for ratio in (0.99, 1.01)], [True, False])
        self.assertEqual(self.command("methods", "--methods", "mixlora").returncode, 2)

    def test_compile(self):
        """A row a method with both clocks, its kernels and the trainer's size; a bar that is not met is said and is exit code 1."""
        path, methods = self.here / "compile.json", ["bitfit", "lora"]
        words = [sys.executable, "-B", str(HERE / "compile"), "--methods", ",".join(methods), "--model", str(self.here / "model"), "--json", str(path)]
        done = subprocess.run([*words, "--rounds", "1", "--cold", "60", "--unchanged", "1e-6"], capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual([line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")], ["method", "---", *methods])
        self.assertEqual(done.stdout.count("**slow**"), 2)
        found = json.loads(path.read_text())
        self.assertEqual(found["above"], [f"{method}: unchanged" for method in methods])
        for result in found["results"]:
            self.assertGreater(result["cold"]["cpu"]["median"], 2 * result["unchanged"]["cpu"]["median"], "the second time finds its code")
            self.assertGreater(result["kernels"], 10)
            self.assertGreater(result["trainer_mib"], 1)
        quick = subprocess.run([*words[:-2], "--quick", "--unchanged", "1e-6"], capture_output=True, text=True, timeout=240)
        self.assertEqual(quick.returncode, 0, quick.stderr)
        self.assertEqual(subprocess.run([*words, "--rounds", "0"], capture_output=True).returncode, 2)

    def test_clock(self):
        """From the first line at or after the warm-up's end to the last one."""
        clocked, tokens = load("cpu").subject.clocked, {step: 10 * step for step in range(1, 9)}
        self.assertEqual(clocked([(1, 0.0), (3, 5.0), (5, 6.0), (8, 8.5)], tokens, 2), (3.5, 40 + 50 + 60 + 70 + 80, 5))
        self.assertIsNone(clocked([(1, 0.0), (8, 8.5)], tokens, 2))

    def test_usage(self):
        for words in (["--methods", "lore"], ["--shapes", "32"], ["--dropout", "1"], ["--precision", "fp8"], ["--rounds", "-1"]):
            self.assertEqual(self.command("cpu", *words).returncode, 2, words)
        for words in (["--precision", "fp8"], ["--order", "size"]):
            self.assertEqual(self.command("predict", *words).returncode, 2, words)

    def test_bf16(self):
        methods = ["dora", "full"]
        done = self.command("cpu", "--methods", ",".join(methods), "--shapes", SHAPE, "--dropout", "0", "--precision", "bf16", "--rounds", "1", "--json", str(self.here / "bf16.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = json.loads((self.here / "bf16.json").read_text())["results"]
        self.assertEqual([result["method"] for result in found], methods)
        for result in found:
            self.assertIsNone(result["refused"], result["method"])
            self.assertEqual([line["against"] for line in result["comparisons"]], ["bf16 autocast", "bf16 weights"])
            self.assertLess(result["comparisons"][0]["early_apart"], 2e-2, result["method"])

    def test_predict(self):
        compiled.write_tokenizer(str(self.here / "model"))
        compiled.write_rows(self.here / "valid.jsonl", 40, 2, text=True)
        done = self.command("predict", "--shapes", f"{SHAPE},real", "--precision", "fp32,bf16", "--data", str(self.here), "--json", str(self.here / "predict.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = json.loads((self.here / "predict.json").read_text())["results"]
        self.assertEqual([(result["shape"], result["order"], result["precision"]) for result in found],
                         [(shape, order, precision) for shape, order in ((SHAPE, "length"), ("real", "length"), ("real", "file")) for precision in ("fp32", "bf16")])
        for result in found:
            self.assertEqual({side["tokens"] for side in result["sides"].values()}, {result["sides"]["ours"]["tokens"]}, "all sides are timed on the same batches")
            for line in result["comparisons"]:
                self.assertTrue(line["agrees"], line)

    def test_other_predictions_are_found(self):
        compare = load("predict").compare
        turns = {"ours": [{"rate": 1.0}], "other": [{"rate": 1.0, "found": [[0, 0.5], [1, 0.5]]}]}
        for mine, precision, agrees in (([(0, 0.5), (1, 0.5)], "fp32", True), ([(0, 0.5), (1, 0.51)], "fp32", False), ([(0, 0.5), (1, 0.5015)], "bf16", True), ([(0, 0.5), (1, 0.51)], "bf16", False),
                                        ([(0, 0.5), (0, 0.5)], "bf16", False), ([(0, 0.5)], "fp32", False)):
            self.assertEqual(compare("other", mine, turns, precision)["agrees"], agrees, mine)


if __name__ == "__main__":
    unittest.main()
