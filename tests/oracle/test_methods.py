"""The library's methods, each against the equation of its paper on transformers' modules: logits, loss and every gradient, texts one by one.

A row of a table is a method: how it is attached, the shapes of its parameters at a site (or by their whole names), and what the equation makes of the site's
value. `v` gives the site's parameters by their last names. What is drawn once (frozen) is read from what the trainer itself says of it."""
import math

import torch
from subject import main
from torch.nn.functional import cross_entropy, gelu, layer_norm, relu, softmax
from transcription import BOTTLENECK, D, FF, HEADS, LAYERS, Values, after, before, bottleneck, check_method, prompted

TASKS = 3
LINEARS = {"attention.q": lambda layer: layer.attention.self.query, "attention.o": lambda layer: layer.attention.output.dense,
           "ffn.up": lambda layer: layer.intermediate.dense, "ffn.down": lambda layer: layer.output.dense}


# ---- on linear layers: name -> (arguments, shapes at a site of `i` and `o` features, shapes of what sites share, y from v, x, y, the layer)

def pool(x, group):
    return x.reshape(*x.shape[:-1], -1, group).mean(-1)


def kron_map(x, weight):
    return x @ weight.T


def hadamard(x):
    """By butterflies, as in every textbook."""
    width = 1
    while width < len(x):
        pairs = x.view(-1, 2, width)
        x = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(-1)
        width *= 2
    return x


def fastfood(v, count):
    """The first `count` entries of H diag(g) Π H diag(b) z, over |g| sqrt(count); the permutation puts u into rising order."""
    assert len(v.b) >= count > len(v.b) // 2 and set(v.b.tolist()) == {0, 1}
    padded = torch.cat([v.z, torch.zeros(len(v.b) - len(v.z))])
    mixed = hadamard(padded * (2 * v.b - 1))[v.u.argsort(stable=True)]
    return hadamard(v.g * mixed)[:count] / (v.g.norm() * math.sqrt(count))


