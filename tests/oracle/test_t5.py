"""Encoder-decoders: logits, loss and the gradient of every weight equal transformers', packed and one by one; LoRA's and prefixes' steps equal peft's; prompts equal
embeddings; merged folders load; greedy texts equal transformers.generate's beside a cache and without; rows of texts; what is refused."""
import json
import shutil

import torch
import transformers
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from subject import BIN, Subject, adamw_losses, compare, main, refused, run, write_rows
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY, STEPS, BATCH, NEW = 101, 20, 6, 12
SIZES = dict(vocab_size=VOCABULARY, d_model=20, d_kv=7, d_ff=37, num_layers=3, num_decoder_layers=2, num_heads=3, relative_attention_num_buckets=10,
             relative_attention_max_distance=19, dropout_rate=0.0, decoder_start_token_id=2)
NAMES = {"shared": "tokens", "lm_head": "lm_head", "encoder.final_layer_norm": "encoder.norm", "decoder.final_layer_norm": "decoder.norm",
         "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "encoder.distance_bias", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias": "decoder.distance_bias"}
PARTS = {"SelfAttention": "attention", "EncDecAttention": "cross", "DenseReluDense": "ffn"}
FEEDS = {"wi": "up", "wi_0": "gate", "wi_1": "up", "wo": "down"}
SPEC = """{uses}
model base = t5
task seq2seq
{attach}
optimize adamw(lr = 3e-3, weight_decay = 0.01)
run {{ epochs = 1, batch = 6, max_length = 64, base_dropout = 0, clip = 0 }}
"""


def spec(attach, *methods):
    return SPEC.format(uses=f"use peft.methods.{{{', '.join(methods)}}}" if methods else "", attach=attach)


def make(folder, scaled=True, **options):
    """A random checkpoint whose every weight matters, and the model; not `scaled`: the head is its own, and nothing is scaled."""
    torch.manual_seed(7)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**{**SIZES, **options})).eval()
    if not scaled:
        model.config.scale_decoder_outputs = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        model.config.tie_word_embeddings = False
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3 if parameter.dim() < 2 else 1.5 * parameter.shape[-1] ** -0.5)
            if "norm" in name:
                parameter.add_(1)
    model.save_pretrained(folder)
    return model


def ours_of(name):
    """`decoder.block.1.layer.1.EncDecAttention.q.weight` as `decoder.layers.1.cross.q.W`."""
    name = name.removeprefix("base_model.model.").removesuffix(".weight")
    if name in NAMES:
        return NAMES[name] + (".weight" if name.endswith("norm") else ".W")
    stack, _, block, _, place, *rest = name.split(".")
    part = PARTS[rest[0]] if rest[0] in PARTS else "attention" if place == "0" else "cross" if (stack, place) == ("decoder", "1") else "ffn"
    return f"{stack}.layers.{block}.{part}." + ("norm.weight" if rest[-1] == "layer_norm" else FEEDS.get(rest[-1], rest[-1]) + ".W")


def rows_of(lengths, seed=3):
    generator = torch.Generator().manual_seed(seed)
    ids = lambda length: torch.randint(1, VOCABULARY, (length,), generator=generator).tolist()
    return [{"input_ids": ids(source), "labels": ids(target)} for source, target in lengths]


MIXED = ((7, 3), (1, 30), (64, 1), (33, 33), (5, 12))


def forward(model, rows, **options):
    most, longest = max(len(row["input_ids"]) for row in rows), max(len(row["labels"]) for row in rows)
    ids, mask, labels = torch.zeros(len(rows), most, dtype=torch.long), torch.zeros(len(rows), most, dtype=torch.long), torch.full((len(rows), longest), -100)
    for place, row in enumerate(rows):
        ids[place, :len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[place, :len(row["input_ids"])] = 1
        labels[place, :len(row["labels"])] = torch.tensor(row["labels"])
    return model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False, **options)


def packed(rows, out):
    logits = torch.cat([out.logits[place, :len(row["labels"])] for place, row in enumerate(rows)]).detach()
    return {"loss": out.loss.detach(), "logits": logits}


def flat(tensors):
    return {**tensors, "logits": tensors["logits"].reshape(-1, VOCABULARY)}


