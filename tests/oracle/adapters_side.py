"""The library `adapters` on a BERT classifier: its parameters, away from where they start, and what it makes of rows. Run by with_adapters in an environment of its own.

    adapters_side.py JOB     a JSON file: model, config (class and arguments), labels, rows, out"""
import json
import sys

import adapters
import torch
from safetensors.torch import save_file
from subject import labels_of, padded
from transformers import BertForSequenceClassification


def main(path):
    with open(path) as file:
        job = json.load(file)
    torch.manual_seed(3)
    model = BertForSequenceClassification.from_pretrained(job["model"], num_labels=job["labels"], attn_implementation="eager").eval()
    adapters.init(model)
    name, arguments = job["config"]
    model.add_adapter("a", config=getattr(adapters, name)(**arguments))
    model.train_adapter("a")  # and activates it
    model.eval()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    made = model(**padded(job["rows"]), labels=labels_of(job["rows"]))
    made.loss.backward()
    tensors = {"logits": made.logits, "loss": made.loss.reshape(1)}
    for name, parameter in trained.items():
        tensors["value." + name] = parameter
        tensors["grad." + name] = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, job["out"])


if __name__ == "__main__":
    main(sys.argv[1])
