"""What the tests have that hold a method against its paper's equation: the equation is put into transformers' modules, texts go through one by one, and logits,
loss and every gradient are compared."""
import torch
from subject import Subject, checkpoint, classifier, compare, labels_of, padded, random_rows
from torch.nn.functional import relu

LABELS, D, FF, HEADS, LAYERS = 5, 24, 36, 3, 2  # of the tiny BERT


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


def check(folder, text, shapes, hook, rows, extra=None):
    """`shapes` by whole names; `hook(model, values, row)` puts the equations into transformers' classifier, `row` being the row that is computed whenever they ask;
    `extra(values)` is what the method adds to the loss. What is drawn once (frozen) is among the values as the trainer says it."""
    checkpoint_folder = checkpoint(folder / "model")
    model = classifier(checkpoint_folder, LABELS)
    model.eval()
    subject = Subject(folder / "subject", checkpoint_folder, text)
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


def program(attach, uses="", train="train head"):
    return f"{uses}\nmodel base = bert\ntask classify(labels = {LABELS})\n{attach}\n{train}\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0 }}\n"


def check_method(folder, attach, shapes, hook, methods, extra=None, row=lambda row, place: row):
    """The same of methods of the library; `row` makes rows of random ones."""
    rows = [row(each, place) for place, each in enumerate(random_rows(7, LABELS, lengths=(4, 17)))]
    return check(folder, program(f"attach {attach}", f"use peft.methods.{{{methods}}}"), shapes, hook, rows, extra)


def after(module, change):
    module.register_forward_hook(lambda _, args, y: change(args[0], y))


def bottleneck(v, x, act=relu):
    return act(x @ v.Wd.T + v.bd) @ v.Wu.T + v.bu


BOTTLENECK = {"Wd": (6, D), "bd": (6,), "Wu": (D, 6), "bu": (D,)}


def prompted(change, place):
    """Embeddings of words go through `change(v, e)` before places are added, for ids, types and mask are as long as before; the classifier reads the token that is
    then at `place`."""
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