def check(folder, **options):
    model = make(folder / "model", **options)
    scaled = options.get("scaled", True)
    subject = Subject(folder / "subject", folder / "model", spec("train encoder\ntrain decoder\ntrain tokens" + ("" if scaled else "\ntrain lm_head")))
    rows = rows_of(MIXED)
    out = forward(model, rows)
    out.loss.backward()
    expected = {**packed(rows, out), **{"grad." + ours_of(name): value.grad for name, value in model.named_parameters()}}
    got = flat(subject.inspect(rows))
    assert set(got) == set(expected), set(got) ^ set(expected)
    worst = compare(got, expected)
    with torch.no_grad():
        for row in rows:  # no row sees another one
            worst = max(worst, compare(flat(subject.inspect([row])), packed([row], forward(model, [row]))))
        worst = max(worst, compare(flat(subject.inspect(rows[:2], None, "--reference")), packed(rows[:2], forward(model, rows[:2]))))
    return f"{worst:.1e}"


def test_relu_tied(folder):
    return check(folder)


def test_gated_untied(folder):
    return check(folder, scaled=False, feed_forward_proj="gated-gelu")


def test_default_buckets(folder):
    """As many as checkpoints have; each distance has the bucket that transformers gives it."""
    check(folder, relative_attention_num_buckets=32, relative_attention_max_distance=128)
    config = dict(relative_attention_num_buckets=32, relative_attention_max_distance=128, num_layers=1, num_decoder_layers=1)
    model = make(folder / "long", **config)
    subject = Subject(folder / "long subject", folder / "long", spec("train encoder.norm").replace("max_length = 64", "max_length = 300"))
    rows = rows_of(((300, 5), (4, 290)))
    with torch.no_grad():
        return f"{compare(flat(subject.inspect(rows)), packed(rows, forward(model, rows))):.1e}"


# ---- methods

LORA = "attach lora(r = 4, alpha = 6) to encoder.layers[*].attention.{q, v}, decoder.layers[*].{attention, cross}.{q, v}, decoder.layers[*].ffn.up"


def lora_subject(folder):
    model = make(folder / "model")
    targets = r".*\.(q|v)|decoder.*\.wi"
    model = get_peft_model(model, LoraConfig(task_type="SEQ_2_SEQ_LM", r=4, lora_alpha=6, target_modules=targets)).train()
    parameters = {}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.normal_(0, 0.2)
                module, kind = name.split(".lora_")
                parameters[f"{ours_of(module).removesuffix('.W')}.lora.{kind[0]}"] = value
    subject = Subject(folder / "subject", folder / "model", spec(LORA, "lora"))
    return subject, model, parameters, subject.save_init(parameters)


def steps(subject, model, parameters, init, shaped=lambda value: value):
    """Gradients of one batch, then the losses of 20 steps."""
    rows = rows_of(MIXED)
    model.zero_grad()
    out = forward(model, rows)
    out.loss.backward()
    expected = {**packed(rows, out), **{"grad." + name: shaped(value.grad) for name, value in parameters.items()}}
    got = flat(subject.inspect(rows, init))
    assert {name for name in got if name.startswith("grad.")} <= set(expected), set(got) ^ set(expected)
    worst = compare(got, expected)
    generator = torch.Generator().manual_seed(17)
    rows = rows_of(torch.randint(2, 20, (STEPS * BATCH, 2), generator=generator).tolist(), 17)
    mine, other = subject.losses(rows, init), adamw_losses(parameters, rows, lambda some: forward(model, some).loss, BATCH, 3e-3)
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine, other))
    assert len(mine) == STEPS and apart < 1e-3, f"losses of {STEPS} steps differ by {apart:.1e}: {mine} {other}"
    assert abs(other[-1] - other[0]) > 1e-2, "nothing was learned: the comparison says little"
    return f"gradients {worst:.1e}, losses {apart:.1e}"


def test_lora(folder):
    return steps(*lora_subject(folder))


def test_prompt(folder):
    """What stands in front of the encoder's text."""
    model = make(folder / "model")
    P = torch.randn(3, 20, generator=torch.Generator().manual_seed(1)) * 0.3
    subject = Subject(folder / "subject", folder / "model", spec("attach prompt(n = 3) to model", "prompt"))
    init, rows, worst = subject.save_init({"prompt.P": P}), rows_of(MIXED), 0
    for row in rows:
        embeds = torch.cat([P, model.shared(torch.tensor(row["input_ids"]))])[None].detach()
        with torch.no_grad():
            out = model(inputs_embeds=embeds, labels=torch.tensor([row["labels"]]))
        worst = max(worst, compare(flat(subject.inspect([row], init)), packed([row], out)))
    return f"{worst:.1e}"


