"""Every explain page's failing spec fails with its code and its fixed spec compiles; kinds that need a broken checkpoint have cases here."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import os

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/compiler"))
import tiny_bert

PEFTC = pathlib.Path(os.environ["PEFT_BUILD"]) / "bin/peftc"
PREAMBLE = "optimize adamw(lr = 1e-3)\n"


def compile_text(text, model, folder, *options):
    spec = pathlib.Path(folder) / "spec.peft"
    spec.write_text(text)
    run = subprocess.run([PEFTC, spec, "--model", model, "--bundle", pathlib.Path(folder) / "bundle", "--diag-format=short", *options],
                         capture_output=True, text=True)
    return run.returncode, sorted(set(re.findall(r"E\d{4}", run.stderr + run.stdout))), run.stderr + run.stdout


def main():
    failures = []

    def expect(what, got, want, text):
        if got != want:
            failures.append(f"{what}: {got}, not {want}\n{text}")

    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model"
        tiny_bert.make(model)
        covered = set()
        for page in sorted((ROOT / "lang/diag/explain").glob("E*.md")):
            code = page.stem
            if code < "E0200":
                continue  # tests/lang reads those
            for what, options, text in re.findall(r"```peft (fail|ok)([^\n]*)\n(.*?)```", page.read_text(), re.S):
                status, codes, output = compile_text(text + PREAMBLE, model, folder, *options.split())
                if what == "fail":
                    covered.add(code)
                    expect(f"{code} fail", (status, codes), (1, [code]), output)
                else:
                    expect(f"{code} ok", (status, codes), (0, []), output)

        plain = "use peft.methods.{bitfit}\nmodel base = bert\ntask classify(labels = 2)\ntrain head\n" + PREAMBLE

        def broken(code, change, text=plain, *options):
            copy = pathlib.Path(folder) / "broken"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(model, copy)
            change(copy)
            status, codes, output = compile_text(text, copy, folder, *options)
            covered.add(code)
            expect(code, (status, codes), (1, [code]), output)

        def config(**values):
            def change(copy):
                data = json.loads((copy / "config.json").read_text())
                for key, value in values.items():
                    data.pop(key) if value is None else data.update({key: value})
                (copy / "config.json").write_text(json.dumps(data))
            return change

        def tensors(edit):
            def change(copy):
                from safetensors.torch import load_file, save_file
                data = load_file(copy / "model.safetensors")
                edit(data)
                save_file(data, copy / "model.safetensors", metadata={"format": "pt"})
            return change

        broken("E0205", lambda copy: None, plain, "--set", "rank=3")
        searched = subprocess.run([PEFTC, "search", pathlib.Path(folder) / "spec.peft", "--model", model, "--data", __file__, "--valid", __file__, "-o", f"{folder}/best.peft"], capture_output=True, text=True)
        covered.add("E0507")  # the program leaves nothing open
        expect("E0507", (searched.returncode, "error[E0507]" in searched.stderr), (1, True), searched.stderr)
        broken("E0601", config(hidden_size=None))
        broken("E0602", tensors(lambda data: data.pop("encoder.layer.1.output.dense.bias")))
        broken("E0603", tensors(lambda data: data.update({"pooler.dense.bias": data["pooler.dense.bias"][:5].clone()})))
        broken("E0604", config(model_type="llama"))
        broken("E0609", config(attn_logit_softcapping=30.0))
        broken("E0605", lambda copy: shutil.rmtree(copy))
        broken("E0606", lambda copy: (copy / "config.json").unlink())
        broken("E0607", lambda copy: (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:1000]))
        broken("E0608", lambda copy: None, plain, "--target", "sm_10")
        broken("E0701", lambda copy: None, plain, "-o", folder)
        broken("E0702", lambda copy: None, plain, "-o", folder + "/trainer", "--runner", "nowhere")
        os.environ["PEFT_PTXAS"] = "/bin/false"
        broken("E0703", lambda copy: None, plain, "--target", "sm_90a")
        del os.environ["PEFT_PTXAS"]
        twice = ("""use peft.arch.config.{common_keys}
arch half(cfg: config): model {
  checkpoint { model_type = "bert", prefix = "bert.", vocab_size = cfg.vocab_size, ignores = common_keys() }
  checkpoint { ignores = [KEYS] }
  dim d = cfg.hidden_size
  tokens: embedding(cfg.vocab_size, d) @ "embeddings.word_embeddings"
  first: linear(d, d / 2) @ "pooler.dense"[: d / 2]
  second: linear(d, d / 2) @ "pooler.dense"[BEGIN : d]
  input ids: [seq] int
  embeds = tokens(ids)
  hidden = concat(first(embeds), second(embeds), axis = 1)
  head_token = 0
  module sequence_head(outputs: dim) {
    classifier: linear(d, outputs) @ new "classifier"
    input x: [d]
    y = classifier(x)
  }
}
model base = half
task classify(labels = 2)
train head
""" + PREAMBLE).replace("KEYS", ", ".join(json.dumps(key) for key in json.loads((model / "config.json").read_text())))
        status, codes, output = compile_text(twice.replace("BEGIN", "d / 2"), model, folder)
        expect("parts side by side", (status, codes), (0, []), output)
        broken("E0610", lambda copy: None, twice.replace("BEGIN : d", "d / 4 : 3 * d / 4"))
        nobias = ("module plain(in: dim, out: dim): linear {\n  input x: [seq, in]\n  weight W: [out, in] = normal(0, 1)\n  y = x @ W.T\n}\n"
                  "use peft.methods.{bitfit}\nuse peft.tasks.{classify}\n"
                  "method one on linear { param l: [out] = ones;  b <- l * b }\n"
                  "task bare(labels: int) on model {\n  row ids: tokens(\"text\")\n  row target: class(\"label\", labels)\n"
                  "  head: plain(d, labels)\n  logits = head(hidden[head_token])\n  loss = cross_entropy(logits, target)\n}\n"
                  "model base = bert\ntask bare(labels = 2)\nattach one to head\n" + PREAMBLE)
        broken("E0403", lambda copy: None, nobias)
        shifted = "method shift on model { head_token <- head_token / 2 }\nmodel base = bert\ntask classify(labels = 2)\nattach shift to model\ntrain head\n"
        broken("E0350", lambda copy: None, shifted + PREAMBLE)  # a place in the text is a whole number
        status, codes, output = compile_text("model base = bert\ntask classify(labels = 2)\ntrain head\noptimize adamw(lr = 1e-3)\nrun { memory = 1KiB }\n", model, folder)
        covered.add("E0503")
        expect("too little memory", (status, codes), (1, ["E0503"]), output)
        kinds = set(re.findall(r"PEFT_DIAG\((E\d{4}),", (ROOT / "lang/diag/Kinds.def").read_text()))
        missing = sorted(k for k in kinds - covered if k >= "E0200")
        if missing:
            failures.append("no test triggers " + ", ".join(missing))
        for code in re.findall(r"\| (R\d{4}) \|", (ROOT / "runtime/modes/README.md").read_text()):
            told = subprocess.run([PEFTC, "explain", code], capture_output=True, text=True)
            if told.returncode or not told.stdout.startswith(f"# {code}: "):
                failures.append(f"explain {code}: {told.stdout}{told.stderr}")
        without = sorted(k for k in kinds if not (ROOT / f"lang/diag/explain/{k}.md").exists())
        if without:
            failures.append("no explain page for " + ", ".join(without))
    print("\n".join(failures) if failures else f"{len(covered)} kinds")
    sys.exit(bool(failures))


main()
