"""The command `peftc` before hostile programs, checkpoints, paths and words: one clear message with a code, its place, and no file changed.

What a text alone shows is tests/lang's; here is what needs a checkpoint, a file or a command line.
"""
import json
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import GOOD, HEAD, PEFTC, CompilerTest  # noqa: E402

END = "\noptimize adamw(lr = 1e-3)\n"
# What stands after the program's head (three lines), then code, place, texts of the message.
PROGRAMS = [
    ("attach lora(r = 25) to layers[*].attention.q", "E0353", "4:17", ["`r` must be at most 24", "not 25"]),
    ("attach lora(r = 5 - 5) to layers[*].attention.q", "E0353", "4:17", ["`r` must be at least 1, not 0"]),
    ("attach lora(r = 5 / 2) to layers[*].attention.q", "E0351", "4:17", ["`r` is 2.5, not a whole number"]),
    ("attach lora(alpha = 1 / 0) to layers[*].attention.q", "E0350", "4:21", ["`1 / 0` is not a finite number"]),
    ("attach lora(dropout = 1 - 2) to layers[*].attention.q", "E0353", "4:23", ["`dropout` must be in [0, 1), not -1"]),
    ("attach lora(r = 99999999999999999999) to layers[*].attention.q", "E0111", "4:17", ["99999999999999999999"]),
    ("attach serial_adapter(reduction = 7) to layers[*].ffn", "E0355", "4:8", ["a reduction of 7 does not divide 24 features", "::: <stdlib>/methods/serial_adapter.peft"]),
    ("attach prefix(n = -5) to layers[*].attention", "E0353", "4:19", ["`n` must be at least 1, not -5"]),
    ("attach prompt(n = 1000000000000000) to model", "E0353", "4:8", ["2^40", "::: <stdlib>/methods/prompt.peft"]),
    ("attach lora to layers[::0].ffn.up", "E0350", "4:25", ["step is at least 1, this is 0"]),
    ("attach lora to layers[::-1].ffn.up", "E0350", "4:25", ["step is at least 1, this is -1"]),
    ("attach lora(alpha = sqrt(-1)) to pooler", "E0350", "4:21", ["`sqrt(-1)` is not a finite number"]),
    ("attach lora(r = int(1e300)) to pooler", "E0351", "4:17", ["`r` is 1e+300, not a whole number"]),
    ("attach lora to layers[2].attention.q", "E0401", "4:16", ["`layers` has 2 entries, from 0", "`layers[*].attention.q` matches 2 sites"]),
    ("attach lora to layers[7..].ffn.up", "E0401", "4:16", ["`layers` has 2 entries, from 0"]),
    ("attach lora to layers[*].attention.query", "E0401", "4:36", ["`layers[*].attention` has q, k, v, o, norm", "`layers[*].attention.q` matches 2 sites"]),
    ("attach lora to pooler where kind == attention", "E0401", "4:16", ["nothing is left of this"]),
    ('attach lora to "key.weight"', "E0401", "4:16", ["selector matches no site in `bert`"]),
    ("attach lora to layers[0.5].ffn.up", "E0351", "4:23", ["0.5"]),
    ("attach lora to layers[*].attention", "E0402", "4:16", ["`lora` is for linear sites", "q, k, v, o would do"]),
    ("method m on attention { q <- q + mean(k) }\nattach m to layers[*].attention", "E0405", "4:39", ["`k` is read to change `q`"]),
    ("method m on attention { q <- q + k\n k <- k + q }\nattach m to layers[0].attention", "E0405", "4:34", ["`k` is read to change `q`"]),
    ("method m on layer { attention.y <- attention.y + ffn.u }\nattach m to layers[1]", "E0405", "4:50", ["`layers.1.ffn.u`", "`layers.1.attention.y`"]),
    ("method m on linear { y <- y + x @ W }\nattach m to layers[*].ffn.up", "E0350", "4:31", ["`@` of [seq, in] and [out, in]"]),
    ("method m on linear { param A: [in, 3] = zeros\n y <- y + x @ A }\nattach m to pooler", "E0350", "5:7", ["shapes [seq, 24] and [seq, 3] do not match"]),
    ("method m on linear { y <- y * c }\nattach m to pooler", "E0356", "4:31", ["nothing is called `c` here"]),
    ("fn f(x) = f(x)\nmethod m on linear { y <- f(y) }\nattach m to pooler", "E0350", "4:11", ["more than 200 deep"]),
    ("fn f(x) = g(x)\nfn g(x) = f(x)\nmethod m on linear { y <- f(y) }\nattach m to pooler", "E0350", "", ["more than 200 deep"]),
    ("method m on linear { attach m to self }\nattach m to pooler", "E0350", "4:29", ["methods attach each other more than 100 deep"]),
    ("method m on linear { attach k to self }\nmethod k on linear { attach m to self }\nattach m to pooler", "E0350", "", ["more than 100 deep"]),
    ("method m on linear { for i in 0 .. 10000000000 { y <- y * 2 } }\nattach m to pooler", "E0353", "4:31", ["at most 100000 long"]),
    ("use peft.methods.{krona}\nattach krona(rows = 5) to layers[*].attention.q", "E0355", "5:8", ["5 rows of A do not divide 24 features"]),
    ("use peft.methods.{kadaptation}\nattach kadaptation(n = 7) to layers[*].ffn.up", "E0355", "5:8", ["7 products do not divide 36 features"]),
    ("use peft.methods.{qalora}\nattach qalora(group = 16) to layers[*].attention.q", "E0355", "5:8", ["groups of 16 do not divide 24 features"]),
    ("use peft.methods.{compacter}\nattach compacter(n = 4, reduction = 4) to layers[*].ffn", "E0355", "5:8", ["4 products do not divide 6 features"]),
    ("use peft.methods.{moelora}\nattach moelora(r = 6) to layers[*].ffn.up", "E0355", "5:8", ["4 experts do not share a rank of 6 evenly"]),
    ("use peft.methods.{mixlora}\nattach mixlora(silu) to layers[*].ffn", "E0355", "5:8", ["no gate, up and down"]),
    ("use peft.methods.{mpt, moelora}\nattach mpt(tasks = 2) to model\nattach moelora(tasks = 3) to layers[*].ffn.up", "E0350", "6:8", ['`index["task",2]` already', '`index["task",3]`']),
    ("attach lora from \"nowhere\" to layers[*].ffn.up", "E0605", "4:18", ["cannot read `nowhere`"]),
    ("method m on linear { param a: [out] = ones\n y <- y * a * trained(\"runs/a\", \"a\") }\nattach m to pooler", "E0350", "5:15", ["`trained` is an initial value"]),
    ("method m on linear { y <- y * run().logits[0] }\nattach m to pooler", "E0350", "4:31", ["another pass through the model"]),
    ("method m on model { loss <- loss + run(nothing = 1).loss }\nattach m to model", "E0357", "4:40", ["`model` has no `nothing`"]),
    ("method m on model { loss <- loss + run(embeds = ids).loss }\nattach m to model", "E0350", "", ["`embeds` is [seq, 24], this is [seq]"]),
    ("method m on linear { attach lora to self as l\n train l.C }\nattach m to pooler", "E0401", "5:10", ["selector matches no site"]),
    ("method m on linear { param a: [out] = ones\n frozen z: [out] = normal(0, 1)\n attach k to self as l\n train l.z\n y <- y * a }\nmethod k on linear { frozen z: [out] = ones\n y <- y * z }\nattach m to pooler", "E0350", "7:2", ["is drawn once or kept, not trained"]),
    ("attach lora(r = 8) to layers[*].ffn.up\nbudget params <= 1%", "E0501", "5:1", ["the budget is 1%", "6.18% from here, at 2 sites"]),
    ("attach lora(r = 8) to layers[*].ffn.up\nbudget params <= 4%", "E0501", "5:1", ["help: `r = 4` would use 3.41%"]),
    ("attach lora(r = 8) to layers[*].ffn.up\nrun { batch = 64, max_length = 64, memory = 2MiB }", "E0503", "5:45", ["`memory` is 2.0 MiB", "64 texts of 64 tokens with ", f"{os.cpu_count()} thread", ", with every layer computed again", "fits"]),
    ("attach lora(r = 8) to layers[*].ffn.up\nrun { max_length = 64, memory = 64KiB }", "E0503", "5:33", ["one text takes"]),
    ("attach lora(r = 8) to layers[*].ffn.up\nbudget params <= 10", "E0501", "5:1", ["1010", "960 from here"]),
]
CONFIGS = [
    ({"hidden_size": "24"}, "E0354", ["this is a string"]), ({"hidden_size": 0}, "E0353", ["at least 1, not 0"]),
    ({"hidden_size": 24.5}, "E0351", ["24.5, not a whole number"]), ({"hidden_size": [24]}, "E0354", ["this is a list"]),
    ({"hidden_size": 10**30}, "E0351", ["1e+30"]), ({"hidden_size": 2**63}, "E0351", ["9.22"]),
    ({"num_hidden_layers": 3}, "E0602", ["no tensor `encoder.layer.2.attention.self.query.weight`"]),
    ({"num_hidden_layers": 10**9}, "E0353", ["at most 100000 long, not 1000000000"]),
    ({"num_attention_heads": 5}, "E0351", ["`d / heads` is 4.8"]), ({"num_attention_heads": 0}, "E0353", ["`heads` must be at least 1, not 0"]),
    ({"hidden_act": "swoosh"}, "E0355", ["the activation `swoosh`"]), ({"hidden_dropout_prob": 2}, "E0353", ["in [0, 1), not 2"]),
    ({"vocab_size": 102}, "E0603", ["should be [102, 24], the checkpoint has [101, 24]"]),
    ({"model_type": "roberta"}, "E0604", ["`roberta`"]), ({"model_type": 3}, "E0604", ["`3`"]), ({"model_type": None}, "E0604", ["`null`"]),
    ({"position_embedding_type": "relative_key"}, "E0355", ["only absolute"]),
]


