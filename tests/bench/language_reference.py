"""The other side of language-model training: transformers' LLaMA with peft's LoRA on all linears. Settings and answers are `reference.py`'s.

As a program: `language_reference.py SETTINGS` (JSON). With `make` in it, it writes a random checkpoint of `config` there and ends."""
import contextlib
import json
import sys

import peft
import torch
import transformers
from safetensors.torch import save_file

from bench import serve
from reference import Reference
from rows import read

PLACES = {"self_attn.": "attention.", "mlp.": "ffn.", "_proj": ""}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make(folder, config):
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).save_pretrained(folder)


def own_name(name):
    """`….layers.1.self_attn.q_proj.lora_A.default.weight` as `layers.1.attention.q.lora.A`."""
    module, kind = name.split(".layers.")[1].split(".lora_")
    for its, mine in PLACES.items():
        module = module.replace(its, mine)
    return f"layers.{module}.lora.{kind[0]}"


class LanguageReference(Reference):
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(settings["seed"])
        transformers.logging.set_verbosity_error()
        model = transformers.AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32)
        model.config.use_cache = False
        self.attention = model.config._attn_implementation
        self.model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=8, lora_dropout=0.0, target_modules=LINEARS))
        names = {own_name(name): parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        save_file({name: value.detach().float().contiguous().clone() for name, value in names.items()}, settings["init"])
        if settings["variant"] == "bf16 weights":
            self.model.to(torch.bfloat16)
        self.autocast = settings["variant"] == "bf16 autocast"
        self.model.train()
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=settings["lr"], weight_decay=0.01, fused=True)
        self.rows, self.batch, self.place = read(settings["data"]), settings["batch"], 0

    def step(self):
        ids = torch.tensor([row["input_ids"] for row in self.rows[self.place:self.place + self.batch]])
        self.place += self.batch
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16) if self.autocast else contextlib.nullcontext():
            loss = self.model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item(), ids.numel()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if "make" in asked:
        make(asked["make"], asked["config"])
    else:
        side = LanguageReference(asked)
        serve(side.ready, lambda question: side.go(question))
