"""ViT: logits, loss and every gradient equal transformers'; pixels are those of its image processor; LoRA's merged folder loads; rows that are no images, images of other
channels, and what preprocessor_config.json says beyond what is described are refused with the file's name."""
import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file
from subject import BIN, Subject, compare, main, refused, run, write_rows

try:
    from PIL import Image
except ImportError:
    print("Pillow is not installed: nothing decodes an image")
    sys.exit(77)
os.environ["PEFT_PYTHON"] = sys.executable
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil  # noqa: E402

LABELS, SIDE, PATCH = 3, 12, 4
SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, image_size=SIDE, patch_size=PATCH, num_channels=3, layer_norm_eps=1e-5)
SPEC = """{uses}
model base = vit
task image_classify(labels = 3)
{attach}
train head
optimize adamw(lr = 1e-2)
run {{ epochs = 1, batch = 4, base_dropout = 0, clip = 0 }}
"""
LINEARS = {"attention.q_proj": "attention.q", "attention.k_proj": "attention.k", "attention.v_proj": "attention.v", "attention.o_proj": "attention.o", "mlp.fc1": "ffn.up", "mlp.fc2": "ffn.down",
           "layernorm_before": "attention.norm", "layernorm_after": "ffn.norm", "embeddings.patch_embeddings.projection": "embeddings.projection", "layernorm": "norm", "classifier": "head.classifier"}


def spec(attach, *methods):
    return SPEC.format(uses=f"use peft.methods.{{{', '.join(methods)}}}" if methods else "", attach=attach)


def make(folder, kind=transformers.ViTForImageClassification, **options):
    """A random checkpoint whose every weight matters, its image processor beside it, and the classifier."""
    torch.manual_seed(7)
    model = kind(transformers.ViTConfig(**{**SIZES, **options}), **({} if kind is transformers.ViTForImageClassification else {"add_pooling_layer": False})).eval()
    model.config._attn_implementation = "eager"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3 if parameter.dim() < 2 else 1.2 * parameter[0].numel() ** -0.5)
            if "layernorm" in name and name.endswith("weight"):
                parameter.add_(1)
    model.save_pretrained(folder)
    height, width = options["image_size"] if isinstance(options.get("image_size"), tuple) else (SIDE, SIDE)
    ViTImageProcessorPil(size={"height": height, "width": width}, image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.25, 0.2]).save_pretrained(folder)
    return model


def pictures(folder, count=5, seed=3, extension="png", mode="RGB"):
    """Noise, each of its own size, in a folder for each label; paths and labels."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for place in range(count):
        height, width = (int(torch.randint(5, 40, (), generator=generator)) for _ in range(2))
        path = folder / "abc"[place % LABELS] / f"{place}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(noise.numpy()).convert(mode).save(path)
        found.append((path, place % LABELS))
    return found


def rows_of(count=5, seed=3, sides=(SIDE, SIDE)):
    generator = torch.Generator().manual_seed(seed)
    return [{"pixel_values": torch.randn(3, *sides, generator=generator).tolist(), "label": place % LABELS} for place in range(count)]


def ours_of(name):
    name = name.removeprefix("vit.")
    if name in ("embeddings.cls_token", "embeddings.position_embeddings"):
        return {"embeddings.cls_token": "embeddings.first", "embeddings.position_embeddings": "embeddings.places"}[name]
    module, last = name.rsplit(".", 1)
    for theirs, ours in LINEARS.items():
        if module == theirs or module.endswith("." + theirs):
            module = module.removesuffix(theirs) + ours
            break
    return f"{module}.{last if module.endswith('norm') else {'weight': 'W', 'bias': 'b'}[last]}"


def named(tensors):
    """transformers' tensors by our names and in our shapes."""
    shapes = {"embeddings.first": (-1,), "embeddings.places": (-1, SIZES["hidden_size"]), "embeddings.projection.W": (SIZES["hidden_size"], -1)}
    found = {ours_of(name): value for name, value in tensors.items()}
    return {name: value.reshape(shapes.get(name, value.shape)) for name, value in found.items()}


def head(model):
    return {"head.classifier.W": model.classifier.weight, "head.classifier.b": model.classifier.bias}


def forward(model, rows):
    return model(pixel_values=torch.tensor([row["pixel_values"] for row in rows]), labels=torch.tensor([row["label"] for row in rows]))


def check(folder, **options):
    model = make(folder / "model", num_labels=LABELS, **options)
    subject = Subject(folder / "subject", folder / "model", spec("train layers[*]\ntrain embeddings\ntrain norm"))
    rows = rows_of(sides=options.get("image_size", (SIDE, SIDE)))
    out = forward(model, rows)
    out.loss.backward()
    gradients = {"grad." + name: value for name, value in named({name: value.grad for name, value in model.named_parameters()}).items()}
    got = subject.inspect(rows, subject.save_init(named(dict(model.named_parameters()))))
    assert set(got) == {"loss", "logits", *gradients}, set(got) ^ {"loss", "logits", *gradients}
    return compare(got, {"loss": out.loss.detach(), "logits": out.logits.detach(), **gradients}, least=1e-2)