def header(tensors, length=None):
    text = json.dumps(tensors).encode() if not isinstance(tensors, bytes) else tensors
    return struct.pack("<Q", len(text) if length is None else length) + text


WEIGHTS = [
    ("empty", b"", "its header is cut off"),
    ("seven bytes", b"\x10\0\0\0\0\0\0", "its header is cut off"),
    ("a header longer than the file", header({}, 5000), "its header is cut off"),
    ("a header of 2^63 bytes", header({}, 2**63), "its header is cut off"),
    ("a header that is not JSON", header(b"{'a': 1}"), "its header is not JSON"),
    ("a header that is a list", header([]), "its header is not JSON"),
    ("a header that nests deeply", header(b"[" * 50000), "its header is not JSON"),
    ("a tensor without a shape", header({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "tensor `a` has no dtype, shape and data_offsets"),
    ("a tensor that is a number", header({"a": 3}), "tensor `a` has no dtype"),
    ("a negative length", header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}), "tensor `a` has no dtype"),
    ("offsets behind the end", header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "ends at byte 8 of 0"),
    ("offsets that go back", header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}) + b"\0" * 8, "tensor `a`"),
    ("bytes that are no text", header(b"\xff\xfe{}"), "its header is not JSON"),
]


class Programs(CompilerTest):
    def test_programs(self):
        for text, code, place, texts in PROGRAMS:
            with self.subTest(text):
                self.write("s.peft", HEAD + text + END)
                said = self.refused(code, texts, "s.peft", "-m", self.model, "-o", "out")
                self.assertRegex(said, f"(?m)^ *--> s.peft:{place}" + ("$" if place else ""))

    def test_no_model_and_no_task(self):
        for text in ("", "\n\n", "// nothing\n", "use peft.methods.{lora}\n"):
            self.write("s.peft", text)
            self.assertEqual(self.peftc("check", "s.peft"), ("", ""))
            self.refused("E0207", "the program has no `model`", "s.peft", "-m", self.model, "-o", "out")
        self.write("s.peft", "model base = bert\n")
        self.refused("E0207", "the program has no `task`", "s.peft", "-m", self.model, "-o", "out")

    def test_a_task_without_a_loss(self):
        for loss, code, text in (("", "E0357", "`t` has no `loss`"), ("  loss = hidden[0]\n", "E0350", "a loss is one number, this is [24]")):
            self.write("s.peft", 'task t on model {\n  row ids: tokens("text")\n  logits = hidden[0]\n' + loss + "}\nmodel base = bert\ntask t\n")
            self.refused(code, [text, " --> s.peft:1:6"], "s.peft", "-m", self.model, "-o", "out")

    def test_wrong_places_are_the_user_s(self):
        """What fails in the library was asked for by a line of the program."""
        for text, line in (("model base = bert\ntask classify(labels = 2)\noptimize adamw(betas = [0.9])\n", "3:10"),
                           ("model base = bert\ntask classify(labels = 1000000000000)\n", "2:6")):
            self.write("s.peft", text)
            out, said = self.peftc("s.peft", "-m", self.model, "-o", "out", code=1)
            self.assertRegex(said, f"(?m)^ *--> s.peft:{line}$")
            self.assertIn("::: <stdlib>/", said)

    def test_several_slips_several_messages(self):
        self.write("s.peft", HEAD + "attach lora(r = 0) to pooler\nattach lora(rank = 8) to pooler\nattach lroa to pooler\nmethod m on linear { y <- z }" + END)
        for command in (("check", "s.peft"), ("s.peft", "-m", self.model, "-o", "out")):
            _, said = self.peftc(*command, "--diag-format=short", code=1)
            self.assertEqual([line.split(": ")[:2] for line in said.splitlines()],
                             [["s.peft:4:17", "error[E0353]"], ["s.peft:5:13", "error[E0209]"], ["s.peft:6:8", "error[E0356]"], ["s.peft:7:27", "error[E0356]"]])
        self.write("s.peft", HEAD + "attach lora to layers[9].ffn.up\nattach lora to layers[*].fnn.up\nattach lora(r = 25) to pooler\nbudget params <= 0%" + END)
        _, said = self.peftc("s.peft", "-m", self.model, "-o", "out", "--diag-format=short", code=1)
        self.assertEqual(re.findall(r"E\d{4}", said), ["E0401", "E0401"])
        self.assertFalse((self.here / "out").exists())

    def test_messages_as_json(self):
        self.write("s.peft", HEAD + "attach lora(lora_alpha = 8) to pooler\nattach lroa to pooler\nbudget params <= 0%" + END)
        first, second = self.messages("check", "s.peft")
        self.assertEqual({key: first[key] for key in ("code", "severity", "file", "line", "column", "end_line", "end_column")},
                         {"code": "E0209", "severity": "error", "file": "s.peft", "line": 4, "column": 13, "end_line": 4, "end_column": 23})
        text = (self.here / "s.peft").read_text()
        self.assertEqual(text[second["begin"]:second["end"]], "lroa")
        for message in (first, second):
            fixed = message["fixits"][0]
            text = text[:fixed["begin"]] + fixed["replacement"] + text[fixed["end"]:] if fixed["replacement"] == "lora" else text
        self.assertEqual(first["fixits"][0]["replacement"], "alpha")
        self.assertIn("attach lora to pooler", text)
        self.write("s.peft", HEAD + "attach lora to pooler\nbudget params <= 0%" + END)
        budget, = self.messages("s.peft", "-m", self.model, "-o", "out")
        self.assertEqual((budget["code"], budget["labels"][0]["line"], budget["labels"][0]["file"]), ("E0501", 4, "s.peft"))
        self.write("s.peft", GOOD)
        self.assertEqual(json.loads(self.peftc("s.peft", "-m", self.model, "-o", "out", "--diag-format=json")[0]), [])
        self.assertEqual(json.loads(self.peftc("check", "s.peft", "--diag-format=json")[0]), [])

    def test_use(self):
        self.write("a.peft", 'use "b.peft"\nmethod one on linear { y <- two(y) }\nfn two(x) = 2 * x\n')
        self.write("b.peft", 'use "a.peft"\nuse "b.peft"\nmethod other on linear { y <- 2 * y }\n')
        self.write("s.peft", 'use "a.peft"\nuse "./a.peft"\nuse "s.peft"\nuse peft.methods.{lora, lora}\nuse peft.methods.lora\n' + GOOD.replace("lora(r = 2)", "one"))
        self.peftc("s.peft", "-m", self.model, "-o", "out")
        for line, code, text in (('use "nowhere.peft"', "E0201", "there is no text at `nowhere.peft`"), ('use "."', "E0201", "cannot read `.`"), ("use peft.methods.{lroa}", "E0204", "there is `lora`"),
                                 ("use peft.methods", "E0203", "`use peft.methods.{…}`"), ("use peft.metods.{lora}", "E0203", "there is `peft.methods`"), ("use foo.bar", "E0203", "no module `foo`")):
            self.write("s.peft", GOOD + line + "\n")
            self.refused(code, text, "s.peft", "-m", self.model, "-o", "new")
        self.write("c.peft", "method broken on linear { y <- qq }\n")
        (self.here / "below").mkdir()
        self.write("below/s.peft", 'use "../c.peft"\n' + GOOD)
        self.refused("E0356", " --> c.peft:1:32", "below/s.peft", "-m", self.model, "-o", "new")
        self.write("d.peft", "use peft.methods.{ia3}\nattach ia3 to layers[0].attention.q\n")
        self.write("e.peft", 'use "d.peft"\n' + GOOD)
        self.refused("E0199", ["`attach in a text that is used`", " --> d.peft:2:1"], "e.peft", "-m", self.model, "-o", "new")


