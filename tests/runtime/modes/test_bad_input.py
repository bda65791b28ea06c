#!/usr/bin/env python3
"""Rows, options, outputs and full disks: each mistake is one clear error with its code, and nothing is lost or half written."""
import json
import os
import resource
import subprocess
import sys
import unittest

from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compiled

GOOD = '{"input_ids": [2, 20, 3], "label": "x"}\n'

# name, content, code, texts in the message; a name's ending is the format
ROWS = [
    ("empty.jsonl", "", "R0135", "is empty"),
    ("blank.jsonl", "\n  \n\n", "R0135", "has no rows"),
    ("bom.jsonl", "\ufeff", "R0135", "is empty"),
    ("header.csv", "input_ids,label\n", "R0135", "has no rows"),
    ("broken.jsonl", GOOD + '{"input_ids": [2, 20, 3], "label": "x"\n', "R0131", ["broken.jsonl:2: not JSON, from column 39", "{\"text\": "]),
    ("blanks.jsonl", GOOD + "\n\n" + "{'text': 'x'}\n", "R0131", "blanks.jsonl:4: "),
    ("deep.jsonl", GOOD + '{"input_ids": ' + "[" * 200000 + "]" * 200000 + "}\n", "R0131", "deep.jsonl:2: lists or objects in each other more than 50 deep"),
    ("huge.jsonl", '{"input_ids": [1e400], "label": "x"}\n', "R0131", "huge.jsonl:1: a number that is too large"),
    ("two.jsonl", GOOD.strip() + " " + GOOD, "R0131", "two.jsonl:1: "),
    ("list.jsonl", "[1, 2]\n", "R0131", "a JSON array, not an object"),
    ("pretty.json", "[\n  {}\n]\n", "R0131", ["pretty.json:1: not JSON", "jq -c '.[]'"]),
    ("surrogate.jsonl", '{"text": "\\ud800", "label": "x"}\n', "R0131", "surrogate.jsonl:1: "),
    ("latin.jsonl", GOOD.encode() + b'{"text": "caf\xe9", "label": "x"}\n', "R0132", "latin.jsonl:2: byte 14 of the line is not UTF-8"),
    ("utf16.jsonl", GOOD.encode("utf-16"), "R0132", "utf16.jsonl:1: byte 1"),
    ("overlong.jsonl", b'{"text": "\xc0\xaf", "label": "x"}\n', "R0132", "byte 11"),
    ("latin.csv", b"text,label\ncaf\xe9,x\n", "R0132", "latin.csv:2: "),
    ("latin_header.csv", b"t\xe9xt,label\na,x\n", "R0132", "latin_header.csv:1: "),
    ("nolabel.jsonl", GOOD + '{"input_ids": [2, 20, 3], "lable": "x"}\n', "R0133", ["nolabel.jsonl:2: no field `label`", "the row has input_ids, lable"]),
    ("null.jsonl", '{"input_ids": [2, 20, 3], "label": null}\n', "R0133", "no field `label`"),
    ("notext.jsonl", '{"txt": "a", "label": "x"}\n', "R0133", "no field `text`"),
    ("mixed.jsonl", GOOD + '{"text": "w20", "label": "x"}\n', "R0133", "mixed.jsonl:2: no `input_ids`"),
    ("number.jsonl", '{"text": 3, "label": "x"}\n', "R0134", "`text` is a number, a string is needed"),
    ("float.jsonl", '{"input_ids": [2, 3], "label": 1.5}\n', "R0134", "`label` is 1.5"),
    ("unlabelled.csv", "input_ids,label\n2 20 3,x\n2 20 3,\n", "R0134", "unlabelled.csv:3: `label` is empty"),
    ("noids.jsonl", '{"input_ids": [], "label": "x"}\n', "R0134", "`input_ids` is not a list of token ids"),
    ("texts.jsonl", '{"input_ids": ["a"], "label": "x"}\n', "R0134", "`input_ids` holds \"a\""),
    ("fraction.jsonl", '{"input_ids": [1.5], "label": "x"}\n', "R0134", "`input_ids` holds 1.5"),
    ("vocabulary.jsonl", GOOD + '{"input_ids": [2, 101, 3], "label": "x"}\n', "R0139", "vocabulary.jsonl:2: token id 101 is outside the vocabulary of 101"),
    ("negative.jsonl", '{"input_ids": [-1], "label": "x"}\n', "R0139", "token id -1"),
    ("huge.jsonl", '{"input_ids": [18446744073709551615], "label": "x"}\n', "R0139", "outside the vocabulary"),
    ("columns.csv", "input_ids,label\n2 20 3,x\n2 20 3,x,y\n", "R0131", "columns.csv:3: 3 columns, the header has 2"),
    ("few.tsv", "input_ids\tlabel\n2 20 3\n", "R0131", "few.tsv:2: 1 columns, the header has 2"),
    ("quote.csv", 'text,label\n"open,x\nmore,y\n', "R0131", "quote.csv:2: a quoted cell is not closed"),
    ("unnamed.csv", "text,,label\na,b,c\n", "R0136", "a column has no name"),
    ("twice.csv", "text,label,text\na,b,c\n", "R0136", "the column `text` is there twice"),
    ("wrong.csv", "sentence,label\na,x\n", "R0133", "no field `text`"),
    ("four.jsonl", "".join(GOOD.replace('"x"', f'"{label}"') for label in "abcd"), "R0138", ["4 different labels, the model has 3 classes: a, b, c, d", "labels = 4"]),
    ("rows.txt", GOOD, "R0130", "unknown data format `.txt`"),
    ("rows", GOOD, "R0130", "unknown data format"),
]

