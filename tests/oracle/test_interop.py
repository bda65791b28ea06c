"""Folders of Hugging Face PEFT, both ways, for each method that has a form there: a folder that peft wrote is imported, and gives peft's logits; a run is
exported, peft loads it with every tensor of the file and no other, and gives our logits. What does not fit is refused by name.

Where peft's network does another thing than the paper, the test says so and undoes it on peft's side."""
import json
import shutil
import warnings

import torch
from peft import (AdaLoraConfig, IA3Config, LNTuningConfig, LoraConfig, MultitaskPromptTuningConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, VeraConfig,
                  get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict)
from safetensors.torch import load_file, save_file
from decoders import flat, random_checkpoint, rows_of, theirs
from decoders import spec as decoder_spec
from subject import Subject, checkpoint, classifier, compare, main, padded, random_rows, refused, run, write_rows
from transformers import AutoModelForCausalLM, BertForSequenceClassification, GPT2Config, LlamaConfig

LABELS, TOLERANCE, TOKENS = 5, 1e-5, 3
LLAMA = dict(vocab_size=101, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6, max_position_embeddings=64, pad_token_id=0)


class Bert:
    """A classifier with a head of its own, which is trained and in the folder."""
    name, task = "bert", "SEQ_CLS"
    spec = """use peft.methods.{{{method}}}
model base = bert
task classify(labels = 5)
{attach}
train head
optimize adamw(lr = 3e-3)
run {{ epochs = 1, batch = 8, max_length = 64, base_dropout = 0 }}
"""

    def __init__(self, folder):
        self.folder = checkpoint(folder / "model")
        self.rows = random_rows(9, LABELS)

    def model(self):
        return classifier(self.folder, LABELS)

    def logits(self, model, rows, **options):
        with torch.no_grad():
            return model.eval()(**padded(rows), **options).logits

    def ours(self, subject, adapter, rows):
        return subject.inspect(rows, adapter)["logits"]


class Llama:
    name, task = "llama", "CAUSAL_LM"

    def __init__(self, folder):
        self.folder = str(folder / "model")
        random_checkpoint(folder / "model", LlamaConfig(**LLAMA))
        self.rows = rows_of((7, 2, 31, 5))

    def model(self):
        return AutoModelForCausalLM.from_pretrained(self.folder, attn_implementation="eager")

    def logits(self, model, rows, **options):
        return theirs(model.eval(), rows)["logits"]

    def ours(self, subject, adapter, rows):
        return flat(subject.inspect(rows, adapter))["logits"]


def subject_of(folder, network, attach, method):
    text = network.spec.format(method=method, attach=attach) if network.name == "bert" else decoder_spec(attach, *method.split(", "), arch=network.name)
    return Subject(folder, network.folder, text)


def randomise(model, scale=0.2):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def loaded(network, folder):
    """The exported folder as peft loads it: nothing is missing, nothing is left over."""
    tensors = load_file(folder / "adapter_model.safetensors")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(network.model(), str(folder))
    assert not [str(one.message) for one in said if "missing" in str(one.message) or "unexpected" in str(one.message).lower()]
    result = set_peft_model_state_dict(model, tensors)
    unexpected = [key for key in result.unexpected_keys if key.startswith("base_model.")]  # a prompt's tensors peft hands to the encoder itself
    assert not unexpected, unexpected
    again = get_peft_model_state_dict(model)
    assert set(again) == set(tensors), set(again) ^ set(tensors)
    compare(again, tensors, 0)
    return model


def compare_logits(ours, expected):
    return compare({"logits": ours}, {"logits": expected}, TOLERANCE)


def imported(subject, folder, out, *options):
    run(subject.trainer, "import", folder, "--out", out, *options)
    return out / "adapter.safetensors"


def there(folder, network, subject, config, adjust=lambda model: None, **options):
    """peft's folder, imported; its rows' logits."""
    model = get_peft_model(network.model(), config)
    adjust(model)
    randomise(model)
    model.save_pretrained(folder / "theirs")
    adapter = imported(subject, folder / "theirs", folder / "imported")
    return compare_logits(network.ours(subject, adapter, network.rows), network.logits(model, network.rows, **options))


