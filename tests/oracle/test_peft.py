"""Methods that Hugging Face peft has: same weights in; logits, loss and every gradient out; 20 steps of AdamW give the same losses.

Where peft does another thing than the paper, the test says so and undoes it on peft's side or in a method of its own."""
import torch
from peft import (AdaLoraConfig, IA3Config, LNTuningConfig, LoraConfig, MultitaskPromptTuningConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig,
                  VeraConfig, get_peft_model)
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


def check(folder, text, make, rename, forward=plain_forward, reshape=None, take=None, row=lambda row, place: row):
    """`take(model, drawn)`: puts what our trainer has drawn, and does not train, into peft's model."""
    checkpoint_folder = checkpoint(folder / "model")
    model = make(classifier(checkpoint_folder, LABELS))
    model.eval()  # no dropout anywhere; gradients flow all the same
    parameters = trainables(model, rename)
    randomise(parameters)
    shaped = reshape or (lambda name, value: value)
    subject = Subject(folder / "subject", checkpoint_folder, text)
    init = subject.save_init({name: shaped(name, value) for name, value in parameters.items()})
    some_rows = lambda *words, **options: [row(each, place) for place, each in enumerate(random_rows(*words, **options))]  # noqa: E731
    rows = some_rows(9, LABELS)
    if take:
        take(model, {name.removeprefix("frozen."): value for name, value in subject.inspect(rows, init).items() if name.startswith("frozen.")})
    theirs = {name: shaped(name.removeprefix("grad."), value) for name, value in gradients(model, parameters, rows, forward).items()}
    ours = subject.inspect(rows, init)
    extra = {name for name in ours if name.startswith("grad.")} - set(theirs)
    assert not extra, f"peft has no {extra}"
    worst = compare(ours, theirs)
    rows = some_rows(STEPS * BATCH, LABELS, seed=17)
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


def test_vera(folder):
    """peft draws A and B by torch's generator; here it gets ours."""
    config = VeraConfig(task_type="SEQ_CLS", r=8, target_modules=LINEARS, modules_to_save=["classifier"], d_initial=0.1, save_projection=True)

    def take(model, drawn):
        model.base_model.vera_A["default"].copy_(drawn["vera.A"])
        model.base_model.vera_B["default"].copy_(drawn["vera.B"])

    def rename(name):
        module, kind = name.split(".vera_lambda_")
        return f"{site(module)}.vera.{ {'d': 'w', 'b': 'v'}[kind[0]] }"
    return check(folder, spec(f"attach vera(r = 8) to {ALL}", "vera"), lambda model: get_peft_model(model, config), rename, take=take)


def test_adalora(folder):
    """peft's regulariser is a norm where the paper has its square: it is off on both sides."""
    config = AdaLoraConfig(task_type="SEQ_CLS", init_r=4, target_r=4, lora_alpha=6, target_modules=LINEARS, modules_to_save=["classifier"], orth_reg_weight=1e-12, total_step=1000)

    def rename(name):
        module, kind = name.split(".lora_")
        return f"{site(module)}.adalora.{ {'A': 'P', 'E': 'e', 'B': 'Q'}[kind[0]] }"
    return check(folder, spec(f"attach adalora(r = 4, alpha = 6, gamma = 0) to {ALL}", "adalora"), lambda model: get_peft_model(model, config), rename,
                 reshape=lambda name, value: value.reshape(-1) if name.endswith(".adalora.e") else value)


# ---- factors

def test_ln_tuning(folder):
    config = LNTuningConfig(task_type="SEQ_CLS", target_modules=["LayerNorm"], modules_to_save=["classifier"])

    def rename(name):
        module, last = name.split(".LayerNorm.ln_tuning_layers.default.")
        if "embeddings" in module:
            return f"embeddings.norm.{last}"
        index, local = module.split("encoder.layer.")[1].split(".", 1)
        return f"layers.{index}.{'attention' if local.startswith('attention') else 'ffn'}.norm.{last}"
    return check(folder, spec("attach ln_tuning to ** where kind == norm", "ln_tuning"), lambda model: get_peft_model(model, config), rename)


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


def past_prompt(forward):
    """peft's classifier reads the first prompt token; here the text's first one, as the papers have it."""
    def run(model, rows):
        hook = model.base_model.bert.pooler.register_forward_pre_hook(lambda _, args: (args[0][:, TOKENS:],))
        try:
            return forward(model, rows)
        finally:
            hook.remove()
    return run


def test_p_tuning(folder):
    """The network of linear layers; the LSTM is compared with torch's in test_methods.py."""
    config = PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS, encoder_reparameterization_type="MLP", encoder_hidden_size=10)
    names = {"embedding.weight": "E", **{f"mlp_head.{2 * i}.{kind}": f"{'W' if kind == 'weight' else 'b'}{i}" for i in range(3) for kind in ("weight", "bias")}}
    return check(folder, spec(f"attach p_tuning(n = {TOKENS}, hidden = 10, recurrent = false) to model", "p_tuning"), lambda model: get_peft_model(model, config),
                 lambda name: f"p_tuning.{names[name.split('prompt_encoder.default.')[1]]}", past_prompt(plain_forward))


def test_mpt(folder):
    config = MultitaskPromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS, num_tasks=3, num_ranks=2)
    names = {"embedding.weight": "P", "prefix_task_cols": "U", "prefix_task_rows": "V"}

    def forward(model, rows):
        return model(**padded(rows), labels=labels_of(rows), task_ids=torch.tensor([row["task"] for row in rows]))
    return check(folder, spec(f"attach mpt(tasks = 3, n = {TOKENS}, r = 2) to model", "mpt"), lambda model: get_peft_model(model, config),
                 lambda name: f"mpt.{names[name.split('prompt_encoder.default.')[1]]}", past_prompt(forward), row=lambda row, place: {**row, "task": place % 3})


if __name__ == "__main__":
    main([test_lora, test_rslora, test_dora, test_vera, test_adalora, test_ia3, test_ln_tuning, test_prefix, test_prefix_reparameterised, test_prompt, test_p_tuning, test_mpt])
