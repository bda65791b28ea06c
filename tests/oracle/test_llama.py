"""Decoders of the LLaMA family: logits, loss and every gradient equal transformers' for each kind of rotary positions, grouped heads, biases, windows and tied
heads, packed and one by one; LoRA's and prefix tuning's steps equal peft's; merged folders load; what is not described is refused."""
import collections
import json
import shutil

import torch
import transformers
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file
from decoders import BATCH, LABELS, MIXED, STEPS, VOCABULARY, check_all, flat, forward, many_rows, merged_logits, random_checkpoint, randomise, rows_of, spec, steps, theirs
from subject import BIN, ROOT, Subject, compare, main, padded, refused, run, write_rows

SIZES = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
             max_position_embeddings=64, rms_norm_eps=1e-5, pad_token_id=0)
LINEARS = {"self_attn.q_proj": "attention.q", "self_attn.k_proj": "attention.k", "self_attn.v_proj": "attention.v", "self_attn.o_proj": "attention.o",
           "mlp.gate_proj": "ffn.gate", "mlp.up_proj": "ffn.up", "mlp.down_proj": "ffn.down"}
NORMS = {"input_layernorm": "attention.norm", "post_attention_layernorm": "ffn.norm"}
ROPES = {
    "default": {"rope_type": "default", "rope_theta": 1e4},
    "linear": {"rope_type": "linear", "rope_theta": 1e3, "factor": 2.5},
    "dynamic": {"rope_type": "dynamic", "rope_theta": 1e3, "factor": 2.0},
    "proportional": {"rope_type": "proportional", "rope_theta": 1e3, "partial_rotary_factor": 0.6, "factor": 2.0},
    "llama3": {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
    "yarn": {"rope_type": "yarn", "rope_theta": 1e3, "factor": 4.0, "original_max_position_embeddings": 16},
    "yarn with scales": {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 16, "beta_slow": 2, "mscale": 0.8, "mscale_all_dim": 0.5,
                         "truncate": False},
}


def make(folder, arch="llama", **options):
    """A random checkpoint, and the model."""
    return random_checkpoint(folder, {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[arch](**{**SIZES, **options}))


LONG = (200, 65, 2, 97)
WINDOW = dict(use_sliding_window=True, sliding_window=40, max_window_layers=0)


def ours_of(name):
    """`model.layers.1.self_attn.q_proj.weight` as `layers.1.attention.q.W`."""
    name = name.removeprefix("model.")
    name = name.replace("embed_tokens", "tokens")
    for theirs_, ours in {**LINEARS, **NORMS}.items():
        name = name.replace(theirs_, ours)
    module, last = name.rsplit(".", 1)
    norm = module.endswith("norm")
    return f"{module}.{last if norm else {'weight': 'W', 'bias': 'b'}[last]}"


def check(folder, arch="llama", lengths=MIXED, **options):
    """Logits, loss and the gradient of every weight."""
    model = make(folder / "model", arch, **options)
    return check_all(folder, model, arch, lambda gradients: {ours_of(name): value for name, value in gradients.items()}, lengths=lengths)


def test_rope(folder):
    return "  ".join(f"{name} {check(folder / name.replace(' ', '_'), rope_parameters=rope):.1e}" for name, rope in ROPES.items())


def test_older_config(folder):
    """`rope_theta` beside `rope_scaling`, as transformers wrote before version 5; no head_dim."""
    model = make(folder / "model", head_dim=6, rope_parameters=ROPES["linear"])
    path = folder / "model/config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config.pop("head_dim")
    config.update(rope_theta=rope["rope_theta"], rope_scaling={"type": "linear", "factor": rope["factor"]})
    path.write_text(json.dumps(config))
    rows = rows_of(MIXED)
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    return f"{compare(flat(subject.inspect(rows)), theirs(model, rows)):.1e}"


def test_shapes(folder):
    found = [check(folder / "one", num_key_value_heads=4), check(folder / "all", num_key_value_heads=1, attention_bias=True, mlp_bias=True),
             check(folder / "tied", tie_word_embeddings=True, num_attention_heads=6, num_key_value_heads=2, head_dim=4)]
    return "  ".join(f"{worst:.1e}" for worst in found)


def test_qwen2(folder):
    found = [check(folder / "tied", "qwen2", tie_word_embeddings=True), check(folder / "window", "qwen2", use_sliding_window=True, sliding_window=5, max_window_layers=1)]
    return "  ".join(f"{worst:.1e}" for worst in found)


def test_long(folder):
    """Of a tile of queries only the keys that one of them sees are computed: texts of many tiles, windows that begin and end within one."""
    found = [check(folder / "causal", lengths=LONG, max_position_embeddings=256), check(folder / "window", "qwen2", LONG, max_position_embeddings=256, **WINDOW)]
    subject, rows = Subject(folder / "again", folder / "window/model", spec("train layers[1]\ntrain lm_head", arch="qwen2").replace("max_length = 64", "max_length = 200")), rows_of(LONG)
    alone, together = (subject.inspect(rows, None, "--threads", count) for count in (1, 3))
    assert all(torch.equal(alone[name], value) for name, value in together.items()), "other bits with more threads"
    return "  ".join(f"{worst:.1e}" for worst in found)


def test_reference(folder):
    model = make(folder / "model")
    rows = rows_of((9, 2, 17))
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    return f"{compare(flat(subject.inspect(rows, None, '--reference')), theirs(model, rows)):.1e}"


# ---- training, beside peft

def lora_names(tensors):
    named = {}
    for name, value in tensors.items():
        module, kind = name.split("layers.")[1].split(".lora_")
        index, local = module.split(".", 1)
        named[f"layers.{index}.{LINEARS[local]}.lora.{kind[0]}"] = value
    return named


def lora_subject(folder, **options):
    model = make(folder / "model", **options)
    peft_model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=[name.split(".")[1] for name in LINEARS]))
    parameters = {name: value for name, value in peft_model.named_parameters() if value.requires_grad}
    randomise(parameters)
    subject = Subject(folder / "subject", folder / "model", spec("attach lora(r = 4, alpha = 6) to layers[*].** where kind == linear", "lora"))
    return subject, peft_model, parameters, subject.save_init(lora_names(parameters))