def test_methods_have_their_places(folder):
    """Each method on each sort of site: it compiles, what it trains has a gradient, and the packed batch is its rows one by one."""
    make(folder / "model", feed_forward_proj="gated-gelu")
    rows, counted = rows_of(MIXED), []
    for method, places in {"prefix(n = 2)": "encoder.layers[*].attention, decoder.layers[*].{attention, cross} where kind == attention", "prompt(n = 2)": "model",
                           "serial_adapter(reduction = 4)": "encoder.layers[*].ffn, decoder.layers[*].{cross, ffn}", "parallel_adapter(16)": "decoder.layers[*].ffn",
                           "ia3": "encoder.layers[*].attention.{k, v}, decoder.layers[*].cross.{q, k, v, o}", "dora(r = 2)": "decoder.layers[*].cross.o, encoder.layers[1].ffn.down"}.items():
        name = method.split("(")[0]
        subject = Subject(folder / name, folder / "model", spec(f"attach {method} to {places}", name))
        run(subject.trainer, "train", "--data", write_rows(subject.folder / "rows.jsonl", rows), "--out", subject.folder / "run", "--set", "run.epochs=2")
        adapter = next((subject.folder / "run").rglob("adapter.safetensors"))
        together = subject.inspect(rows, adapter)
        gradients = [value for key, value in together.items() if key.startswith("grad.")]
        assert gradients and all(value.abs().max() > 0 for value in gradients if value.numel()), name
        alone = torch.cat([flat(subject.inspect([row], adapter))["logits"] for row in rows])
        compare(flat(together), {"logits": alone})
        counted.append(f"{name} {len(gradients)}")
    return ", ".join(counted)


def test_prefix_of_the_decoder(folder):
    """peft puts prefixes before the decoder's own keys."""
    n, heads, size, depth = 3, SIZES["num_heads"], SIZES["d_kv"], SIZES["num_decoder_layers"]
    make(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec(f"attach prefix(n = {n}) to decoder.layers[*].attention where kind == attention", "prefix"))
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder / "model", dtype=torch.float32).eval()
    generator, init, kept = torch.Generator().manual_seed(1), {}, []
    for layer in range(depth):
        P = torch.randn(n, 2 * heads * size, generator=generator) * 0.5
        init[f"decoder.layers.{layer}.attention.prefix.P"] = P
        kept.append(P.reshape(n, 2, heads, size).permute(1, 2, 0, 3)[:, None])
    path, worst = subject.save_init(init), 0
    for row in rows_of(MIXED):
        cache = transformers.EncoderDecoderCache(transformers.DynamicCache(), transformers.DynamicCache())
        for layer, (k, v) in enumerate(kept):
            cache.self_attention_cache.update(k, v, layer)
        with torch.no_grad():
            length = len(row["labels"])
            out = model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]]), past_key_values=cache,
                        decoder_attention_mask=torch.ones(1, n + length, dtype=torch.long), use_cache=True)
        worst = max(worst, compare(flat(subject.inspect([row], path)), packed([row], out)))
    return f"{worst:.1e}"


def test_prefix_everywhere(folder):
    """peft has prefixes before the decoder's own keys only. Those of the encoder and of what looks at it are transcribed: keys and values that every query sees, in
    places before the text's first. Numbers, and the gradient of each prefix."""
    n, heads, size = 3, SIZES["num_heads"], SIZES["d_kv"]
    model = make(folder / "model")
    generator, prefixes = torch.Generator().manual_seed(1), {}
    for name, module in model.named_modules():
        if name.endswith(("SelfAttention", "EncDecAttention")):
            first = model.get_submodule(name.split(".")[0]).block[0].layer[0].SelfAttention  # which has the numbers of distances for all layers
            module.distances = first.compute_bias if name.endswith("SelfAttention") else None
            module.prefix = (torch.randn(n, 2 * heads * size, generator=generator) * 0.5).requires_grad_()
            prefixes[ours_of(name + ".q").removesuffix(".q.W") + ".prefix.P"] = module.prefix

    def attend(module, query, key, value, mask, scaling, position_bias=None, **_):
        kv = module.prefix.reshape(n, 2, heads, size).permute(1, 2, 0, 3)[:, None].expand(-1, key.shape[0], -1, -1, -1)
        key, value = torch.cat([kv[0], key], 2), torch.cat([kv[1], value], 2)
        far = module.distances(query.shape[2], key.shape[2], past_seen_tokens=n) if module.distances else 0
        added = far + (0 if mask is None else torch.nn.functional.pad(mask, (n, 0)))
        out = torch.softmax(query @ key.transpose(2, 3) * scaling + added, -1) @ value
        return out.transpose(1, 2), None

    transformers.AttentionInterface.register("prefixed", attend)
    transformers.AttentionMaskInterface.register("prefixed", transformers.masking_utils.eager_mask)
    for module in model.modules():
        if hasattr(module, "config"):  # encoder and decoder have copies of it
            module.config._attn_implementation = "prefixed"
    subject = Subject(folder / "subject", folder / "model", spec("attach prefix(n = 3) to encoder.layers[*].attention, decoder.layers[*].{attention, cross} where kind == attention", "prefix"))
    rows = rows_of(MIXED)
    out = forward(model, rows)
    out.loss.backward()
    expected = {**packed(rows, out), **{"grad." + name: value.grad for name, value in prefixes.items()}}
    got = flat(subject.inspect(rows, subject.save_init({name: value.detach() for name, value in prefixes.items()})))
    assert len(prefixes) == 7 and set(got) == set(expected), set(got) ^ set(expected)
    return f"{compare(got, expected):.1e}"