def back(folder, network, subject, adjust=lambda model: None, **options):
    """A run of ours that has trained a little, exported."""
    data = write_rows(folder / "train.jsonl", network.rows * 4)
    run(subject.trainer, "train", "--data", data, "--out", folder / "run", "--set", "run.epochs=4")
    run(subject.trainer, "export", folder / "run", "--out", folder / "exported")
    model = loaded(network, folder / "exported")
    adjust(model)
    return compare_logits(network.ours(subject, folder / "run/adapter.safetensors", network.rows), network.logits(model, network.rows, **options))


def both_ways(folder, network, attach, method, config, adjust=lambda model: None, **options):
    subject = subject_of(folder / "subject", network, attach, method)
    return f"import {there(folder, network, subject, config, adjust, **options):.1e}, export {back(folder, network, subject, adjust, **options):.1e}"


# ---- low rank

def test_lora(folder):
    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value"])
    return both_ways(folder, Bert(folder), "attach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}", "lora", config)


def test_lora_of_a_decoder(folder):
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules="all-linear", use_rslora=True)
    return both_ways(folder, Llama(folder), "attach lora(r = 4, alpha = 6, rs = true) to layers[*].** where kind == linear", "lora", config)


def test_lora_patterns(folder):
    """Ranks and alphas that differ from site to site, by names and by regular expressions."""
    network = Bert(folder)
    attach = "attach lora(r = if layer.index == 0 then 2 else 5, alpha = 6) to layers[*].attention.{q, v}\nattach lora(r = 5, alpha = 3) to layers[1].ffn.up"
    config = LoraConfig(task_type="SEQ_CLS", r=5, lora_alpha=6, target_modules=r".*(query|value|layer\.1\.intermediate\.dense)",
                        rank_pattern={r"layer\.0\..*": 2}, alpha_pattern={"intermediate.dense": 3})
    subject = subject_of(folder / "subject", network, attach, "lora")
    worst = there(folder, network, subject, config)
    text = back(folder, network, subject)
    written = json.loads((folder / "exported/adapter_config.json").read_text())
    assert written["r"] == 5 and written["lora_alpha"] == 6, written
    assert written["rank_pattern"] == {f"bert.encoder.layer.0.attention.self.{name}": 2 for name in ("query", "value")}, written
    assert written["alpha_pattern"] == {"bert.encoder.layer.1.intermediate.dense": 3}, written
    return f"import {worst:.1e}, export {text:.1e}"


def test_dora(folder):
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], use_dora=True)
    return both_ways(folder, Llama(folder), "attach dora(r = 4, alpha = 6) to layers[*].{attention.q, ffn.down}", "dora", config)


def test_vera(folder):
    """Both matrices are in the file that is exported. In a run they are drawn from its seed, so those that peft has drawn cannot be read."""
    network = Bert(folder)
    subject = subject_of(folder / "subject", network, "attach vera(r = 8) to layers[*].{attention.q, ffn.up}", "vera")
    worst = back(folder, network, subject)
    said = refused(subject.trainer, "import", folder / "exported", "--out", folder / "again")
    assert "R0123" in said and "`vera.A` is drawn from the run's seed" in said, said
    return f"export {worst:.1e}"


def test_kept_vera(folder):
    """A run that keeps both matrices reads those of a folder, whatever drew them; they are not trained."""
    network, config = Bert(folder), VeraConfig(task_type="SEQ_CLS", r=8, target_modules=["query", "intermediate.dense"], save_projection=True)
    subject = subject_of(folder / "subject", network, "attach vera(r = 8, kept = true) to layers[*].{attention.q, ffn.up}", "vera")
    text = f"import {there(folder, network, subject, config):.1e}, export {back(folder, network, subject):.1e}"
    theirs, ours = load_file(folder / "theirs/adapter_model.safetensors"), load_file(folder / "imported/adapter.safetensors")
    assert torch.equal(ours["vera.A"], theirs["base_model.vera_A"]) and torch.equal(ours["vera.B"], theirs["base_model.vera_B"])
    assert not any("vera.A" in name or "vera.B" in name for name in subject.inspect(network.rows) if name.startswith("grad."))
    run(subject.trainer, "train", "--data", folder / "train.jsonl", "--init", folder / "imported/adapter.safetensors", "--out", folder / "further")
    after = load_file(folder / "further/adapter.safetensors")
    assert torch.equal(ours["vera.A"], after["vera.A"]) and not torch.equal(ours["layers.0.attention.q.vera.v"], after["layers.0.attention.q.vera.v"])
    return text