def test_lora(folder):
    subject, model, parameters, init = lora_subject(folder)
    return steps(subject, model, parameters, lora_names, init)


def test_prefix(folder):
    """peft hands the prefix over as a cache, by which queries are turned as if they stood behind it; the paper's prefix has no positions. Its size of a head is
    hidden_size / heads."""
    tokens, width = 3, 2 * 6
    model = make(folder / "model", head_dim=6)
    peft_model = get_peft_model(model, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=tokens))
    model.model.rotary_emb.register_forward_pre_hook(lambda module, args, kwargs: (args, {**kwargs, "position_ids": kwargs["position_ids"] - kwargs["position_ids"].min()}), with_kwargs=True)
    parameters = {name: value for name, value in peft_model.named_parameters() if value.requires_grad}
    randomise(parameters)
    ours = lambda tensors: {f"layers.{layer}.attention.prefix.P": next(iter(tensors.values())).narrow(1, layer * 2 * width, 2 * width) for layer in range(2)}  # noqa: E731
    subject = Subject(folder / "subject", folder / "model", spec(f"attach prefix(n = {tokens}) to layers[*].attention where kind == attention", "prefix"))
    return steps(subject, peft_model, parameters, ours, subject.save_init(ours(parameters)))


def test_prompt(folder):
    """Rows in front of a text have no labels; the last of them predicts the first token."""
    model = make(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec("attach prompt(n = 2) to model", "prompt"))
    P = torch.randn(2, 24, generator=torch.Generator().manual_seed(1)) * 0.3
    rows = rows_of((6, 3, 11))
    logits, loss, count = [], 0, 0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor(row["input_ids"])
            out = model(inputs_embeds=torch.cat([P, model.model.embed_tokens(ids)])[None]).logits[0]
            logits.append(out)
            loss += torch.nn.functional.cross_entropy(out[1:-1], ids, reduction="sum")
            count += len(ids)
    return f"{compare(flat(subject.inspect(rows, subject.save_init({'prompt.P': P}))), {'loss': loss / count, 'logits': torch.cat(logits)}):.1e}"


