"""Methods that are made of what runs have trained, against their equations with the numbers of those runs."""
import json

import torch
from safetensors.torch import load_file
from subject import BIN, Subject, checkpoint, classifier, compare, main, padded, random_rows, refused, run, write_rows
from torch.nn.functional import cross_entropy, softmax
from transcription import D, LABELS, LAYERS, Values, after, before, check_method, program, prompted

SITES = {"q": lambda layer: layer.attention.self.query, "v": lambda layer: layer.attention.self.value}


def runs_of(folder, attach, uses):
    """Two runs of one program under two seeds: their folders, and what each has trained."""
    text = f"use peft.methods.{{{uses}}}\nmodel base = bert\ntask classify(labels = {LABELS})\nattach {attach}\ntrain head\noptimize adamw(lr = 5e-2)\nrun {{ base_dropout = 0, batch = 4, epochs = 2 }}\n"
    source = Subject(folder / "source", checkpoint(folder / "base"), text)
    folders = []
    for seed in (1, 2):
        source.losses(random_rows(12, LABELS), None, "--set", f"run.seed={seed}")
        folders.append(folder / f"run{seed}")
        (folder / "source/run").rename(folders[-1])
    return folders, [load_file(run / "adapter.safetensors") for run in folders]


def test_lorahub(folder):
    """One weight a run for all sites, of A and of B by themselves; the penalty; and weights that stay as they are given."""
    runs, trained = runs_of(folder, "lora(r = 2, alpha = 6) to layers[*].attention.{q, v}", "lora")
    names = ", ".join(f'"{run}"' for run in runs)

    def hook_of(weights_of):
        def hook(model, values, row):
            for i, layer in enumerate(model.bert.encoder.layer):
                for site, module_of in SITES.items():
                    def change(x, y, at=f"layers.{i}.attention.{site}.lora"):
                        w = weights_of(values)
                        A, B = (sum(w[j] * trained[j][f"{at}.{name}"] for j in range(2)) for name in "AB")
                        return y + 3 * (x @ A.T) @ B.T
                    after(module_of(layer), change)
        return hook
    where = "to layers[*].attention.{q, v}"
    worst = check_method(folder / "learnt", f"lorahub([{names}], r = 2, alpha = 6, penalty = 0.3) {where}", {"lorahub.w": (2,)}, hook_of(lambda values: values["lorahub.w"]), "lorahub",
                         extra=lambda values: 0.3 * values["lorahub.w"].abs().mean())
    worst = max(worst, check_method(folder / "given", f"lorahub([{names}], weights = [0.75, -0.5], r = 2, alpha = 6, learn = false) {where}", {}, hook_of(lambda values: (0.75, -0.5)), "lorahub"))
    for arguments, words in ((f"[{names}], weights = [1, 2, 3], r = 2", "2 runs want as many weights, not 3"), (f"[{names}], r = 3", "is [2, 3, 24], its initial value is [2, 2, 24]"),
                             (f"[{names}], r = 2, of = \"other\"", "has no parameter `layers.0.attention.q.other.A`")):
        said = refused(BIN / "peftc", write_spec(folder, f"lorahub({arguments}) {where}", "lorahub"), "--model", checkpoint(folder / "base"), "-o", folder / "none")
        assert words in said, said
    return f"{worst:.1e}"


def write_spec(folder, attach, uses):
    path = folder / "refused.peft"
    path.write_text(f"use peft.methods.{{{uses}}}\nmodel base = bert\ntask classify(labels = {LABELS})\nattach {attach}\ntrain head\noptimize adamw(lr = 1e-2)\n")
    return path