def test_merge(folder):
    subject, model, _, init = lora_subject(folder)
    run(subject.trainer, "merge", "--init", init, "--out", folder / "merged")
    merged, loading = transformers.T5ForConditionalGeneration.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    rows = rows_of(MIXED)
    with torch.no_grad():
        return f"{compare(packed(rows, forward(merged.eval(), rows)), packed(rows, forward(model.eval(), rows))):.1e}"


# ---- generation

def greedy(model, rows, new=NEW):
    found = []
    for row in rows:
        with torch.no_grad():
            out = model.eval().generate(input_ids=torch.tensor([row["input_ids"]]), max_new_tokens=new, do_sample=False, num_beams=1, eos_token_id=None, pad_token_id=0)
        found.append(out[0, 1:].tolist())
    return found


def written(subject, rows, init=None, *options):
    data = write_rows(subject.folder / "prompts.jsonl", [{"input_ids": row["input_ids"]} for row in rows])
    report = json.loads(run(subject.trainer, "generate", "--data", data, "--json", "--max-new", NEW, "--ignore-end", *(["--init", init] if init else []), *options))
    return [row["ids"] for row in report["rows"]], report


def test_generate(folder):
    rows, said = rows_of(MIXED), []
    for name, options in {"tied": {}, "gated": dict(scaled=False, feed_forward_proj="gated-gelu")}.items():
        model = make(folder / name, **options)
        subject = Subject(folder / f"{name} subject", folder / name, spec("train encoder.norm"))
        expected = greedy(model, rows)
        assert len({tuple(ids) for ids in expected}) > 2, f"texts say little: {expected}"
        ids, report = written(subject, rows)
        assert report["uncached"] == "" and report["cache_bytes"] > 0, report
        assert ids == expected, f"{name}: {ids}, transformers writes {expected}"
        assert written(subject, rows, None, "--no-cache")[0] == expected and written(subject, rows, None, "--set", "run.batch=1")[0] == expected
        said.append(f"{name} {len({tuple(ids) for ids in expected})} texts")
    return ", ".join(said)


def test_generate_lora_and_ends(folder):
    subject, model, _, init = lora_subject(folder)
    rows = rows_of(MIXED)
    expected = greedy(model, rows)
    assert written(subject, rows, init, "--unmerged")[0] == expected
    merged, report = written(subject, rows, init)
    assert report["merged"] and merged == expected
    end = expected[0][3]
    first = expected[0].index(end)
    config = json.loads((folder / "model/config.json").read_text())
    shutil.copytree(folder / "model", folder / "ends")
    (folder / "ends/config.json").write_text(json.dumps({**config, "eos_token_id": end}))
    (folder / "ends/generation_config.json").unlink(missing_ok=True)
    ending = Subject(folder / "ending", folder / "ends", spec(LORA, "lora"))
    data = write_rows(folder / "prompts.jsonl", [{"input_ids": rows[0]["input_ids"]}])
    answer = json.loads(run(ending.trainer, "generate", "--data", data, "--json", "--max-new", NEW, "--init", init))["rows"][0]
    assert answer["finish"] == "end" and answer["ids"] == expected[0][:first], (answer, expected[0])


# ---- texts

WORDS = ["<pad>", "</s>", "<unk>"] + [f"w{place}" for place in range(90)]