def test_keys_behind(folder):
    """What is joined to the keys is seen by every query, wherever it is joined, and shows none of them a later token."""
    return "  ".join(f"{keys_behind(folder / arch, arch, **options):.1e}" for arch, options in {"llama": {}, "qwen2": WINDOW}.items())


def keys_behind(folder, arch, **options):
    make(folder / "model", arch, max_position_embeddings=256, **options)
    P = torch.randn(2, 40, generator=torch.Generator().manual_seed(1)) * 0.5
    rows, found = rows_of(MIXED + LONG), []
    for name, joined in {"front": "concat({0}, {1}, axis = keys)", "behind": "concat({1}, {0}, axis = keys)"}.items():
        method = ("method join on attention {\n  param P: [2, 2 * kv_heads * head_dim] = normal(0, 1)\n  let kv = rearrange(P, \"n (two h e) -> two n h e\", two = 2, h = kv_heads)\n"
                  f"  k <- {joined.format('kv[0]', 'k')}\n  v <- {joined.format('kv[1]', 'v')}\n}}\n")
        text = method + spec("attach join to layers[*].attention where kind == attention", arch=arch).replace("max_length = 64", "max_length = 256")
        subject = Subject(folder / name, folder / "model", text)
        found.append(flat(subject.inspect(rows, subject.save_init({f"layers.{layer}.attention.join.P": P for layer in range(2)}))))
    return compare(found[1], found[0])


def test_bf16(folder):
    subject, model, parameters, init = lora_subject(folder)
    rows = many_rows(STEPS * BATCH)
    half = Subject(folder / "half", folder / "model", (folder / "subject/spec.peft").read_text().replace("clip = 0", "clip = 0, precision = bf16"))
    mine, other = half.losses(rows, init), subject.losses(rows, init)
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine, other))
    assert 0 < apart < 2e-2, f"{apart}: {mine} {other}"
    return f"losses {apart:.1e} from fp32's"


# ---- rows, metrics, merging, classification

