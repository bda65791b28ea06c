"""Methods that peft lacks, against a short transcription of the paper's equation on transformers' modules."""
import re

import torch
import transcription
from subject import ROOT, Subject, checkpoint, classifier, compare, main, padded, random_rows
from transcription import LABELS, Values, after, before, program, prompted


def check(folder, text, transcribe, parameters):
    """`parameters`: shapes by our names. `transcribe(model, values)` hooks the equations into transformers' classifier."""
    return f"{transcription.check(folder, text, parameters, lambda model, values, row: transcribe(model, values), random_rows(9, LABELS)):.1e}"


def layers(model):
    return list(enumerate(model.bert.encoder.layer))


class Input:
    """Remembers what a module was called with."""

    def __init__(self, module):
        module.register_forward_pre_hook(lambda _, args: setattr(self, "value", args[0]))


def bottleneck(values, name, x):
    site, _, method = name.rpartition(".")
    return transcription.bottleneck(Values(values, site, method), x)


def bottleneck_shapes(name, d, k):
    return {f"{name}.Wd": (k, d), f"{name}.bd": (k,), f"{name}.Wu": (d, k), f"{name}.bu": (d,)}


def test_serial_adapter(folder):
    """Houlsby et al. 2019: after each branch, before the residual is added."""
    def transcribe(model, values):
        for i, layer in layers(model):
            after(layer.attention.output.dense, lambda x, y, i=i: y + bottleneck(values, f"layers.{i}.attention.serial_adapter", y))
            after(layer.output.dense, lambda x, y, i=i: y + bottleneck(values, f"layers.{i}.ffn.serial_adapter", y))
    shapes = {}
    for i in range(2):
        for branch in ("attention", "ffn"):
            shapes.update(bottleneck_shapes(f"layers.{i}.{branch}.serial_adapter", 24, 6))
    return check(folder, program("attach serial_adapter(reduction = 4) to layers[*].{attention, ffn}", "use peft.methods.{serial_adapter}"), transcribe, shapes)


def test_parallel_adapter(folder):
    """He et al. 2022: beside the ffn, reading its input, scaled by s."""
    def transcribe(model, values):
        for i, layer in layers(model):
            u = Input(layer.intermediate.dense)
            after(layer.output.dense, lambda x, y, i=i, u=u: y + 4 * bottleneck(values, f"layers.{i}.ffn.parallel_adapter", u.value))
    shapes = {}
    for i in range(2):
        shapes.update(bottleneck_shapes(f"layers.{i}.ffn.parallel_adapter", 24, 7))
    return check(folder, program("attach parallel_adapter(k = 7, scale = 4) to layers[*].ffn", "use peft.methods.{parallel_adapter}"), transcribe, shapes)


def test_bitfit(folder):
    """Ben Zaken et al. 2022: the biases of the base model are what is trained; norms' by `train`."""
    def transcribe(model, values):
        for i, layer in layers(model):
            for ours, module in ((f"layers.{i}.attention.q.b", layer.attention.self.query), (f"layers.{i}.ffn.down.b", layer.output.dense)):
                after(module, lambda x, y, ours=ours, module=module: y - module.bias + values[ours])
            after(layer.output.LayerNorm, lambda x, y, i=i, module=layer.output.LayerNorm: y - module.bias + values[f"layers.{i}.ffn.norm.bias"])
    shapes = {}
    for i in range(2):
        shapes.update({f"layers.{i}.attention.q.b": (24,), f"layers.{i}.ffn.down.b": (24,), f"layers.{i}.ffn.norm.bias": (24,)})
    return check(folder, program("attach bitfit to layers[*].{attention.q, ffn.down}", "use peft.methods.{bitfit}", "train head, layers[*].ffn.norm.bias"), transcribe, shapes)


def test_prompt(folder):
    """Lester et al. 2021: n embeddings before the text's; the classifier reads the text's first token, which is now at place n."""
    n = 3
    transcribe = prompted(lambda values, e: before(values["prompt.P"], e), n)
    return check(folder, program(f"attach prompt(n = {n}) to model", "use peft.methods.{prompt}"), transcribe, {"prompt.P": (n, 24)})


