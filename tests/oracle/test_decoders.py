"""Decoders that differ from LLaMA in a few lines: logits, loss and every gradient equal transformers'; LoRA's steps equal peft's where the checkpoint holds queries, keys and
values as one; merged folders load; what is not described is refused."""
import json
import shutil

import torch
import transformers
from decoders import LABELS, MIXED, VOCABULARY, check_all, flat, merged_logits, random_checkpoint, randomise, rows_of, spec, theirs
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from subject import BIN, Subject, compare, main, padded, refused, run, write_rows
from test_llama import ours_of

SIZES = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5,
             pad_token_id=0, bos_token_id=1, eos_token_id=2)
CONFIGS = {"mistral": transformers.MistralConfig, "gemma": transformers.GemmaConfig, "qwen3": transformers.Qwen3Config, "phi3": transformers.Phi3Config}
D, FF, KV = 24, 37, 2 * 6


def make(folder, arch, **options):
    own = {} if arch == "phi3" else {"head_dim": 10}
    return random_checkpoint(folder, CONFIGS[arch](**{**SIZES, **own, **options}))


def ours(tensors):
    """transformers' tensors by our names; fused ones in their parts."""
    named = {}
    for name, value in tensors.items():
        if "qkv_proj" in name:
            for part, rows in zip("qkv", value.split((D, KV, KV))):
                named[ours_of(name.replace("qkv_proj", part + "_proj"))] = rows
        elif "gate_up_proj" in name:
            for part, rows in zip(("gate", "up"), value.split(FF)):
                named[ours_of(name.replace("gate_up_proj", part + "_proj"))] = rows
        else:
            named[ours_of(name).replace("self_attn.", "attention.")] = value
    return named


# Two of a head's 6 features are not turned; the others have other frequencies in texts of more than 16 tokens.
LONGROPE = {"rope_type": "longrope", "rope_theta": 100.0, "partial_rotary_factor": 0.7, "short_factor": [1.0, 1.3], "long_factor": [2.0, 5.0]}
STRETCHED = dict(rope_parameters=LONGROPE, original_max_position_embeddings=16)


def check(folder, arch, lengths=MIXED, **options):
    return check_all(folder, make(folder / "model", arch, **options), arch, ours, lengths=lengths)


def found(worst):
    return "  ".join(f"{name} {share:.1e}" for name, share in worst.items())


def test_mistral(folder):
    return found({"window": check(folder / "window", "mistral", sliding_window=5), "all": check(folder / "all", "mistral", sliding_window=None)})


def test_gemma(folder):
    return found({"tied": check(folder / "tied", "gemma", num_key_value_heads=1), "biased": check(folder / "biased", "gemma", attention_bias=True, tie_word_embeddings=False, hidden_act="gelu")})


def test_qwen3(folder):
    return found({"plain": check(folder / "plain", "qwen3"), "window": check(folder / "window", "qwen3", attention_bias=True, tie_word_embeddings=True, use_sliding_window=True,
                                                                             sliding_window=5, max_window_layers=1)})


def test_phi3(folder):
    return found({"window": check(folder / "window", "phi3", sliding_window=5), "tied": check(folder / "tied", "phi3", tie_word_embeddings=True)})


def test_partial_rotary(folder):
    return found({"part": check(folder / "part", "phi3", rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.7}),
                  "all": check(folder / "all", "phi3", rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 1.0})})


def test_longrope(folder):
    """Texts longer than those that the network was made with have other factors. transformers' are those of a batch's longest, so batches are of one kind."""
    shares, short, long = {}, (7, 2, 16, 5), (17, 64, 33, 18)
    for name, rope in {"plain": LONGROPE, "told": {**LONGROPE, "attention_factor": 1.7}}.items():
        for kind, lengths in {"short": short, "long": long}.items():
            shares[f"{name} {kind}"] = check(folder / f"{name} {kind}", "phi3", lengths, **{**STRETCHED, "rope_parameters": rope})
    whole = {**LONGROPE, "partial_rotary_factor": 1.0, "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4], "long_factor": [1.5, 2.0, 3.0, 4.0, 5.0]}
    shares["other"] = check(folder / "mistral", "mistral", short, rope_parameters=whole, original_max_position_embeddings=16)
    shares["other long"] = check(folder / "mistral long", "mistral", long, rope_parameters=whole, original_max_position_embeddings=16)
    shares["mixed"] = mixed(folder / "mixed")
    return found(shares)


def mixed(folder):
    """Texts of both kinds in one batch are what each is alone."""
    model = make(folder / "model", "phi3", **STRETCHED)
    subject, rows = Subject(folder / "subject", folder / "model", spec("train norm", arch="phi3")), rows_of((40, 16, 17, 3))
    alone = torch.cat([theirs(model, [row])["logits"] for row in rows])
    return compare({"logits": flat(subject.inspect(rows))["logits"]}, {"logits": alone})


def test_older_longrope(folder):
    """As Phi-3's first files have it: `su`, the share that is turned beside the table."""
    model = make(folder / "model", "phi3", **STRETCHED)
    path = folder / "model/config.json"
    config = json.loads(path.read_text())
    config.pop("rope_parameters")
    config.update(rope_theta=100.0, partial_rotary_factor=0.7, rope_scaling={"type": "su", "short_factor": LONGROPE["short_factor"], "long_factor": LONGROPE["long_factor"]})
    path.write_text(json.dumps(config))
    subject, rows = Subject(folder / "subject", folder / "model", spec("train norm", arch="phi3").replace("max_length = 64", "max_length = 16")), rows_of((12, 16))
    return found({"su": compare({"logits": subject.inspect(rows)["logits"].reshape(-1, VOCABULARY)}, {"logits": theirs(model, rows)["logits"]})})


def test_fused_lora(folder):
    """peft sees one matrix where we see three. With every part's A the same, one LoRA on all is one on each of them with its rows of B."""
    model = make(folder / "model", "phi3")
    peft_model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=["qkv_proj", "gate_up_proj"]))
    parameters = {name: value for name, value in peft_model.named_parameters() if value.requires_grad}
    randomise(parameters)
    named = {}
    for name, value in parameters.items():
        layer = name.split("layers.")[1].split(".")[0]
        place, parts, sizes = ("attention", "qkv", (D, KV, KV)) if "qkv_proj" in name else ("ffn", ("gate", "up"), (FF, FF))
        kind = "A" if "lora_A" in name else "B"
        for part, rows in zip(parts, [value] * len(parts) if kind == "A" else value.split(sizes)):
            named[f"layers.{layer}.{place}.{part}.lora.{kind}"] = rows
    subject = Subject(folder / "subject", folder / "model", spec("attach lora(r = 4, alpha = 6) to layers[*].attention.{q, k, v}, layers[*].ffn.{gate, up}", "lora", arch="phi3"))
    init, rows = subject.save_init(named), rows_of(MIXED)
    expected = theirs(peft_model.eval(), rows)
    got = subject.inspect(rows, init)
    worst = {"logits": compare({**got, "logits": got["logits"].reshape(-1, VOCABULARY)}, expected)}
    worst["merged"] = compare(theirs(merged_logits(folder, subject, init), rows), expected)
    before, after = load_file(folder / "model/model.safetensors"), load_file(folder / "merged/model.safetensors")
    assert {name: value.shape for name, value in before.items()} == {name: value.shape for name, value in after.items()}
    return found(worst)