def test_bounded_weights(folder):
    """LoRAHub's weights beyond the bound count as the bound, and have no gradient but the penalty's."""
    runs, _ = runs_of(folder, "lora(r = 2) to layers[*].attention.{q, v}", "lora")
    names = ", ".join(f'"{run}"' for run in runs)
    uses, where = "use peft.methods.{lorahub}\nmodel base = bert\n", "to layers[*].attention.{q, v}"
    rest = f"task classify(labels = {LABELS})\ntrain head\noptimize adamw(lr = 1e-2)\nrun {{ base_dropout = 0 }}\n"
    subject = Subject(folder / "subject", checkpoint(folder / "base"), f"{uses}attach lorahub([{names}], r = 2, penalty = 0) {where}\n{rest}")
    rows, head = random_rows(5, LABELS), {"head.classifier.W": torch.randn(LABELS, D), "head.classifier.b": torch.zeros(LABELS)}
    far, near = (subject.inspect(rows, subject.save_init({"lorahub.w": torch.tensor([w, 1.0]), **head})) for w in (7.0, 1.5))
    assert far["grad.lorahub.w"][0] == 0 and far["grad.lorahub.w"][1] != 0, far["grad.lorahub.w"]
    return f"{compare(far, {'logits': near['logits'], 'loss': near['loss']}):.1e}"


def test_retrieved_prompts(folder):
    """SPoT: of three prompts the one that is nearest to a fourth, and mixes: the network then is that of `prompt` which starts there, whatever the order of the runs."""
    model, rows = checkpoint(folder / "base"), random_rows(9, LABELS)
    head = {"head.classifier.W": torch.randn(LABELS, D) * 0.3, "head.classifier.b": torch.zeros(LABELS)}
    text = "use peft.methods.{{{}}}\nmodel base = bert\ntask classify(labels = %d)\nattach {} to model\ntrain head\noptimize adamw(lr = {})\nrun {{ base_dropout = 0, batch = 4 }}\n" % LABELS
    source = Subject(folder / "source", model, text.format("prompt", "prompt(n = 3)", 1e-3))
    near, apart = torch.randn(D), torch.randn(3, 3, D)
    starts = {"far": apart[0] - near, "nearest": 2 * apart[1] + 3 * near, "next": apart[2] + near, "task": 0.1 * torch.randn(3, D) + 0.1 * near}
    trained = {}
    for name, P in starts.items():
        source.losses(rows, source.save_init({"prompt.P": P, **head}))
        (folder / "source/run").rename(folder / name)
        trained[name] = load_file(folder / name / "adapter.safetensors")["prompt.P"]
        assert (trained[name] - P).abs().max() > 1e-4, "a run has trained it"

    def like(name, one_by_one):
        if one_by_one:
            return torch.cosine_similarity(trained[name][:, None], trained["task"][None], -1).mean()
        return torch.cosine_similarity(trained[name].mean(0), trained["task"].mean(0), 0)

    def started(name, runs, more):
        call = f"""spot([{", ".join(f'"{folder / run}"' for run in runs)}], task = "{folder / "task"}", n = 3{more})"""
        subject = Subject(folder / name, model, text.format("spot", call, 0))  # where it starts is where it stays
        subject.losses(rows)
        return subject, load_file(folder / name / "run/adapter.safetensors")
    worst, runs = 0.0, ["far", "nearest", "next"]
    for place, (order, top, one_by_one) in enumerate(((runs, 1, False), (runs[::-1], 1, True), (runs, 2, False), (runs[::-1], 3, True))):
        likeness = {name: like(name, one_by_one) for name in runs}
        chosen = sorted(runs, key=likeness.get, reverse=True)[:top]
        assert chosen == ["nearest", "next", "far"][:top]
        expected = sum(likeness[name] * trained[name] for name in chosen) / sum(likeness[name] for name in chosen)
        subject, values = started(f"spot{place}", order, f", top = {top}, one_by_one = {str(one_by_one).lower()}")
        ours, P = subject.inspect(rows, subject.save_init(values)), values.pop("spot.P")
        theirs = source.inspect(rows, source.save_init({**values, "prompt.P": expected}))
        worst = max(worst, compare({**ours, "P": P, "grad.prompt.P": ours["grad.spot.P"]}, {**theirs, "P": expected}))
    for arguments, words in (("n = 3, top = 4", "the nearest 4 of 3 prompts"), ("n = 2", "is [2, 24], its initial value is [3, 24]"), ('n = 3, parameter = "mpt.P"', "has no parameter `mpt.P`")):
        said = refused(BIN / "peftc", write_spec(folder, f"""spot([{", ".join(f'"{folder / run}"' for run in runs)}], task = "{folder / "task"}", {arguments}) to model""", "spot"), "--model", model, "-o", folder / "none")
        assert words in said, said
    return f"{worst:.1e}"


