"""A hand-made bundle: a bag-of-embeddings classifier, so that the modes are tested without the compiler.

logits = W (l * mean(E[ids])) + b: E is the checkpoint's, l a method's scale (merges into E), W and b a new head.
"""
import json
import os

VOCAB, DIM, CLASSES = 50, 8, 3
RUN, EXAMPLE = "run", "example"
SEQ = {"c": 0, "k": 1, "s": "seq"}
# The optimizer's vectors: [1] stands for any length, as the compiler writes it.
FLAT = 1


class Program:
    def __init__(self, name):
        self.name, self.inputs, self.values, self.ops, self.results = name, [], [], [], []

    def value(self, per, dims, dtype="f32"):
        self.values.append({"dtype": dtype, "per": per, "dims": dims})
        return len(self.values) - 1

    def input(self, name, per, dims, dtype="f32"):
        value = self.value(per, dims, dtype)
        self.inputs.append({"name": name, "value": value})
        return value

    def op(self, op, operands, dims, per=None, dtype="f32", **attrs):
        if per is None:
            per = EXAMPLE if any(self.values[x]["per"] == EXAMPLE for x in operands) else RUN
        out = self.value(per, dims, dtype)
        self.ops.append({"op": op, "in": operands, "out": [out], "attrs": attrs, "loc": "tiny.peft:1:1"})
        return out

    def result(self, name, value):
        self.results.append({"name": name, "value": value})

    def json(self):
        return {"name": self.name, "inputs": self.inputs, "values": self.values, "ops": self.ops, "results": self.results}

    def plan(self):
        """A slot for every value that an op makes, a step for every op."""
        slots, values = [], [dict(value, slot=-1) for value in self.values]
        for op in self.ops:
            if op["op"] == "param":
                continue
            value = values[op["out"][0]]
            width = {"f32": 4, "i64": 8, "i1": 1}[value["dtype"]]
            fixed, ragged = width, False
            for dim in value["dims"]:
                ragged = ragged or isinstance(dim, dict)
                fixed *= 1 if isinstance(dim, dict) else dim
            key = "t" if ragged else "e" if value["per"] == EXAMPLE else "c"
            value["slot"] = len(slots)
            slots.append({"c": 0, "e": 0, "t": 0, "q": 0, key: fixed})
        steps = [dict(op, kind="aten") for op in self.ops]
        return {"name": self.name, "slots": slots, "values": values, "steps": steps, "inputs": self.inputs, "results": self.results}


def forward(p, merged=False):
    ids = p.input("ids", EXAMPLE, [SEQ], "i64")
    table = p.op("param", [], [VOCAB, DIM], name="embed.W")
    rows = p.op("gather", [table, ids], [SEQ, DIM])
    total = p.op("reduce", [rows], [DIM], kind="sum", axes=[0], keep=False, over_examples=False)
    length = p.op("cast", [p.op("dim", [ids], [], dtype="i64", axis=0)], [])
    mean = p.op("div", [total, length], [DIM])
    hidden = mean if merged else p.op("mul", [mean, p.op("param", [], [DIM], name="embed.scale.l")], [DIM])
    weight = p.op("param", [], [CLASSES, DIM], name="head.W")
    product = p.op("contract", [hidden, weight], [CLASSES], equation="d,cd->c", over_examples=False)
    logits = p.op("add", [product, p.op("param", [], [CLASSES], name="head.b")], [CLASSES])
    return mean, hidden, weight, logits


def loss_of(p, logits):
    target = p.input("target", EXAMPLE, [], "i64")
    top = p.op("reduce", [logits], [], kind="max", axes=[0], keep=False, over_examples=False)
    shifted = p.op("sub", [logits, top], [CLASSES])
    exps = p.op("exp", [shifted], [CLASSES])
    total = p.op("reduce", [exps], [], kind="sum", axes=[0], keep=False, over_examples=False)
    hot = p.op("cast", [p.op("eq", [p.op("iota", [logits], [CLASSES], dtype="i64", axis=0), target], [CLASSES], dtype="i1")], [CLASSES])
    picked = p.op("reduce", [p.op("mul", [shifted, hot], [CLASSES])], [], kind="sum", axes=[0], keep=False, over_examples=False)
    loss = p.op("sub", [p.op("log", [total], []), picked], [])
    return target, loss, p.op("sub", [p.op("div", [exps, total], [CLASSES]), hot], [CLASSES])