def test_lora_fa(folder):
    """A folder of LoRA's; its first half is kept as it was read."""
    network, config = Bert(folder), LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value"])
    subject = subject_of(folder / "subject", network, "attach lora_fa(r = 4, alpha = 6) to layers[*].attention.{q, v}", "lora_fa")
    text = f"import {there(folder, network, subject, config):.1e}, export {back(folder, network, subject):.1e}"
    run(subject.trainer, "train", "--data", folder / "train.jsonl", "--init", folder / "imported/adapter.safetensors", "--out", folder / "further")
    before, after = (load_file(folder / name / "adapter.safetensors") for name in ("imported", "further"))
    name = "layers.0.attention.q.lora_fa."
    assert torch.equal(before[name + "A"], after[name + "A"]) and not torch.equal(before[name + "B"], after[name + "B"])
    return text


def test_adalora(folder):
    config = AdaLoraConfig(task_type="SEQ_CLS", init_r=4, target_r=4, lora_alpha=6, target_modules=["query", "value"], total_step=1000)
    return both_ways(folder, Bert(folder), "attach adalora(r = 4, alpha = 6, gamma = 0) to layers[*].attention.{q, v}", "adalora", config)


# ---- factors

def test_ia3(folder):
    config = IA3Config(task_type="SEQ_CLS", target_modules=["key", "value", r"intermediate.dense"], feedforward_modules=["intermediate.dense"])
    attach = "attach ia3 to layers[*].attention.{k, v}\nattach ia3(of_input = true) to layers[*].ffn.up"
    return both_ways(folder, Bert(folder), attach, "ia3", config)


def test_ln_tuning(folder):
    config = LNTuningConfig(task_type="SEQ_CLS", target_modules=["LayerNorm"])
    return both_ways(folder, Bert(folder), "attach ln_tuning to ** where kind == norm", "ln_tuning", config)


# ---- prefixes and prompts

def past_prompt(model):
    """peft's classifier reads the first prompt token; here the text's first one, as the papers have it."""
    model.base_model.bert.pooler.register_forward_pre_hook(lambda _, args: (args[0][:, TOKENS:],))


def without_positions(model):
    """peft hands a prefix over as a cache, by which BERT shifts its position ids; the paper's prefix has no positions."""
    model.base_model.bert.embeddings.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, "past_key_values_length": 0}), with_kwargs=True)


def test_prompt(folder):
    return both_ways(folder, Bert(folder), f"attach prompt(n = {TOKENS}) to model", "prompt", PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS), past_prompt)


def test_mpt(folder):
    network = Bert(folder)
    for row in network.rows:
        row["task"] = 1
    config = MultitaskPromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS, num_tasks=3, num_ranks=2)
    return both_ways(folder, network, f"attach mpt(tasks = 3, n = {TOKENS}, r = 2) to model", "mpt", config, past_prompt, task_ids=torch.ones(len(network.rows), dtype=torch.long))


def test_prefix(folder):
    """One tensor for all layers."""
    return both_ways(folder, Bert(folder), f"attach prefix(n = {TOKENS}) to layers[*].attention", "prefix", PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS), without_positions)


def test_made_by_networks(folder):
    """A prefix through an MLP and a prompt through an LSTM are exported as what these make, and cannot be read back."""
    worst = []
    for method, attach, adjust in (("prefix", f"attach prefix(n = {TOKENS}, hidden = 10) to layers[*].attention", without_positions), ("p_tuning", f"attach p_tuning(n = {TOKENS}, hidden = 10) to model", past_prompt)):
        network = Bert(folder / method)
        subject = subject_of(folder / method / "subject", network, attach, method)
        worst.append(f"{method} {back(folder / method, network, subject, adjust):.1e}")
        said = refused(subject.trainer, "import", folder / method / "exported", "--out", folder / method / "again")
        assert "R0123" in said and "`prompt_embeddings` does not tell its parameters: it is made by nn." in said, said
    return ", ".join(worst)


def test_made_before(folder):
    """A prompt that peft's network has made is read as the prompt that it is, by `p_tuning` without a network."""
    network, config = Bert(folder), PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS, encoder_hidden_size=10)
    return both_ways(folder, network, f"attach p_tuning(n = {TOKENS}, hidden = 0) to model", "p_tuning", config, past_prompt)


