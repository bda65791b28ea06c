"""Methods that Hugging Face peft has: same weights in; logits, loss and every gradient out; 20 steps of AdamW give the same losses.

Where peft does another thing than the paper, the test says so and undoes it on peft's side or in a method of its own."""
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from subject import Subject, adamw_losses, checkpoint, classifier, compare, labels_of, main, padded, random_rows

LABELS, STEPS, BATCH, LR = 5, 20, 8, 3e-3
NAMES = {"attention.self.query": "attention.q", "attention.self.key": "attention.k", "attention.self.value": "attention.v",
         "attention.output.dense": "attention.o", "intermediate.dense": "ffn.up", "output.dense": "ffn.down"}
LINEARS = list(NAMES)

SPEC = """{uses}
model base = bert
task classify(labels = 5)
{attach}
train head
optimize adamw(lr = 3e-3, weight_decay = 0.01)
run {{ epochs = 1, batch = 8, max_length = 128, base_dropout = 0, clip = 0 }}
"""


def spec(attach, *methods, own=""):
    return own + SPEC.format(uses=f"use peft.methods.{{{', '.join(methods)}}}" if methods else "", attach=attach)


def site(module):
    """`bert.encoder.layer.1.attention.self.query` as `layers.1.attention.q`."""
    rest = module.split("encoder.layer.")[1]
    index, local = rest.split(".", 1)
    return f"layers.{index}.{NAMES[local]}"


def trainables(model, rename):
    """peft's trainable parameters by our names."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if ".classifier." in name:
                found["head.classifier." + ("W" if name.endswith("weight") else "b")] = parameter
            else:
                found.update({ours: parameter for ours in [rename(name)]})
    return found


def randomise(parameters, scale=0.2):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def gradients(model, parameters, rows, forward):
    model.zero_grad()
    out = forward(model, rows)
    out.loss.backward()
    return {"loss": out.loss.detach(), "logits": out.logits.detach(), **{"grad." + name: value.grad for name, value in parameters.items()}}


def plain_forward(model, rows):
    return model(**padded(rows), labels=labels_of(rows))


def check(folder, text, make, rename, forward=plain_forward, reshape=None):
    checkpoint_folder = checkpoint(folder / "model")
    model = make(classifier(checkpoint_folder, LABELS))
    model.eval()  # no dropout anywhere; gradients flow all the same
    parameters = trainables(model, rename)
    randomise(parameters)
    shaped = reshape or (lambda name, value: value)
    subject = Subject(folder / "subject", checkpoint_folder, text)
    init = subject.save_init({name: shaped(name, value) for name, value in parameters.items()})
    rows = random_rows(9, LABELS)
    theirs = {name: shaped(name.removeprefix("grad."), value) for name, value in gradients(model, parameters, rows, forward).items()}
    ours = subject.inspect(rows, init)
    extra = {name for name in ours if name.startswith("grad.")} - set(theirs)
    assert not extra, f"peft has no {extra}"
    worst = compare(ours, theirs)
    rows = random_rows(STEPS * BATCH, LABELS, seed=17)
    mine, other = subject.losses(rows, init), adamw_losses(parameters, rows, lambda some: forward(model, some).loss, BATCH, LR)
    assert len(mine) == STEPS
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine, other))
    assert apart < 1e-3, f"losses of {STEPS} steps differ by {apart:.1e}: {mine} {other}"
    assert abs(other[-1] - other[0]) > 1e-2, "nothing was learned: the comparison says little"
    return f"gradients {worst:.1e}, losses {apart:.1e}"


# ---- low rank

def lora_name(method):
    def rename(name):
        module, kind = name.split(".lora_")
        return f"{site(module)}.{method}.{ {'A': 'A', 'B': 'B', 'm': 'm'}[kind[0]] }"
    return rename


def lora(**options):
    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=LINEARS, modules_to_save=["classifier"], **options)
    return lambda model: get_peft_model(model, config)


ALL = "layers[*].** where kind == linear"


def test_lora(folder):
    return check(folder, spec(f"attach lora(r = 4, alpha = 6) to {ALL}", "lora"), lora(), lora_name("lora"))


def test_rslora(folder):
    return check(folder, spec(f"attach lora(r = 4, alpha = 6, rs = true) to {ALL}", "lora"), lora(use_rslora=True), lora_name("lora"))


def test_dora(folder):
    return check(folder, spec(f"attach dora(r = 4, alpha = 6) to {ALL}", "dora"), lora(use_dora=True), lora_name("dora"))


# ---- factors

def test_ia3(folder):
    """peft's `feedforward_modules` scale a layer's input; the others its output, which is compared here."""
    config = IA3Config(task_type="SEQ_CLS", target_modules=["key", "value", "intermediate.dense"], feedforward_modules=[], modules_to_save=["classifier"])
    return check(folder, spec("attach ia3 to layers[*].{attention.{k, v}, ffn.up}", "ia3"), lambda model: get_peft_model(model, config),
                 lambda name: f"{site(name.split('.ia3_l')[0])}.ia3.l", reshape=lambda name, value: value.reshape(-1) if name.endswith(".ia3.l") else value)


# ---- prefixes and prompts

WIDTH, LAYERS, TOKENS = 24, 2, 3  # the tiny checkpoint's


def prefix_forward(model, rows):
    """peft hands BERT the prefix as a cache, by which BERT shifts its position ids; the paper's prefix has no positions."""
    def unshifted(module, args, kwargs):
        return args, {**kwargs, "past_key_values_length": 0}
    hook = model.base_model.bert.embeddings.register_forward_pre_hook(unshifted, with_kwargs=True)
    try:
        return plain_forward(model, rows)
    finally:
        hook.remove()