def test_unipelt(folder):
    """Mao et al. 2022: example 03 as it stands, but for the width of things."""
    text = (ROOT / "examples/03-unipelt/spec.peft").read_text()
    text = re.sub(r"labels = \d+", f"labels = {LABELS}", text).replace("n = 10", "n = 3").replace("reduction = 16", "reduction = 4").replace("r = 8", "r = 2")
    text = re.sub(r"run \{.*\}", "run { base_dropout = 0 }", text)
    d, heads, n, r = 24, 3, 3, 2

    def transcribe(model, values):
        for i, layer in layers(model):
            at = f"layers.{i}"
            attention = layer.attention.self
            for point, module in (("q", attention.query), ("v", attention.value)):
                def change(x, y, name=f"{at}.attention.{point}.unipelt.gated_delta"):
                    gate = torch.sigmoid(x @ values[f"{name}.w"])[..., None]
                    return y + gate * (x @ values[f"{name}.lora.A"].T @ values[f"{name}.lora.B"].T)
                after(module, change)
            u = Input(layer.intermediate.dense)

            def branch(x, y, name=f"{at}.ffn.unipelt.gated_branch", u=u):
                gate = torch.sigmoid(u.value.mean(1) @ values[f"{name}.w"])[:, None, None]
                return y + gate * bottleneck(values, f"{name}.serial_adapter", y)
            after(layer.output.dense, branch)

            def attend(hidden, *args, attention=attention, at=at, **rest):
                gate = torch.sigmoid(hidden.mean(1) @ values[f"{at}.unipelt.w"])
                prefix = gate[:, None, None, None, None] * values[f"{at}.attention.unipelt.prefix.P"].view(1, n, 2, heads, d // heads)
                split = lambda y: y.view(*y.shape[:2], heads, d // heads)  # noqa: E731
                q, k, v = (split(module(hidden)) for module in (attention.query, attention.key, attention.value))
                k, v = torch.cat([prefix[:, :, 0], k], 1), torch.cat([prefix[:, :, 1], v], 1)
                p = torch.softmax(torch.einsum("bshe,bkhe->bhsk", q, k) / (d // heads) ** 0.5, -1)
                return torch.einsum("bhsk,bkhe->bshe", p, v).flatten(2), None
            attention.forward = attend
    shapes = {}
    for i in range(2):
        at = f"layers.{i}"
        shapes.update({f"{at}.unipelt.w": (d,), f"{at}.attention.unipelt.prefix.P": (n, 2 * d), f"{at}.ffn.unipelt.gated_branch.w": (d,)})
        shapes.update(bottleneck_shapes(f"{at}.ffn.unipelt.gated_branch.serial_adapter", d, d // 4))
        for point in ("q", "v"):
            name = f"{at}.attention.{point}.unipelt.gated_delta"
            shapes.update({f"{name}.w": (d,), f"{name}.lora.A": (r, d), f"{name}.lora.B": (d, r)})
    return check(folder, text, transcribe, shapes)


def test_base(folder):
    """`base(u)`: the site once more, with what earlier attaches do there, on another input; one scale shared by two sites of unlike width."""
    text = program("""attach lora(r = 2) to layers[*].ffn.up
attach again to layers[*].ffn.{up, down}""", "use peft.methods.{lora}\n"
                   "method again on linear { shared param s: [max(in)] = ones; param t: [out] = zeros; y <- base(x * s[:in]) + t * y }")

    def transcribe(model, values):
        for i, layer in layers(model):
            up, down = layer.intermediate.dense, layer.output.dense

            def linear(module, at, lora, v=lambda name: values[name]):
                weight, bias = module.weight, module.bias
                plain = lambda x: torch.nn.functional.linear(x, weight, bias) + (x @ v(f"{at}.lora.A").T @ v(f"{at}.lora.B").T if lora else 0)  # noqa: E731
                s = v("again.s")[:weight.shape[1]]
                module.register_forward_hook(lambda _, args, y: plain(args[0] * s) + v(f"{at}.again.t") * plain(args[0]))
            linear(up, f"layers.{i}.ffn.up", True)
            linear(down, f"layers.{i}.ffn.down", False)

    shapes = {"again.s": (36,)}
    for i in range(2):
        shapes.update({f"layers.{i}.ffn.up.lora.A": (2, 24), f"layers.{i}.ffn.up.lora.B": (36, 2), f"layers.{i}.ffn.up.again.t": (36,),
                       f"layers.{i}.ffn.down.again.t": (24,)})
    return check(folder, text, transcribe, shapes)


def test_regress(folder):
    """Regression: the loss is the squared error, as in torch."""
    checkpoint_folder = checkpoint(folder / "model")
    model = classifier(checkpoint_folder, 1)
    model.eval()
    rows = [{**row, "label": float(row["label"]) - 1.5} for row in random_rows(7, LABELS)]
    text = "model base = bert\ntask regress(label = \"label\")\ntrain head\noptimize sgd(lr = 1e-3)\nrun { base_dropout = 0 }\n"
    subject = Subject(folder / "subject", checkpoint_folder, text)
    head = [p for p in subject_parameters(subject) if p.startswith("head.")]
    weight, bias = sorted(head, key=lambda name: name.endswith("b"))
    init = subject.save_init({weight: model.classifier.weight, bias: model.classifier.bias})
    logits = model(**padded(rows)).logits
    loss = torch.nn.functional.mse_loss(logits[:, 0], torch.tensor([row["label"] for row in rows]))
    loss.backward()
    return f"{compare(subject.inspect(rows, init), {'loss': loss.detach(), f'grad.{weight}': model.classifier.weight.grad, f'grad.{bias}': model.classifier.bias.grad}):.1e}"


def subject_parameters(subject):
    import json
    from subject import run
    return [p["name"] for p in json.loads(run(subject.trainer, "info", "--json"))["parameters"] if p["trainable"]]


if __name__ == "__main__":
    main([test_serial_adapter, test_parallel_adapter, test_bitfit, test_prompt, test_unipelt, test_base, test_regress])
