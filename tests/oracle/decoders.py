"""What the tests of decoders share: programs, rows, transformers' numbers for them, steps of training beside it, merged folders."""
import torch
import transformers
from subject import Subject, adamw_losses, compare, padded, run

VOCABULARY, LABELS, STEPS, BATCH = 101, 3, 20, 6
SPEC = """{uses}
model base = {arch}
task {task}
{attach}
optimize adamw(lr = 3e-3, weight_decay = 0.01)
run {{ epochs = 1, batch = 6, max_length = 64, base_dropout = 0, clip = 0{run} }}
"""


def spec(attach, *methods, arch="llama", task="causal_lm", run=""):
    return SPEC.format(uses=f"use peft.methods.{{{', '.join(methods)}}}" if methods else "", attach=attach, arch=arch, task=task, run=run)


def random_checkpoint(folder, config):
    """A random checkpoint whose every weight matters, and the model."""
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3 if parameter.dim() < 2 else 1.5 * parameter.shape[-1] ** -0.5)
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(1)
    model.save_pretrained(folder)
    return model


def rows_of(lengths, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return [{"input_ids": torch.randint(1, VOCABULARY, (length,), generator=generator).tolist()} for length in lengths]


MIXED = (7, 2, 64, 33, 5)


def forward(model, rows, **options):
    """Padded on the right, the loss over what is no padding (and, where rows have labels, over those)."""
    batch = padded(rows)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for place, row in enumerate(rows):
        if "labels" in row:
            labels[place, :len(row["labels"])] = torch.tensor(row["labels"])
    return model(**batch, labels=labels, **options)


def packed(rows, logits):
    """Padded logits as the trainer packs them."""
    return torch.cat([logits[place, -logits.shape[1]:][:len(row["input_ids"])] for place, row in enumerate(rows)])


def theirs(model, rows):
    with torch.no_grad():
        out = forward(model, rows)
    return {"loss": out.loss, "logits": packed(rows, out.logits)}


def flat(tensors):
    return {**tensors, "logits": tensors["logits"].reshape(-1, VOCABULARY)}


def check_all(folder, model, arch, ours, trained=("layers[*]", "tokens", "norm", "lm_head"), lengths=MIXED):
    """Logits, loss and the gradient of every weight; `ours` renames and cuts transformers' tensors."""
    subject = Subject(folder / "subject", folder / "model", spec("\n".join("train " + part for part in trained), arch=arch).replace("max_length = 64", f"max_length = {max(lengths)}"))
    rows = rows_of(lengths)
    out = forward(model, rows)
    out.loss.backward()
    gradients = ours({name: value.grad for name, value in model.named_parameters()})
    expected = {"loss": out.loss.detach(), "logits": packed(rows, out.logits.detach()), **{"grad." + name: value for name, value in gradients.items()}}
    got = flat(subject.inspect(rows))
    assert set(got) == set(expected), set(got) ^ set(expected)
    worst = compare(got, expected, least=1e-3)  # a bias of keys has no gradient but rounding
    for row in rows: # no row sees another one
        worst = max(worst, compare(flat(subject.inspect([row])), theirs(model, [row])))
    return worst


def randomise(parameters, scale=0.2):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def many_rows(count, seed=17):
    generator = torch.Generator().manual_seed(seed)
    return rows_of(torch.randint(2, 30, (count,), generator=generator).tolist(), seed)


def steps(subject, model, parameters, ours, init):
    """Gradients of one batch, then the losses of 20 steps; `ours` renames and cuts peft's tensors."""
    rows = rows_of(MIXED)
    model.zero_grad()
    out = forward(model, rows)
    out.loss.backward()
    expected = {"loss": out.loss.detach(), "logits": packed(rows, out.logits.detach()), **{"grad." + name: value for name, value in ours({name: value.grad for name, value in parameters.items()}).items()}}
    got = flat(subject.inspect(rows, init))
    assert set(got) == set(expected), set(got) ^ set(expected)
    worst = compare(got, expected)
    rows = many_rows(STEPS * BATCH)
    mine, other = subject.losses(rows, init), adamw_losses(parameters, rows, lambda some: forward(model, some).loss, BATCH, 3e-3)
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine, other))
    assert len(mine) == STEPS and apart < 1e-3, f"losses of {STEPS} steps differ by {apart:.1e}: {mine} {other}"
    assert abs(other[-1] - other[0]) > 1e-2, "nothing was learned: the comparison says little"
    return f"gradients {worst:.1e}, losses {apart:.1e}"


def merged_logits(folder, subject, adapter):
    run(subject.trainer, "merge", "--init", adapter, "--out", folder / "merged")
    merged, loading = transformers.AutoModelForCausalLM.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    return merged.eval()
