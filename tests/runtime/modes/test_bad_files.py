#!/usr/bin/env python3
"""Checkpoints, bundles, adapter files, LibTorch and tokenizers that are not what a trainer needs: one error each, with its code."""
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import unittest

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compiled

QUERY = "encoder.layer.0.attention.self.query.weight"


class BadFiles(compiled.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text_rows = compiled.write_rows(cls.path("text.jsonl"), 20, 3, text=True)

    def eval(self, *words):
        return ["eval", "--data", self.valid_rows, *words]

    def copy_of(self, path, name, change):
        """A copy of a file whose bytes went through `change`; executable as the file was."""
        with open(path, "rb") as file:
            content = file.read()
        with open(self.path(name), "wb") as file:
            file.write(change(content))
        os.chmod(self.path(name), os.stat(path).st_mode)
        return self.path(name)

    # ---- the checkpoint ----

    def changed_model(self, change):
        folder = self.path("changed")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.model, folder)
        change(folder)
        return folder

    def with_tensors(self, change):
        def apply(folder):
            tensors = load_file(folder + "/model.safetensors")
            tensors = change(tensors) or tensors
            save_file({name: value.contiguous() for name, value in tensors.items()}, folder + "/model.safetensors")
        return self.changed_model(apply)

    def with_config(self, change):
        def apply(folder):
            with open(folder + "/config.json") as file:
                config = json.load(file)
            change(config)
            with open(folder + "/config.json", "w") as file:
                json.dump(config, file)
        return self.changed_model(apply)

    def test_tensors_that_changed(self):
        cases = [
            (lambda t: t.pop(QUERY).tolist() and None, f"`{QUERY}` is missing"),
            (lambda t: t.update({QUERY: torch.zeros(24, 25)}), f"`{QUERY}` has shape [24, 25], the model needs [24, 24]"),
            (lambda t: t.update({QUERY: t[QUERY].reshape(-1)}), f"`{QUERY}` has shape [576]"),
            (lambda t: t.update({QUERY: t[QUERY].long()}), f"`{QUERY}` has dtype I64"),
            (lambda t: t.update({QUERY: t[QUERY].double()}), f"`{QUERY}` has dtype F64"),
            (lambda t: {"a": torch.zeros(1)}, "and "),
        ]
        for change, text in cases:
            with self.subTest(text):
                self.refused("R0113", [text, "does not fit"], *self.eval("--model", self.with_tensors(change)))

    def test_half_precision_is_read(self):
        plain = json.loads(self.trainer(*self.eval("--json")).stdout)["loss"]
        for dtype, places in ((torch.float16, 2), (torch.bfloat16, 1)):
            model = self.with_tensors(lambda t: {name: value.to(dtype) if value.is_floating_point() else value for name, value in t.items()})
            self.assertAlmostEqual(json.loads(self.trainer(*self.eval("--json", "--model", model)).stdout)["loss"], plain, places)
        model = self.with_tensors(lambda t: {"bert." + name: value for name, value in t.items()})
        self.assertEqual(json.loads(self.trainer(*self.eval("--json", "--model", model)).stdout)["loss"], plain)

    def test_folders_of_another_model(self):
        cases = [
            ("R0114", "first difference: `hidden_size` is 48, compiled for 24", self.with_config, lambda c: c.update(hidden_size=48)),
            ("R0114", "first difference: `model_type`", self.with_config, lambda c: c.update(model_type="roberta")),
            ("R0114", "first difference: `num_hidden_layers` is absent", self.with_config, lambda c: c.pop("num_hidden_layers")),
            ("R0114", "is not the model", self.changed_model, lambda f: open(f + "/config.json", "w").close()),
            ("R0112", "has no config.json", self.changed_model, lambda f: os.remove(f + "/config.json")),
            ("R0112", "neither model.safetensors nor", self.changed_model, lambda f: os.remove(f + "/model.safetensors")),
            ("R0112", "there is no model folder", self.changed_model, shutil.rmtree),
        ]
        for code, text, how, change in cases:
            with self.subTest(text):
                self.refused(code, text, *self.eval("--model", how(change)))

        def reordered(folder):  # the same model in another layout
            with open(folder + "/config.json") as file:
                config = json.load(file)
            with open(folder + "/config.json", "w") as file:
                json.dump(dict(reversed(config.items())), file)
        self.trainer(*self.eval("--model", self.changed_model(reordered)))

        def sharded(folder):
            os.remove(folder + "/model.safetensors")
            with open(folder + "/model.safetensors.index.json", "w") as file:
                json.dump({"weight_map": {QUERY: "model-00001-of-00002.safetensors"}}, file)
        self.refused("R0112", "names the shard", *self.eval("--model", self.changed_model(sharded)))

    def test_safetensors_cut_short(self):
        with open(self.model + "/model.safetensors", "rb") as file:
            content = file.read()
        header = 8 + struct.unpack("<Q", content[:8])[0]
        changes = [content[:0], content[:7], content[:8], content[: header - 1], content[:header], content[:-1], content + b"\0", struct.pack("<Q", 1 << 62) + content[8:],
                   content[:8] + b"{" * (header - 8) + content[header:], content[:8] + content[8:header].replace(b'"F32"', b'"F64"', 1) + content[header:]]
        for index, changed in enumerate(changes):
            with self.subTest(index):
                def write(folder):
                    with open(folder + "/model.safetensors", "wb") as file:
                        file.write(changed)
                self.refused("R0111", "model.safetensors", *self.eval("--model", self.changed_model(write)))

    def test_checkpoint_cut_short_in_training(self):
        model = self.changed_model(lambda folder: None)
        process = subprocess.Popen([self.program, "train", "--data", self.train_rows, "--model", model, "--out", self.path("cut_run"), "--epochs", "100000"], stderr=subprocess.PIPE, text=True, env=self.environment)
        while process.poll() is None and not os.path.exists(self.path("cut_run/last")):
            time.sleep(0.01)
        os.truncate(model + "/model.safetensors", 4096)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("error[R0111]: a file was cut short while it was read", said)
        load_file(self.path("cut_run/last/adapter.safetensors"))

    def test_other_weights_of_the_same_shape(self):
        self.trainer("train", "--data", self.train_rows, "--out", self.path("based"), "--epochs", "1", "--limit-steps", "3")
        other = self.with_tensors(lambda t: t.update({QUERY: t[QUERY] + 1}))
        self.refused("R0204", "was trained beside other weights", "train", "--out", self.path("based"), "--resume", "--model", other)
        self.refused("R0119", ["has no best adapter yet", "last/adapter.safetensors"], *self.eval(self.path("based"), "--model", other))
        latest = ["--init", self.path("based/last/adapter.safetensors")]
        self.assertIn("note: ", self.trainer(*self.eval(*latest, "--model", other)).stderr)
        same = self.changed_model(lambda folder: None)  # in the same folder
        self.trainer("train", "--out", self.path("based"), "--resume", "--model", same)
        self.assertEqual("", self.trainer(*self.eval(self.path("based"), "--model", same)).stderr)

    # ---- adapter files ----

    def test_adapter_files(self):
        self.trainer("train", "--data", self.train_rows, "--out", self.path("run"), "--epochs", "1")
        adapter = self.path("run/adapter.safetensors")
        other = self.compile("other", rank=2)
        self.refused("R0116", "another spec", *self.eval("--init", adapter), program=other)
        self.refused("R0120", "another spec", *self.eval(self.path("run")), program=other)
        self.refused("R0120", "another trainer", "train", "--out", self.path("run"), "--resume", program=other)
        tensors = load_file(adapter)
        name = next(n for n in tensors if n.endswith("lora.A"))
        cases = [({n: v for n, v in tensors.items() if n != name}, f"`{name}` is missing"), ({**tensors, "layers.9.lora.A": torch.zeros(4, 24)}, "`layers.9.lora.A` is not a parameter"),
                 ({**tensors, name: torch.zeros(2, 24)}, f"`{name}` has shape [2, 24]"), ({}, "is missing")]
        for changed, text in cases:
            with self.subTest(text):
                save_file(changed, self.path("init.safetensors"))
                for words in (self.eval(), ["train", "--data", self.train_rows, "--out", self.path("never")], ["merge", "--out", self.path("never")]):
                    self.refused("R0116", text, *words, "--init", self.path("init.safetensors"))
        # Rows come before weights, which may take minutes to read.
        for words in (["eval"], ["predict"], ["train", "--out", self.path("never")]):
            self.refused("R0110", "nowhere.jsonl", *words, "--data", self.path("nowhere.jsonl"), "--init", self.path("init.safetensors"))
        save_file({**tensors, name: tensors[name].int()}, self.path("init.safetensors"))
        self.refused("R0115", "dtype I32", *self.eval("--init", self.path("init.safetensors")))
        save_file({**tensors, name: tensors[name] * float("nan")}, self.path("init.safetensors"))
        self.refused("R0201", "is nan", *self.eval("--init", self.path("init.safetensors")))
        self.refused("R0201", "not finite", "predict", "--data", self.valid_rows, "--init", self.path("init.safetensors"))
        self.refused("R0111", "adapter.cut", *self.eval("--init", self.copy_of(adapter, "adapter.cut", lambda b: b[:-1])))
        self.refused("R0110", "No such file", *self.eval("--init", self.path("nowhere")))
        before = json.loads(self.trainer(*self.eval(self.path("run"), "--json")).stdout)
        os.rename(self.path("run"), self.path("moved"))
        after = json.loads(self.trainer(*self.eval(self.path("moved"), "--json")).stdout)
        self.assertEqual(before["loss"], after["loss"])

    # ---- the trainer's own file ----

    def test_trainers_cut_short(self):
        runner = os.path.getsize(os.path.join(compiled.BIN, "peft-runner"))
        size = os.path.getsize(self.program)
        for kept in (100_000, runner // 2, runner - 1, runner, runner + 100, (runner + size) // 2, size - 33, size - 1):
            with self.subTest(kept):
                self.refused("R0104", "cut short", "info", program=self.copy_of(self.program, "cut", lambda b: b[:kept]), spawn=True)

    def test_trainers_that_changed(self):
        def flipped(place):
            return lambda b: b[:place] + bytes([b[place] ^ 1]) + b[place + 1:]
        runner, size = os.path.getsize(os.path.join(compiled.BIN, "peft-runner")), os.path.getsize(self.program)
        for place in (runner + 10, (runner + size) // 2, size - 40, size - 12, size - 5):
            with self.subTest(place):
                done = self.run_trainer("info", program=self.copy_of(self.program, "flipped", flipped(place)))
                self.assertEqual((done.returncode, done.stderr[:11]), (1, "error[R0103"), done.stderr)
        newer = self.copy_of(self.program, "newer", lambda b: b[:-24] + struct.pack("<I", 2) + b[-20:])
        self.refused("R0101", "is of bundle format 2, this runtime reads up to 1", "info", program=newer)

    def test_bundle_folders(self):
        runner, good = os.path.join(compiled.BIN, "peft-runner"), self.path("trainer.bundle")
        self.trainer("--bundle", good, *self.eval(), program=runner)

        def changed(name, change):
            shutil.rmtree(self.path("bundle"), ignore_errors=True)
            shutil.copytree(good, self.path("bundle"))
            with open(self.path("bundle/" + name)) as file:
                content = file.read()
            with open(self.path("bundle/" + name), "w") as file:
                file.write(change(content))
            return ["--bundle", self.path("bundle"), *self.eval()]

        def edited(change):
            def apply(content):
                parsed = json.loads(content)
                change(parsed)
                return json.dumps(parsed)
            return apply
        cases = [
            ("R0103", "manifest.json is not JSON", "manifest.json", lambda c: c[:-9]), ("R0103", "plan.json is not JSON", "plan.json", lambda c: c[:99]),
            ("R0101", "bundle format 9", "manifest.json", edited(lambda m: m.update(format=9))),
            ("R0102", "parameters", "manifest.json", edited(lambda m: m.pop("parameters"))),
            ("R0101", "row encoder `images`", "manifest.json", edited(lambda m: m["rows"][0].update(encoder="images"))),
            ("R0102", "steps", "plan.json", edited(lambda p: p["programs"][0].pop("steps"))),
            ("R0102", "of ", "plan.json", edited(lambda p: p["programs"][0]["results"][0].update(value=10**6))),
            ("R0102", "nothing says how many rows", "plan.json", edited(lambda p: [program.update(bands=[]) for program in p["programs"]])),
            ("R0102", "do not fit its slot", "plan.json", edited(lambda p: [slot.update(p=64) for program in p["programs"] for slot in program["slots"] if slot["p"]])),
            ("R0102", "in another band", "plan.json", edited(lambda p: [step["attrs"].pop("band", None) for program in p["programs"] for step in program["steps"]])),
        ]
        for code, text, name, change in cases:
            with self.subTest(text):
                self.refused(code, text, *changed(name, change), program=runner)
        os.remove(self.path("bundle/plan.json"))
        self.refused("R0110", "plan.json", "--bundle", self.path("bundle"), *self.eval(), program=runner)
        self.refused("R0104", "holds no bundle", "info", program=runner, spawn=True)
        self.refused("R0104", "holds no bundle", "--bundle", self.valid_rows, "info", program=runner)
        self.refused("R0110", "cannot open", "--bundle", self.path("nowhere"), "info", program=runner)
        self.trainer("--bundle", self.program, *self.eval(), program=runner, spawn=True)

    # ---- what a trainer needs of the machine ----

    def test_libtorch(self):
        found = os.path.join(os.path.dirname(torch.__file__), "lib")
        environment = dict(self.environment, PEFT_TORCH_LIB=self.path("nowhere"))
        self.refused("R0105", ["PEFT_TORCH_LIB names a folder without libtorch_cpu.so", f"pip install torch=={torch.__version__.split('+')[0]}"], "info", env=environment, spawn=True)
        os.makedirs(self.path("lib"))
        for name in ("libc10.so", "libtorch_cpu.so"):
            with open(self.path("lib/" + name), "w") as file:
                file.write("no library")
        self.refused("R0105", ["LibTorch cannot be loaded", "PEFT_TORCH_LIB="], "info", env=dict(environment, PEFT_TORCH_LIB=self.path("lib")), spawn=True)
        # Removed since it was built: the recorded folder is another
        lost = self.copy_of(self.program, "lost", lambda b: b.replace(found.encode(), found.encode()[:-3] + b"bil"))
        self.refused("R0105", ["LibTorch cannot be loaded: libc10.so: cannot open shared object file", "install it: "], "info", program=lost, spawn=True)
        self.trainer("info", program=lost, env=dict(environment, PEFT_TORCH_LIB=found), spawn=True)

    def test_tokenizers(self):
        rows = ["eval", "--data", self.text_rows]
        cold = dict(self.environment, XDG_CACHE_HOME=self.path("cold"))
        self.trainer("eval", "--data", self.text_rows, env=cold)  # makes the cache's folder

        def replaced(change):
            def apply(folder):
                path = folder + "/tokenizer.json"
                os.remove(path) if change is None else change(path)
            return self.changed_model(apply)
        self.refused("R0112", ["has no tokenizer.json", "input_ids"], *rows, "--model", replaced(None), env=cold)

        def broken(path):
            with open(path, "w") as file:
                file.write("{}")
        self.refused("R0141", ["tokenizers helper failed", "tokenizer.json"], *rows, "--model", replaced(broken), env=cold)
        done = self.run_trainer(*rows, "--set", "run.max_length=9", env=dict(cold, PEFT_PYTHON="/nonexistent/python"))
        self.assertEqual((done.returncode, done.stderr[:13]), (1, "error[R0140]:"))
        self.assertIn("pip install tokenizers", done.stderr)
        done = self.run_trainer(*rows, "--set", "run.max_length=2", env=cold)
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]), (1, "error[R0141]: the tokenizers helper failed (status 1): max_length = 2 leaves no room beside 2 special tokens"))
        bare = self.changed_model(lambda folder: compiled.write_tokenizer(folder, special=False))
        with open(self.path("bare.jsonl"), "w") as file:
            file.write('{"text": "w20", "label": "x"}\n{"text": "", "label": "x"}\n')
        done = self.run_trainer("eval", "--data", self.path("bare.jsonl"), "--model", bare, env=cold)
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]), (1, f"error[R0134]: {self.path('bare.jsonl')}:2: the row has no tokens"))
        # words that the model's table has no row for
        larger = self.changed_model(lambda folder: compiled.write_tokenizer(folder, words=200))
        with open(self.path("far.jsonl"), "w") as file:
            file.write('{"text": "w20", "label": "x"}\n{"text": "w150", "label": "x"}\n')
        done = self.run_trainer("eval", "--data", self.path("far.jsonl"), "--model", larger, env=cold)
        self.assertEqual((done.returncode, done.stderr[:13]), (1, "error[R0139]:"))
        self.assertIn("far.jsonl:2: the tokenizer gives id 150, the model has a vocabulary of 101", done.stderr)
        # fewer words than the table has rows for do no harm
        padded = self.changed_model(lambda folder: compiled.write_tokenizer(folder, words=50))
        with open(self.path("near.jsonl"), "w") as file:
            file.write('{"text": "w20 w49", "label": "x"}\n')
        self.trainer("eval", "--data", self.path("near.jsonl"), "--model", padded, env=cold)

        def with_special(folder):
            from tokenizers import Tokenizer, models, pre_tokenizers
            tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(100)}, unk_token="w0"))
            tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            tokenizer.add_special_tokens(["[NEW]", "[NEWER]"])  # the first takes the last row, the second has none
            tokenizer.save(folder + "/tokenizer.json")
        special = self.changed_model(with_special)
        for word, code in (("[NEW]", 0), ("[NEWER]", 1)):
            with open(self.path("special.jsonl"), "w") as file:
                file.write('{"text": "w20 %s", "label": "x"}\n' % word)
            done = self.trainer("eval", "--data", self.path("special.jsonl"), "--model", special, code=code, env=cold)
        self.assertIn("special.jsonl:1: the tokenizer gives id 101, the model has a vocabulary of 101", done.stderr)
        # a cached file that was damaged is made again
        cache = self.path("cold/peftc/tokens")
        for name in os.listdir(cache):
            path = os.path.join(cache, name)
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) - 4)
        self.trainer("eval", "--data", self.text_rows, env=cold)


if __name__ == "__main__":
    unittest.main()