# words after the trainer's name -> texts of a usage error (exit code 2)
USAGE = [
    ("trian", "did you mean train?"),
    ("", "usage: trainer MODE"),
    ("eval --date x", "did you mean --data?"),
    ("eval", "`eval` needs --data"),
    ("eval --data", "--data needs a value"),
    ("eval --data a --data b", "--data is given twice"),
    ("eval --json=yes --data a", "--json takes no value"),
    ("eval run --data a more", "unexpected word `more`"),
    ("eval --data a --reference=fp16", "--reference is `fp16`"),
    ("eval --data a --threads 0", "--threads is `0`"),
    ("eval --data a --threads 1000000", "at most 1024"),
    ("eval --data a --set run.batch", "--set needs NAME=VALUE"),
    ("train --data a", "`train` needs --out"),
    ("train --out a", "`train` needs --data"),
    ("train --data a --out b --resume --overwrite", "exclude each other"),
    ("train --out b --resume --init c", "exclude each other"),
    ("train --data a --out b --limit-steps -1", "--limit-steps is `-1`"),
    ("train --data a --out b --epochs 2 --set run.epochs=3", "run.epochs is given twice"),
    ("train --data a --out b --set run.clip=2 --set run.clip=3", "run.clip is given twice"),
    ("predict --data a --json", "--json needs --out"),
    ("eval -json --data a", "did you mean --json?"),
    ("eval --data=", "the value of --data is empty"),
    ("eval --data a --reference=", "the value of --reference is empty"),
]

OPTIONS = [
    ("run.epochs=0", "run.epochs is 0, an integer from 1"),
    ("run.epochs=many", 'run.epochs is "many"'),
    ("run.epochs=1000000001", "to 1000000000 is needed"),
    ("run.batch=1.5", "run.batch is 1.5"),
    ("run.batch=99999999999999999999", "run.batch is"),
    ("run.batch=" + "[" * 60000 + "]" * 60000, "run.batch is"),
    ("run.clip=-1", "run.clip is -1"),
    ("run.clip=nan", 'run.clip is "nan"'),
    ("run.max_length=161", "the model has 160 positions"),
    ("run.shuffle=3", "true or false is needed"),
    ("run.best=f1:max", "the metrics are loss and"),
    ("run.best=loss", "METRIC:min or METRIC:max is needed"),
    ("run.acumulate=2", "did you mean run.accumulate?"),
    ("run.base_dropout=0", "compiled into the trainer"),
    ("adamw.lr=1", "only run.… can be set here"),
]


