"""Encoders beside BERT: logits, loss and the gradient of every weight equal transformers', packed and one by one; checkpoints of masked language models load as
they are; LoRA's steps equal peft's; merged folders load; labels of words and ids; what is not described, and rows that are too long, are refused or cut."""
import json
import shutil

import torch
import transformers
from peft import LoraConfig, get_peft_model
from subject import BIN, Subject, adamw_losses, compare, labels_of, main, padded, refused, run, write_rows

VOCABULARY, LABELS, STEPS, BATCH = 101, 5, 20, 6
NOISE = 1e-2  # of gradients: a key's bias has none, and libraries find some 1e-8
SIZES = {
    "bert": dict(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37, max_position_embeddings=70, type_vocab_size=2),
    "roberta": dict(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37, max_position_embeddings=70, type_vocab_size=1,
                    pad_token_id=3, layer_norm_eps=1e-5),
    "distilbert": dict(vocab_size=VOCABULARY, dim=24, n_layers=2, n_heads=3, hidden_dim=37, max_position_embeddings=70),
}
POSITIONS = {"bert": 70, "roberta": 66, "distilbert": 70}
NAMES = {"embeddings.word_embeddings": "embeddings.tokens", "embeddings.position_embeddings": "embeddings.positions", "embeddings.token_type_embeddings": "embeddings.types",
         "embeddings.LayerNorm": "embeddings.norm", "encoder.layer.": "layers.", "attention.self.query": "attention.q", "attention.self.key": "attention.k",
         "attention.self.value": "attention.v", "attention.output.dense": "attention.o", "attention.output.LayerNorm": "attention.norm", "intermediate.dense": "ffn.up",
         "output.dense": "ffn.down", "output.LayerNorm": "ffn.norm", "pooler.dense": "pooler", "transformer.layer.": "layers.", "attention.q_lin": "attention.q",
         "attention.k_lin": "attention.k", "attention.v_lin": "attention.v", "attention.out_lin": "attention.o", "sa_layer_norm": "attention.norm", "ffn.lin1": "ffn.up",
         "ffn.lin2": "ffn.down", "output_layer_norm": "ffn.norm", "classifier.dense": "head.dense", "classifier.out_proj": "head.classifier", "pre_classifier": "head.dense"}
SPEC = """{uses}
model base = {arch}
task {task}
{attach}
optimize adamw(lr = 3e-3, weight_decay = 0.01)
run {{ epochs = 1, batch = 6, base_dropout = 0, clip = 0{run} }}
"""


def spec(arch, attach, *methods, task=f"classify(labels = {LABELS})", run=""):
    return SPEC.format(uses=f"use peft.methods.{{{', '.join(methods)}}}" if methods else "", attach=attach, arch=arch, task=task, run=run)


def make(folder, arch, auto="AutoModelForSequenceClassification", **options):
    """A random checkpoint whose every weight matters, and the model."""
    config = transformers.AutoConfig.for_model(arch, **{**SIZES[arch], "num_labels": LABELS, **options})
    torch.manual_seed(7)
    model = getattr(transformers, auto).from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3 if parameter.dim() < 2 or "embeddings" in name else 1.5 * parameter.shape[-1] ** -0.5)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1)
    model.save_pretrained(folder)
    return model


def ours_of(name, arch):
    """`roberta.encoder.layer.1.attention.self.query.weight` as `layers.1.attention.q.W`."""
    name = name.removeprefix(arch + ".")
    for theirs, ours in NAMES.items():
        if theirs + "." in name or (theirs.endswith(".") and name.startswith(theirs)):
            name = name.replace(theirs, ours, 1)
    name = "head." + name if name.startswith("classifier.") else name
    module, last = name.rsplit(".", 1)
    norm = module.rsplit(".", 1)[-1] == "norm"
    return f"{module}.{last if norm else {'weight': 'W', 'bias': 'b'}[last]}"


def head_of(model, arch):
    return {ours: value for name, value in model.named_parameters() if (ours := ours_of(name, arch)).startswith("head.")}


