"""LoRA-FA with peft's optimizer for it: the same first halves, and after some steps the same second ones."""
import peft.optimizers.lorafa
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_lorafa_optimizer
from safetensors.torch import load_file
from subject import Subject, checkpoint, classifier, compare, labels_of, main, padded, random_rows
from test_peft import LABELS, LINEARS, site

STEPS, BATCH, LR, EPS = 6, 8, 5e-2, 1e-3

# peft's is AdamW as transformers had it: epsilon is added before the bias of v is corrected, and the decay is of what the step has made.
# The epsilon is large, since without one Adam forgets the gradient's scale.
SPEC = """use peft.methods.{{lora_fa}}
optimizer adamw_hf(lr: real, eps: real, weight_decay: real) {{
  state m = zeros
  state v = zeros
  m <- 0.9 * m + 0.1 * g
  v <- 0.999 * v + 0.001 * g * g
  let moved = p - lr * sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t) * m / (sqrt(v) + eps)
  p <- moved - lr * weight_decay * moved
}}
model base = bert
task classify(labels = 5)
attach lora_fa({arguments}) to layers[*].** where kind == linear
train head
optimize adamw_hf(lr = 5e-2, eps = 1e-3, weight_decay = 0.03)
run {{ epochs = 1, batch = 8, max_length = 128, base_dropout = 0, clip = 0 }}
"""


def wrapped(folder, **options):
    """peft's model on the checkpoint, its parameters by our names: A apart, which is not trained."""
    model = get_peft_model(classifier(folder, LABELS), LoraConfig(task_type="SEQ_CLS", target_modules=LINEARS, modules_to_save=["classifier"], **options))
    first, trained = {}, {}
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            module, half = name.split(".lora_")
            (first if half[0] == "A" else trained)[f"{site(module)}.lora_fa.{half[0]}"] = parameter
        elif "modules_to_save" in name:
            trained["head.classifier." + ("W" if name.endswith("weight") else "b")] = parameter
    return model, first, trained


def trained_by_peft(model, trained, rows, **options):
    """In bf16, where the machine has it, peft multiplies the gradient and the inverse; here it does not."""
    peft.optimizers.lorafa.is_bf16_available = lambda *words, **named: False
    optimizer = create_lorafa_optimizer(model, lr=LR, weight_decay=0.03, **options)
    for group in optimizer.param_groups:
        group["eps"] = EPS
    model.eval()
    for start in range(0, len(rows), BATCH):
        some = rows[start:start + BATCH]
        optimizer.zero_grad()
        model(**padded(some), labels=labels_of(some)).loss.backward()
        optimizer.step()
    return {name: value.detach().clone() for name, value in trained.items()}


def check(folder, arguments, scaling, **options):
    """How far the parameters are apart after some steps, and how far they would be without the correction."""
    base = checkpoint(folder / "model")
    model, first, trained = wrapped(base, **options)
    with torch.no_grad():
        for value in trained.values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(5)) * 0.2)
    rows = random_rows(STEPS * BATCH, LABELS, seed=17)
    ends = {}
    for corrected in (True, False):
        subject = Subject(folder / str(corrected), base, SPEC.format(arguments=arguments + f", corrected = {str(corrected).lower()}"))
        init = subject.save_init({**first, **trained})
        subject.losses(rows, init)
        ends[corrected] = load_file(subject.folder / "run/last/adapter.safetensors")
    before = {name: value.detach().clone() for name, value in trained.items()}
    theirs = trained_by_peft(model, trained, rows, **scaling)
    worst = compare({name: ends[True][name] for name in theirs}, theirs)
    assert all(torch.equal(ends[True][name], value) for name, value in first.items()), "A has moved"
    for name, value in theirs.items():
        assert (value - before[name]).abs().max() > 0.02, f"{name} hardly moved"
        if name in first or name.replace(".B", ".A") in first:
            apart = (ends[False][name] - value).abs().max() / value.abs().max()
            assert apart > 1e-2, f"{name}: the correction changes {apart:.1e}"
    return f"{worst:.1e}"


def test_lora_fa(folder):
    return check(folder, "r = 4, alpha = 6", dict(r=4, lora_alpha=6), r=4, lora_alpha=6)


def test_rslora_fa(folder):
    """The scale of each module, which its configuration says."""
    return check(folder, "r = 4, alpha = 6, rs = true", dict(r=4, lora_alpha=6), r=4, lora_alpha=6, use_rslora=True)


if __name__ == "__main__":
    main([test_lora_fa, test_rslora_fa])
