"""Methods made of others, passes beside passes, and what runs have trained."""
import math
import re

import torch
from safetensors.torch import load_file
from subject import BIN, Subject, checkpoint, classifier, compare, main, random_rows, refused, run, write_rows
from torch.nn.functional import layer_norm, softmax
from transcription import BOTTLENECK, D, LABELS, LAYERS, Values, after, before, bottleneck, check, check_method, program, prompted


def test_adapter_fusion(folder):
    """Two adapters of unlike width behind each ffn, fused by attention."""
    parts = {"serial_adapter": 6, "serial_adapter_2": 3}

    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v = Values(values, f"layers.{i}.ffn", "adapter_fusion")
            adapters = [Values(values, f"layers.{i}.ffn", f"adapter_fusion.{part}") for part in parts]

            def fuse(x, y, v=v, adapters=adapters):
                z = torch.stack([bottleneck(part, y) for part in adapters], 2)
                share = softmax(torch.einsum("bse,bsne->bsn", y @ v.Q.T, z @ v.K.T), -1)
                return y + torch.einsum("bsn,bsne->bse", share, z @ v.V.T)
            after(layer.output.dense, fuse)
    shapes = {}
    for i in range(LAYERS):
        shapes.update({f"layers.{i}.ffn.adapter_fusion.{name}": (D, D) for name in "QKV"})
        for part, k in parts.items():
            shapes.update({f"layers.{i}.ffn.adapter_fusion.{part}.{name}": shape for name, shape in {"Wd": (k, D), "bd": (k,), "Wu": (D, k), "bu": (D,)}.items()})
    return f"{check_method(folder, 'adapter_fusion([serial_adapter(4), serial_adapter(8)]) to layers[*].ffn', shapes, hook, 'adapter_fusion, serial_adapter'):.1e}"


def test_mole(folder):
    """Two updates of queries behind one gate; the balance of the gates is in the loss, of each text."""
    parts, terms = {"lora": 2, "lora_2": 3}, []

    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v = Values(values, f"layers.{i}.attention.q", "mole")
            updates = [Values(values, f"layers.{i}.attention.q", f"mole.{part}") for part in parts]

            def mix(x, y, v=v, updates=updates):
                given = torch.stack([x @ part.A.T @ part.B.T for part in updates], 2)
                unit = given * torch.rsqrt((given ** 2).mean(-1, keepdim=True) + 1e-5)
                gate = softmax(unit.flatten(2) @ v.e.T / v.T, -1)
                terms.append(-0.01 * torch.log(gate[0].mean(0)).sum() / 7)
                return y + torch.einsum("bsn,bsno->bso", gate, given)
            after(layer.attention.self.query, mix)
    shapes = {}
    for i in range(LAYERS):
        shapes.update({f"layers.{i}.attention.q.mole.e": (2, 2 * D), f"layers.{i}.attention.q.mole.T": ()})
        for part, r in parts.items():
            shapes.update({f"layers.{i}.attention.q.mole.{part}.A": (r, D), f"layers.{i}.attention.q.mole.{part}.B": (D, r)})
    return f"{check_method(folder, 'mole([lora(2), lora(3)]) to layers[*].attention.q', shapes, hook, 'mole, lora', extra=lambda values: sum(terms)):.1e}"


def subject_of(folder, checkpoint_folder, attach, uses):
    text = f"use peft.methods.{{{uses}}}\nmodel base = bert\ntask classify(labels = {LABELS})\n{attach}\ntrain head\noptimize adamw(lr = 1e-2)\nrun {{ base_dropout = 0, batch = 4, epochs = 1 }}\n"
    return Subject(folder, checkpoint_folder, text)


def test_prompt_ensemble(folder):
    """Of one network with several prompts: the mean of the log-probabilities, and of the losses."""
    checkpoint_folder = checkpoint(folder / "model")
    ensemble = subject_of(folder / "ensemble", checkpoint_folder, "attach prompt_ensemble(k = 2, n = 3) to model", "prompt_ensemble")
    single = subject_of(folder / "single", checkpoint_folder, "attach prompt(n = 3) to model", "prompt")
    P, head = torch.randn(2, 3, D) * 0.3, {"head.classifier.W": torch.randn(LABELS, D) * 0.3, "head.classifier.b": torch.randn(LABELS) * 0.1}
    rows = random_rows(7, LABELS)
    ours = ensemble.inspect(rows, ensemble.save_init({"prompt_ensemble.P": P, **head}))
    each = [single.inspect(rows, single.save_init({"prompt.P": P[place], **head})) for place in range(2)]
    theirs = {"loss": sum(one["loss"] for one in each) / 2, "logits": sum(torch.log_softmax(one["logits"], -1) for one in each) / 2,
              "grad.prompt_ensemble.P": torch.stack([one["grad.prompt.P"] for one in each]) / 2,
              "grad.head.classifier.W": sum(one["grad.head.classifier.W"] for one in each) / 2}
    return f"{compare(ours, theirs):.1e}"