LINEAR = {
    "intrinsic_said": ("n = 7", lambda i, o: {"l": ()}, {"z": (7,)}, lambda v, x, y, m: y + x @ (v.l * fastfood(v, x.shape[-1] * y.shape[-1])).view(y.shape[-1], x.shape[-1]).T),
    "kernel_mix": ("r = 2, alpha = 5, groups = 3", lambda i, o: {"A": (3, 2, i), "B": (3, o // 3, 2)}, {},
                   lambda v, x, y, m: y + 2.5 * torch.cat([x @ v.A[h].T @ v.B[h].T for h in range(3)], -1)),
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
        worst[method] = check_method(folder / method, f"{method}({arguments}) to layers[*].{{{', '.join(LINEARS)}}}", shapes, hook, method,
                              extra=orthogonality if method == "adalora" else None, row=tasked if method == "moelora" else lambda row, place: row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


# ---- on branches and layers: y from v, the branch's input u, its output y, and the block

def attend_tiny(v, y):
    q, k, w = y @ v.Wq.T, y @ v.Wk.T, y @ v.Wv.T
    return softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), -1) @ w @ v.Wo.T


def phm(A, s, t):
    return sum(torch.kron(A[n], torch.outer(s[n], t[n])) for n in range(len(A)))


def generated(v, y):
    z = layer_norm(relu(v.H @ torch.cat([v.T[v.row["task"]], v.P[v.place]])), (5,))
    return gelu(y @ (v.Gd @ z).view(6, D).T) @ (v.Gu @ z).view(D, 6).T


def tanh_gelu(x):
    return gelu(x, approximate="tanh")


def prototyped(v, y):
    h = layer_norm(v.H2 @ relu(v.H1 @ torch.cat([v.K[v.row["task"]], v.p[v.place]])), (5,))
    return relu(y @ (v.Gd @ h).view(6, D).T + v.Gbd @ h) @ (v.Gu @ h).view(D, 6).T + v.Gbu @ h


GENERATED_BY_PROTOTYPE = {"p": (4, 5), "H1": (10, 10), "H2": (5, 10), "Gd": (6 * D, 5), "Gu": (D * 6, 5), "Gbd": (6, 5), "Gbu": (D, 5)}
BRANCH = {
    "pha": ("tasks = 3, reduction = 4, e = 5", {}, {"K": (TASKS, 5), **GENERATED_BY_PROTOTYPE}, lambda v, u, y, norm: y + prototyped(v, y)),
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
        worst[method] = check_method(folder / method, f"{method}({arguments}) to layers[*].{{attention, ffn}} where kind == sublayer", shapes, hook, method,
                              row=tasked if method in ("hyperformer", "pha") else lambda row, place: row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


def test_prototypes(folder):
    """PHA on the model: the texts' own embeddings are to lie near the prototype of their task."""
    terms = []

    def hook(model, values, row):
        top = Values(values, "", "pha")
        for i, layer in enumerate(model.bert.encoder.layer):
            for at, last in enumerate((layer.attention.output.dense, layer.output.dense)):
                v = Values({**values, "pha.pha.K": top.K}, "", "pha.pha")
                v.row, v.place = row, 2 * i + at
                after(last, lambda x, y, v=v: y + prototyped(v, y))

        def near(x, y):
            t = top.M2 @ relu(top.M1 @ y[0].mean(0))
            score = (top.K @ t) / (top.K.norm(dim=1) * t.norm() + 1e-8) / 0.5
            terms.append(0.1 * cross_entropy(score[None], torch.tensor([row["task"]])) / 7)
            return y
        after(model.bert.embeddings.word_embeddings, near)
    shapes = {"pha.K": (TASKS, 5), "pha.M1": (5, D), "pha.M2": (5, 5), **{f"pha.pha.{name}": shape for name, shape in GENERATED_BY_PROTOTYPE.items()}}
    return f"{check_method(folder, 'pha(tasks = 3, reduction = 4, e = 5) to model', shapes, hook, 'pha', extra=lambda values: sum(terms), row=tasked):.1e}"


def test_residual_adapter(folder):
    """Behind the whole block, on what its last norm gives."""
    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v = Values(values, f"layers.{i}", "residual_adapter")
            after(layer.output.LayerNorm, lambda x, y, v=v: y + bottleneck(v, layer_norm(y, (D,), v.g, v.c, 1e-5)))
    shapes = {f"layers.{i}.residual_adapter.{name}": shape for i in range(LAYERS) for name, shape in {**BOTTLENECK, "g": (D,), "c": (D,)}.items()}
    return f"{check_method(folder, 'residual_adapter(reduction = 4) to layers[*]', shapes, hook, 'residual_adapter'):.1e}"


def test_attention_prompts(folder):
    """APrompt: tokens whose keys and values are the layer's own, keys and values of more tokens, and a term of scores by places, of the text's keys only."""
    n, m, r, length, e = 3, 2, 4, 9, D // HEADS

    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            v, attention = Values(values, f"layers.{i}.attention", "aprompt"), layer.attention.self

            def attend(hidden, *args, v=v, attention=attention, **rest):
                heads = lambda y: y.view(1, -1, HEADS, e)  # noqa: E731
                q, places = heads(attention.query(hidden)), torch.arange(hidden.shape[1]).clamp(max=length - 1)
                k = torch.cat([heads(v.Pk), heads(attention.key(v.P)), heads(attention.key(hidden))], 1)
                w = torch.cat([heads(v.Pv), heads(attention.value(v.P)), heads(attention.value(hidden))], 1)
                shape = torch.cat([torch.zeros(len(places), m + n), v.Fq[places] @ v.Fk[places].T], 1)
                return torch.einsum("bhsk,bkhe->bshe", softmax(torch.einsum("bshe,bkhe->bhsk", q, k) / math.sqrt(e) + shape, -1), w).flatten(2), None
            attention.forward = attend
    shapes = {f"layers.{i}.attention.aprompt.{name}": shape for i in range(LAYERS)
              for name, shape in {"P": (n, D), "Pk": (m, D), "Pv": (m, D), "Fq": (length, r), "Fk": (length, r)}.items()}
    return f"{check_method(folder, f'aprompt(n = {n}, m = {m}, r = {r}, length = {length}) to layers[*].attention where kind == attention', shapes, hook, 'aprompt'):.1e}"


def test_kernel_mix(folder):
    """On attention: each head of queries and values has factors of its own, and the output's factors read what each head gives."""
    def hook(model, values, row):
        for i, layer in enumerate(model.bert.encoder.layer):
            for site, module in (("q", layer.attention.self.query), ("v", layer.attention.self.value), ("o", layer.attention.output.dense)):
                v = Values(values, f"layers.{i}.attention.{site}", "kernel_mix.kernel_mix")
                if site == "o":
                    after(module, lambda x, y, v=v: y + sum(part @ v.A[h].T @ v.B[h].T for h, part in enumerate(x.chunk(HEADS, -1))))
                else:
                    after(module, lambda x, y, v=v: y + torch.cat([x @ v.A[h].T @ v.B[h].T for h in range(HEADS)], -1))
    shapes = {}
    for i in range(LAYERS):
        for site in "qvo":
            shapes[f"layers.{i}.attention.{site}.kernel_mix.kernel_mix.A"] = (HEADS, 2, D // HEADS if site == "o" else D)
            shapes[f"layers.{i}.attention.{site}.kernel_mix.kernel_mix.B"] = (HEADS, D if site == "o" else D // HEADS, 2)
    return f"{check_method(folder, 'kernel_mix(r = 2, output = true) to layers[*].attention where kind == attention', shapes, hook, 'kernel_mix'):.1e}"


# ---- on the model: what the text's embeddings become, and where the classifier reads

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
        worst[method] = check_method(folder / method, f"{method}({arguments}) to model", {whole(method, name): shape for name, shape in parameters.items()}, hook, method, row=row)
    return f"{len(worst)} methods, {max(worst.values()):.1e}"


if __name__ == "__main__":
    main([test_linear, test_branches, test_residual_adapter, test_prototypes, test_attention_prompts, test_kernel_mix, test_model])