class Files(CompilerTest):
    def setUp(self):
        super().setUp()
        self.write("s.peft", GOOD)

    def compile(self, *words):
        return ("s.peft", "-m", self.model, *words)

    def test_programs_that_are_no_text(self):
        (self.here / "folder").mkdir()
        os.symlink("loop", self.here / "loop")
        for command in ((), ("check",), ("fmt",)):
            rest = () if command else ("-m", self.model, "-o", "out")
            for name, text in (("nowhere.peft", "No such file"), ("folder", "it is a folder"), ("loop", "symbolic links"), ("s.peft/x", "Not a directory")):
                self.refused("E0201", [f"cannot read `{name}`", text], *command, name, *rest)
            self.write("latin.peft", b'let a = "\xe4"\n')
            self.refused("E0110", "latin.peft:1:10", *command, "latin.peft", *rest)
            self.write("nul.peft", b"let a = \0\nlet b = 1\n")
            self.refused("E0104", ["the character `U+0000`", "nul.peft:1:9"], *command, "nul.peft", *rest)
            self.write("escape.peft", b"let a = \x1b[31m\n")
            self.assertNotIn("\x1b", self.peftc(*command, "escape.peft", *rest, code=1)[1])
        self.assertEqual(self.messages("check", "latin.peft")[0]["begin"], 9)
        self.assertEqual(self.messages("check", "nowhere.peft")[0]["code"], "E0201")

    def test_changes_of_which_nothing_is_made(self):
        task = ('use peft.methods.ia3\ntask plain(labels: int) on model {\n  row ids: tokens("text", none)\n  row target: class("label", labels)\n'
                '  head: module { classifier: linear(d, labels) @ new "classifier"; aside: linear(d, d) @ new "aside" }\n  logits = head.classifier(hidden[head_token])\n  loss = cross_entropy(logits, target)\n  %s\n}\n'
                "model base = bert\ntask plain(labels = 2)\nattach ia3 to head.aside" + END)
        for more, code in (("", 1), ("seen = head.aside(hidden)", 1), ("metric odd = sum(head.aside(hidden))", 0)):
            with self.subTest(more):
                self.write("s.peft", task % more)
                said = self.peftc("check", "s.peft", "--model", self.model, code=code)[1]
                self.assertEqual("error[E0406]: `head.aside.y` is changed" in said, bool(code), said)
                self.assertEqual("s.peft:12:8" in said, bool(code), said)

    def test_gradients(self):
        method = "method m on model {\n  param s: [d] = %s\n  let text = embeds\n  embeds <- embeds + s\n  %s\n}\nmodel base = bert\ntask classify(labels = 2)\nattach m to model" + END
        used = "loss <- if training then loss + sumsq(g * s) else loss"
        for start, line, code, place, text in (("zeros", f"let g = gradient(logits, text)\n  {used}", "E0350", "5:11", "a gradient is that of one real number, this is [2]"),
                                               ("zeros", f"let g = gradient(loss, s)\n  {used}", "E0350", "5:11", "a gradient is by real numbers of each example, this is [24]"),
                                               ("zeros", f"let g = gradient(loss, ids)\n  {used}", "E0350", "5:11", "a gradient is by real numbers of each example"),
                                               ("gradient(loss, mean(embeds, axis = seq))", "", "E0350", "2:18", "no method's body"),
                                               ("zeros", "let g = gradient(loss, text)\n  loss <- loss + sumsq(g * s)", "E0408", "5:11", "`if training then … else …`"),
                                               ("zeros", "loss += sumsq(s * gradient(loss, text))", "E0408", "5:21", "outside training"),
                                               ("zeros", f"let g = gradient(loss, text * 2)\n  {used}", "E0409", "5:11", "takes no part"),
                                               ("zeros", f"let g = gradient(sumsq(s * text), hidden)\n  {used}", "E0409", "5:11", "takes no part"),
                                               ("zeros", "positions <- positions + int(gradient(loss, text)[:, 0])", "E0405", "5:41", "`loss` is read to change `positions`"),
                                               ("zeros", "let g = gradient(loss)", "E0210", "5:11", "`gradient` needs `x`")):
            with self.subTest(line or start):
                self.write("s.peft", method % (start, line))
                self.refused(code, [text, f"s.peft:{place}"], "check", "s.peft", "--model", self.model)

    def test_programs_that_are_huge(self):
        junk = bytes(i * i * 7 % 251 for i in range(10_000_000))
        for name, content, code in (("junk", junk, "E0110"), ("word", b"a" * 10_000_000, "E0107"), ("brackets", b"([{" * 100_000, "E0107"), ("many", b"let a = (\n" * 50_000, "E0102"),
                                    ("parens", b"let a = " + b"(" * 10000 + b"1" + b")" * 10000, "E0113"), ("calls", b"let a = f" + b"(1)" * 100_000, "E0113"), ("sum", b"let a = 1" + b" + 1" * 50_000, "E0113"),
                                    ("indices", b"let a = f" + b"[1]" * 100_000, "E0113"), ("blocks", b"method m on linear {" + b"if true { " * 5000 + b"}" * 5001, "E0113")):
            with self.subTest(name):
                self.write("s.peft", content)
                for command in (self.compile("-o", "out"), ("fmt", "s.peft")):
                    said = self.peftc(*command, code=1)[1]
                    self.assertEqual(said[:14], f"error[{code}]: ")
                    self.assertLess(max(map(len, said.splitlines())), 400)

    def test_checkpoint_folders(self):
        (self.here / "empty").mkdir()
        for path, code, text in (("nowhere", "E0605", "there is no such folder"), ("s.peft", "E0605", "it is not a folder"), ("empty", "E0606", "has no config.json")):
            self.refused(code, [text, "--model"], "s.peft", "-m", path, "-o", "out")
        model = self.checkpoint()
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        self.refused("E0606", ["has no model.safetensors", "safe_serialization=True"], "s.peft", "-m", model, "-o", "out")
        (model / "model.safetensors").mkdir()
        self.refused("E0607", "model.safetensors", "s.peft", "-m", model, "-o", "out")

    def test_configs(self):
        for changes, code, texts in CONFIGS:
            with self.subTest(changes):
                model = self.checkpoint()
                config = json.loads((model / "config.json").read_text()) | changes
                (model / "config.json").write_text(json.dumps(config))
                said = self.refused(code, texts, "s.peft", "-m", model, "-o", "out")
                self.assertRegex(said, r"(?m)^ *--> s.peft:2:14$")
        for content in (b"", b"{", b"[]", b"null", b"{'a': 1}", b"\xff\xfe", b"[" * 100000, b'{"a": ' * 100000, b'{"a": ' + b"[" * 200000 + b"]" * 200000 + b"}"):
            (model / "config.json").write_bytes(content)
            self.refused("E0607", ["config.json", "it is not a JSON object"], "s.peft", "-m", model, "-o", "out")

    def test_weights(self):
        for name, content, text in WEIGHTS:
            with self.subTest(name):
                model = self.checkpoint()
                (model / "model.safetensors").write_bytes(content)
                self.refused("E0607", ["model.safetensors` is damaged", text], "s.peft", "-m", model, "-o", "out")
        for count in (9, 1000, 60000):
            model = self.checkpoint()
            with open(model / "model.safetensors", "r+b") as file:
                file.truncate(count)
            self.refused("E0607", "is damaged", "s.peft", "-m", model, "-o", "out")

    def test_dtypes(self):
        from safetensors.torch import load_file, save_file
        import torch
        for dtype, said in ((torch.int64, "I64"), (torch.float64, "F64"), (torch.uint8, "U8")):
            model = self.checkpoint()
            tensors = load_file(model / "model.safetensors")
            tensors["pooler.dense.weight"] = tensors["pooler.dense.weight"].to(dtype)
            save_file(tensors, model / "model.safetensors")
            self.refused("E0603", ["tensor `pooler.dense.weight`", said], "s.peft", "-m", model, "-o", "out")

    def test_shards(self):
        model = self.checkpoint()
        (model / "model.safetensors").rename(model / "model-1.safetensors")
        index = model / "model.safetensors.index.json"
        for content, text in (("{", "it has no `weight_map`"), ('{"weight_map": 3}', "it has no `weight_map`"), ('{"weight_map": {"a": 3}}', "the shard of tensor `a`"),
                              ('{"weight_map": {"a": "model-1.safetensors"}}', "tensor `a` of the index is not in it")):
            index.write_text(content)
            self.refused("E0607", text, "s.peft", "-m", model, "-o", "out")
        index.write_text('{"weight_map": {"a": "model-2.safetensors"}}')
        self.refused("E0605", ["model-2.safetensors", "No such file"], "s.peft", "-m", model, "-o", "out")

    def test_outputs(self):
        (self.here / "folder").mkdir()
        (self.here / "folder/other.txt").write_text("mine")
        (self.here / "closed").mkdir(mode=0o555)
        os.mkfifo(self.here / "pipe")
        os.symlink("s.peft", self.here / "link")
        self.write("used.peft", "fn f(x) = x\n")
        self.write("s.peft", 'use "used.peft"\n' + GOOD)
        model = self.checkpoint()
        for name, text in (("no/such/trainer", "there is no folder"), ("folder", "it is a folder"), ("s.peft", "this command reads it"), ("./s.peft", "this command reads it"), ("link", "this command reads it"),
                           ("used.peft", "this command reads it"), (model / "config.json", "this command reads it"), (model / "model.safetensors", "this command reads it"), ("/dev/full", "it is not a regular file"),
                           ("pipe", "it is not a regular file"), ("s.peft/x", "there is no folder"), *([("closed/x", "Permission denied")] if os.geteuid() else [])):
            with self.subTest(name):
                self.refused("E0701", [f"cannot write `{name}`", text], "s.peft", "-m", model, "-o", name)
        for name, text in (("s.peft", "it is not a folder"), ("folder", "it holds other files"), (".", "it holds other files"), ("s.peft/x", "")):
            self.refused("E0701", [f"cannot write `{name}`", text], "s.peft", "-m", model, "--bundle", name)
        for name, text in (("nowhere", "there is no such file"), ("folder", "it is not a program"), ("used.peft", "it is not a program")):
            self.refused("E0702", [f"`{name}`", text], "s.peft", "-m", model, "-o", "out", "--runner", name)
        self.refused("E0201", "cannot read `nowhere`", "s.peft", "-m", model, "-o", "out", "--stdlib", "nowhere")
        self.refused("E0201", "cannot read `s.peft`", "s.peft", "-m", model, "-o", "out", "--stdlib", "s.peft")

    def test_disk_full(self):
        """A file size limit fails a write as a full disk does; an older trainer stays."""
        self.write("out", b"older")
        small = dict(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)))
        self.refused("E0701", ["cannot write `out`", "disk"], *self.compile("-o", "out"), **small)
        with tempfile.TemporaryDirectory() as cache:
            cold = dict(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000)), env={**os.environ, "PEFT_CACHE": cache})
            self.refused("E0701", ["kernels.", "not all of it was written", "TMPDIR"], *self.compile("-o", "out"), **cold)
            kept = [path for path in pathlib.Path(cache).rglob("*") if path.is_file()]
            self.assertEqual([path.name for path in kept if path.suffix != ".o" or path.stat().st_size >= 3_000], [], "a part of an entry stays")
        self.write("long.peft", "use peft.methods.{lroa}\nlet a=1\n" + "// words\n" * 100)
        none = dict(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)))
        for words in (("fmt", "-w", "long.peft"), ("check", "--fix", "long.peft")):
            self.refused("E0701", ["cannot write `long.peft`: it is as it was"], *words, **none)
        os.symlink("long.peft", self.here / "link.peft")
        self.peftc("fmt", "-w", "link.peft")
        self.assertTrue((self.here / "link.peft").is_symlink() and "let a = 1" in (self.here / "long.peft").read_text())
        for words in (("methods",), ("--help",), ("explain", "E0401"), ("fmt", "s.peft"), self.compile("--emit=nn"), ("check", "s.peft", "--diag-format=json")):
            with open("/dev/full", "w") as full:
                done = subprocess.run([PEFTC, *map(str, words)], stdout=full, stderr=subprocess.PIPE, cwd=self.here, text=True)
            self.assertEqual((done.returncode, "cannot write to standard output" in done.stderr), (1, True), f"{words} {done.stderr}")

    def test_a_broken_text_is_not_formatted(self):
        self.write("s.peft", "attach lora(r = 8 to x\n")
        for words in (("fmt", "s.peft"), ("fmt", "-w", "s.peft"), ("fmt", "--check", "s.peft")):
            self.refused("E0102", "s.peft:1:12", *words)
        self.assertEqual(self.messages("fmt", "s.peft")[0]["code"], "E0102")


