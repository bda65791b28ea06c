"""The library's methods, each against the equation of its paper on transformers' modules: logits, loss and every gradient, texts one by one.

A row of a table is a method: how it is attached, the shapes of its parameters at a site (or by their whole names), and what the equation makes of the site's
value. `v` gives the site's parameters by their last names. What is drawn once (frozen) is read from what the trainer itself says of it."""
import math

import torch
from subject import BIN, Subject, checkpoint, classifier, compare, labels_of, main, padded, random_rows, refused, write_rows
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, relu, softmax

LABELS, D, FF, HEADS, LAYERS = 5, 24, 36, 3, 2
TASKS = 3
LINEARS = {"attention.q": lambda layer: layer.attention.self.query, "attention.o": lambda layer: layer.attention.output.dense,
           "ffn.up": lambda layer: layer.intermediate.dense, "ffn.down": lambda layer: layer.output.dense}


class Values:
    """A site's parameters: `v.A`, by the last part of their names; those that sites share too."""

    def __init__(self, values, site, method):
        self.values, self.places = values, ([site + "."] if site else []) + [""]
        self.method = method

    def __getattr__(self, name):
        for place in self.places:
            if f"{place}{self.method}.{name}" in self.values:
                return self.values[f"{place}{self.method}.{name}"]
        raise AttributeError(f"{self.method}.{name} at {self.places}")


def check(folder, attach, shapes, hook, method, own="", extra=None, row=lambda row, place: row):
    """`shapes` by whole names; `hook(model, values, rows)` puts the equations into transformers' classifier; `extra(values)` is what the method adds to the loss."""
    checkpoint_folder = checkpoint(folder / "model")
    model = classifier(checkpoint_folder, LABELS)
    model.eval()
    text = (f"use peft.methods.{{{method}}}\n{own}model base = bert\ntask classify(labels = {LABELS})\nattach {attach}\ntrain head\noptimize adamw(lr = 1e-3)\n"
            "run { base_dropout = 0 }\n")
    subject = Subject(folder / "subject", checkpoint_folder, text)
    rows = [row(each, place) for place, each in enumerate(random_rows(7, LABELS, lengths=(4, 17)))]
    generator = torch.Generator().manual_seed(5)
    values = {name: (torch.randn(shape, generator=generator) * 0.3).requires_grad_() for name, shape in shapes.items()}
    values.update({"head.classifier.W": model.classifier.weight, "head.classifier.b": model.classifier.bias})
    ours = subject.inspect(rows, subject.save_init(values))
    drawn = {name.removeprefix("frozen."): value for name, value in ours.items() if name.startswith("frozen.")}
    current = {}
    hook(model, {**values, **drawn}, current)
    losses, logits = [], []
    for each in rows:
        current.update(each)
        out = model(**padded([each]), labels=labels_of([each]))
        losses.append(out.loss)
        logits.append(out.logits)
    loss = torch.stack(losses).mean() + (extra(values) if extra else 0)
    loss.backward()
    theirs = {"loss": loss.detach(), "logits": torch.cat(logits).detach(), **{"grad." + name: value.grad for name, value in values.items()}}
    missing = [name for name, value in theirs.items() if value is None]
    assert not missing, f"the transcription does not use {missing}"
    beside = {name for name in ours if name.startswith("grad.")} - set(theirs)
    assert not beside, f"gradients of {beside} are not in the transcription"
    return compare(ours, theirs)


def after(module, change):
    module.register_forward_hook(lambda _, args, y: change(args[0], y))


# ---- on linear layers: name -> (arguments, shapes at a site of `i` and `o` features, shapes of what sites share, y from v, x, y, the layer)

def pool(x, group):
    return x.reshape(*x.shape[:-1], -1, group).mean(-1)


def kron_map(x, weight):
    return x @ weight.T


