"""The other side of training: transformers and Hugging Face peft, in one process that trains so many steps whenever it is asked.

As a program: `reference.py SETTINGS` (JSON: model, method, dropout, variant, threads, data, batch, labels, seed, lr, init). Before it answers, it writes its initial
parameters by our names into `init`. The variants: `fp32`; `bf16 autocast` (fp32 parameters, products in bf16); `bf16 weights` (weights and adapters in bf16)."""
import contextlib
import json
import resource
import sys
import time

import peft
import torch
import transformers
from safetensors.torch import save_file

from bench import serve
from rows import read

SITES = {"attention.self.query": "attention.q", "attention.self.key": "attention.k", "attention.self.value": "attention.v", "attention.output.dense": "attention.o",
         "intermediate.dense": "ffn.up", "output.dense": "ffn.down"}
PLACES = {"encoder.layer.": "layers.", "attention.output.LayerNorm": "attention.norm", "output.LayerNorm": "ffn.norm", "embeddings.LayerNorm": "embeddings.norm", "word_embeddings": "tokens",
          "position_embeddings": "positions", "token_type_embeddings": "types", "pooler.dense": "pooler", **SITES}  # in this order
LINEARS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
PREFIX_TOKENS, REDUCTION = 10, 16


def site(module):
    """`bert.encoder.layer.1.attention.self.query` as `layers.1.attention.q`."""
    index, local = module.split("encoder.layer.")[1].split(".", 1)
    return f"layers.{index}.{SITES[local]}"


# ---- methods: each takes the frozen classifier and gives the model and {our name: its parameter, or part of one}

def low_rank(dora):
    def attach(model):
        config = peft.LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=8, lora_dropout=0.0, use_dora=dora, target_modules=LINEARS, modules_to_save=["classifier"])
        model, names = peft.get_peft_model(model, config), {}
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                module, kind = name.split(".lora_")
                names[f"{site(module)}.{'dora' if dora else 'lora'}.{kind[0]}"] = parameter
        return model, names
    return attach


def ia3(model):
    """peft's `feedforward_modules` would scale a layer's input; ours scales the output."""
    config = peft.IA3Config(task_type="SEQ_CLS", target_modules=["key", "value", "intermediate.dense"], feedforward_modules=[], modules_to_save=["classifier"])
    model = peft.get_peft_model(model, config)
    return model, {f"{site(name.split('.ia3_l')[0])}.ia3.l": parameter.reshape(-1) for name, parameter in model.named_parameters() if ".ia3_l" in name}


def prefix(model):
    """peft hands BERT the prefix as a cache, by which BERT shifts its position ids; the paper's prefix has no positions."""
    layers, width = model.config.num_hidden_layers, 2 * model.config.hidden_size
    model = peft.get_peft_model(model, peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=PREFIX_TOKENS))
    model.base_model.bert.embeddings.register_forward_pre_hook(lambda module, args, kwargs: (args, {**kwargs, "past_key_values_length": 0}), with_kwargs=True)
    table = model.prompt_encoder.default.embedding.weight
    return model, {f"layers.{layer}.attention.prefix.P": table.narrow(1, layer * width, width) for layer in range(layers)}


def prompts(make):
    """Embeddings before the text; peft's classifier reads the first of them, which costs as much as reading the text's first one. Initial values are peft's own."""
    def attach(model):
        return peft.get_peft_model(model, make()), {}
    return attach


def multitask(model):
    model = peft.get_peft_model(model, peft.MultitaskPromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=20, num_tasks=2, num_ranks=1))
    model.needs_tasks = True
    return model, {}


def adaptive(model):
    """As many singular values as ours keeps: all; the regulariser is on, as by default."""
    config = peft.AdaLoraConfig(task_type="SEQ_CLS", init_r=8, target_r=8, lora_alpha=8, target_modules=LINEARS, modules_to_save=["classifier"], total_step=1000000)
    return peft.get_peft_model(model, config), {}


def random_pair(model):
    return peft.get_peft_model(model, peft.VeraConfig(task_type="SEQ_CLS", r=256, target_modules=LINEARS, modules_to_save=["classifier"])), {}


def norms(model):
    return peft.get_peft_model(model, peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["LayerNorm"], modules_to_save=["classifier"])), {}


class Bottleneck(torch.nn.Module):
    """Houlsby et al. 2019, which peft lacks: a narrow layer after a branch's last one, and around it."""

    def __init__(self, dense, width):
        super().__init__()
        self.dense = dense
        self.down = torch.nn.Linear(dense.out_features, width)
        self.up = torch.nn.Linear(width, dense.out_features)
        for part in (self.down, self.up):
            torch.nn.init.normal_(part.weight, 0, 0.02)
            torch.nn.init.zeros_(part.bias)

    def forward(self, x):
        y = self.dense(x)
        return y + self.up(torch.relu(self.down(y)))