class Words(CompilerTest):
    def test_words(self):
        self.write("s.peft", GOOD)
        good = ("s.peft", "-m", self.model, "-o", "out")
        for texts, words in (
                ("did you mean `check`?", ("chek", "s.peft")), ("did you mean `fmt`?", ("fmtt", "s.peft")), ("did you mean `explain`?", ("expalin", "E0401")), ("did you mean `methods`?", ("method",)),
                ("no command `frobnicate`", ("frobnicate",)), ("which program", ("check",)), ("which file", ("fmt",)), ("which code", ("explain",)), ("which code", ("explain", "E0401", "E0402")),
                ("no page about `E9999`", ("explain", "E9999")), ("codes look like E0401", ("explain", "lora")), ("a word is empty", ("",)), ("a word is empty", ("check", "")), ("a word is empty", ("explain", "")),
                ("`-m` needs a value", ("s.peft", "-m", "", "-o", "out")), ("`-o` needs a value", ("s.peft", "-m", self.model, "-o", "")), ("`-o` needs a value", ("s.peft", "-m", self.model, "-o")),
                ("`--model DIR` is missing", ("s.peft", "-o", "out")), ("`-o FILE` is missing", ("s.peft", "-m", self.model)), ("one program at a time", (*good, "t.peft")),
                ("no option `--frobnicate`", (*good, "--frobnicate")), ("did you mean `--model`?", ("s.peft", "--modle", "x")), ("no option `-x`", ("check", "s.peft", "-x")), ("no option `--model`", ("fmt", "s.peft", "--model", "x")),
                ("it is one of ast, space, chosen, spec, peft, sites, nn, plan", (*good, "--emit=mlir")), ("did you mean `sites`?", (*good, "--emit=site")), ("it is one of text, short, json", (*good, "--diag-format=xml")),
                ("it is one of kernels, layout, merge, memory, params", (*good, "--explain", "everything")), ("layouts of which GPU? `--target` is missing", (*good, "--explain", "layout")), ("takes no value", (*good, "--timing=3")), ("`--set` takes name=value, not `r`", (*good, "--set", "r")),
                ("`--set` takes name=value, not `=3`", (*good, "--set", "=3")), ("exclude each other", ("fmt", "-w", "--check", "s.peft")), ("goes with `--laws`", ("check", "--seed", "3", "s.peft")),
                ("one method at a time", ("methods", "lora", "dora"))):
            with self.subTest(words):
                self.usage(texts, *words)
        self.refused("E0205", "no input `r`", *good, "--set", "r=3")
        self.write("s.peft", "input r: int = 2\n" + GOOD.replace("r = 2", "r = r"))
        for value in ("(", "1 +", "qq", '"'):
            self.assertIn("--set r:1:", self.peftc(*good, "--set", "r=" + value, "--diag-format=short", code=1)[1])
        self.assertIn("did you mean `lora`?", self.peftc("methods", "lroa", code=1)[1])


if __name__ == "__main__":
    unittest.main()