def test_labels_and_metrics(folder):
    model = make(folder / "model")
    rows = rows_of((9, 12, 4))
    for row, first in zip(rows, (4, 1, 2)):
        row["labels"] = [-100] * first + row["input_ids"][first:]
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    expected = theirs(model, rows)
    worst = compare(flat(subject.inspect(rows)), expected)
    said = expected["logits"][9:20].argmax(-1).tolist()  # of the second row
    assert said[3] != said[4]
    turned = [*said[:3], said[4], said[3], *said[5:]]  # as many of each, in another order
    rows += [{"input_ids": rows[1]["input_ids"], "labels": [-100, *labels]} for labels in (said, turned, [-100] * 8 + [said[8], said[9], 100 - said[10]])]
    expected = theirs(model, rows)
    answers = [[(logits[place - 1].argmax().item(), label) for place, label in enumerate(row["labels"]) if place and label >= 0] for row, logits in zip(rows, expected["logits"].split([len(row["input_ids"]) for row in rows]))]
    pairs = [pair for answer in answers for pair in answer]
    f1 = [sum((collections.Counter(a for a, _ in answer) & collections.Counter(b for _, b in answer)).values()) / len(answer) for answer in answers]
    assert f1[3:5] == [1, 1] and 0 < f1[5] < 1, f1
    report = json.loads(run(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", rows), "--json"))
    for name, value in {"loss": expected["loss"].item(), "perplexity": expected["loss"].exp().item(), "token_accuracy": sum(a == b for a, b in pairs) / len(pairs), "token_f1": sum(f1) / 6,
                        "exact_match": sum(all(a == b for a, b in answer) for answer in answers) / 6}.items():
        assert abs(report[name] - value) <= 1e-4 * max(abs(value), 1), f"{name}: {report[name]}, not {value}"
    return f"{worst:.1e}"


def test_predict(folder):
    """A row's loss and perplexity, and what follows it; beside its adapters and merged. No value of the program holds the logits of all tokens."""
    subject, model, _, init = lora_subject(folder, vocab_size=5000)
    rows = [*rows_of(MIXED), {"input_ids": [5]}]
    rows[2]["labels"] = [-100] * 60 + rows[2]["input_ids"][60:]
    for options in ((), ("--unmerged",)):
        lines = [json.loads(line) for line in run(subject.trainer, "predict", "--init", init, "--data", write_rows(folder / "rows.jsonl", rows), *options).splitlines()]
        for row, line in zip(rows, lines, strict=True):
            with torch.no_grad():
                out = forward(model, [row])
            last = out.logits[0, -1].softmax(-1)
            assert line["next"] == last.argmax() and abs(line["probability"] - last.max()) < 1e-4, line
            assert line["tokens"] == sum(label >= 0 for label in row.get("labels", row["input_ids"])[1:])
            assert ("loss" in line) == (line["tokens"] > 0)
            if line["tokens"]:
                assert abs(line["loss"] - out.loss) < 1e-3 and abs(line["perplexity"] / out.loss.exp() - 1) < 1e-3, f"{line} {out.loss}"
    run(BIN / "peftc", subject.folder / "spec.peft", "--model", folder / "model", "-o", folder / "again", "--bundle", folder / "bundle")
    plans = {program["name"]: sum(slot["t"] for slot in program["slots"]) for program in json.loads((folder / "bundle/plan.json").read_text())["programs"]}
    assert max(plans["predict"], plans["predict_base"]) < 5000 * 4 <= plans["inspect"], plans
    return f"{plans['predict']} bytes a token"


def test_prompts_and_responses(folder):
    """Only the response's tokens are targets; the same rows as ids and labels give the same numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    words = ["[UNK]", "<s>", "</s>"] + [f"w{place}" for place in range(90)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    make(folder / "model")
    tokenizer.save(str(folder / "model/tokenizer.json"))
    subject = Subject(folder / "subject", folder / "model", spec("train norm", task='causal_lm(end = "</s>")'))
    texts = [{"prompt": "w3 w5 w8 ", "response": "w13 w21"}, {"prompt": "w1 ", "response": "w1 w2 w3"}, {"text": "w4 w4 w9"}]
    ids = [[1, 6, 8, 11, 16, 24, 2], [1, 4, 4, 5, 6, 2], [1, 7, 7, 12]]
    firsts = [4, 2, 0]
    rows = [{"input_ids": row, "labels": [-100] * first + row[first:]} for row, first in zip(ids, firsts)]
    mine, other = subject.inspect(texts), subject.inspect(rows)
    assert mine["loss"] == other["loss"] and torch.equal(mine["logits"], other["logits"])
    run(subject.trainer, "train", "--data", write_rows(folder / "rows.jsonl", texts), "--out", folder / "run")
    lines = [json.loads(line) for line in run(subject.trainer, "predict", folder / "run", "--data", write_rows(folder / "new.jsonl", [{"text": "w3 w5"}, {"text": "w7"}])).splitlines()]
    assert len(lines) == 2 and all(0 <= line["next"] < VOCABULARY for line in lines), lines
    for line in lines: # behind a word stands a space; special tokens, and numbers that the tokenizer has no word for, read as nothing
        known = 3 <= line["next"] < len(words)
        assert line["next_text"] == (f" {words[line['next']]}" if known else " [UNK]" if line["next"] == 0 else ""), line
    assert any(line["next_text"] for line in lines), lines
    said = run(subject.trainer, "predict", folder / "run", "--data", write_rows(folder / "new.jsonl", [{"input_ids": [1, 6]}]))
    assert "next_text" not in said, said
    return f"loss {mine['loss'].item():.4f}"


def test_vocabularies(folder):
    """A tokenizer may know fewer tokens than the network has rows for (padded tables), not more (tokens that were added to it alone); a table has as many rows as config.json says."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    make(folder / "model")
    for words in (90, VOCABULARY, VOCABULARY + 3):
        tokenizer = Tokenizer(models.WordLevel({f"w{place}": place for place in range(words)}, unk_token="w0"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.save(str(folder / "model/tokenizer.json"))
        subject = Subject(folder / f"subject{words}", folder / "model", spec("train norm"))
        rows = write_rows(folder / "rows.jsonl", [{"text": "w5 w6"}, {"text": f"w7 w{words - 1} w8"}])
        if words <= VOCABULARY:
            run(subject.trainer, "eval", "--data", rows)
            continue
        said = refused(subject.trainer, "eval", "--data", rows)
        assert "R0139" in said and "rows.jsonl:2" in said and f"the tokenizer gives id {words - 1}, the model has a vocabulary of {VOCABULARY}" in said, said
    config = json.loads((folder / "model/config.json").read_text())
    (folder / "model/config.json").write_text(json.dumps({**config, "vocab_size": 128}))
    said = refused(BIN / "peftc", subject.folder / "spec.peft", "--model", folder / "model", "-o", folder / "trainer")
    assert "E0603" in said and "[101, 24]" in said and "[128, 24]" in said, said


def test_merge(folder):
    found = []
    for name, options in {"own": {}, "tied": {"tie_word_embeddings": True}}.items():
        subject, model, _, init = lora_subject(folder / name, **options)
        rows = rows_of(MIXED)
        merged = merged_logits(folder / name, subject, init)
        assert merged.config.tie_word_embeddings == (name == "tied")
        found.append(compare(theirs(merged, rows), theirs(model.eval(), rows)))
    return "  ".join(f"{worst:.1e}" for worst in found)


def test_tied_head_does_not_merge(folder):
    """The merged head would be the merged embedding too."""
    make(folder / "model", tie_word_embeddings=True)
    subject = Subject(folder / "subject", folder / "model", spec("attach lora to lm_head", "lora"))
    said = refused(subject.trainer, "merge", "--out", folder / "merged")
    assert "lm_head" in said and "tokens" in said, said


def test_classify(folder):
    """The last token's features through `score`."""
    make(folder / "model", pad_token_id=0)
    torch.manual_seed(11)
    model = transformers.LlamaForSequenceClassification.from_pretrained(folder / "model", num_labels=LABELS, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        model.score.weight.normal_(0, 0.3)
    rows = [{**row, "label": place % LABELS} for place, row in enumerate(rows_of(MIXED))]
    subject = Subject(folder / "subject", folder / "model", spec("train head", task=f"classify(labels = {LABELS})"))
    with torch.no_grad():
        out = model(**padded(rows), labels=torch.tensor([row["label"] for row in rows]))
    init = subject.save_init({"head.classifier.W": model.score.weight})
    worst = compare(subject.inspect(rows, init), {"loss": out.loss, "logits": out.logits})
    run(subject.trainer, "merge", "--init", init, "--out", folder / "merged")
    merged = transformers.LlamaForSequenceClassification.from_pretrained(folder / "merged", dtype=torch.float32, attn_implementation="eager").eval()
    merged.config.pad_token_id = 0
    with torch.no_grad():
        worst = max(worst, compare({"logits": merged(**padded(rows)).logits}, {"logits": out.logits}))
    return f"{worst:.1e}"


def test_readme(folder):
    """The worked example of stdlib/arch/README.md obeys the laws, with the head that it shares with its embedding."""
    text = (ROOT / "stdlib/arch/README.md").read_text().split("```peft\n")[1].split("```")[0]
    (folder / "own.peft").write_text(text)
    lines = [json.loads(line) for line in run(BIN / "peftc", "check", "--laws", "--json", folder / "own.peft").splitlines()]
    assert lines and all(line["verdict"] == "pass" for line in lines), lines
    return f"{len(lines)} laws"


def test_kernels(folder):
    """On the tokens' path no op stands alone but counting, and what a row's loss is summed with."""
    make(folder / "model")
    (folder / "spec.peft").write_text(spec("attach lora to layers[*].** where kind == linear", "lora"))
    said = run(BIN / "peftc", folder / "spec.peft", "--model", folder / "model", "--explain", "kernels")
    step = said.split("train_step:")[1].split("eval:")[0]
    alone = {line.split()[0]: line.split(": ", 1)[1] for line in step.splitlines() if "stands alone" in line}
    counting = {name for name, reason in alone.items() if reason == "it reads or makes whole numbers"}
    assert set(alone) - counting <= {"broadcast", "dim", "iota", "gather", "literal", "reduce"}, alone
    for inside in ("roll", "cos", "repeat", "select"):
        assert any(inside in line and "alone" not in line for line in step.splitlines()), inside
    return ", ".join(sorted(alone)) + " alone"


# ---- what is refused

def test_refused(folder):
    make(folder / "model")
    (folder / "spec.peft").write_text(spec("train norm"))
    plain = json.loads((folder / "model/config.json").read_text())

    def compiled_with(**changes):
        shutil.rmtree(folder / "other", ignore_errors=True)
        shutil.copytree(folder / "model", folder / "other")
        (folder / "other/config.json").write_text(json.dumps({**plain, **changes}))
        return refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "other", "-o", folder / "trainer")

    cases = [({"final_logit_softcapping": 30.0}, "E0609", "final_logit_softcapping"), ({"rope_parameters": {"rope_type": "axial", "rope_theta": 1e4}}, "E0355", "axial"),
             ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3]}}, "E0609", "rope_parameters.mrope_section"),
             ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.6}}, "E0355", "whole heads"),
             ({"num_key_value_heads": 3}, "E0355", "evenly"), ({"model_type": "mistral"}, "E0604", "mistral"), ({"hidden_act": "relu6"}, "E0355", "relu6"),
             ({"intermediate_size": 38}, "E0603", "mlp.gate_proj.weight"), ({"num_hidden_layers": 3}, "E0602", "model.layers.2.")]
    for changes, code, words in cases:
        said = compiled_with(**changes)
        assert code in said and words in said, f"{changes}: {said}"
    return f"{len(cases)} configs"