def serial_adapter(model):
    model.requires_grad_(False)
    model.classifier.requires_grad_(True)
    names = {}
    for index, layer in enumerate(model.bert.encoder.layer):
        for branch, holder in (("attention", layer.attention.output), ("ffn", layer.output)):
            added = holder.dense = Bottleneck(holder.dense, model.config.hidden_size // REDUCTION)
            at = f"layers.{index}.{branch}.serial_adapter"
            names.update({f"{at}.Wd": added.down.weight, f"{at}.bd": added.down.bias, f"{at}.Wu": added.up.weight, f"{at}.bu": added.up.bias})
    return model, names


def own_name(weight):
    """`bert.encoder.layer.1.output.LayerNorm.weight` as `layers.1.ffn.norm.weight`; nothing of the classifier's."""
    module, part = weight.removeprefix("bert.").rsplit(".", 1)
    for its, mine in PLACES.items():
        module = module.replace(its, mine)
    return None if module == "classifier" else f"{module}.{part if module.endswith('norm') else 'W' if part == 'weight' else 'b'}"


def frozen(model):
    """What forces the gradient down to the first block."""
    model.requires_grad_(False)
    model.classifier.requires_grad_(True)
    attention = model.bert.encoder.layer[0].attention.self
    for dense in (attention.query, attention.key, attention.value):
        dense.bias.requires_grad_(True)
    return full(model)


def full(model):
    return model, {own_name(name): parameter for name, parameter in model.named_parameters() if parameter.requires_grad and own_name(name)}


METHODS = {"frozen": frozen, "full": full, "lora": low_rank(False), "dora": low_rank(True), "ia3": ia3, "prefix": prefix, "serial_adapter": serial_adapter,
           "adalora": adaptive, "vera": random_pair, "ln_tuning": norms, "mpt": multitask,
           "prompt": prompts(lambda: peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=20)),
           "p_tuning": prompts(lambda: peft.PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=10, encoder_reparameterization_type="LSTM", encoder_hidden_size=32))}


def head_of(model):
    """The classifier that is trained, wherever peft has put it."""
    return {"head.classifier." + ("W" if name.endswith("weight") else "b"): parameter for name, parameter in model.named_parameters()
            if parameter.requires_grad and "classifier." in name and "original_module" not in name}


def padded(rows):
    length = max(len(row["input_ids"]) for row in rows)
    ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, :len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[index, :len(row["input_ids"])] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["label"] for row in rows])}


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Reference:
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(settings["seed"])
        transformers.logging.set_verbosity_error()
        dropout = settings["dropout"]
        model = transformers.BertForSequenceClassification.from_pretrained(settings["model"], num_labels=settings["labels"], hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
                                                                           classifier_dropout=dropout, dtype=torch.float32)
        self.model, names = METHODS[settings["method"]](model)
        names.update(head_of(self.model))
        save_file({name: value.detach().float().contiguous().clone() for name, value in names.items()}, settings["init"])
        if settings["variant"] == "bf16 weights":
            self.model.to(torch.bfloat16)
        self.autocast = settings["variant"] == "bf16 autocast"
        self.model.train()
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=settings["lr"], weight_decay=0.01, fused=True)  # as transformers' Trainer does
        self.rows, self.batch, self.place = read(settings["data"]), settings["batch"], 0
        self.attention = model.config._attn_implementation

    def ready(self):
        return {"trainable": sum(parameter.numel() for parameter in self.parameters), "attention": self.attention, "loaded_mib": peak_mib(),
                "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}, "threads": torch.get_num_threads()}

    def step(self):
        rows = self.rows[self.place:self.place + self.batch]
        self.place += self.batch
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.autocast else contextlib.nullcontext():
            tasks = {"task_ids": torch.tensor([row["task"] for row in rows])} if getattr(self.model, "needs_tasks", False) else {}
            loss = self.model(**padded(rows), **tasks).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item(), sum(len(row["input_ids"]) for row in rows)

    def go(self, question):
        """`warm` steps that do not count, then `steps` that do."""
        losses = [self.step()[0] for _ in range(question["warm"])]
        start, tokens, times = time.perf_counter(), 0, []
        for _ in range(question["steps"]):
            began = time.perf_counter()
            loss, count = self.step()
            times.append(time.perf_counter() - began)
            losses.append(loss)
            tokens += count
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "tokens": tokens, "steps": question["steps"], "rate": tokens / seconds, "step_seconds": times, "losses": losses, "peak_mib": peak_mib()}


if __name__ == "__main__":
    made = []
    serve(lambda: (made.append(Reference(json.loads(sys.argv[1]))), made[0].ready())[1], lambda question: made[0].go(question))