def add_tokenizer(folder):
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def test_texts(folder):
    """Rows of `source` and `target` are what the tokenizer makes of each; a small task is learned, and generated."""
    make(folder / "model")
    tokenizer = add_tokenizer(folder / "model")
    generator = torch.Generator().manual_seed(2)
    texts = []
    for _ in range(400):
        words = [f"w{place}" for place in torch.randint(0, 12, (int(torch.randint(1, 4, (), generator=generator)),), generator=generator)]
        texts.append({"source": " ".join(words), "target": words[0]})
    subject = Subject(folder / "subject", folder / "model", spec("train encoder\ntrain decoder\ntrain tokens"))
    ids = [{"input_ids": tokenizer(row["source"])["input_ids"], "labels": tokenizer(row["target"])["input_ids"]} for row in texts[:30]]
    compare(subject.inspect(texts[:30]), subject.inspect(ids), tolerance=0)
    data = write_rows(folder / "train.jsonl", texts)
    run(subject.trainer, "train", "--data", data, "--out", folder / "run", "--set", "run.epochs=12", "--set", "run.batch=16")
    report = json.loads(run(subject.trainer, "eval", folder / "run", "--data", data, "--json"))
    assert report["token_accuracy"] > 0.9 and report["exact_match"] > 0.8 and abs(report["perplexity"] - torch.tensor(report["loss"]).exp().item()) < 1e-3, report
    answers = json.loads(run(subject.trainer, "generate", folder / "run", "--data", data, "--json", "--max-new", 5, "--set", "run.batch=64"))["rows"]
    right = sum(answer["text"].strip() == row["target"] for answer, row in zip(answers, texts)) / len(texts)
    assert abs(right - report["exact_match"]) < 1e-9, (right, report)
    asked = write_rows(folder / "new.jsonl", [{"source": row["source"]} for row in texts[:20]])
    said = [json.loads(line)["next"] for line in run(subject.trainer, "predict", folder / "run", "--data", asked).splitlines()]
    assert said == [answer["ids"][0] for answer in answers[:20]], (said, answers[:20])  # without a target: what an answer begins with
    return f"exact match {right:.2f}"


# ---- what is refused, or cut

def test_refused(folder):
    make(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec("train encoder.norm"))
    add_tokenizer(folder / "model")
    good = {"input_ids": [3, 4], "labels": [5]}
    for row, code, words in (({"input_ids": [3, 4]}, "R0133", "`labels`"), ({"source": "w1"}, "R0133", "`target`"), ({"target": "w1"}, "R0133", "`source`"), ({"input_ids": [3], "labels": []}, "R0134", "`labels`"),
                             ({"input_ids": [3], "labels": [-100, 4]}, "R0139", "-100"), ({"input_ids": [3], "labels": [VOCABULARY]}, "R0139", str(VOCABULARY)),
                             ({"input_ids": [3], "labels": "w"}, "R0134", "labels"), ({"source": "w1", "target": 3}, "R0134", "`target`")):
        rows = [good, row] if "input_ids" in row else [row]
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", rows))
        assert code in said and words in said and f":{len(rows)}" in said, f"{row}: {said}"
    report = json.loads(run(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", [{"input_ids": [3] * 70, "labels": [4] * 66}, good]), "--json"))
    assert (report["truncated"], report["tokens"]) == (2, 64 + 64 + 3), report
    (subject.folder / "other.peft").write_text(spec("train encoder.norm").replace("task seq2seq", "task causal_lm"))
    said = refused(BIN / "peftc", subject.folder / "other.peft", "--model", folder / "model", "-o", folder / "trainer")
    assert "E0357" in said and "`causal_lm` has no `row answer_ids`" in said and "tasks with such a row: `seq2seq`" in said, said
    plain = json.loads((folder / "model/config.json").read_text())
    for changes, code, words in (({"model_type": "mt5"}, "E0604", "mt5"), ({"d_ff": 38}, "E0603", "DenseReluDense"), ({"num_decoder_layers": 4}, "E0602", "decoder.block.2"),
                                 ({"is_encoder_decoder": False}, "E0355", "encoder and decoder"), ({"feed_forward_proj": "gated-swiglu"}, "E0355", "gated-swiglu"),
                                 ({"relative_attention_num_buckets": 2}, "E0355", "2, too few"), ({"adapters": 3}, "E0609", "adapters")):
        (folder / "model/config.json").write_text(json.dumps({**plain, **changes}))
        said = refused(BIN / "peftc", subject.folder / "spec.peft", "--model", folder / "model", "-o", folder / "trainer")
        assert code in said and words in said, f"{changes}: {said}"


if __name__ == "__main__":
    main([test_relu_tied, test_gated_untied, test_default_buckets, test_lora, test_prompt, test_methods_have_their_places, test_prefix_of_the_decoder, test_prefix_everywhere, test_merge, test_generate,
          test_generate_lora_and_ends, test_texts, test_refused])
