"""Every method of the library with the sites where it is measured: all that its kind offers, with the method's own defaults.

A new file in stdlib/methods appears by itself if its method says `on` a kind and has defaults; else it needs a line here."""
import re

from bench import ROOT

SITES = {"linear": "layers[*].** where kind == linear", "sublayer": "layers[*].{attention, ffn}", "attention": "layers[*].attention", "layer": "layers[*]", "norm": "** where kind == norm",
         "model": "model"}
OWN = {  # methods of several clauses, without defaults, or of other sites than all of their kind
    "adamix": "use peft.methods.{adamix}\nattach adamix to model",
    "ciat": "use peft.methods.{ciat}\nattach ciat to model",
    "ssf": "use peft.methods.{ssf}\nattach ssf to layers[*].** where kind == linear or kind == norm",
    "ia3": "use peft.methods.{ia3}\nattach ia3 to layers[*].{attention.{k, v}, ffn.up}",
    "adapter_fusion": "use peft.methods.{adapter_fusion, serial_adapter}\nattach adapter_fusion([serial_adapter, serial_adapter]) to layers[*].ffn",
    "pha": "use peft.methods.{pha}\nattach pha to model",
    "kernel_mix": "use peft.methods.{kernel_mix}\nattach kernel_mix to layers[*].attention",
    "moa": "use peft.methods.{moa, lora}\nattach moa([lora(4), lora(8)]) to layers[*].attention.{q, v}",
    "trainable_tokens": "use peft.methods.{trainable_tokens}\nattach trainable_tokens([1, 101, 102, 1000]) to embeddings.tokens",
    "mole": "use peft.methods.{mole, lora}\nattach mole([lora(4), lora(8)]) to layers[*].{attention.{q, v}, ffn.up}",
}
LEFT_OUT = {"mixlora": "it needs a gated branch, which BERT has not", "attempt_prompt": "it begins at prompts that were trained before", "lorahub": "it puts trained LoRAs together",
            "spot": "it begins at prompts that were trained before", "ipt": "it begins at a space of prompts that was trained before", "ipt_space": "it is a space of prompts that were trained before"}
SHARED = {"adalora", "dora", "ia3", "ln_tuning", "lora", "mpt", "p_tuning", "prefix", "prompt", "vera"}  # peft has them: reference.py
HEAD = re.compile(r"^method (\w+)\b[^{]*?(?: on (\w+))?\s*\{", re.M)


def attaches():
    """{method: what a program says}."""
    found = {}
    for path in sorted((ROOT / "stdlib/methods").glob("*.peft")):
        name = path.stem
        if name in LEFT_OUT:
            continue
        if name in OWN:
            found[name] = OWN[name]
            continue
        kind = next((kind for method, kind in HEAD.findall(path.read_text()) if method == name), None)
        if kind not in SITES:
            raise ValueError(f"{path}: no sites are known for `{name}`: it needs a line in tests/bench/library.py")
        found[name] = f"use peft.methods.{{{name}}}\nattach {name} to {SITES[kind]}"
    return found