def programs(broken_loss=False):
    init = Program("init")
    noise = init.op("random", [], [CLASSES, DIM], per=RUN, dist="normal", site=1, rate="init")
    init.result("head.W", init.op("mul", [noise, init.op("constant", [], [], value=0.3)], [CLASSES, DIM]))
    init.result("head.b", init.op("broadcast", [init.op("constant", [], [], value=0.0)], [CLASSES]))
    init.result("embed.scale.l", init.op("broadcast", [init.op("constant", [], [], value=1.0)], [DIM]))

    train = Program("train_step")
    mean, hidden, weight, logits = forward(train)
    _, loss, slope = loss_of(train, logits)
    if broken_loss:  # log(1 - mean of |l|…) is not a number once l has moved
        loss = train.op("log", [train.op("sub", [loss, train.op("constant", [], [], value=1.05)], [])], [])
    train.result("loss", loss)
    train.result("grad.head.b", train.op("reduce", [slope], [CLASSES], per=RUN, kind="sum", axes=[], keep=False, over_examples=True))
    train.result("grad.head.W", train.op("contract", [slope, hidden], [CLASSES, DIM], per=RUN, equation="c,d->cd", over_examples=True))
    back = train.op("contract", [slope, weight], [DIM], equation="c,cd->d", over_examples=False)
    train.result("grad.embed.scale.l", train.op("reduce", [train.op("mul", [back, mean], [DIM])], [DIM], per=RUN, kind="sum", axes=[], keep=False, over_examples=True))

    evaluate = Program("eval")
    logits = forward(evaluate)[-1]
    target, loss, _ = loss_of(evaluate, logits)
    evaluate.result("loss", loss)
    best = evaluate.op("argmax", [logits], [], dtype="i64", axis=0)
    evaluate.result("metric.accuracy", evaluate.op("cast", [evaluate.op("eq", [best, target], [], dtype="i1")], []))

    inspect = Program("inspect")
    inspect.result("logits", forward(inspect)[-1])
    predict = Program("predict")
    predict.result("logits", forward(predict)[-1])
    predict_base = Program("predict_base")
    predict_base.result("logits", forward(predict_base, merged=True)[-1])

    merge = Program("merge")
    merge.result("embed.W", merge.op("mul", [merge.op("param", [], [VOCAB, DIM], name="embed.W"), merge.op("param", [], [DIM], name="embed.scale.l")], [VOCAB, DIM]))
    return [init, train, inspect, evaluate, predict, predict_base, merge, optimizer(0, 0.5), optimizer(1, 0.1)]


def optimizer(group, rate):
    """m <- 0.9 m + g;  p <- p - rate (1 - step / steps) m"""
    sgd = Program(f"optimizer.{group}")
    p, g, m = (sgd.input(name, RUN, [FLAT]) for name in ("p", "g", "state.m"))
    step, steps = sgd.input("step", RUN, []), sgd.input("steps", RUN, [])
    m = sgd.op("add", [sgd.op("mul", [sgd.op("constant", [], [], value=0.9), m], [FLAT]), g], [FLAT])
    left = sgd.op("sub", [sgd.op("constant", [], [], value=1.0), sgd.op("div", [step, steps], [])], [])
    lr = sgd.op("mul", [left, sgd.op("constant", [], [], value=rate)], [])
    sgd.result("p", sgd.op("sub", [p, sgd.op("mul", [lr, m], [FLAT])], [FLAT]))
    sgd.result("state.m", m)
    return sgd


def fnv64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def manifest(model, mergeable):
    with open(os.path.join(model, "config.json"), "rb") as file:
        config = file.read()
    reason = "" if mergeable else "`tanh` at spec.peft:7:9 is not affine in x"
    return {
        "format": 1, "compiler": "0.1.0", "spec": "spec.peft",
        "model": {"arch": "bag", "path": model, "config_fnv64": fnv64(config), "config": json.loads(config), "vocab": VOCAB,
                  "max_positions": 64, "prefix": "bag.", "merged_class": "BagForClassification"},
        "parameters": [
            {"name": "embed.W", "shape": [VOCAB, DIM], "role": "base", "trainable": False, "checkpoint": "embeddings.weight"},
            {"name": "head.W", "shape": [CLASSES, DIM], "role": "new", "trainable": True, "checkpoint": "classifier.weight", "offset": 0, "group": 0},
            {"name": "embed.scale.l", "shape": [DIM], "role": "method", "trainable": True, "attach": 0, "offset": 24, "group": 1},
            {"name": "head.b", "shape": [CLASSES], "role": "new", "trainable": True, "checkpoint": "classifier.bias", "offset": 32, "group": 0}],
        "trainable_size": 35,
        "rows": [{"name": "ids", "encoder": "tokens", "args": ["text", None], "per": "seq", "dtype": "i64"},
                 {"name": "target", "encoder": "class", "args": ["label", CLASSES], "dtype": "i64"}],
        "run": {"epochs": 3, "batch": 16, "tokens_per_batch": None, "max_length": 32, "precision": "auto", "seed": 0, "clip": 1.0,
                "accumulate": 1, "eval_every": None, "patience": None, "base_dropout": None},
        "optimizer": {"name": "sgd", "states": ["m"], "groups": [{"hyper": {"lr": 0.5}, "fields": []}, {"hyper": {"lr": 0.1}, "fields": ["lr"]}]},
        "metrics": ["accuracy"], "counts": {"base": VOCAB * DIM, "trainable": 35, "head": 27},
        "attaches": [{"index": 0, "name": "scale", "text": "scale()", "sites": ["embed"], "params": DIM, "merge": "yes" if mergeable else "no"}],
        "merge": {"possible": mergeable, "sites": [{"site": "embed", "attach": 0, "reason": reason}]}}


def write(folder, model, mergeable=True, broken_loss=False, **changes):
    os.makedirs(folder, exist_ok=True)
    built = programs(broken_loss)
    files = {"manifest.json": dict(manifest(model, mergeable), **changes), "programs.json": {"programs": [p.json() for p in built]},
             "plan.json": {"programs": [p.plan() for p in built]}}
    for name, content in files.items():
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file)
    with open(os.path.join(folder, "spec.peft"), "w") as file:
        file.write("// made by a test\n")
    return folder
