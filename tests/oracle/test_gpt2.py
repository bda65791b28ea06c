"""GPT-2: logits, loss and every gradient equal transformers', where queries, keys and values are one transposed tensor of the checkpoint; LoRA on two of the three equals
a reference that splits them; merged folders have the tensors that GPT-2's have; what config.json says is read or refused."""
import json
import shutil

import torch
import transformers
from decoders import LABELS, MIXED, VOCABULARY, check_all, flat, merged_logits, random_checkpoint, randomise, rows_of, spec, steps, theirs
from safetensors.torch import load_file, save_file
from subject import BIN, Subject, compare, main, padded, refused, run, write_rows

D = 24
SIZES = dict(vocab_size=VOCABULARY, n_embd=D, n_layer=2, n_head=4, n_positions=64, layer_norm_epsilon=1e-4, attn_pdrop=0.1, pad_token_id=0, bos_token_id=1, eos_token_id=2)
PLACES = {"attn.c_proj": "attention.o", "mlp.c_fc": "ffn.up", "mlp.c_proj": "ffn.down", "ln_1": "attention.norm", "ln_2": "ffn.norm", "wte": "tokens", "wpe": "places",
          "ln_f": "norm"}


def make(folder, **options):
    return random_checkpoint(folder, transformers.GPT2Config(**{**SIZES, **options}))


def ours(tensors):
    """transformers' tensors by our names: matrices as [out, in], `c_attn` in three."""
    named = {}
    for name, value in tensors.items():
        name = name.removeprefix("transformer.").replace("h.", "layers.", 1) if "h." in name else name.removeprefix("transformer.")
        module, last = name.rsplit(".", 1)
        turned = value.T if "c_" in module and value.dim() == 2 else value
        for local, place in PLACES.items():
            module = place if module == local else module.replace("." + local, "." + place)
        last = last if "norm" in module else {"weight": "W", "bias": "b"}[last]
        if module.endswith("attn.c_attn"):
            for part, rows in zip("qkv", turned.split(D)):
                named[f"{module.removesuffix('attn.c_attn')}attention.{part}.{last}"] = rows
        else:
            named[f"{module}.{last}"] = turned
    return named


def check(folder, **options):
    model = make(folder / "model", **options)
    trained = ["layers[*]", "tokens", "places", "norm"] + ([] if model.config.tie_word_embeddings else ["lm_head"])
    return check_all(folder, model, "gpt2", ours, trained)


def test_configs(folder):
    found = {"plain": check(folder / "plain"), "narrow": check(folder / "narrow", n_inner=20, activation_function="relu"), "untied": check(folder / "untied", tie_word_embeddings=False),
             "by layer": check(folder / "layer", scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True), "unscaled": check(folder / "unscaled", scale_attn_weights=False)}
    return "  ".join(f"{name} {worst:.1e}" for name, worst in found.items())


def test_older_files(folder):
    """As the first GPT-2 files are: no prefix, fp16, and a config that says little."""
    model = make(folder / "model")
    stored = load_file(folder / "model/model.safetensors")
    save_file({name.removeprefix("transformer."): value.half() for name, value in stored.items()}, folder / "model/model.safetensors", metadata={"format": "pt"})
    keep = ("model_type", "vocab_size", "n_embd", "n_layer", "n_head", "n_positions", "layer_norm_epsilon")
    config = json.loads((folder / "model/config.json").read_text())
    (folder / "model/config.json").write_text(json.dumps({"n_ctx": 64, **{key: config[key] for key in keep}}))
    model = transformers.GPT2LMHeadModel.from_pretrained(folder / "model", dtype=torch.float32, attn_implementation="eager").eval()
    model.config.pad_token_id = 0
    rows = rows_of(MIXED)
    subject = Subject(folder / "subject", folder / "model", spec("train norm", arch="gpt2"))
    return f"{compare(flat(subject.inspect(rows)), theirs(model, rows)):.1e}"


class Split(torch.nn.Module):
    """`c_attn` with LoRA on some of what it makes: 0 queries, 1 keys, 2 values."""

    def __init__(self, inner, parts, rank, scale):
        super().__init__()
        self.inner, self.parts, self.scale = inner, parts, scale
        self.A = torch.nn.ParameterList([torch.randn(rank, D) for _ in parts])
        self.B = torch.nn.ParameterList([torch.randn(D, rank) for _ in parts])

    def forward(self, x):
        out = list(self.inner(x).split(D, dim=-1))
        for place, part in enumerate(self.parts):
            out[part] = out[part] + self.scale * x @ self.A[place].T @ self.B[place].T
        return torch.cat(out, -1)