def test_refused_rows_and_shards(folder):
    make(folder / "whole").save_pretrained(folder / "model", max_shard_size="20KB")
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    data = write_rows(folder / "rows.jsonl", rows_of((3,)))
    said = refused(subject.trainer, "eval", "--data", data, "--set", "run.max_length=65")
    assert "R0150" in said and "64 positions" in said, said
    for row, code, words in [({"input_ids": [5]}, "R0134", "to be predicted"), ({"input_ids": [5, 6], "labels": [-100, -100]}, "R0134", "to be predicted"),
                             ({"input_ids": [5, 6], "labels": [6]}, "R0134", "1 entries for 2 tokens"), ({"input_ids": [5, 6], "labels": [5, 101]}, "R0139", "101"),
                             ({"prompt": "a"}, "R0133", "response")]:
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [row]))
        assert code in said and words in said, f"{row}: {said}"
    index = folder / "model/model.safetensors.index.json"
    whole = json.loads(index.read_text())
    first, second = sorted(set(whole["weight_map"].values()))[:2]
    name = next(name for name, shard in whole["weight_map"].items() if shard == first)
    for map_, words in (({**whole["weight_map"], name: second}, f"says that tensor `{name}` is in `{folder / 'model' / second}`, and it is in `{folder / 'model' / first}`"),
                        ({**whole["weight_map"], "model.extra": first}, "says that tensor `model.extra` is in")):
        index.write_text(json.dumps({**whole, "weight_map": map_}))
        said = refused(subject.trainer, "eval", "--data", data)
        assert "error[R0111]" in said and words in said, said
    index.write_text(json.dumps(whole))
    shard = sorted((folder / "model").glob("model-*.safetensors"))[1]
    shard.rename(folder / "away.safetensors")
    assert "R0112" in (said := refused(subject.trainer, "eval", "--data", data)) and shard.name in said, said
    said = refused(BIN / "peftc", folder / "subject/spec.peft", "--model", folder / "model", "-o", folder / "trainer")
    assert "E060" in said and shard.name in said, said


if __name__ == "__main__":
    main([test_rope, test_older_config, test_shapes, test_qwen2, test_long, test_reference, test_lora, test_prefix, test_prompt, test_keys_behind, test_bf16, test_labels_and_metrics, test_predict,
          test_prompts_and_responses, test_vocabularies, test_merge, test_tied_head_does_not_merge, test_classify, test_readme, test_kernels, test_refused, test_refused_rows_and_shards])