PARTS = {"lora": 2, "lora_2": 3}


def experts_of(gate_of):
    """Two updates of queries and values, mixed by `gate_of(score, row)`, score being what the layer's router says of the text."""
    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            for site, module_of in SITES.items():
                R, experts = values[f"layers.{i}.moa.R"], [Values(values, f"layers.{i}.attention.{site}", f"moa.{part}") for part in PARTS]

                def mix(x, y, R=R, experts=experts):
                    gate = gate_of(R @ x[0].mean(0), row)
                    return y + sum(gate[j] * (x @ expert.A.T @ expert.B.T) for j, expert in enumerate(experts))
                after(module_of(layer), mix)
    return hook


def moa_shapes():
    shapes = {f"layers.{i}.moa.R": (2, D) for i in range(LAYERS)}
    for at in (f"layers.{i}.attention.{site}.moa.{part}" for i in range(LAYERS) for site in SITES for part in PARTS):
        r = PARTS[at.rsplit(".", 1)[1]]
        shapes.update({f"{at}.A": (r, D), f"{at}.B": (D, r)})
    return shapes


def test_moa(folder):
    """Training takes the expert of the row's domain, and routers learn to say which that is; `soft` mixes."""
    worst = []
    for soft in (False, True):
        terms = []

        def gate(score, row, soft=soft, terms=terms):
            terms.append(0.5 * cross_entropy(score[None], torch.tensor([row["domain"]])) / (2 * LAYERS * 7))
            return softmax(score, -1) if soft else torch.eye(2)[row["domain"]]
        attach = f"moa([lora(2), lora(3)], weight = 0.5, soft = {str(soft).lower()}) to layers[*].attention.{{q, v}}"
        worst.append(check_method(folder / str(soft), attach, moa_shapes(), experts_of(gate), "moa, lora", extra=lambda values, terms=terms: sum(terms),
                                  row=lambda row, place: {**row, "domain": place % 2}))
    return f"{max(worst):.1e}"


def test_moa_chooses(folder):
    """Outside training each router's choice counts, whatever domain a row says."""
    base = checkpoint(folder / "base")
    subject = Subject(folder / "subject", base, program("attach moa([lora(2), lora(3)]) to layers[*].attention.{q, v}", "use peft.methods.{moa, lora}"))
    model, generator, seen = classifier(base, LABELS).eval(), torch.Generator().manual_seed(4), []
    values = {name: torch.randn(shape, generator=generator) for name, shape in moa_shapes().items()}

    def gate(score, row):
        seen.append(int(score.argmax()))
        return torch.eye(2)[seen[-1]]
    experts_of(gate)(model, values, {})
    rows = [{"input_ids": row["input_ids"], "domain": place % 2} for place, row in enumerate(random_rows(9, LABELS))]
    init = subject.save_init({**values, "head.classifier.W": model.classifier.weight, "head.classifier.b": model.classifier.bias})
    said = [json.loads(line) for line in run(subject.trainer, "predict", "--init", init, "--data", write_rows(folder / "rows.jsonl", rows)).splitlines()]
    expected = torch.cat([softmax(model(**padded([row])).logits, -1) for row in rows])
    assert {0, 1} == set(seen), "both experts are chosen"
    return f"{compare({'probabilities': torch.tensor([list(line['probabilities'].values()) for line in said])}, {'probabilities': expected.detach()}):.1e}"