def prefix_check(folder, attach, config, parts):
    """`parts` says which of peft's tensors an attach's parameter is, and which rows or columns of it."""
    def split(tensors):
        ours = {name: value for name, value in tensors.items() if "prompt_encoder" not in name}
        for name, value in tensors.items():
            for prefix, (theirs, part) in parts.items():
                if name.removeprefix("grad.") == theirs:
                    ours[("grad." if name.startswith("grad.") else "") + prefix] = part(value)
        return ours

    checkpoint_folder = checkpoint(folder / "model")
    model = get_peft_model(classifier(checkpoint_folder, LABELS), config)
    model.eval()
    parameters = {("head.classifier." + ("W" if name.endswith("weight") else "b")) if ".classifier." in name else name: value
                  for name, value in model.named_parameters() if value.requires_grad}
    randomise(parameters)
    subject = Subject(folder / "subject", checkpoint_folder, spec(attach, "prefix"))
    init = subject.save_init(split(parameters))
    rows = random_rows(9, LABELS)
    worst = compare(subject.inspect(rows, init), split(gradients(model, parameters, rows, prefix_forward)))
    rows = random_rows(STEPS * BATCH, LABELS, seed=17)
    mine, other = subject.losses(rows, init), adamw_losses(parameters, rows, lambda some: prefix_forward(model, some).loss, BATCH, LR)
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine, other))
    assert len(mine) == STEPS and apart < 1e-3, f"losses differ by {apart:.1e}: {mine} {other}"
    return f"gradients {worst:.1e}, losses {apart:.1e}"


def layer_part(layer, axis):
    """peft lays the layers' keys and values side by side; ours are a parameter a layer."""
    return lambda value: value.narrow(axis, layer * 2 * WIDTH, 2 * WIDTH)


def test_prefix(folder):
    config = PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS)
    parts = {f"layers.{layer}.attention.prefix.P": ("prompt_encoder.default.embedding.weight", layer_part(layer, 1)) for layer in range(LAYERS)}
    return prefix_check(folder, f"attach prefix(n = {TOKENS}) to layers[*].attention", config, parts)


def test_prefix_reparameterised(folder):
    config = PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS, prefix_projection=True, encoder_hidden_size=10)
    whole = lambda value: value  # noqa: E731
    parts = {"prefix.E": ("prompt_encoder.default.embedding.weight", whole), "prefix.W1": ("prompt_encoder.default.transform.0.weight", whole),
             "prefix.b1": ("prompt_encoder.default.transform.0.bias", whole)}
    for layer in range(LAYERS):
        parts[f"layers.{layer}.attention.prefix.W2"] = ("prompt_encoder.default.transform.2.weight", layer_part(layer, 0))
        parts[f"layers.{layer}.attention.prefix.b2"] = ("prompt_encoder.default.transform.2.bias", layer_part(layer, 0))
    return prefix_check(folder, f"attach prefix(n = {TOKENS}, hidden = 10) to layers[*].attention", config, parts)


def test_prompt(folder):
    """peft's classifier reads the first prompt token instead of [CLS]; a method without the last line of ours does as well."""
    own = "method prompt_first(n: int) on model {\n  param P: [n, d] = uniform(-0.5, 0.5)\n  embeds <- concat(P, embeds, axis = seq)\n}\n"
    config = PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS)
    return check(folder, spec(f"attach prompt_first(n = {TOKENS}) to model", own=own), lambda model: get_peft_model(model, config),
                 lambda name: "prompt_first.P")


if __name__ == "__main__":
    main([test_lora, test_rslora, test_dora, test_ia3, test_prefix, test_prefix_reparameterised, test_prompt])