def test_info_prompt(folder):
    """Where both scores read nothing, prompt and noise look alike: each bound is minus the log of how many there are, and pulls at nothing but what would tell them apart."""
    checkpoint_folder = checkpoint(folder / "model")
    told = subject_of(folder / "told", checkpoint_folder, "attach info_prompt(n = 3, beta = 0.3, gamma = 0.2, negatives = 6) to model", "info_prompt")
    single = subject_of(folder / "single", checkpoint_folder, "attach prompt(n = 3) to model", "prompt")
    P, head = torch.randn(3, D) * 0.3, {"head.classifier.W": torch.randn(LABELS, D) * 0.3, "head.classifier.b": torch.randn(LABELS) * 0.1}
    rows, blind = random_rows(7, LABELS), {"info_prompt.A": torch.zeros(D, D), "info_prompt.B": torch.zeros(D, D), "info_prompt.c": torch.ones(LABELS)}
    theirs = single.inspect(rows, single.save_init({"prompt.P": P, **head}))
    ours = told.inspect(rows, told.save_init({"info_prompt.P": P, **blind, **head}))
    assert all(ours[f"grad.info_prompt.{name}"].abs().max() > 1e-4 for name in "AB"), "the scores are to learn"
    worst = compare(ours, {"loss": theirs["loss"] + 0.5 * math.log(7), "logits": theirs["logits"], "grad.info_prompt.P": theirs["grad.prompt.P"]})
    # A prompt far from noise: the head's score is to rise for it, by what the head makes of it and not of noise, whose mean is near zero.
    model, A, p = classifier(checkpoint_folder, LABELS), torch.randn(D, D) * 0.02, torch.randn(D) * 30
    many = subject_of(folder / "many", checkpoint_folder, "attach info_prompt(n = 60, beta = 0.3, gamma = 0, negatives = 6) to model", "info_prompt")
    seen = many.inspect(rows, many.save_init({**blind, "info_prompt.P": p.expand(60, D), "info_prompt.A": A, "info_prompt.c": torch.zeros(LABELS), **head}))
    read = lambda x: torch.tanh(model.bert.pooler.dense(x)) @ head["head.classifier.W"].T + head["head.classifier.b"]  # noqa: E731
    compare(seen, {"grad.info_prompt.c": 0.3 * 6 / 7 * (read(torch.zeros(D)) - read(A @ p))}, tolerance=0.05)
    return f"{worst:.1e}"


def test_adamix_of_like_copies(folder):
    """Copies that are alike are one adapter: two passes agree, and a pass moves one copy of each half."""
    checkpoint_folder = checkpoint(folder / "model")
    mixed = subject_of(folder / "mixed", checkpoint_folder, "attach adamix(copies = 3, reduction = 4, act = relu) to model", "adamix")
    single = subject_of(folder / "single", checkpoint_folder, "attach serial_adapter(reduction = 4) to layers[*].ffn", "serial_adapter")
    values = {f"layers.{i}.ffn.{{}}.{name}": torch.randn(shape) * 0.3 for i in range(LAYERS) for name, shape in BOTTLENECK.items()}
    rows = random_rows(7, LABELS)
    head = {"head.classifier.W": torch.randn(LABELS, D) * 0.3, "head.classifier.b": torch.randn(LABELS) * 0.1}
    theirs = single.inspect(rows, single.save_init({**{name.format("serial_adapter"): value for name, value in values.items()}, **head}))
    ours = mixed.inspect(rows, mixed.save_init({**{name.format("adamix.adamix"): value.expand(3, *value.shape) for name, value in values.items()}, **head}))
    for name in values:
        gradient = ours[f"grad.{name.format('adamix.adamix')}"]
        moved = [copy for copy in gradient if copy.abs().max() > 1e-6 * gradient.abs().max()]
        assert len(moved) == 1, f"{name}: {len(moved)} copies have a gradient"
    summed = {f"grad.{name.format('serial_adapter')}": ours[f"grad.{name.format('adamix.adamix')}"].sum(0) for name in values}
    return f"{compare({**ours, **summed}, {name: theirs[name] for name in (*summed, 'logits', 'loss')}):.1e}"