def test_all(folder):
    return "  ".join(f"{check(folder / name, **options):.1e}" for name, options in {"plain": {}, "bare": {"qkv_bias": False, "hidden_act": "relu"}, "small": {"patch_size": 2},
                                                                                          "wide": {"image_size": (8, 20)}}.items())


def test_gray_and_bare(folder):
    """One channel; a folder without a head, whose names have no prefix."""
    worst = check_numbers(folder / "gray", num_channels=1)
    make(folder / "bare", transformers.ViTModel)
    Subject(folder / "subject", folder / "bare", spec("attach lora to layers[*].** where kind == linear", "lora"))
    return f"{worst:.1e}"


def check_numbers(folder, **options):
    model = make(folder / "model", num_labels=LABELS, **options)
    generator = torch.Generator().manual_seed(1)
    rows = [{"pixel_values": torch.randn(options["num_channels"], SIDE, SIDE, generator=generator).tolist(), "label": place} for place in range(3)]
    subject = Subject(folder / "subject", folder / "model", spec(""))
    with torch.no_grad():
        out = forward(model, rows)
    return compare(subject.inspect(rows, subject.save_init(head(model))), {"loss": out.loss, "logits": out.logits})


def test_pixels(folder):
    """Files in rows and in folders, PNG and JPEG, give what transformers makes of its processor's pixels."""
    return "  ".join(pixels_of(folder / name, **options) for name, options in {"square": {}, "wide": {"image_size": (8, 20)}}.items())


def pixels_of(folder, **options):
    model = make(folder / "model", num_labels=LABELS, **options)
    subject = Subject(folder / "subject", folder / "model", spec(""))
    init = subject.save_init(head(model))
    processor = ViTImageProcessorPil.from_pretrained(folder / "model")
    worst = {}
    for extension in ("png", "jpg"):
        found = sorted(pictures(folder / "subject" / extension, extension=extension))
        pixels = processor([Image.open(path) for path, _ in found], return_tensors="pt")["pixel_values"].float()
        with torch.no_grad():
            out = model(pixel_values=pixels, labels=torch.tensor([label for _, label in found]))
        expected = {"loss": out.loss, "logits": out.logits}
        rows = [{"image": str(path.relative_to(folder / "subject")), "label": label} for path, label in found]
        worst[extension + " rows"] = compare(subject.inspect(rows, init), expected)
        numbers = [{"pixel_values": image.tolist(), "label": label} for image, (_, label) in zip(pixels, found)]
        worst[extension + " numbers"] = compare(subject.inspect(numbers, init), expected)
        run(subject.trainer, "inspect", "--data", folder / "subject" / extension, "--init", init, "--out", folder / "seen.safetensors")
        worst[extension + " folder"] = compare(load_file(folder / "seen.safetensors"), expected)
    return "  ".join(f"{name} {share:.1e}" for name, share in worst.items())


def test_train_predict_merge(folder):
    """A folder for each label is learned from; predictions name its labels; the merged folder is transformers' and predicts the same."""
    make(folder / "model", transformers.ViTModel)
    for place, colour in enumerate(((200, 30, 30), (30, 200, 30), (30, 30, 200))):
        for number in range(12):
            noise = torch.randint(0, 60, (20, 15, 3), generator=torch.Generator().manual_seed(100 * place + number)) + torch.tensor(colour) - 30
            path = folder / "data" / ("red", "green", "blue")[place] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.clamp(0, 255).to(torch.uint8).numpy()).save(path)
    subject = Subject(folder / "subject", folder / "model", spec("attach lora(r = 4) to layers[*].attention.{q, v}", "lora").replace("epochs = 1", "epochs = 12"))
    run(subject.trainer, "train", "--data", folder / "data", "--out", folder / "run", "--set", "run.seed=1")
    report = json.loads(run(subject.trainer, "eval", folder / "run", "--data", folder / "data", "--json"))
    assert report["accuracy"] > 0.9, report
    flat = folder / "new"
    flat.mkdir()
    shutil.copy(folder / "data/green/3.png", flat / "x.png")
    said = [json.loads(line) for line in run(subject.trainer, "predict", folder / "run", "--data", flat).splitlines()]
    assert [row["label"] for row in said] == ["green"], said
    run(subject.trainer, "merge", folder / "run", "--out", folder / "merged")
    merged, loading = transformers.ViTForImageClassification.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    processor = ViTImageProcessorPil.from_pretrained(folder / "merged")
    with torch.no_grad():
        logits = merged.eval()(**processor(Image.open(flat / "x.png"), return_tensors="pt")).logits[0]
    assert merged.config.id2label[int(logits.argmax())] == "green", (logits, merged.config.id2label)
    return f"accuracy {report['accuracy']:.2f}"


