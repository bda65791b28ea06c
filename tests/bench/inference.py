"""The other sides of inference: a merged checkpoint in transformers, or in OpenVINO, in one process that predicts all rows whenever it is asked.

As a program: `inference.py SETTINGS` (JSON: engine, threads, model, data, batch, warm). Rows are taken in order of length, as ours takes them, and padded to the
longest of their batch. Answers with seconds, tokens and, the first time, each row's class and its probability, in the file's order."""
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
    """fp32 as well: left to itself OpenVINO would choose bf16 where the processor has it."""
    import openvino

    example = {name: torch.ones(2, 4, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    converted = openvino.convert_model(model, example_input=example)
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_NUM_THREADS": settings["threads"], "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
    return lambda inputs: torch.from_numpy(compiled({name: value.numpy() for name, value in inputs.items()})[0]), openvino.__version__


ENGINES = {"transformers": transformers_engine, "openvino": openvino_engine}


class Inference:
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        transformers.logging.set_verbosity_error()
        model = transformers.AutoModelForSequenceClassification.from_pretrained(settings["model"], dtype=torch.float32).eval()
        self.logits, self.version = ENGINES[settings["engine"]](model, settings)
        rows, size = read(settings["data"]), settings["batch"]
        self.count, self.tokens = len(rows), sum(len(row["input_ids"]) for row in rows)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
        self.batches = [(order[start:start + size], [rows[index] for index in order[start:start + size]]) for start in range(0, len(order), size)]
        for _, batch in self.batches[-settings["warm"]:]:
            self.predict(batch)

    def ready(self):
        return {"version": self.version, "torch": torch.__version__, "rows": self.count}

    def predict(self, rows):
        inputs = padded(rows)
        del inputs["labels"]
        return torch.softmax(self.logits(inputs).double(), -1).max(-1)

    def go(self, question):
        start, found = time.perf_counter(), [None] * self.count
        for places, rows in self.batches:
            values, classes = self.predict(rows)
            for place, value, label in zip(places, values.tolist(), classes.tolist()):
                found[place] = [label, value]
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "tokens": self.tokens, "rate": self.tokens / seconds, "peak_mib": peak_mib(), "found": found if question["say"] else None}


if __name__ == "__main__":
    made = Inference(json.loads(sys.argv[1]))
    serve(made.ready, made.go)