def beside_the_hardest(steps, step, radius, weight):
    """PTP-ADV's loss: that of the text, and `weight` times that of the text moved by what projected gradient ascent finds from 0 on, a constant."""
    def hook(model, values, row):
        moved = {"by": 0.0}
        prompted(lambda v, e: before(v.P, e + moved["by"]), 3)(model, Values(values, "", "ptp_adversarial"))
        forward = model.forward

        def at(by, batch):
            moved["by"] = by
            return forward(**batch)

        def both(**batch):
            by = torch.zeros(1, batch["input_ids"].shape[1], D)
            for _ in range(steps):
                by.requires_grad_()
                g, = torch.autograd.grad(at(by, batch).loss, by)
                by = by.detach() + step * g / g.norm()
                by = by * min(1.0, (radius / by.norm()).item())
            hardest, out = at(by, batch).loss, at(0.0, batch)
            out.loss = out.loss + weight * hardest
            return out
        model.forward = both
    return hook


def test_ptp_adversarial(folder):
    """One step, which ends where it leads; and several, which leave the ball and are brought back."""
    worst = []
    for name, (steps, step, radius, weight) in {"one": (1, 0.5, 0.7, 0.4), "three": (3, 0.6, 0.9, 1.5)}.items():
        attach = f"ptp_adversarial(n = 3, radius = {radius}, step = {step}, steps = {steps}, weight = {weight}) to model"
        worst.append(check_method(folder / name, attach, {"ptp_adversarial.P": (3, D)}, beside_the_hardest(steps, step, radius, weight), "ptp_adversarial"))
    return ", ".join(f"{one:.1e}" for one in worst)


STEEP = """method steep(weight: real = 2) on sublayer {
  param s: [d] = ones
  let inner = tanh(u * s) + 0.1 * y
  let g = gradient(sum(inner * inner * y), inner)
  y <- if training then y + weight * g * s else y
}
"""


def test_gradient_at_a_point(folder):
    """A gradient of something else than the loss, by a value in the middle of the network: the derivative of `Σ inner² y` by `inner` is 2 inner y, and to the loss it is a constant."""
    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v = Values(values, f"layers.{i}.ffn", "steep")

            def change(x, y, v=v):
                return y + 2 * (2 * (torch.tanh(v.u * v.s) + 0.1 * y) * y).detach() * v.s

            layer.intermediate.dense.register_forward_hook(lambda _, args, y, v=v: v.__dict__.update(u=args[0]))
            after(layer.output.dense, change)
    shapes = {f"layers.{i}.ffn.steep.s": (D,) for i in range(LAYERS)}
    return f"{check(folder, program('attach steep to layers[*].ffn', STEEP), shapes, hook, random_rows(7, LABELS)):.1e}"


def test_what_a_gradient_costs(folder):
    """The first step's way back is the training pass's own, so one step costs what a pass beside it does; each further one a pass there and back. No other program has any of it."""
    checkpoint_folder = checkpoint(folder / "model")

    def programs(attach, uses):
        (folder / "spec.peft").write_text(program(f"attach {attach} to model", f"use peft.methods.{{{uses}}}"))
        text = run(BIN / "peftc", folder / "spec.peft", "--model", checkpoint_folder, "--emit=nn")
        return dict(re.findall(r"^  func\.func @(\w+)\(.*?\{\n(.*?)^  \}", text, re.M | re.S))
    alone, beside, one, three = (programs(f"{attach})", attach.split("(")[0]) for attach in ("prompt(n = 3", "ptp(n = 3", "ptp_adversarial(n = 3", "ptp_adversarial(n = 3, steps = 3"))
    products = [each["train_step"].count("nn.contract") for each in (alone, beside, one, three)]
    assert products[2] == products[1] and products[1] < products[3] <= products[1] + 2 * products[0], products
    for name in ("eval", "predict", "predict_base"):
        assert [operations(each[name]) for each in (one, three)] == [operations(alone[name])] * 2, name
    return ", ".join(map(str, products))


def operations(body):
    return re.findall(r"= (nn\.\w+)", body)