def test_merge_over_a_head(folder):
    """A checkpoint with a head of its own gets the new one in its place; LoRA everywhere, the patches' projection too."""
    make(folder / "model", num_labels=5)
    subject = Subject(folder / "subject", folder / "model", spec("attach lora(r = 2) to embeddings.projection, layers[*].** where kind == linear", "lora"))
    data = write_rows(folder / "rows.jsonl", rows_of(8))
    run(subject.trainer, "train", "--data", data, "--out", folder / "run")
    run(subject.trainer, "merge", folder / "run", "--out", folder / "merged")
    merged, loading = transformers.ViTForImageClassification.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    before, after = load_file(folder / "model/model.safetensors"), load_file(folder / "merged/model.safetensors")
    assert set(before) == set(after) and after["vit.embeddings.patch_embeddings.projection.weight"].shape == (24, 3, PATCH, PATCH)
    with torch.no_grad():
        out = forward(merged.eval(), rows_of(8))
    return f"{compare(subject.inspect(rows_of(8), folder / 'run/adapter.safetensors'), {'logits': out.logits, 'loss': out.loss}):.1e}"


def test_refused(folder):
    make(folder / "model", num_labels=LABELS)
    subject = Subject(folder / "subject", folder / "model", spec(""))
    good = pictures(folder / "images", 3)[0][0]
    plain = json.loads((folder / "model/preprocessor_config.json").read_text())
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_text("")
    (folder / "cut.png").write_bytes(good.read_bytes()[:60])
    for mode in ("L", "RGBA", "P", "CMYK"):
        Image.open(good).convert(mode).save(folder / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    cases = [({"image": "nowhere.png"}, "R0142", "nowhere.png"), ({"image": "text.png"}, "R0142", "text.png"), ({"image": "empty.png"}, "R0142", "empty.png"), ({"image": "cut.png"}, "R0142", "cut.png"),
             ({"image": "."}, "R0142", "no file"), ({"image": "L.png"}, "R0143", "has 1 channels (L), the model reads 3"), ({"image": "RGBA.png"}, "R0143", "RGBA.png"), ({"image": "P.png"}, "R0143", "P.png"),
             ({"image": "CMYK.jpg"}, "R0143", "has 4 channels"), ({"image": 3}, "R0134", "string"), ({}, "R0133", "image"), ({"pixel_values": [1, 2]}, "R0143", "has 2 numbers"),
             ({"pixel_values": ["a"]}, "R0134", "no finite number"), ({"pixel_values": [0] * 432, "label": "z"}, "", "")]
    for row, code, words in cases[:-1]:
        data = write_rows(folder / "rows.jsonl", [{"image": str(good), "label": 0}, {"label": 1, **row}] if "pixel_values" not in row else [{"label": 1, **row}])
        said = refused(subject.trainer, "eval", "--data", data)
        assert code in said and words in said and f"rows.jsonl:{1 if 'pixel_values' in row else 2}" in said, f"{row}: {said}"
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", [{"image": str(good), "label": 0}, {**cases[-1][0], "label": 1}]))
    assert "R0133" in said and "rows before" in said, said
    data = write_rows(folder / "rows.jsonl", [{"image": str(good), "label": 0}])
    configs = [({"do_center_crop": True}, "do_center_crop"), ({"size": {"shortest_edge": 12}}, "shortest_edge"), ({"size": {"height": 12, "width": 14}}, "12 by 14"), ({"image_mean": [0.5]}, "image_mean"),
               ({"do_flip": True}, "do_flip"), (None, "not JSON")]
    for changes, words in configs:
        (folder / "model/preprocessor_config.json").write_text(json.dumps({**plain, **changes}) if changes else "{")
        said = refused(subject.trainer, "eval", "--data", data)
        assert "R0144" in said and words in said, f"{changes}: {said}"
    (folder / "model/preprocessor_config.json").write_text(json.dumps({**plain, "do_convert_rgb": True}))
    run(subject.trainer, "eval", "--data", write_rows(folder / "rows.jsonl", [{"image": "RGBA.png", "label": 0}, {"image": "L.png", "label": 1}]))
    (folder / "model/preprocessor_config.json").unlink()
    assert "R0112" in refused(subject.trainer, "eval", "--data", data)
    (folder / "none").mkdir()
    assert "R0135" in refused(subject.trainer, "eval", "--data", folder / "none")
    changed = json.loads((folder / "model/config.json").read_text())
    for changes, code, words in [({"patch_size": 5}, "E0355", "whole patches of 5"), ({"image_size": [12, 14]}, "E0355", "12 by 14 is not whole patches of 4"), ({"image_size": [12, 16]}, "E0603", "position_embeddings"),
                                 ({"image_size": [12]}, "E0355", "has 1 numbers"), ({"num_channels": 1}, "E0603", "projection.weight"),
                                 ({"image_size": 16}, "E0603", "position_embeddings"), ({"layer_scale": 0.1}, "E0609", "layer_scale")]:
        (folder / "model/config.json").write_text(json.dumps({**changed, **changes}))
        said = refused(BIN / "peftc", folder / "subject/spec.peft", "--model", folder / "model", "-o", folder / "trainer")
        assert code in said and words in said, f"{changes}: {said}"
    return f"{len(cases)} rows, {len(configs)} processors"


if __name__ == "__main__":
    main([test_all, test_gray_and_bare, test_pixels, test_train_predict_merge, test_merge_over_a_head, test_refused])