def test_classify(folder):
    worst = {}
    for arch, name in {"mistral": "Mistral", "gemma": "Gemma", "qwen3": "Qwen3", "phi3": "Phi3"}.items():
        make(folder / arch / "model", arch)
        read = getattr(transformers, name + "ForSequenceClassification").from_pretrained
        model = read(folder / arch / "model", num_labels=LABELS, dtype=torch.float32, attn_implementation="eager").eval()
        torch.manual_seed(11)
        with torch.no_grad():
            model.score.weight.normal_(0, 0.3)
        rows = [{**row, "label": place % LABELS} for place, row in enumerate(rows_of(MIXED))]
        subject = Subject(folder / arch / "subject", folder / arch / "model", spec("train head", arch=arch, task=f"classify(labels = {LABELS})"))
        with torch.no_grad():
            out = model(**padded(rows), labels=torch.tensor([row["label"] for row in rows]))
        init = subject.save_init({"head.classifier.W": model.score.weight})
        worst[arch] = compare(subject.inspect(rows, init), {"loss": out.loss, "logits": out.logits})
        run(subject.trainer, "merge", "--init", init, "--out", folder / arch / "merged")
        merged = read(folder / arch / "merged", dtype=torch.float32, attn_implementation="eager").eval()
        merged.config.pad_token_id = 0
        with torch.no_grad():
            worst[arch] = max(worst[arch], compare({"logits": merged(**padded(rows)).logits}, {"logits": out.logits}))
    return found(worst)


def test_refused(folder):
    cases = [("gemma", {"use_bidirectional_attention": True}, "E0355", "what is behind"), ("gemma", {"hidden_activation": "gelu"}, "E0609", "hidden_activation"),
             ("qwen3", {"use_sliding_window": True, "sliding_window": 5, "layer_types": ["full_attention", "chunked_attention"]}, "E0355", "chunked_attention"),
             ("phi3", {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "E0355", "`longrope` rotary positions need `short_factor` and"),
             ("phi3", {"rope_parameters": {**LONGROPE, "short_factor": [1.0, 2.0, 3.0]}, "original_max_position_embeddings": 16}, "E0355", "`short_factor` has 3 numbers, and 2 pairs"),
             ("phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": None}, "E0355", "original_max_position_embeddings"),
             ("phi3", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}}, "E0355", "yarn"),
             ("phi3", {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4}}, "E0355", "proportional"),
             ("phi3", {"num_key_value_heads": 4}, "E0603", "qkv_proj.weight"), ("phi3", {"intermediate_size": 36}, "E0603", "gate_up_proj.weight"),
             ("phi3", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "E0355", "3 of a head's 6 are to be turned"),
             ("mistral", {"partial_rotary_factor": 0.6}, "E0355", "only whole heads are turned by their positions here, not 6 of 10 features"),
             ("mistral", {"num_key_value_heads": 3}, "E0355", "evenly")]
    for arch, changes, code, words in cases:
        model = folder / arch
        if not model.exists():
            make(model, arch)
        (folder / "spec.peft").write_text(spec("train norm", arch=arch))
        shutil.rmtree(folder / "other", ignore_errors=True)
        shutil.copytree(model, folder / "other")
        plain = json.loads((model / "config.json").read_text())
        (folder / "other/config.json").write_text(json.dumps({**plain, **changes}))
        said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "other", "-o", folder / "trainer")
        assert code in said and words in said, f"{arch} {changes}: {said}"
    return f"{len(cases)} configs"


if __name__ == "__main__":
    main([test_mistral, test_gemma, test_qwen3, test_phi3, test_partial_rotary, test_longrope, test_older_longrope, test_fused_lora, test_classify, test_refused])
