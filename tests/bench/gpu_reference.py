"""The other side on a GPU: transformers and Hugging Face peft in bf16, one process that trains so many steps whenever it is asked. Runs in a pack (tests/gpu/pack) too.

As a program: `gpu_reference.py SETTINGS` (JSON: model, data, batch, rank, dora, dropout, variant, lr, threads). The variants: `eager` (adapters in bf16), `eager fp32` (adapters
in fp32, which is peft's default), `compile` (torch.compile of the first)."""
import json
import sys
import time

import peft
import torch
import transformers

from bench import serve

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LINEARS = {"bert": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
           "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class GpuReference:
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(0)
        transformers.logging.set_verbosity_error()
        config = transformers.AutoConfig.from_pretrained(settings["model"])
        self.is_classifier = config.model_type == "bert"
        if self.is_classifier:
            config.num_labels = 3
        kind = transformers.AutoModelForSequenceClassification if self.is_classifier else transformers.AutoModelForCausalLM
        model = kind.from_pretrained(settings["model"], config=config, dtype=torch.bfloat16).to(DEVICE)
        model.config.use_cache = False
        lora = peft.LoraConfig(r=settings["rank"], lora_alpha=settings["rank"], lora_dropout=settings["dropout"], use_dora=settings["dora"], target_modules=LINEARS[config.model_type],
                               modules_to_save=["classifier"] if self.is_classifier else None)
        self.model = peft.get_peft_model(model, lora, autocast_adapter_dtype=settings["variant"] == "eager fp32")
        self.model.train()
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=settings["lr"], fused=True)
        self.called = torch.compile(self.model) if settings["variant"] == "compile" else self.model
        self.rows, self.batch, self.place = [json.loads(line) for line in open(settings["data"])], settings["batch"], 0

    def ready(self):
        return {"versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}, "device": DEVICE}

    def inputs(self, rows):
        length = max(len(row["input_ids"]) for row in rows)
        ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, :len(row["input_ids"])], mask[index, :len(row["input_ids"])] = torch.tensor(row["input_ids"]), 1
        labels = torch.tensor([row["label"] for row in rows]) if self.is_classifier else ids.masked_fill(mask == 0, -100)
        whole = {} if bool(mask.all()) else {"attention_mask": mask} # without a mask attention is the library's quickest
        return {name: value.to(DEVICE) for name, value in {"input_ids": ids, "labels": labels, **whole}.items()}

    def step(self):
        rows = [self.rows[(self.place + index) % len(self.rows)] for index in range(self.batch)]
        self.place += self.batch
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.called(**self.inputs(rows)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.detach(), sum(len(row["input_ids"]) for row in rows)

    def go(self, question):
        """`warm` steps that do not count, then `steps` that do, waited for once."""
        losses = [self.step()[0] for _ in range(question["warm"])]
        wait()
        start, tokens = time.perf_counter(), 0
        for _ in range(question["steps"]):
            loss, count = self.step()
            losses.append(loss)
            tokens += count
        wait()
        seconds, memory = time.perf_counter() - start, 0
        if DEVICE == "cuda":
            memory = torch.cuda.max_memory_allocated()
            torch.cuda.empty_cache()  # for the other side's turn
        return {"seconds": seconds, "tokens": tokens, "rate": tokens / seconds, "milliseconds": 1000 * seconds / question["steps"], "losses": [loss.item() for loss in losses], "memory": memory}


if __name__ == "__main__":
    side = GpuReference(json.loads(sys.argv[1]))
    serve(side.ready, side.go)