LINEAR = {
    "hadamard_adapter": ("", lambda i, o: {"l": (o,), "c": (o,)}, {}, lambda v, x, y, m: v.l * y + v.c),
    "ssf": ("", lambda i, o: {"g": (o,), "c": (o,)}, {}, lambda v, x, y, m: v.g * y + v.c),
    "mov": ("n = 3", lambda i, o: {"L": (3, o), "R": (3, i)}, {}, lambda v, x, y, m: y * torch.einsum("bse,eo->bso", softmax(x @ v.R.T, -1), v.L)),
    "molora": ("n = 3, r = 2, alpha = 5", lambda i, o: {"A": (3, 2, i), "B": (3, o, 2), "R": (3, i)}, {},
               lambda v, x, y, m: y + 2.5 * sum(softmax(x @ v.R.T, -1)[..., e, None] * (x @ v.A[e].T @ v.B[e].T) for e in range(3))),
    "moslora": ("r = 4, alpha = 6", lambda i, o: {"A": (4, i), "M": (4, 4), "B": (o, 4)}, {}, lambda v, x, y, m: y + 1.5 * kron_map(x, v.B @ v.M @ v.A)),
    "vera": ("r = 7", lambda i, o: {"w": (7,), "v": (o,)}, {},
             lambda v, x, y, m: y + kron_map(x, torch.diag(v.v) @ v.B[:y.shape[-1]] @ torch.diag(v.w) @ v.A[:, :x.shape[-1]])),
    "capaboost": ("r = 4, alpha = 6, n = 2", lambda i, o: {"A": (4, i), "B": (o, 4)}, {},
                  lambda v, x, y, m: y + 1.5 * kron_map(x, sum((v.B * v.Mb[n]) @ (v.A * v.Ma[n]) for n in range(2)))),
    "krona": ("rows = 4, columns = 6, scale = 2", lambda i, o: {"A": (4, 6), "B": (o // 4, i // 6)}, {}, lambda v, x, y, m: y + 2 * kron_map(x, torch.kron(v.A, v.B))),
    "kadaptation": ("n = 4, scale = 2", lambda i, o: {"U": (4, o // 4), "V": (4, i // 4)}, {"A": (4, 4, 4)},
                    lambda v, x, y, m: y + 2 * kron_map(x, sum(torch.kron(v.A[n], torch.outer(v.U[n], v.V[n])) for n in range(4)))),
    "hiwi": ("k = 5", lambda i, o: {"Wd": (5, o), "Wu": (o, 5)}, {}, lambda v, x, y, m: y + relu(m.bias @ v.Wd.T) @ v.Wu.T),
    "qalora": ("r = 4, alpha = 6, group = 6", lambda i, o: {"A": (4, i // 6), "B": (o, 4)}, {}, lambda v, x, y, m: y + 1.5 * pool(x, 6) @ v.A.T @ v.B.T),
    "adalora": ("r = 4, alpha = 6, gamma = 0.1", lambda i, o: {"P": (4, i), "e": (4,), "Q": (o, 4)}, {},
                lambda v, x, y, m: y + 1.5 * kron_map(x, v.Q @ torch.diag(v.e) @ v.P)),
    "moelora": ("tasks = 3, r = 4, alpha = 6, n = 2, e = 5", lambda i, o: {"A": (2, 2, i), "B": (2, o, 2), "G": (2, 5)}, {"E": (TASKS, 5)},
                lambda v, x, y, m: y + 1.5 * sum(softmax(v.G @ v.E[v.row["task"]], -1)[n] * (x @ v.A[n].T @ v.B[n].T) for n in range(2))),
}


def orthogonality(values):
    """AdaLoRA's regulariser: |PᵀP - I|² and |QᵀQ - I|² of every site."""
    apart = lambda m: ((m - torch.eye(len(m))) ** 2).sum()  # noqa: E731
    return 0.1 * sum(apart(value @ value.T) for name, value in values.items() if name.endswith(".P")) + 0.1 * sum(
        apart(value.T @ value) for name, value in values.items() if name.endswith(".Q"))


def tasked(row, place):
    return {**row, "task": place % TASKS}


def test_linear(folder):
    worst = {}
    for method, (arguments, of_site, shared, equation) in LINEAR.items():
        def hook(model, values, row):
            for i, layer in enumerate(model.bert.encoder.layer):
                for site, module_of in LINEARS.items():
                    v = Values(values, f"layers.{i}.{site}", method)
                    v.row = row
                    after(module_of(layer), lambda x, y, v=v, m=module_of(layer): equation(v, x, y, m))
        shapes = {f"{method}.{name}": shape for name, shape in shared.items()}
        for i in range(LAYERS):
            for site in LINEARS:
                sizes = {"ffn.up": (D, FF), "ffn.down": (FF, D)}.get(site, (D, D))
                shapes.update({f"layers.{i}.{site}.{method}.{name}": shape for name, shape in of_site(*sizes).items()})
        worst[method] = check(folder / method, f"{method}({arguments}) to layers[*].{{{', '.join(LINEARS)}}}", shapes, hook, method,
                              extra=orthogonality if method == "adalora" else None, row=tasked if method == "moelora" else lambda row, place: row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


# ---- on branches and layers: y from v, the branch's input u, its output y, and the block

def attend_tiny(v, y):
    q, k, w = y @ v.Wq.T, y @ v.Wk.T, y @ v.Wv.T
    return softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), -1) @ w @ v.Wo.T


def bottleneck(v, x, act=relu):
    return act(x @ v.Wd.T + v.bd) @ v.Wu.T + v.bu


def phm(A, s, t):
    return sum(torch.kron(A[n], torch.outer(s[n], t[n])) for n in range(len(A)))


def generated(v, y):
    z = layer_norm(relu(v.H @ torch.cat([v.T[v.row["task"]], v.P[v.place]])), (5,))
    return gelu(y @ (v.Gd @ z).view(6, D).T) @ (v.Gu @ z).view(D, 6).T


def tanh_gelu(x):
    return gelu(x, approximate="tanh")


BOTTLENECK = {"Wd": (6, D), "bd": (6,), "Wu": (D, 6), "bu": (D,)}
BRANCH = {
    "pfeiffer_adapter": ("reduction = 4", BOTTLENECK, {}, lambda v, u, y, norm: y + bottleneck(v, norm(u + y))),
    "tiny_attn": ("e = 3", {"Wq": (3, D), "Wk": (3, D), "Wv": (3, D), "Wo": (D, 3)}, {}, lambda v, u, y, norm: y + attend_tiny(v, y)),
    "krona_adapter": ("rows = 4, columns = 6, scale = 2, residual = true", {"A": (4, 6), "B": (6, 4), "g": ()}, {},
                      lambda v, u, y, norm: y + 2 * kron_map(u, torch.kron(v.A, v.B)) + v.g * u),
    "compacter": ("n = 3, reduction = 4", {"sd": (3, 2), "td": (3, 8), "bd": (6,), "su": (3, 8), "tu": (3, 2), "bu": (D,)}, {"A": (3, 3, 3)},
                  lambda v, u, y, norm: y + tanh_gelu(y @ phm(v.A, v.sd, v.td).T + v.bd) @ phm(v.A, v.su, v.tu).T + v.bu),
    "hyperformer": ("tasks = 3, reduction = 4, e = 5", {}, {"T": (TASKS, 5), "P": (4, 5), "H": (5, 10), "Gd": (6 * D, 5), "Gu": (D * 6, 5)}, lambda v, u, y, norm: y + generated(v, y)),
}


def test_branches(folder):
    worst = {}
    for method, (arguments, of_site, shared, equation) in BRANCH.items():
        def hook(model, values, row):
            for i, layer in enumerate(model.bert.encoder.layer):
                for at, (name, first, last, norm) in enumerate((("attention", layer.attention.self, layer.attention.output.dense, layer.attention.output.LayerNorm),
                                                                ("ffn", layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm))):
                    v = Values(values, f"layers.{i}.{name}", method)
                    v.row, v.place = row, 2 * i + at
                    first.register_forward_pre_hook(lambda _, args, kwargs, v=v: setattr(v, "u", args[0] if args else kwargs["hidden_states"]), with_kwargs=True)
                    plain = lambda x, norm=norm: layer_norm(x, (D,), norm.weight, norm.bias, norm.eps)  # noqa: E731
                    after(last, lambda x, y, v=v, plain=plain: equation(v, v.u, y, plain))
        shapes = {f"{method}.{name}": shape for name, shape in shared.items()}
        for i in range(LAYERS):
            for branch in ("attention", "ffn"):
                shapes.update({f"layers.{i}.{branch}.{method}.{name}": shape for name, shape in of_site.items()})
        worst[method] = check(folder / method, f"{method}({arguments}) to layers[*].{{attention, ffn}} where kind == sublayer", shapes, hook, method,
                              row=tasked if method == "hyperformer" else lambda row, place: row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


def test_residual_adapter(folder):
    """Behind the whole block, on what its last norm gives."""
    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v = Values(values, f"layers.{i}", "residual_adapter")
            after(layer.output.LayerNorm, lambda x, y, v=v: y + bottleneck(v, layer_norm(y, (D,), v.g, v.c, 1e-5)))
    shapes = {f"layers.{i}.residual_adapter.{name}": shape for i in range(LAYERS) for name, shape in {**BOTTLENECK, "g": (D,), "c": (D,)}.items()}
    return f"{check(folder, 'residual_adapter(reduction = 4) to layers[*]', shapes, hook, 'residual_adapter'):.1e}"


# ---- on the model: what the text's embeddings become, and where the classifier reads

def prompted(change, place):
    """Embeddings of words go through `change(v, e)` before places are added; the classifier reads the token that is then at `place`."""
    def hook(model, v):
        embeddings = model.bert.embeddings

        def embed(input_ids=None, **rest):
            words = change(v, embeddings.word_embeddings(input_ids))
            length = words.shape[1]
            whole = words + embeddings.token_type_embeddings(torch.zeros(1, length, dtype=torch.long)) + embeddings.position_embeddings(torch.arange(length)[None])
            return embeddings.LayerNorm(whole)
        embeddings.forward = embed
        encoder = model.bert.encoder.forward
        model.bert.encoder.forward = lambda hidden, attention_mask=None, **rest: encoder(hidden, attention_mask=None, **rest)
        pooler = model.bert.pooler.forward
        model.bert.pooler.forward = lambda hidden: pooler(hidden[:, place:])
    return hook


def before(prompt, e):
    return torch.cat([prompt[None], e], 1)


def idpg(v, e):
    return before((v.Wu @ relu(v.Wd @ e[0].mean(0) + v.bd) + v.bu).view(2, D), e)


def p_tuned(v, e):
    """torch.nn's own LSTM; its second bias is zero here."""
    lstm = torch.nn.LSTM(D, 4, bidirectional=True, batch_first=True)
    parts = {"weight_ih_l0": v.Wf, "weight_hh_l0": v.Uf, "bias_ih_l0": v.bf, "bias_hh_l0": torch.zeros(16),
             "weight_ih_l0_reverse": v.Wb, "weight_hh_l0_reverse": v.Ub, "bias_ih_l0_reverse": v.bb, "bias_hh_l0_reverse": torch.zeros(16)}
    H = torch.func.functional_call(lstm, parts, (v.E[None],))[0][0]
    return before(relu(H @ v.W1.T + v.b1) @ v.W2.T + v.b2, e)


def fused(model, v):
    def encode(hidden, attention_mask=None, **rest):
        states = []
        for layer in model.bert.encoder.layer:
            hidden = layer(hidden, attention_mask)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            states.append(hidden)
        states = torch.stack(states)
        share = softmax((states @ v.q) / math.sqrt(D), 0)
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output
        return Output(last_hidden_state=(share[..., None] * states).sum(0))
    model.bert.encoder.forward = encode


def propagated(model, v):
    prompted(lambda v, e: before(v.E, e), 3)(model, v)
    for i, layer in enumerate(model.bert.encoder.layer):
        shift = lambda x, i=i: torch.cat([x[:, :3] + v.P[i], x[:, 3:]], 1)  # noqa: E731
        layer.register_forward_pre_hook(lambda _, args, kwargs, shift=shift: ((shift(args[0]), *args[1:]), kwargs), with_kwargs=True)


def late(model, v):
    """Before the second of two layers."""
    def enter(_, args, kwargs):
        h = args[0]
        prompt = (v.Wu @ relu(v.Wd @ h[0].mean(0) + v.bd) + v.bu).view(2, D)
        return (before(prompt, h), *args[1:]), kwargs
    encoder = model.bert.encoder.forward
    model.bert.encoder.forward = lambda hidden, attention_mask=None, **rest: encoder(hidden, attention_mask=None, **rest)
    model.bert.encoder.layer[1].register_forward_pre_hook(enter, with_kwargs=True)
    pooler = model.bert.pooler.forward
    model.bert.pooler.forward = lambda hidden: pooler(hidden[:, 2:])


def pasta(model, v):
    for i, layer in enumerate(model.bert.encoder.layer):
        def shift(_, args, kwargs, i=i):
            ids = torch.tensor(v.row["input_ids"])
            return (args[0] + ((ids == 5) | (ids == 7)).float()[None, :, None] * v.E[i], *args[1:]), kwargs
        layer.register_forward_pre_hook(shift, with_kwargs=True)


def ladder(model, v):
    k = 6

    def encode(hidden, attention_mask=None, **rest):
        norm = lambda x: layer_norm(x, (k,))  # noqa: E731
        s = v.e.detach() @ v.D[0].T
        for i, layer in enumerate(model.bert.encoder.layer):
            hidden = layer(hidden, attention_mask)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            mu = torch.sigmoid(v.g[i] / 0.1)
            s = mu * (hidden.detach() @ v.D[i + 1].T) + (1 - mu) * s
            u = norm(s)
            s = s + softmax((u @ v.Wq[i].T) @ (u @ v.Wk[i].T).transpose(1, 2) / math.sqrt(k), -1) @ (u @ v.Wv[i].T) @ v.Wo[i].T
            s = s + relu(norm(s) @ v.W1[i].T) @ v.W2[i].T
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output
        return Output(last_hidden_state=hidden.detach() + s @ v.U.T)
    after(model.bert.embeddings.word_embeddings, lambda x, y: setattr(v, "e", y))
    model.bert.encoder.forward = encode


def routed(v, e):
    p = softmax(v.R @ e[0].mean(0), -1)
    j = int(p.argmax())
    return before(p[j] * v.P[j], e)


def everywhere(model, v):
    """CIAT: `e + A(LN e)` behind the words' embeddings, `F(x) + A(LN x)` beside every branch."""
    def beside(part, x):
        return relu(layer_norm(x, (D,), part.g, part.c) @ part.Wd.T + part.bd) @ part.Wu.T + part.bu
    after(model.bert.embeddings.word_embeddings, lambda x, y: y + beside(v, y))
    for i, layer in enumerate(model.bert.encoder.layer):
        for name, first, last in (("attention", layer.attention.self, layer.attention.output.dense), ("ffn", layer.intermediate.dense, layer.output.dense)):
            part = Values(v.values, f"layers.{i}.{name}", "ciat.ciat")
            first.register_forward_pre_hook(lambda _, args, kwargs, part=part: setattr(part, "u", args[0] if args else kwargs["hidden_states"]), with_kwargs=True)
            after(last, lambda x, y, part=part: y + beside(part, part.u))


CIAT = {f"{place}{name}": shape for place, k in [("", D // 2), *((f"layers.{i}.{branch}.ciat.", 6) for i in range(LAYERS) for branch in ("attention", "ffn"))]
        for name, shape in {"g": (D,), "c": (D,), "Wd": (k, D), "bd": (k,), "Wu": (D, k), "bu": (D,)}.items()}
GENERATOR = {"Wd": (4, D), "bd": (4,), "Wu": (2 * D, 4), "bu": (2 * D,)}
MODEL = {
    "infix": ("n = 3, after = 2", {"P": (3, D)}, prompted(lambda v, e: torch.cat([e[:, :2], v.P[None], e[:, 2:]], 1), 0)),
    "idpg": ("n = 2, k = 4", GENERATOR, prompted(idpg, 2)),
    "dept": ("n = 3, r = 2, alpha = 5, length = 10", {"P": (3, D), "A": (10, 2), "B": (2, D)},
             prompted(lambda v, e: before(v.P, e + 2.5 * v.A[torch.arange(e.shape[1]).clamp(max=9)] @ v.B), 3)),
    "mpt": ("tasks = 3, n = 3, r = 2", {"P": (3, D), "U": (TASKS, 3, 2), "V": (TASKS, 2, D)},
            prompted(lambda v, e: before(v.P * (v.U[v.row["task"]] @ v.V[v.row["task"]]), e), 3)),
    "p_tuning": ("n = 3, hidden = 4", {"E": (3, D), "Wf": (16, D), "Uf": (16, 4), "bf": (16,), "Wb": (16, D), "Ub": (16, 4), "bb": (16,),
                                       "W1": (8, 8), "b1": (8,), "W2": (D, 8), "b2": (D,)}, prompted(p_tuned, 3)),
    "prefix_propagation": ("n = 3", {"E": (3, D), "P": (LAYERS, 3, D)}, propagated),
    "late_prompt": ("n = 2, k = 4", GENERATOR, late),
    "pasta": ("special = [5, 7]", {"E": (LAYERS, D)}, pasta),
    "smop": ("k = 3, n = 2, noise = 0", {"P": (3, 2, D), "R": (3, D)}, prompted(routed, 2)),
    "ciat": ("k = 6, dropout = 0", CIAT, everywhere),
    "attention_fusion": ("", {"q": (D,)}, fused),
    "lst": ("reduction = 4", {"D": (LAYERS + 1, 6, D), "g": (LAYERS,), **{name: (LAYERS, 6, 6) for name in ("Wq", "Wk", "Wv", "Wo")},
                              "W1": (LAYERS, 24, 6), "W2": (LAYERS, 6, 24), "U": (D, 6)}, ladder),
}


def special(row, place):
    """Ids of which some are the special tokens'."""
    return {**row, "input_ids": [5, *row["input_ids"][1:-1], 7]}


def whole(method, name):
    """`layers.0.ffn.ciat.g`: of a part that the method attaches below."""
    site, dot, last = name.rpartition(f".{method}.")
    return f"{site}.{method}.{method}.{last}" if dot else f"{method}.{name}"


def test_model(folder):
    worst = {}
    for method, (arguments, parameters, equation) in MODEL.items():
        def hook(model, values, row):
            v = Values(values, "", method)
            v.row = row
            equation(model, v)
        row = {"mpt": tasked, "pasta": special}.get(method, lambda row, place: row)
        worst[method] = check(folder / method, f"{method}({arguments}) to model", {whole(method, name): shape for name, shape in parameters.items()}, hook, method, row=row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


# ---- parts of methods, passes, and what runs have trained

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
    return f"{check(folder, 'adapter_fusion([serial_adapter(4), serial_adapter(8)]) to layers[*].ffn', shapes, hook, 'adapter_fusion, serial_adapter'):.1e}"


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
    return f"{check(folder, 'mole([lora(2), lora(3)]) to layers[*].attention.q', shapes, hook, 'mole, lora', extra=lambda values: sum(terms)):.1e}"


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
    return f"""{check(folder / "subject", f'attempt_prompt(["{runs[0]}", "{runs[1]}"], n = 3, k = 4) to model', shapes, hook, "attempt_prompt"):.1e}"""


if __name__ == "__main__":
    main([test_linear, test_branches, test_residual_adapter, test_model, test_adapter_fusion, test_mole, test_prompt_ensemble, test_adamix_of_like_copies,
          test_trained_parts, test_rows_of_tasks, test_attempt])
