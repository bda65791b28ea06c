"""examples/language-model/run --quick: a base is trained and merged, LoRA adapts it, and the perplexity of held-out text falls; transformers loads and continues the result."""
import json
import os
import pathlib
import re
import tempfile
import unittest

from commands import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "examples/language-model/run"


class LanguageModel(unittest.TestCase):
    def test_quick(self):
        with tempfile.TemporaryDirectory() as name:
            out = pathlib.Path(name) / "out"
            said = run(RUN, "--quick", "--out", out)
            before, after = map(float, re.search(r"^\| \| ([0-9.]+) \| ([0-9.]+) \|$", said, re.M).groups())
            self.assertLess(after, 0.97 * before, said)
            self.assertEqual(len(re.findall(r"^    games: .*\|", said, re.M)), 6, said)
            run(out / "adapt", "merge", out / "adapt.run", "--out", out / "merged")
            report = json.loads(run(out / "adapt", "generate", out / "adapt.run", "--prompt", "games: a", "--max-new", "12", "--ignore-end", "--json"))
            self.assertEqual(report["rows"][0]["text"], self.theirs(out / "merged", "games: a", 12))
            (pathlib.Path(name) / "mine").mkdir()
            (pathlib.Path(name) / "mine/file").write_text("")
            run(RUN, "--out", pathlib.Path(name) / "mine", code=1)
            run(RUN, "--fast", code=2)

    def theirs(self, folder, prompt, new):
        """What transformers writes behind the prompt."""
        import torch
        import transformers
        from tokenizers import Tokenizer
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, eos_token_id=None, pad_token_id=0)
        return tokenizer.decode(out[0, ids.shape[1]:].tolist())


if __name__ == "__main__":
    os.environ.setdefault("PEFT_BUILD", str(ROOT / "build"))
    unittest.main()