def mapped(v, z):
    return (v.Wo @ torch.tanh(v.Wh @ z + v.bh) + v.bo).view(3, D)


SPACE = {"Wz": (4, 3 * D), "bz": (4,), "Wh": (5, 4), "bh": (5,), "Wo": (3 * D, 5), "bo": (3 * D,)}


def test_ipt(folder):
    """An autoencoder over two trained prompts, then a prompt of four numbers in the space that a run of it has found."""
    runs, trained = runs_of(folder, "prompt(n = 3) to model", "prompt")
    S, names, terms = [each["prompt.P"] for each in trained], ", ".join(f'"{run}"' for run in runs), []

    def first(model, values, row):
        v = Values(values, "", "ipt_space")

        def change(_, e):
            P = S[row["task"]]
            again = mapped(v, v.Wz @ P.flatten() + v.bz)
            terms.append(0.5 * ((P - again) ** 2).sum() / 7)
            return before(again, e)
        prompted(change, 3)(model, v)
    space = f"ipt_space([{names}], n = 3, k = 4, hidden = 5, weight = 0.5) to model"
    worst = check_method(folder / "space", space, {f"ipt_space.{name}": shape for name, shape in SPACE.items()}, first, "ipt_space", extra=lambda values: sum(terms),
                         row=lambda row, place: {**row, "task": place % 2})
    text = f"use peft.methods.{{ipt_space}}\nmodel base = bert\ntask classify(labels = {LABELS})\nattach {space}\ntrain head\noptimize adamw(lr = 1e-2)\nrun {{ base_dropout = 0, batch = 4, epochs = 1 }}\n"
    found = Subject(folder / "found", checkpoint(folder / "base"), text)
    found.losses([{**row, "task": place % 2} for place, row in enumerate(random_rows(8, LABELS))])
    decoder = {f"ipt.{name}": value for name, value in ((name.split(".")[-1], value) for name, value in load_file(folder / "found/run/adapter.safetensors").items())}

    def second(model, values, row):
        prompted(lambda v, e: before(mapped(v, v.z), e), 3)(model, Values({**decoder, **values}, "", "ipt"))
    attach = f'ipt("{folder}/found/run", n = 3, k = 4, hidden = 5) to model'
    worst = max(worst, check_method(folder / "ipt", attach, {"ipt.z": (4,)}, second, "ipt"))
    said = refused(BIN / "peftc", write_spec(folder, attach.replace("k = 4", "k = 6"), "ipt"), "--model", checkpoint(folder / "base"), "-o", folder / "none")
    assert "`ipt.Wh` is [5, 6], its initial value is [5, 4]" in said, said
    return f"{worst:.1e}"


def test_spot(folder):
    """SPoT: a prompt starts from what one run has trained, or from the mean of several, and is trained on."""
    runs, trained = runs_of(folder, "prompt(n = 3) to model", "prompt")
    names = ", ".join(f'"{run}"' for run in runs)
    text = f"use peft.methods.{{{{prompt}}}}\nmodel base = bert\ntask classify(labels = {LABELS})\nattach prompt(n = 3) from [{names}]{{}} to model\ntrain head\noptimize adamw(lr = 1e-2)\nrun {{{{ base_dropout = 0 }}}}\n"
    rows, base = random_rows(5, LABELS), checkpoint(folder / "base")
    started, stays = (Subject(folder / name, base, text.format(frozen)).inspect(rows) for name, frozen in (("started", ""), ("stays", " frozen")))  # the same random head
    assert started["grad.prompt.P"].abs().max() > 0 and "grad.prompt.P" not in stays
    mean = (trained[0]["prompt.P"] + trained[1]["prompt.P"]) / 2
    return f"{compare({**started, 'P': stays['frozen.prompt.P']}, {'logits': stays['logits'], 'loss': stays['loss'], 'P': mean}):.1e}"


if __name__ == "__main__":
    main([test_lorahub, test_bounded_weights, test_moa, test_moa_chooses, test_ipt, test_spot, test_retrieved_prompts])
