"""The other sides of inference: a merged checkpoint in transformers, or in OpenVINO, in one process that predicts all rows whenever it is asked.

As a program: `inference.py SETTINGS` (JSON: engine, precision, threads, model, data, batch, by_length, warm). Rows are taken longest first, as ours takes them, or in the
file's order, and padded to the longest of their batch. Answers with seconds and tokens of all batches but the first `warm` and, the first time, each row's class and its
probability, in the file's order."""
import json
import sys
import time

import torch
import transformers

from bench import serve
from reference import padded, peak_mib
from rows import read


def transformers_engine(model, settings):
    def logits(inputs):
        with torch.inference_mode():
            return model(**inputs).logits
    return logits, transformers.__version__


def openvino_engine(model, settings):
    """The precision is said: left to itself OpenVINO would choose bf16 where the processor has it."""
    import openvino

    example = {name: torch.ones(2, 4, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    converted = openvino.convert_model(model, example_input=example)
    hint = {"fp32": "f32", "bf16": "bf16"}[settings["precision"]]
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_NUM_THREADS": settings["threads"], "INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"})
    return lambda inputs: torch.from_numpy(compiled({name: value.numpy() for name, value in inputs.items()})[0]), openvino.__version__


ENGINES = {"transformers": transformers_engine, "openvino": openvino_engine}


class Inference:
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        transformers.logging.set_verbosity_error()
        bf16 = settings["precision"] == "bf16" and settings["engine"] == "transformers"  # OpenVINO converts fp32 and is told how to compute
        model = transformers.AutoModelForSequenceClassification.from_pretrained(settings["model"], dtype=torch.bfloat16 if bf16 else torch.float32).eval()
        self.logits, self.version = ENGINES[settings["engine"]](model, settings)
        rows, size = read(settings["data"]), settings["batch"]
        self.count, self.warm = len(rows), settings["warm"]
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]["input_ids"])) if settings["by_length"] else range(len(rows))
        self.batches = [(order[start:start + size], [rows[index] for index in order[start:start + size]]) for start in range(0, len(order), size)]

    def ready(self):
        return {"version": self.version, "torch": torch.__version__, "rows": self.count}

    def predict(self, rows):
        inputs = padded(rows)
        del inputs["labels"]
        return torch.softmax(self.logits(inputs).double(), -1).max(-1)

    def go(self, question):
        tokens, found = 0, [None] * self.count
        for index, (places, rows) in enumerate(self.batches):
            if index == self.warm:
                start, tokens = time.perf_counter(), 0
            values, classes = self.predict(rows)
            tokens += sum(len(row["input_ids"]) for row in rows)
            for place, value, label in zip(places, values.tolist(), classes.tolist()):
                found[place] = [label, value]
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "tokens": tokens, "rate": tokens / seconds, "peak_mib": peak_mib(), "found": found if question["say"] else None}


if __name__ == "__main__":
    made = Inference(json.loads(sys.argv[1]))
    serve(made.ready, made.go)
