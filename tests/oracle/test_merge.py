"""Merged weights: the folder loads in transformers and gives our unmerged logits; what cannot merge says which operation, and where."""
import re

import torch
from safetensors.torch import load_file
from subject import BIN, ROOT, Subject, checkpoint, compare, labels_of, main, padded, random_rows, refused, run

LABELS = 5
ALL = "layers[*].** where kind == linear"


def program(attach, method, tail=""):
    return f"use peft.methods.{{{method}}}\nmodel base = bert\ntask classify(labels = {LABELS})\n{attach}\ntrain head{tail}\noptimize adamw(lr = 2e-2)\nrun {{ epochs = 1, batch = 8, base_dropout = 0 }}\n"


def trained(folder, text):
    """A short real training, so that what is merged is not at its initial values."""
    subject = Subject(folder / "subject", checkpoint(folder / "model"), text)
    subject.losses(random_rows(80, LABELS))
    return subject


def check(folder, attach, method, tail=""):
    from transformers import BertForSequenceClassification
    subject = trained(folder, program(attach, method, tail))
    rows = random_rows(9, LABELS, seed=23)
    ours = subject.inspect(rows, subject.folder / "run/adapter.safetensors")["logits"]
    merged = folder / "merged"
    run(subject.trainer, "merge", subject.folder / "run", "--out", merged)
    model, report = BertForSequenceClassification.from_pretrained(merged, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    model.eval()
    with torch.no_grad():
        theirs = model(**padded(rows), labels=labels_of(rows)).logits
    worst = (ours - theirs).abs().max().item()
    assert worst < 1e-4, f"logits differ by {worst:.1e}"
    before, after = load_file(f"{folder}/model/model.safetensors"), load_file(f"{merged}/model.safetensors")
    moved = [name for name in before if not torch.equal(before[name], after.get(name, after.get("bert." + name)))]
    assert moved, "nothing was merged into the weights"
    compare({"logits": ours}, {"logits": theirs})
    return f"{worst:.1e}, {len(moved)} tensors moved"


def test_lora(folder):
    return check(folder, f"attach lora(r = 4) to {ALL}", "lora")


def test_dora(folder):
    return check(folder, f"attach dora(r = 4) to {ALL}", "dora")


def test_ia3(folder):
    return check(folder, f"attach ia3 to {ALL}", "ia3")


def test_bitfit(folder):
    return check(folder, f"attach bitfit to {ALL}", "bitfit", ", layers[*].**.norm.{weight, bias}")


def test_two_at_one_site(folder):
    return check(folder, f"attach lora(r = 2) to {ALL}\nattach ia3 to layers[*].attention.{{k, v}}", "lora, ia3")


def test_refusals(folder):
    """The operation that prevents merging, with the line of the file that it stands in."""
    model = checkpoint(folder / "model")
    cases = {"serial_adapter": ("(reduction = 4) to layers[*].ffn", "nn.max", "prelude.peft"),
             "parallel_adapter": ("(k = 7) to layers[*].ffn", "nn.max", "prelude.peft"), "prefix": (" to layers[*].attention", "nn.concat", "prefix.peft")}
    for method, (how, operation, file) in cases.items():
        subject = Subject(folder / method, model, program(f"attach {method}{how}", method))
        subject.losses(random_rows(16, LABELS))
        said = refused(subject.trainer, "merge", subject.folder / "run", "--out", folder / "merged")
        assert re.search(rf"R0202.*(?s:.*){operation}.*{file}:\d+:\d+", said), said
        assert not (folder / "merged").exists()
    text = (ROOT / "examples/03-unipelt/spec.peft").read_text().replace("labels = 16", f"labels = {LABELS}").replace("epochs = 3", "epochs = 1").replace("= 16", "= 4")
    subject = Subject(folder / "unipelt", model, text)
    subject.losses(random_rows(16, LABELS))
    said = refused(subject.trainer, "merge", subject.folder / "run", "--out", folder / "merged")
    assert "nn." in said and re.search(r"\.peft:\d+:\d+", said), said
    return said.splitlines()[0]


def test_no_weight_sized_temporary(folder):
    """DoRA's step computes on activations: no value of a weight's size but the weights themselves."""
    import json
    subject_folder = folder / "bundle"
    spec = folder / "spec.peft"
    spec.write_text(program(f"attach dora(r = 4) to {ALL}", "dora"))
    model = checkpoint(folder / "model")
    run(BIN / "peftc", spec, "--model", model, "--bundle", subject_folder)
    weights = {(24, 24), (24, 36), (36, 24)}
    programs = {p["name"]: p for p in json.loads((subject_folder / "programs.json").read_text())["programs"]}
    step = programs["train_step"]
    large = [op["op"] for op in step["ops"] if op["op"] != "param" and step["values"][op["out"][0]]["per"] == "run"
             and tuple(d if isinstance(d, int) else -1 for d in step["values"][op["out"][0]]["dims"]) in weights]
    assert not large, f"the step makes [out, in] values: {large}"
    assert any(tuple(programs["merge"]["values"][r["value"]]["dims"]) in weights for r in programs["merge"]["results"]), "the check sees nothing"


if __name__ == "__main__":
    main([test_lora, test_dora, test_ia3, test_bitfit, test_two_at_one_site, test_refusals, test_no_weight_sized_temporary])