def lora_subject(folder, **options):
    model = make(folder / "model", **options)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    parameters = {}
    for index, block in enumerate(model.transformer.h):
        block.attn.c_attn = Split(block.attn.c_attn, (0, 2), 4, 6 / 4)
        for place, part in enumerate("qv"):
            for kind in "AB":
                parameters[f"layers.{index}.attention.{part}.lora.{kind}"] = getattr(block.attn.c_attn, kind)[place]
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.zero_()
    randomise(parameters)
    subject = Subject(folder / "subject", folder / "model", spec("attach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}", "lora", arch="gpt2"))
    return subject, model, parameters, subject.save_init(parameters)


def test_lora(folder):
    subject, model, parameters, init = lora_subject(folder)
    return steps(subject, model, parameters, lambda tensors: tensors, init)


def test_by_stored_name(folder):
    """A selector by the checkpoint's name reaches all that is read from it."""
    make(folder / "model")
    (folder / "spec.peft").write_text(spec('attach lora(r = 4) to "attn.c_attn"', "lora", arch="gpt2"))
    said = run(BIN / "peftc", folder / "spec.peft", "--model", folder / "model", "--emit=sites")
    assert all(f"layers.1.attention.{part}.lora.A" in said for part in "qkv") and "attention.o.lora" not in said, said


def test_merge(folder):
    """The folder has the tensors that it was made of, of the same shapes; keys, which nothing is attached to, are the same to the bit."""
    subject, model, _, init = lora_subject(folder)
    rows = rows_of(MIXED)
    worst = compare(theirs(merged_logits(folder, subject, init), rows), theirs(model, rows))
    before, after = load_file(folder / "model/model.safetensors"), load_file(folder / "merged/model.safetensors")
    assert {name: value.shape for name, value in before.items()} == {name: value.shape for name, value in after.items()}
    fused = "transformer.h.0.attn.c_attn.weight"
    same = [torch.equal(old, new) for old, new in zip(before[fused].split(D, 1), after[fused].split(D, 1))]
    assert same == [False, True, False], same
    new = rows_of((12, 30))
    data = write_rows(folder / "new.jsonl", new)
    outputs = [run(subject.trainer, "predict", "--init", init, "--data", data, *options) for options in ((), ("--unmerged",))]
    assert [json.loads(line)["next"] for line in outputs[0].splitlines()] == [json.loads(line)["next"] for line in outputs[1].splitlines()]
    return f"{worst:.1e}"


def test_classify(folder):
    make(folder / "model")
    model = transformers.GPT2ForSequenceClassification.from_pretrained(folder / "model", num_labels=LABELS, dtype=torch.float32, attn_implementation="eager").eval()
    torch.manual_seed(11)
    with torch.no_grad():
        model.score.weight.normal_(0, 0.3)
    rows = [{**row, "label": place % LABELS} for place, row in enumerate(rows_of(MIXED))]
    subject = Subject(folder / "subject", folder / "model", spec("train head", arch="gpt2", task=f"classify(labels = {LABELS})"))
    out = model(**padded(rows), labels=torch.tensor([row["label"] for row in rows]))
    out.loss.backward()
    init = subject.save_init({"head.classifier.W": model.score.weight})
    worst = compare(subject.inspect(rows, init), {"loss": out.loss.detach(), "logits": out.logits.detach(), "grad.head.classifier.W": model.score.weight.grad})
    run(subject.trainer, "merge", "--init", init, "--out", folder / "merged")
    merged, loading = transformers.GPT2ForSequenceClassification.from_pretrained(folder / "merged", dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    merged.config.pad_token_id = 0
    with torch.no_grad():
        worst = max(worst, compare({"logits": merged.eval()(**padded(rows)).logits}, {"logits": out.logits.detach()}))
    return f"{worst:.1e}"


def test_refused(folder):
    make(folder / "model")
    (folder / "spec.peft").write_text(spec("train norm", arch="gpt2"))
    plain = json.loads((folder / "model/config.json").read_text())
    cases = [({"add_cross_attention": True}, "E0355", "without an encoder"), ({"attn_logit_cap": 3.0}, "E0609", "attn_logit_cap"), ({"activation_function": "quick"}, "E0355", "quick"),
             ({"n_inner": 20}, "E0603", "mlp.c_fc.weight"), ({"n_head": 5}, "E0351", "head_dim"), ({"vocab_size": 0}, "E0353", "at least 1")]
    for changes, code, words in cases:
        shutil.rmtree(folder / "other", ignore_errors=True)
        shutil.copytree(folder / "model", folder / "other")
        (folder / "other/config.json").write_text(json.dumps({**plain, **changes}))
        said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "other", "-o", folder / "trainer")
        assert code in said and words in said, f"{changes}: {said}"
    subject = Subject(folder / "subject", folder / "model", spec("train norm", arch="gpt2"))
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", rows_of((3,))), "--set", "run.max_length=65")
    assert "R0150" in said and "64 positions" in said, said
    return f"{len(cases)} configs"


if __name__ == "__main__":
    main([test_configs, test_older_files, test_lora, test_by_stored_name, test_merge, test_classify, test_refused])
