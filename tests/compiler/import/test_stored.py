"""Parts of tensors, `@ "name".T[a : b]`: what they are read as and written back as; what does not fit is said where it stands."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CompilerTest  # noqa: E402

ARCH = """use peft.methods.{lora}
use peft.arch.config.{common_keys}
arch parts(cfg: config): model {
  checkpoint { model_type = "bert", prefix = "bert.", vocab_size = cfg.vocab_size, class = "Parts", ignores = common_keys() }
  checkpoint { ignores = [KEYS] }
  dim d = cfg.hidden_size
  tokens: embedding(cfg.vocab_size, d) @ "embeddings.word_embeddings"
  MODULES
  input ids: [seq] int
  embeds = tokens(ids)
  hidden = VALUE
  head_token = 0
  module sequence_head(outputs: dim) {
    classifier: linear(d, outputs) @ new "classifier"
    input x: [d]
    y = classifier(x)
  }
}
model base = parts
task classify(labels = 2)
attach lora(r = 2) to m
train head
optimize adamw(lr = 1e-3)
"""


class Stored(CompilerTest):
    def spec(self, modules, value="m(embeds)"):
        config = json.loads((pathlib.Path(self.model) / "config.json").read_text())
        keys = ", ".join(json.dumps(key) for key in config)
        return self.write("spec.peft", ARCH.replace("KEYS", keys).replace("MODULES", modules).replace("VALUE", value))

    def test_read_and_written(self):
        """Rows, a vector's entries, columns of the transposed: W, W', b as they were cut; only the part that has a method is other than before in a merged file."""
        import torch
        from safetensors.torch import load_file, save_file
        up, down = "encoder.layer.0.intermediate.dense.", "encoder.layer.0.output.dense."
        spec = self.spec(f'm: linear(d, 12) @ "{up[:-1]}"[12 : 24]\n  n: linear(24, 12) @ "{down[:-1]}".T[3 : 15]', "concat(m(embeds), n(embeds), axis = 1)")
        self.peftc(spec, "--model", self.model, "-o", "trainer")
        (self.here / "rows.jsonl").write_text(json.dumps({"input_ids": [5, 9, 2], "label": 1}) + "\n")
        head = torch.randn(2, 24, generator=torch.Generator().manual_seed(1))
        save_file({"head.classifier.W": head, "head.classifier.b": torch.zeros(2), "m.lora.A": torch.ones(2, 24), "m.lora.B": torch.ones(12, 2)}, self.here / "init")
        for words in (["laws"], ["inspect", "--data", "rows.jsonl", "--init", "init", "--out", "seen"], ["merge", "--init", "init", "--out", "merged"]):
            done = subprocess.run([self.here / "trainer", *words], cwd=self.here, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        before, after = load_file(pathlib.Path(self.model) / "model.safetensors"), load_file(self.here / "merged/model.safetensors")
        x = before["embeddings.word_embeddings.weight"][5]
        m = x @ before[up + "weight"][12:24].T + before[up + "bias"][12:24] + x.sum() * 2  # alpha = r
        n = x @ before[down + "weight"][:, 3:15] + before[down + "bias"][3:15]
        torch.testing.assert_close(load_file(self.here / "seen")["logits"][0], head @ torch.cat([m, n]), rtol=1e-4, atol=1e-5)
        changed = [name for name, value in before.items() if not torch.equal(value, after["bert." + name])]
        self.assertEqual(changed, [up + "weight"])
        whole = before[changed[0]].clone()
        whole[12:24] += 2
        torch.testing.assert_close(after["bert." + changed[0]], whole)

    def test_new_weights(self):
        """`@ new` of a weight: its initial value even where the checkpoint has a tensor of the name, which a merged file holds; `or new`: that only where it has none."""
        import torch
        from safetensors.torch import load_file
        modules = 'm: linear(d, 12) @ "encoder.layer.0.intermediate.dense"[12 : 24]\n  n: linear(24, 12) @ "encoder.layer.0.output.dense".T[3 : 15]\n  k: scaled(d) @ "pooler"'
        spec = self.spec(modules, "concat(m(embeds), n(k(embeds)), axis = 1)")
        scaled = ('module scaled(n: dim) {\n  input x: [seq, n]\n  weight a: [n] @ new "dense.bias" = constant(3)\n  weight b: [n] @ "other" or new = constant(5)\n'
                  '  weight c: [n, n] @ "dense.weight" or new = constant(7)\n  y = x * a * b @ c\n}\n')
        self.write(spec, (self.here / spec).read_text().replace("arch parts", scaled + "arch parts"))
        self.peftc(spec, "--model", self.model, "-o", "trainer", "--bundle", "bundle")
        roles = {entry["name"]: entry["role"] for entry in json.loads((self.here / "bundle/manifest.json").read_text())["parameters"]}
        self.assertEqual([roles["k." + name] for name in "abc"], ["new", "new", "base"])
        done = subprocess.run([self.here / "trainer", "merge", "--out", "merged"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        after = load_file(self.here / "merged/model.safetensors")
        self.assertTrue(torch.equal(after["bert.pooler.dense.bias"], torch.full((24,), 3.0)) and torch.equal(after["bert.pooler.other"], torch.full((24,), 5.0)))

    def test_refused(self):
        cases = [('m: linear(d, 12) @ "pooler.dense"[12 : 20]', "E0353", ["`rows of pooler.dense.weight` must be 12", "not 8", "spec.peft:19:14", "prelude.peft"]),
                 ('m: linear(d, 12) @ "pooler.dense"[6 :]', "E0603", ["should be [18, 24], the checkpoint has [24, 24]"]),
                 ('m: linear(d, 12) @ "pooler.dense"[18 : 30]', "E0603", ["should be [30, 24], the checkpoint has [24, 24]"]),
                 ('m: linear(d, 12) @ "pooler.dense"[0 - 1 : 11]', "E0353", ["rows", "counted from 0", "-1 : 11"]),
                 ('m: linear(d, 12) @ "pooler.dense"[9 : 9]', "E0353", ["at least one", "9 : 9"]),
                 ('m: linear(d, 12) @ "pooler.dense"["a" :]', "E0354", ["a row"]),
                 ('m: linear(d, 36) @ "encoder.layer.0.intermediate.dense".T', "E0603", ["should be [24, 36], the checkpoint has [36, 24]"]),
                 ('m: linear(d, d) @ "pooler.dense".U', "E0101", ["unexpected `U`", "`T` or `reshaped`"]),
                 ('m: linear(d, d / 2) @ "pooler.dense".reshaped', "E0603", ["should be [12, 24], the checkpoint has [24, 24]"]),
                 ('m: linear(d, d) @ "pooler.dense".reshaped[: d]', "E0350", ["rows of what was reshaped"]),
                 ('m: linear(d, d) @ new "pooler.dense".T', "E0101", ["unexpected `.`"]),
                 ('m: linear(d, d) @ "pooler.dense"[nothing :]', "E0356", ["nothing is called `nothing`", ":8:36"]),
                 ('m: module @ "pooler"[:] {\n  m: linear(d, d) @ "dense".T\n  }', "E0350", ["a part of a part"])]
        for modules, code, texts in cases:
            with self.subTest(modules):
                value = "m.m(embeds)" if "module" in modules else "m(embeds)"
                self.refused(code, texts, self.spec(modules, value), "--model", self.model, "-o", "trainer")


if __name__ == "__main__":
    unittest.main()