def rows_of(lengths, seed=3):
    """No row holds a padding token: transformers gives it neither a place nor a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return [{"input_ids": torch.randint(4, VOCABULARY, (length,), generator=generator).tolist(),
             "label": int(torch.randint(0, LABELS, (), generator=generator))} for length in lengths]


def batch_of(rows, arch):
    """Padded with what the model takes for padding."""
    batch = padded(rows)
    batch["input_ids"].masked_fill_(batch["attention_mask"] == 0, SIZES[arch].get("pad_token_id", 0))
    return batch


MIXED = (7, 1, 66, 33, 5)


def gradients_of(model, arch):
    return {"grad." + ours_of(name, arch): value.grad for name, value in model.named_parameters() if value.grad is not None}


def check(folder, arch, **options):
    model = make(folder / "model", arch, **options)
    subject = Subject(folder / "subject", folder / "model", spec(arch, "train layers[*]\ntrain embeddings\ntrain head" + ("\ntrain pooler" if arch == "bert" else "")))
    rows, init = rows_of(MIXED), None
    out = model(**batch_of(rows, arch), labels=labels_of(rows))
    out.loss.backward()
    expected = {"loss": out.loss.detach(), "logits": out.logits.detach(), **gradients_of(model, arch)}
    # A trained base weight is a parameter like the others: the adapter file holds it.
    init = subject.save_init({ours_of(name, arch): value for name, value in model.named_parameters()})
    got = subject.inspect(rows, init)
    assert set(got) == set(expected), set(got) ^ set(expected)
    worst = compare(got, expected, least=NOISE)
    for row in rows:  # no row sees another one
        with torch.no_grad():
            worst = max(worst, compare(subject.inspect([row], init), {"logits": model(**batch_of([row], arch)).logits}))
    with torch.no_grad():
        worst = max(worst, compare(subject.inspect(rows[:3], init, "--reference"), {"logits": model(**batch_of(rows[:3], arch)).logits}))
    return f"{worst:.1e}"


def test_roberta(folder):
    return check(folder, "roberta")


def test_roberta_with_types(folder):
    return check(folder, "roberta", type_vocab_size=3, pad_token_id=0, hidden_act="relu", num_attention_heads=2)


def test_distilbert(folder):
    return check(folder, "distilbert")


def test_bert(folder):
    return check(folder, "bert")


# ---- methods, masked language models, merging

def lora_subject(folder, arch, saved=None):
    """Our trainer and peft's model with the same parameters; the checkpoint is a masked language model's."""
    make(folder / "model", arch, "AutoModelForMaskedLM")
    torch.manual_seed(11)
    dropouts = ("dropout", "attention_dropout", "seq_classif_dropout") if arch == "distilbert" else ("hidden_dropout_prob", "attention_probs_dropout_prob")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "model", num_labels=LABELS, dtype=torch.float32, attn_implementation="eager", **dict.fromkeys(dropouts, 0.0))
    heads = ["classifier", "pre_classifier"] if arch == "distilbert" else ["classifier"]
    targets = ["q_lin", "v_lin", "lin1"] if arch == "distilbert" else ["query", "value", "intermediate.dense"]
    model = get_peft_model(model, LoraConfig(task_type=None, r=4, lora_alpha=6, target_modules=targets, modules_to_save=heads)).train()
    parameters = {}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.normal_(0, 0.2)
                name = name.removeprefix("base_model.model.").replace(".modules_to_save.default", "").replace(".default", "")
                lora = [part for part in ("lora_A", "lora_B") if part in name]
                own = ours_of(name.replace(f".{lora[0]}", "") if lora else name, arch)
                parameters[own.removesuffix(".W") + f".lora.{lora[0][-1]}" if lora else own] = value
    subject = Subject(folder / "subject", folder / "model", spec(arch, "attach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}, layers[*].ffn.up\ntrain head", "lora"))
    return subject, model, parameters, subject.save_init(parameters)


def steps_of(folder, arch):
    subject, model, parameters, init = lora_subject(folder, arch)
    rows = rows_of([1 + place * 7 % 19 for place in range(STEPS * BATCH)])
    out = model(**batch_of(rows[:7], arch), labels=labels_of(rows[:7]))
    out.loss.backward()
    expected = {"loss": out.loss.detach(), "logits": out.logits.detach(), **{"grad." + name: value.grad for name, value in parameters.items()}}
    worst = compare(subject.inspect(rows[:7], init), expected, least=NOISE)
    theirs = adamw_losses(parameters, rows, lambda some: model(**batch_of(some, arch), labels=labels_of(some)).loss, BATCH, 3e-3)
    ours = subject.losses(rows, init)
    apart = max(abs(a - b) for a, b in zip(ours, theirs))
    assert len(ours) == len(theirs) == STEPS and apart <= 1e-3, f"{apart}\n{ours}\n{theirs}"
    return f"gradients {worst:.1e}, losses of {STEPS} steps {apart:.1e}"


def test_lora_roberta(folder):
    return steps_of(folder, "roberta")


def test_lora_distilbert(folder):
    return steps_of(folder, "distilbert")


def test_pooler_that_is_missing(folder):
    """A masked language model of BERT has no pooler: it is new, trained, and merged under its name."""
    make(folder / "model", "bert", "AutoModelForMaskedLM")
    subject = Subject(folder / "subject", folder / "model", spec("bert", "train head"))
    assert "pooler.W" in run(subject.trainer, "info"), run(subject.trainer, "info")
    rows = rows_of(MIXED)
    first = subject.inspect(rows)
    assert {"grad.pooler.W", "grad.pooler.b"} <= set(first), set(first)
    run(subject.trainer, "train", "--data", write_rows(folder / "rows.jsonl", rows), "--out", folder / "run")
    run(subject.trainer, "merge", folder / "run", "--out", folder / "merged")
    merged, loading = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    with torch.no_grad():
        logits = merged.eval()(**batch_of(rows, "bert")).logits
    adapter = next((folder / "run").rglob("adapter.safetensors"))
    return f"{compare(subject.inspect(rows, adapter), {'logits': logits}):.1e}"


def test_merge(folder):
    """A merged folder has the classifier, and nothing of the language model's head."""
    found = []
    for arch in ("roberta", "distilbert"):
        subject, model, _, init = lora_subject(folder / arch, arch)
        run(subject.trainer, "merge", "--init", init, "--out", folder / arch / "merged")
        merged, loading = transformers.AutoModelForSequenceClassification.from_pretrained(folder / arch / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
        assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
        rows = rows_of(MIXED)
        with torch.no_grad():
            found.append(compare({"logits": merged.eval()(**batch_of(rows, arch)).logits}, {"logits": model.eval()(**batch_of(rows, arch)).logits}))
    return "  ".join(f"{worst:.1e}" for worst in found)


# ---- what is refused, or cut

def test_rows_longer_than_positions(folder):
    for arch, most in POSITIONS.items():
        model = make(folder / arch, arch)
        subject = Subject(folder / f"{arch}_subject", folder / arch, spec(arch, "train head"))
        init = subject.save_init(head_of(model, arch))
        rows = rows_of((most, most + 5, 4))
        data = write_rows(folder / "rows.jsonl", rows)
        said = refused(subject.trainer, "eval", "--data", data, "--set", f"run.max_length={most + 1}")
        assert "R0150" in said and f"is {most + 1}" in said and f"{most} positions" in said, said
        report = json.loads(run(subject.trainer, "eval", "--data", data, "--init", init, "--json"))
        assert (report["truncated"], report["tokens"]) == (1, 2 * most + 4), report
        cut = [{**row, "input_ids": row["input_ids"][:most]} for row in rows]
        with torch.no_grad():
            out = model(**batch_of(cut, arch), labels=labels_of(cut))
        assert abs(report["loss"] - out.loss.item()) <= 1e-4, (report, out.loss)
    return ", ".join(map(str, POSITIONS.values()))


def test_refused(folder):
    cases = {"roberta": [({"is_decoder": True}, "E0355", "only encoders"), ({"pad_token_id": None}, "E0355", "pad_token_id"), ({"position_embedding_type": "relative_key"}, "E0355", "absolute"),
                         ({"type_vocab_size": 2}, "E0603", "token_type_embeddings"), ({"max_position_embeddings": 4}, "E0353", "at least 1"), ({"model_type": "xlm-roberta"}, "E0604", "xlm-roberta"),
                         ({"adapters": 3}, "E0609", "adapters")],
             "distilbert": [({"n_layers": 3}, "E0602", "transformer.layer.2."), ({"n_heads": 5}, "E0351", "4.8"), ({"activation": "relu6"}, "E0355", "relu6"), ({"hidden_dim": 38}, "E0603", "ffn.lin1.weight")]}
    for arch, changed in cases.items():
        make(folder / arch, arch)
        (folder / "spec.peft").write_text(spec(arch, "train head"))
        plain = json.loads((folder / arch / "config.json").read_text())
        for changes, code, words in changed:
            shutil.rmtree(folder / "other", ignore_errors=True)
            shutil.copytree(folder / arch, folder / "other")
            (folder / "other/config.json").write_text(json.dumps({**plain, **changes}))
            said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "other", "-o", folder / "trainer")
            assert code in said and words in said, f"{changes}: {said}"
    return f"{sum(map(len, cases.values()))} configs"


if __name__ == "__main__":
    main([test_roberta, test_roberta_with_types, test_distilbert, test_bert, test_lora_roberta, test_lora_distilbert, test_pooler_that_is_missing, test_merge, test_rows_longer_than_positions, test_refused])
