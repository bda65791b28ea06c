"""A checkpoint in bf16 whose program computes in bf16: weights stay as the file has them, and every number is that of the same weights in fp32."""
import json

import torch
import transformers
from decoders import randomise
from safetensors.torch import load_file
from subject import BIN, Subject, main, run, write_rows
from test_merge_memory import peak

VOCABULARY, LENGTHS = 101, (7, 2, 33, 5)
SPEC = """use peft.methods.{{{method}}}
model base = {arch}
task causal_lm
attach {attach}
optimize adamw(lr = 1e-2)
run {{ epochs = 1, batch = 2, max_length = 64, base_dropout = 0, precision = {precision} }}
"""
LORA = "lora(r = 4) to layers[*].** where kind == linear"


def make(folder, config):
    """The same numbers in both types."""
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder / "half")
    model.float().save_pretrained(folder / "whole")
    return [folder / "half", folder / "whole"]


def llama(**options):
    return transformers.LlamaConfig(**{**dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                              max_position_embeddings=64, pad_token_id=0), **options})


def rows():
    generator = torch.Generator().manual_seed(3)
    return [{"input_ids": torch.randint(1, VOCABULARY, (length,), generator=generator).tolist()} for length in LENGTHS]


def halves(subject):
    """Weights that lie in memory as bf16."""
    run(BIN / "peftc", subject.folder / "spec.peft", "--model", subject.model, "--bundle", subject.folder / "bundle")
    return {parameter["name"] for parameter in json.loads((subject.folder / "bundle/manifest.json").read_text())["parameters"] if parameter.get("half")}


def everything(subject, init):
    """Logits and gradients, losses, texts, merged weights, and what merged weights say."""
    data = write_rows(subject.folder / "rows.jsonl", rows())
    found = dict(subject.inspect(rows(), init))
    found["losses"] = torch.tensor(subject.losses(rows(), init))
    for words in (["--unmerged"], []):
        report = json.loads(run(subject.trainer, "generate", "--data", data, "--init", init, "--json", "--max-new", 8, "--ignore-end", *words))
        found[f"ids {words}"] = torch.tensor([row["ids"] for row in report["rows"]])
    run(subject.trainer, "merge", "--init", init, "--out", subject.folder / "merged")
    return {**found, **{"merged " + name: value.float() for name, value in load_file(subject.folder / "merged/model.safetensors").items()}}


def same(folder, config, arch, expected, method="lora", attach=LORA):
    found = []
    for model in make(folder, config):
        subject = Subject(folder / f"{model.name} subject", model, SPEC.format(method=method, arch=arch, attach=attach, precision="bf16"))
        names = halves(subject)
        assert expected(names) if model.name == "half" else not names, names
        values = {name: value for name, value in subject.inspect(rows()).items() if name.startswith("grad.")}
        parameters = {name.removeprefix("grad."): torch.zeros_like(value) for name, value in values.items()}
        randomise(parameters)
        found.append(everything(subject, subject.save_init(parameters)))
    half, whole = found
    assert half.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(half[name], value), name
    return f"{len(whole)} tensors"


def test_llama(folder):
    """All matrices of the layers, though a program reads the last one's for one token of many, and the head; not the embeddings, which are looked up."""
    return same(folder, llama(), "llama", lambda names: len(names) == 15 and "lm_head.W" in names and "tokens.W" not in names)


def test_tied(folder):
    """Of a tied head the table is looked up and multiplied."""
    return same(folder, llama(tie_word_embeddings=True), "llama", lambda names: len(names) == 14 and "tokens.W" not in names)


def test_transposed(folder):
    """GPT-2's files have matrices the other way, and queries, keys and values as one."""
    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=64, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    return same(folder, config, "gpt2", lambda names: len(names) == 12)


def test_read_otherwise(folder):
    """DoRA takes norms of its weights: these stay f32, and the others do not."""
    return same(folder, llama(), "llama", lambda names: len(names) == 13 and not any(".q." in name for name in names), "dora", "dora(r = 4) to layers[*].attention.q")


def test_memory(folder):
    """Beside the file's own pages there is the order in which products read a weight, in bf16, and no copy in f32."""
    most, sizes = [], []
    for layers in (1, 5):
        half, _ = make(folder / str(layers), llama(hidden_size=512, intermediate_size=2048, num_hidden_layers=layers))
        subject = Subject(folder / f"{layers} subject", half, SPEC.format(method="lora", arch="llama", attach="lora(r = 1) to layers[0].attention.q", precision="bf16"))
        data = write_rows(subject.folder / "rows.jsonl", rows())
        init = subject.save_init({name.removeprefix("grad."): value for name, value in subject.inspect(rows()).items() if name.startswith("grad.")})
        most.append(peak(subject.trainer, "predict", "--unmerged", "--data", data, "--init", init, "--out", folder / f"{layers} predicted"))
        sizes.append((half / "model.safetensors").stat().st_size)
    grown = (most[1] - most[0]) / (sizes[1] - sizes[0])
    assert grown < 1.6, f"{most} bytes of its own where the files have {sizes}"
    return f"{grown:.2f} of the weights' bytes"


if __name__ == "__main__":
    main([test_llama, test_tied, test_transposed, test_read_otherwise, test_memory])
