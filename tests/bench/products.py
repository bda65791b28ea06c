"""The limit that products set: the frozen layers' matrix products of one step, forward and backward to activations, and nothing else.

As a program: `products.py SETTINGS` (JSON: threads, dtype, tokens, layers, d, ff, skipped: layers of the first block that need no backward product,
trained: whether the weights' gradients are needed too).
Every layer has a weight of its own, as in training; outputs are allocated once. Asked for `steps`, it answers with their seconds."""
import json
import sys
import time

import torch

from bench import serve


class Products:
    def __init__(self, settings):
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(1)
        dtype, tokens, d, ff = getattr(torch, settings["dtype"]), settings["tokens"], settings["d"], settings["ff"]
        self.tokens = tokens
        shapes = [("q", d, d), ("k", d, d), ("v", d, d), ("o", d, d), ("up", d, ff), ("down", ff, d)]
        flow = {width: torch.randn(tokens, width).to(dtype) for width in (d, ff)}
        result = {width: torch.empty(tokens, width, dtype=dtype) for width in (d, ff)}
        self.forward, self.backward = [], []
        for layer in range(settings["layers"]):
            for name, wide, out in shapes:
                weight = torch.randn(out, wide).mul_(wide ** -0.5).to(dtype)
                self.forward.append((flow[wide], weight.t(), result[out]))
                if layer or name not in settings["skipped"]:
                    self.backward.append((flow[out], weight, result[wide]))
                if settings["trained"]:
                    self.backward.append((flow[out].t(), flow[wide], torch.empty_like(weight)))
        self.backward.reverse()

    def ready(self):
        count = sum(2 * x.shape[0] * w.shape[0] * w.shape[1] for x, w, _ in self.forward + self.backward)
        return {"products": len(self.forward) + len(self.backward), "flop": count}

    def go(self, question):
        for _ in range(question["warm"]):
            self.step()
        start = time.perf_counter()
        for _ in range(question["steps"]):
            self.step()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "rate": self.tokens * question["steps"] / seconds}

    def step(self):
        for x, weight, out in self.forward:
            torch.mm(x, weight, out=out)
        for x, weight, out in self.backward:
            torch.mm(x, weight, out=out)


if __name__ == "__main__":
    made = Products(json.loads(sys.argv[1]))
    serve(made.ready, made.go)
