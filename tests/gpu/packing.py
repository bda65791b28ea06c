"""What a pack for a machine with a GPU holds: small random checkpoints, programs, and rows; and large ones of which only the tensors' names and shapes are packed."""
import json
import random
import struct

USES = "use peft.methods.{lora, dora, ia3, bitfit, prefix, serial_adapter, parallel_adapter}\n"
LORA = "attach lora(r = 8, dropout = 0.1) to layers[*].** where kind == linear"
BERT = dict(hidden_size=96, num_hidden_layers=3, num_attention_heads=3, intermediate_size=200, max_position_embeddings=160)
LLAMA = dict(hidden_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=168, vocab_size=211, max_position_embeddings=256)

OWN = "attention = generated"  # which drops what a CPU drops

# name → network, what is attached, precision and who does what. Each is checked against the CPU and the reference interpreter.
SUBJECTS = {
    "lora": ("bert", LORA, "fp32"),
    "lora-bf16": ("bert", LORA, f"bf16, {OWN}"),
    "lora-bordered": ("bert", LORA.replace("0.1", "0"), f"bf16, {OWN}, layout = bordered"),
    "lora-added": ("bert", LORA.replace("0.1", "0"), f"bf16, {OWN}, layout = added"),
    "dora": ("bert", "attach dora(r = 4) to layers[*].attention.{q, o}", "fp32"),
    "ia3-bitfit": ("bert", "attach ia3 to layers[*].attention.{k, v}\nattach bitfit to layers[*].ffn.up", "fp32"),
    "prefix": ("bert", "attach prefix(n = 5, hidden = 16) to layers[*].attention", "fp32"),
    "adapters": ("bert", "attach serial_adapter(reduction = 8, act = gelu) to layers[*].ffn\nattach parallel_adapter(k = 8) to layers[*].attention", "fp32"),
    "llama": ("llama", LORA, "fp32"),
    "llama-bf16": ("llama", LORA, f"bf16, {OWN}"),
    "chunks": ("llama", LORA, f"bf16, {OWN}, chunk_rows = 48"),
    "attention": ("llama", LORA, "bf16, attention = library"),
    "attention-all": ("bert", LORA, "bf16, attention = library, base_dropout = 0"),  # what the library would drop a CPU would not
}
LLAMA_8B = dict(hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336, vocab_size=128256, max_position_embeddings=8192)
BERT_BASE = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, max_position_embeddings=512, vocab_size=30522)
LORA_16, DORA_16 = (f"attach {method}(r = 16) to layers[*].** where kind == linear" for method in ("lora", "dora"))
# Timed, in bf16. Their weights are made where they are run. name → network, what is attached, layout, sizes, rows of a batch, shortest and longest row; and with whom
# turns are taken: the settings of tests/bench/gpu_reference.py.
TIMED_BATCHES = 8  # of rows; then the same again
LORA_OF_PEFT = {"rank": 16, "dora": False, "dropout": 0.0}
TIMED = {
    "bert-base": ("bert", LORA_16, "auto", BERT_BASE, 32, (128, 128), LORA_OF_PEFT),
    "bert-base-mixed": ("bert", LORA_16, "auto", BERT_BASE, 32, (8, 128), LORA_OF_PEFT),
    "llama-8b": ("llama", LORA_16, "auto", LLAMA_8B, 1, (4096, 4096), LORA_OF_PEFT),
    "llama-8b-added": ("llama", LORA_16, "added", LLAMA_8B, 1, (4096, 4096), None),
    "llama-8b-dora": ("llama", DORA_16, "auto", LLAMA_8B, 1, (4096, 4096), {**LORA_OF_PEFT, "dora": True}),
    "rows": ("llama", LORA_16, "auto", {**LLAMA_8B, "num_hidden_layers": 2, "vocab_size": 32000}, 2, (4096, 4096), None),  # 8192 of them, of 4096 numbers and of 14336
    "llama-8b-frozen": ("llama", "train layers[0].attention.norm", "auto", LLAMA_8B, 1, (4096, 4096), None),  # whose gradient needs as much of the frozen layers as LoRA's
}


def spec(network, attach, precision, batch=4, length=96):
    if network == "bert" and "base_dropout" not in precision:
        precision += ", base_dropout = 0.1"
    task, head = ("classify(labels = 3)", "train head\n") if network == "bert" else ("causal_lm", "")
    return (f"{USES}model base = {network}\ntask {task}\n{attach}\n{head}optimize adamw(lr = 1e-3)\n"
            f"run {{ epochs = 2, batch = {batch}, max_length = {length}, precision = {precision}, clip = 1.0 }}\n")


def rows(network, count, vocabulary, lengths, seed=3):
    source = random.Random(seed)
    made = []
    for _ in range(count):
        row = {"input_ids": [source.randrange(5, vocabulary) for _ in range(source.randint(*lengths))]}
        made.append({**row, "label": source.randrange(3)} if network == "bert" else row)
    return "".join(json.dumps(row) + "\n" for row in made)


def configured(network, options):
    """A transformers model's config and class."""
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    if network == "bert":
        return BertConfig(type_vocab_size=2, **{"vocab_size": 101, **options}), BertModel
    return LlamaConfig(tie_word_embeddings=False, **options), LlamaForCausalLM


def small_model(network, options, folder):
    import torch

    torch.manual_seed(7)
    config, kind = configured(network, options)
    model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.1 if parameter.dim() > 1 else 0.05) + (1.0 if parameter.dim() == 1 and parameter.mean() > 0.5 else 0.0))
    model.eval().save_pretrained(folder)


def hollow_model(network, options, folder):
    """config.json, and a file that has the header of the weights and a hole for the rest: all that the compiler reads."""
    import torch

    config, kind = configured(network, options)
    with torch.device("meta"):
        model = kind(config)
    folder.mkdir(parents=True)
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    header, end = {}, 0
    for name, value in sorted(model.state_dict().items()):
        if value.is_floating_point():
            size = value.numel() * 2
            header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return struct.pack("<Q", len(text)) + text