# ---- what does not fit

def changed(folder, name, config=None, tensors=None):
    """A copy of peft's folder with a field or the tensors changed."""
    copy = folder / name.replace(" ", "_")
    shutil.copytree(folder / "theirs", copy)
    path = copy / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **(config or {})}))
    if tensors:
        save_file(tensors(load_file(copy / "adapter_model.safetensors")), copy / "adapter_model.safetensors")
    return copy


QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"


def test_misfits(folder):
    """Each field and tensor that says another thing than the program is named, with both sides; nothing is written."""
    network = Bert(folder)
    subject = subject_of(folder / "subject", network, "attach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}", "lora")
    model = get_peft_model(network.model(), LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value"]))
    model.save_pretrained(folder / "theirs")
    def without(tensors):
        return {key: value for key, value in tensors.items() if key != QUERY}
    cases = {
        "rank": (dict(r=8), None, ["`r` of `bert.encoder.layer.0.attention.self.query` is 8, the program's is 4"]),
        "rank pattern": (dict(rank_pattern={"layer.1.attention.self.query": 2}), None, ["`r` of `bert.encoder.layer.1.attention.self.query` is 2, the program's is 4"]),
        "pattern of nothing": (dict(alpha_pattern={"pooler": 2}), None, ["`alpha_pattern` names `pooler`, which is no module"]),
        "alpha": (dict(lora_alpha=16.5), None, ["`lora_alpha` of", "is 16.5, the program's is 6"]),
        "dora": (dict(use_dora=True), None, ["`use_dora` is true, the program's is false"]),
        "init": (dict(init_lora_weights="pissa"), None, ['`init_lora_weights` is "pissa", the program takes [true,false,"gaussian","orthogonal"]']),
        "targets": (dict(target_modules=["query", "key"]), None, ["`target_modules` lacks `bert.encoder.layer.0.attention.self.value`", "names `key`, which is no module"]),
        "regular expression": (dict(target_modules="(query"), None, ["`(query` is no regular expression"]),
        "unknown": (dict(layer_replication=[[0, 1]]), None, ["`layer_replication` is [[0,1]], of which the program says nothing"]),
        "task": (dict(task_type="CAUSAL_LM"), None, ['`task_type` is "CAUSAL_LM", the program\'s is "SEQ_CLS"']),
        "another method": (dict(peft_type="IA3"), None, ['`peft_type` is "IA3", the program\'s is "LORA"']),
        "shape": ({}, lambda tensors: {**tensors, QUERY: torch.zeros(7, 24)}, [f"tensor `{QUERY}` is [7, 24], the program's is [4, 24]"]),
        "missing": ({}, without, [f"tensor `{QUERY}` is missing"]),
        "more": ({}, lambda tensors: {**tensors, "base_model.model.extra": torch.zeros(2)}, ["tensor `base_model.model.extra` is none of the program's"]),
    }
    for name, (config, tensors, words) in cases.items():
        said = refused(subject.trainer, "import", changed(folder, name, config, tensors), "--out", folder / "never")
        assert "R0122" in said and all(word in said for word in words), f"{name}: {said}"
        assert not (folder / "never").exists(), name
    old = changed(folder, "pickled")
    (old / "adapter_model.safetensors").rename(old / "adapter_model.bin")
    assert "adapter_model.bin" in refused(subject.trainer, "import", old, "--out", folder / "never")
    assert "R0110" in refused(subject.trainer, "import", folder / "nowhere", "--out", folder / "never")
    (old / "adapter_config.json").write_text("[")
    assert "not a JSON object" in refused(subject.trainer, "import", changed_config(old), "--out", folder / "never")
    # Of other dtypes the numbers count.
    half = changed(folder, "half", None, lambda tensors: {key: value.half() for key, value in tensors.items()})
    imported(subject, half, folder / "half_run")
    # What is there is not replaced, unless that is asked for.
    said = refused(subject.trainer, "import", half, "--out", folder / "half_run")
    assert "R0118" in said, said
    imported(subject, folder / "theirs", folder / "half_run", "--overwrite", "--labels", "a,b,c,d,e")
    assert json.loads((folder / "half_run/run.json").read_text())["labels"] == list("abcde")
    said = refused(subject.trainer, "import", half, "--out", folder / "never", "--labels", "a,b,c,d,e,f")
    assert "R0138" in said, said
    said = refused(subject.trainer, "train", "--resume", "--out", folder / "half_run")
    assert "R0119" in said and "was imported" in said, said
    return f"{len(cases)} misfits"


def changed_config(folder):
    (folder / "adapter_model.bin").rename(folder / "adapter_model.safetensors")
    return folder


OWN = """method scaled on linear {
  param l: [out] = ones
  y <- l * y
}
method twice on linear {
  param l: [out] = ones
  param more: [out] = zeros
  y <- l * y + more
  interop peft {
    peft_type = "IA3"
    to target_modules
    train modules_to_save as "base_model.model.{tensor}"
    "base_model.model.{module}.ia3_l" = l[:, None]
  }
}
use peft.methods.{lora, ia3, prefix}
model base = bert
task classify(labels = 5)
{attach}
{train}
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = 8, max_length = 64 }
"""


def test_what_files_cannot_say(folder):
    """Such programs train; `export` and `info` say why there is no folder."""
    network = Bert(folder)
    cases = {
        "no block": ("attach scaled to layers[0].ffn.up", "train head", "`scaled` does not say how it appears in those files"),
        "two methods": ("attach lora to layers[0].ffn.up\nattach ia3 to layers[1].ffn.up", "train head", '`peft_type` is "LORA" at some sites and "IA3" at `layers[1].ffn.up`'.replace("layers[1]", "layers.1")),
        "one site": ("attach lora to layers[0].ffn.up\nattach lora to layers[0].ffn.up", "train head", "`layers.0.ffn.up` has `lora` and `lora_2`"),
        "dropout": ("attach lora(dropout = if layer.index == 0 then 0.1 else 0.2) to layers[*].ffn.up", "train head", "`lora_dropout` is 0.1 at some sites and 0.2 at `layers.1.ffn.up`"),
        "some layers": ("attach prefix(n = 3) to layers[1].attention", "train head", "a prefix is in every layer there"),
        "a bias alone": ("attach lora to layers[0].ffn.up", "train head, layers[1].ffn.up.b", "`layers.1.ffn.up.b` is trained and others of its module are not"),
        "left out": ("attach twice to layers[0].ffn.up", "train head", "`layers.0.ffn.up.twice.more`"),
    }
    for name, (attach, train, words) in cases.items():
        subject = Subject(folder / name.replace(" ", "_"), network.folder, OWN.replace("{attach}", attach).replace("{train}", train))
        said = refused(subject.trainer, "export", "--out", folder / "never")
        assert "R0123" in said and words in said, f"{name}: {said}"
        assert words in run(subject.trainer, "info"), name
    return f"{len(cases)} programs"


def test_parts(folder):
    """GPT-2 has queries, keys and values in one module, which a method on one of them is a part of; its others are kept transposed."""
    (folder / "model").mkdir()
    random_checkpoint(folder / "model", GPT2Config(vocab_size=101, n_embd=24, n_layer=2, n_head=3, n_positions=64, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
    network = Llama.__new__(Llama)
    network.name, network.folder, network.rows = "gpt2", str(folder / "model"), rows_of((7, 2, 31, 5))
    part = subject_of(folder / "part", network, "attach lora(r = 4) to layers[*].attention.q", "lora")
    said = refused(part.trainer, "export", "--out", folder / "never")
    assert "`layers.0.attention.q` is a part of `transformer.h.0.attn.c_attn`" in said or "is a part of `h.0.attn.c_attn`" in said, said
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["c_fc", "mlp.c_proj"], fan_in_fan_out=True)
    return both_ways(folder, network, "attach lora(r = 4) to layers[*].ffn.{up, down}", "lora", LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=4, target_modules=config.target_modules, fan_in_fan_out=True))


if __name__ == "__main__":
    main([test_lora, test_lora_of_a_decoder, test_lora_patterns, test_dora, test_vera, test_kept_vera, test_lora_fa, test_adalora, test_ia3, test_ln_tuning, test_prompt, test_mpt, test_prefix, test_made_by_networks, test_made_before,
          test_misfits, test_what_files_cannot_say, test_parts])