def no_file_above(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


class BadInput(compiled.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run([cls.program, "train", "--data", cls.train_rows, "--valid", cls.valid_rows, "--out", cls.path("run"), "--epochs", "2"], check=True, stderr=subprocess.DEVNULL, env=cls.environment)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    # ---- rows ----

    def test_rows(self):
        for name, content, code, texts in ROWS:
            with self.subTest(name):
                self.refused(code, texts, "train", "--data", self.write(name, content), "--out", self.path("never"))

    def test_rows_of_a_trained_run(self):
        for name, label, code, text in (("label.jsonl", "w", "R0137", ["label.jsonl:2: the label `w` is not one of the run's", "x, y, z"]), ("empty.jsonl", "", "R0134", "is empty")):
            rows = self.write(name, GOOD + GOOD.replace('"x"', f'"{label}"'))
            self.refused(code, text, "eval", self.path("run"), "--data", rows)
            self.refused(code, text, "eval", "--init", self.path("run/adapter.safetensors"), "--data", rows)  # the file knows its labels
        self.refused("R0137", "valid2.jsonl:1: the label `w`", "train", "--data", self.train_rows, "--valid", self.write("valid2.jsonl", GOOD.replace('"x"', '"w"')), "--out", self.path("never"))

    def test_no_file(self):
        self.refused("R0110", "No such file", "eval", "--data", self.path("nowhere.jsonl"))
        self.refused("R0110", "it is a folder", "eval", "--data", self.model)
        os.symlink("loop.jsonl", self.path("loop.jsonl"))
        self.refused("R0110", "loop.jsonl", "eval", "--data", self.path("loop.jsonl"))
        os.mkfifo(self.path("pipe.jsonl"))
        self.refused("R0110", "not a regular file", "eval", "--data", self.path("pipe.jsonl"))  # and does not wait for a writer
        if os.geteuid() != 0:
            os.chmod(self.write("secret.jsonl", GOOD), 0)
            self.refused("R0110", "Permission denied", "eval", "--data", self.path("secret.jsonl"))

    def test_long_rows_are_counted(self):
        rows = self.write("long.jsonl", GOOD + json.dumps({"input_ids": [20] * 25, "label": "y"}) + "\n" + json.dumps({"input_ids": [20] * 24, "label": "y"}) + "\n")
        done = self.trainer("eval", "--data", rows, "--json")
        self.assertIn("1 of 3 rows", done.stderr)
        self.assertIn("longer than max_length = 24", done.stderr)
        self.assertEqual((json.loads(done.stdout)["truncated"], json.loads(done.stdout)["tokens"]), (1, 3 + 24 + 24))
        text = self.write("longtext.jsonl", json.dumps({"text": "w20 " * 40, "label": "y"}) + "\n" + json.dumps({"text": "", "label": "x"}) + "\n")
        done = self.trainer("eval", "--data", text, "--json")
        self.assertIn("1 of 2 rows", done.stderr)
        self.assertEqual(json.loads(done.stdout)["tokens"], 24 + 2)

    def test_rows_without_targets(self):
        rows = self.write("bare.jsonl", '{"input_ids": [2, 20, 3]}\n{"input_ids": [2, 80, 3], "label": 7.5}\n')
        self.refused("R0133", "bare.jsonl:1: no field `label`", "eval", self.path("run"), "--data", rows)
        done = self.trainer("predict", self.path("run"), "--data", rows)
        self.assertEqual(len([json.loads(line)["label"] for line in done.stdout.splitlines()]), 2)
        report = json.loads(self.trainer("predict", self.path("run"), "--data", rows, "--out", self.path("bare.out"), "--json").stdout)
        self.assertEqual((report["rows"], report["merged"]), (2, True))
        with open(self.path("bare.out")) as file:
            self.assertEqual(file.read(), done.stdout)
        table = self.write("table.csv", 'label,input_ids\r\n"a ""quoted"" one",2 20 3\r\n"two\nlines","[2, 80, 3]"\r\n')
        self.assertEqual(self.trainer("predict", self.path("run"), "--data", table).stdout, done.stdout)

    # ---- the command line ----

    def test_usage(self):
        for words, text in USAGE:
            with self.subTest(words):
                done = self.trainer(*words.split(), code=2)
                self.assertIn(text, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_a_variable_of_the_shell_without_a_value(self):
        self.assertIn("a word is empty", self.trainer("eval", "", "--data", self.valid_rows, code=2).stderr)
        self.assertIn("parameters are as they were initialised", self.trainer("eval", "--data", self.valid_rows).stderr)
        self.assertNotIn("initialised", self.trainer("eval", self.path("run"), "--data", self.valid_rows).stderr)

    def test_options(self):
        for setting, text in OPTIONS:
            with self.subTest(setting):
                self.refused("R0150", text, "train", "--data", self.train_rows, "--out", self.path("never"), "--set", setting)

    # ---- outputs ----

    def test_outputs_that_exist(self):
        run, rows = self.path("run"), self.valid_rows
        train = ["train", "--data", self.train_rows, "--out"]
        self.refused("R0118", ["exists", "--resume", "--overwrite"], *train, run)
        self.refused("R0118", "is not a run folder", *train, self.model)
        self.refused("R0118", "is not a run folder", *train, self.model, "--overwrite")
        self.refused("R0118", "is not a run folder", *train, self.valid_rows, "--overwrite")
        self.refused("R0118", "exists", "merge", run, "--out", self.model)
        self.refused("R0118", "exists", "merge", run, "--out", run)
        for mode in ("predict", "inspect"):
            self.refused("R0118", "a file that this command reads", mode, run, "--data", rows, "--out", self.program, spawn=True)
            for out in (rows, run + "/adapter.safetensors", run + "/run.json", self.model + "/model.safetensors", self.model + "/new.jsonl", run):
                self.refused("R0118", "`" + out + "`", mode, run, "--data", rows, "--out", out)
        os.symlink(rows, self.path("link"))
        self.refused("R0118", "a file that this command reads", "predict", run, "--data", rows, "--out", self.path("link"))

    def test_outputs_that_cannot_be_written(self):
        run, rows = self.path("run"), self.valid_rows
        self.refused("R0117", "No such file", "predict", run, "--data", rows, "--out", self.path("no/such/folder"))
        for mode, flags in (("train", ["--data", rows]), ("merge", [run])):
            self.refused("R0117", "cannot make the folder", mode, *flags, "--out", rows + "/below")
        if os.geteuid() != 0:
            os.makedirs(self.path("closed"), mode=0o555)
            self.refused("R0117", "Permission denied", "train", "--data", rows, "--out", self.path("closed/run"))
        for words in (["predict", "--data", rows], ["eval", "--data", rows, "--json"], ["info"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([self.program, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=self.environment)
            self.assertEqual(done.returncode, 1)
            self.assertIn("error[R0117]: cannot write to standard output", done.stderr)

    def test_disk_full(self):
        """A file size limit fails a write as a full disk does."""
        self.refused("R0106", "into memory", "info", preexec_fn=no_file_above(100), spawn=True)
        run, rows = self.path("run"), self.valid_rows
        self.refused("R0117", "cannot write", "predict", run, "--data", rows, "--out", self.path("p.jsonl"), preexec_fn=no_file_above(100))
        self.refused("R0117", "cannot write", "inspect", run, "--data", rows, "--out", self.path("i.safetensors"), preexec_fn=no_file_above(100))
        self.refused("R0117", "cannot write", "merge", run, "--out", self.path("m"), preexec_fn=no_file_above(10000))
        text = compiled.write_rows(self.path("text.jsonl"), 40, 3, text=True)
        done = self.run_trainer("eval", "--data", text, preexec_fn=no_file_above(1000), env=dict(self.environment, XDG_CACHE_HOME=self.path("full")))
        self.assertEqual((done.returncode, done.stderr[:13]), (1, "error[R0117]:"), done.stderr)
        self.assertEqual(os.listdir(self.path("full/peftc/tokens")), [])

    def test_disk_full_in_training(self):
        fresh = ["--data", self.train_rows, "--valid", self.valid_rows, "--epochs", "15", "--save-every", "4"]
        self.trainer("train", "--out", self.path("roomy"), *fresh)
        largest = os.path.getsize(self.path("roomy/last/optimizer.safetensors"))
        self.assertLess(largest + 1000, os.path.getsize(self.path("roomy/metrics.jsonl")))
        # run.json, the adapter, the optimizer's states, and in mid-run metrics.jsonl
        for limit, name in (200, "run.json"), (4000, "adapter.safetensors"), (largest - 1, "optimizer.safetensors"), (largest + 1000, "metrics.jsonl"):
            words = ["--resume"] if os.path.exists(self.path("filled/run.json")) else fresh
            done = self.run_trainer("train", "--out", self.path("filled"), *words, preexec_fn=no_file_above(limit))
            self.assertEqual((done.returncode, [line for line in done.stderr.splitlines() if "R0117" in line and name in line] != []), (1, True), done.stderr)
        self.rows_of(self.path("filled/metrics.jsonl"))  # no half line
        load_file(self.path("filled/last/optimizer.safetensors"))
        self.trainer("train", "--out", self.path("filled"), "--resume")
        for name in ("adapter.safetensors", "metrics.jsonl"):
            with open(self.path("filled/" + name), "rb") as a, open(self.path("roomy/" + name), "rb") as b:
                self.assertEqual(a.read(), b.read(), name)

    # ---- training that cannot go on ----

    def test_divergence_keeps_the_last_good_state(self):
        wild = self.compile("wild", spec=compiled.SPEC.replace("1e-2", "1e38"))
        done = self.run_trainer("train", "--data", self.train_rows, "--valid", self.valid_rows, "--out", self.path("diverged"), "--save-every", "1", program=wild)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"error\[R0201\]: .*step \d+.*`last`|error\[R0201\]: .*step \d+.*/last` holds")
        self.assertIn("a lower lr", done.stderr)
        for tensor in load_file(self.path("diverged/last/adapter.safetensors")).values():
            self.assertTrue(tensor.isfinite().all())
        again = self.run_trainer("train", "--out", self.path("diverged"), "--resume", program=wild)
        self.assertEqual((again.returncode, again.stderr[:13]), (1, "error[R0201]:"))

    def test_resume_of_what_is_no_run(self):
        self.refused("R0119", "there is no run folder", "train", "--out", self.path("nowhere"), "--resume")
        self.refused("R0119", "it has no run.json", "train", "--out", self.model, "--resume")
        self.refused("R0119", "there is no run folder", "eval", self.path("nowhere"), "--data", self.valid_rows)
        subprocess.run(["cp", "-r", self.path("run"), self.path("hurt")], check=True)
        for name, content, text in (("run.json", "{", "is not a JSON object"), ("run.json", '{"deep": ' + "[" * 200000 + "]" * 200000 + "}", "is not a JSON object"), ("run.json", '{"bundle": 3}', "run.json"), ("last/state.json", "{}", "lacks a field")):
            with open(self.path("hurt/" + name)) as file:
                whole = file.read()
            self.write("hurt/" + name, content)
            self.refused("R0119", text, "train", "--out", self.path("hurt"), "--resume")
            self.write("hurt/" + name, whole)
        for name in ("adapter.safetensors", "optimizer.safetensors"):
            with open(self.path("hurt/last/" + name), "rb") as file:
                whole = file.read()
            self.write("hurt/last/" + name, whole[:-10])
            self.refused("R0111", name, "train", "--out", self.path("hurt"), "--resume")
            self.write("hurt/last/" + name, whole)
        self.refused("R0204", "not the reference fp64", "train", "--out", self.path("hurt"), "--resume", "--reference")
        self.trainer("eval", self.path("hurt"), "--data", self.valid_rows)


if __name__ == "__main__":
    unittest.main()