def test_trained_parts(folder):
    """`from`: what a run has trained is where a method starts; the mean of several; and frozen ones have no gradient."""
    checkpoint_folder = checkpoint(folder / "model")
    attach, rows = "attach serial_adapter(reduction = 4){} to layers[*].ffn", random_rows(12, LABELS)
    source = subject_of(folder / "source", checkpoint_folder, attach.format(""), "serial_adapter")
    runs, trained = [], []
    for seed in (1, 2):
        source.losses(rows, None, "--set", f"run.seed={seed}")
        runs.append(folder / f"run{seed}")
        (folder / "source/run").rename(runs[-1])
        trained.append({name: value for name, value in load_file(runs[-1] / "adapter.safetensors").items()})
    head = {name: value for name, value in trained[0].items() if name.startswith("head.")}
    again = subject_of(folder / "again", checkpoint_folder, attach.format(f' from "{runs[0]}"'), "serial_adapter")
    still = subject_of(folder / "still", checkpoint_folder, attach.format(f' from "{runs[0]}" frozen'), "serial_adapter")
    started, stays = again.inspect(rows), still.inspect(rows)  # the same random head
    worst = compare(started, {name: value for name, value in stays.items() if not name.startswith("frozen.")})
    assert started["grad.layers.0.ffn.serial_adapter.Wd"].abs().max() > 0, "what a run has trained is trained on"
    worst = max(worst, compare(still.inspect(rows, still.save_init(head)), {name: value for name, value in source.inspect(rows, source.save_init(trained[0])).items() if "serial_adapter" not in name}))
    soup = subject_of(folder / "soup", checkpoint_folder, attach.format(f' from ["{runs[0]}", "{runs[1]}"] frozen'), "serial_adapter")
    mean = {name: (value + trained[1][name]) / 2 for name, value in trained[0].items() if name not in head}
    ours = soup.inspect(rows, soup.save_init(head))
    worst = max(worst, compare(ours, {name: value for name, value in source.inspect(rows, source.save_init({**mean, **head})).items() if "serial_adapter" not in name}))
    assert not any("serial_adapter" in name for name in ours if name.startswith("grad.")), "a frozen part has a gradient"
    said = refused(BIN / "peftc", write_spec(folder, attach.replace("= 4", "= 8").format(f' from "{runs[0]}"')), "--model", checkpoint_folder, "-o", folder / "none")
    assert "`layers.0.ffn.serial_adapter.Wd` is [3, 24]" in said and "has [6, 24]" in said, said
    said = refused(BIN / "peftc", write_spec(folder, attach.replace("ffn", "attention where kind == sublayer").format(f' from "{runs[0]}"')), "--model", checkpoint_folder, "-o", folder / "none")
    assert "has no parameter `layers.0.attention.serial_adapter.Wd`" in said, said
    return f"{worst:.1e}"


def write_spec(folder, attach):
    path = folder / "refused.peft"
    path.write_text(f"use peft.methods.{{serial_adapter}}\nmodel base = bert\ntask classify(labels = {LABELS})\n{attach}\noptimize adamw(lr = 1e-2)\n")
    return path


def test_rows_of_tasks(folder):
    """A row without its task, and one of a task that there is not; the last is said with both numbers."""
    subject = subject_of(folder / "subject", checkpoint(folder / "model"), "attach mpt(tasks = 2, n = 3) to model", "mpt")
    for row, words in (({}, ["R0133", "no field `task`"]), ({"task": 2}, ["R0134", "`task` is 2", "0 to 1"]), ({"task": -1}, ["R0134", "`task` is -1"])):
        data = write_rows(folder / "rows.jsonl", [{"input_ids": [1, 2, 3], "label": 0, **row}])
        said = refused(subject.trainer, "inspect", "--data", data, "--out", folder / "out.safetensors")
        assert all(word in said for word in words), said


def test_attempt(folder):
    """Two trained prompts, mixed for each text, beside a new one."""
    checkpoint_folder = checkpoint(folder / "model")
    source = subject_of(folder / "source", checkpoint_folder, "attach prompt(n = 3) to model", "prompt")
    runs, prompts = [], []
    for seed in (1, 2):
        source.losses(random_rows(8, LABELS), None, "--set", f"run.seed={seed}")
        runs.append(folder / f"run{seed}")
        (folder / "source/run").rename(runs[-1])
        prompts.append(load_file(runs[-1] / "adapter.safetensors")["prompt.P"])
    S = torch.stack(prompts)

    def mixed(v, e):
        h = layer_norm(v.Wu @ torch.nn.functional.silu(v.Wd @ e[0].max(0).values), (D,))
        share = softmax(S.max(1).values @ h / (math.e * D), -1)
        return before(v.P + torch.einsum("j,jne->ne", share, S), e)

    def hook(model, values, row):
        prompted(mixed, 3)(model, Values(values, "", "attempt_prompt"))
    shapes = {"attempt_prompt.P": (3, D), "attempt_prompt.Wd": (4, D), "attempt_prompt.Wu": (D, 4)}
    return f"""{check_method(folder / "subject", f'attempt_prompt(["{runs[0]}", "{runs[1]}"], n = 3, k = 4) to model', shapes, hook, "attempt_prompt"):.1e}"""


if __name__ == "__main__":
    main([test_adapter_fusion, test_mole, test_prompt_ensemble, test_info_prompt, test_adamix_of_like_copies, test_ptp_adversarial, test_gradient_at_a_point, test_what_a_gradient_costs, test_trained_parts, test_rows_of_tasks, test_attempt])
