"""Labels of words and choices: logits, loss and gradients equal transformers' *ForTokenClassification and *ForMultipleChoice; words are tokenised, labelled and
predicted as transformers' tokenizers align them; merged folders load; rows that do not fit are refused."""
import json

import torch
import transformers
from peft import LoraConfig, get_peft_model
from subject import BIN, Subject, compare, main, padded, refused, run, write_rows
from test_encoders import LABELS, MIXED, NOISE, SIZES, batch_of, gradients_of, make, ours_of, rows_of, spec
from test_llama import make as make_decoder
from tokenizers import Tokenizer, models, pre_tokenizers, processors

CHOICES = 3
WORDS = f"token_classify(labels = {LABELS})"


def labelled(lengths, seed=3):
    generator = torch.Generator().manual_seed(seed + 1)
    rows = []
    for row in rows_of(lengths, seed):
        labels = torch.randint(-1, LABELS, (len(row["input_ids"]),), generator=generator).tolist()
        labels[-1] = max(labels[-1], 0)
        rows.append({"input_ids": row["input_ids"], "labels": [label if label >= 0 else -100 for label in labels]})
    return rows


def padded_labels(rows, length):
    return torch.tensor([row["labels"] + [-100] * (length - len(row["labels"])) for row in rows])


def packed(rows, logits):
    return torch.cat([logits[place, :len(row["input_ids"])] for place, row in enumerate(rows)])


def flat(tensors):
    return {**tensors, "logits": tensors["logits"].reshape(-1, LABELS)}


def check_words(folder, arch, **options):
    model = make(folder / "model", arch, "AutoModelForTokenClassification", **options)
    subject = Subject(folder / "subject", folder / "model", spec(arch, "train layers[*]\ntrain embeddings\ntrain head", task=WORDS))
    rows, batch = labelled(MIXED), None
    batch = batch_of(rows, arch)
    out = model(**batch, labels=padded_labels(rows, batch["input_ids"].shape[1]))
    out.loss.backward()
    expected = {"loss": out.loss.detach(), "logits": packed(rows, out.logits.detach()), **gradients_of(model, arch)}
    init = subject.save_init({ours_of(name, arch): value for name, value in model.named_parameters()})
    got = flat(subject.inspect(rows, init))
    assert set(got) == set(expected), set(got) ^ set(expected)
    worst = compare(got, expected, least=NOISE)
    for row in rows:
        with torch.no_grad():
            worst = max(worst, compare(flat(subject.inspect([row], init)), {"logits": model(**batch_of([row], arch)).logits[0]}))
    return f"{worst:.1e}"


def test_words_bert(folder):
    """Its checkpoint has no pooler."""
    return check_words(folder, "bert")


def test_words_roberta(folder):
    return check_words(folder, "roberta")


def test_words_distilbert(folder):
    return check_words(folder, "distilbert")


def test_words_decoder(folder):
    found = []
    for arch, auto in (("llama", transformers.LlamaForTokenClassification), ("qwen2", transformers.Qwen2ForTokenClassification)):
        make_decoder(folder / arch, arch)
        torch.manual_seed(12)
        model = auto.from_pretrained(folder / arch, num_labels=LABELS, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            model.score.weight.normal_(0, 0.3)
            model.score.bias.normal_(0, 0.3)
        subject = Subject(folder / f"{arch}_subject", folder / arch, spec(arch, "train head", task=WORDS))
        rows = labelled((7, 1, 60, 5))
        batch = padded(rows)
        out = model(**batch, labels=padded_labels(rows, batch["input_ids"].shape[1]))
        out.loss.backward()
        init = subject.save_init({"head.classifier.W": model.score.weight, "head.classifier.b": model.score.bias})
        found.append(compare(flat(subject.inspect(rows, init)), {"loss": out.loss.detach(), "logits": packed(rows, out.logits.detach()), "grad.head.classifier.W": model.score.weight.grad,
                                                                 "grad.head.classifier.b": model.score.bias.grad}))
    return "  ".join(f"{worst:.1e}" for worst in found)


def test_lora_of_words(folder):
    """One gradient against peft's, and the merged folder against ours; what a prompt joins to the text has no label."""
    arch = "roberta"
    make(folder / "model", arch, "AutoModelForMaskedLM")
    torch.manual_seed(13)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder / "model", num_labels=LABELS, dtype=torch.float32, attn_implementation="eager", hidden_dropout_prob=0.0,
                                                                         attention_probs_dropout_prob=0.0)
    model = get_peft_model(model, LoraConfig(task_type=None, r=4, lora_alpha=6, target_modules=["query", "value"], modules_to_save=["classifier"])).train()
    parameters = {}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.normal_(0, 0.2)
                name = name.removeprefix("base_model.model.").replace(".modules_to_save.default", "").replace(".default", "")
                lora = [part for part in ("lora_A", "lora_B") if part in name]
                own = ours_of(name.replace(f".{lora[0]}", "") if lora else name, arch)
                parameters[own.removesuffix(".W") + f".lora.{lora[0][-1]}" if lora else own] = value
    text = spec(arch, "attach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}\ntrain head", "lora", task=WORDS)
    subject = Subject(folder / "subject", folder / "model", text)
    init = subject.save_init(parameters)
    rows = labelled(MIXED)
    batch = batch_of(rows, arch)
    out = model(**batch, labels=padded_labels(rows, batch["input_ids"].shape[1]))
    out.loss.backward()
    worst = compare(flat(subject.inspect(rows, init)), {"loss": out.loss.detach(), "logits": packed(rows, out.logits.detach()), **{"grad." + name: value.grad for name, value in parameters.items()}})
    run(subject.trainer, "merge", "--init", init, "--out", folder / "merged")
    merged, loading = transformers.AutoModelForTokenClassification.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    with torch.no_grad():
        worst = max(worst, compare({"logits": packed(rows, merged.eval()(**batch).logits)}, {"logits": packed(rows, model.eval()(**batch).logits)}))
    # Predicted on merged weights and on adapters, and with a prompt in front that changes nothing but the places.
    data = write_rows(folder / "rows.jsonl", rows)
    for options in ((), ("--unmerged",)):
        lines = [json.loads(line) for line in run(subject.trainer, "predict", "--init", init, "--data", data, *options).splitlines()]
        expected = [[f"LABEL_{label}" for label in out.logits[place, :len(row["input_ids"])].argmax(-1).tolist()] for place, row in enumerate(rows)]
        assert [line["labels"] for line in lines] == expected, options
        assert all(len(line["probabilities"]) == len(row["input_ids"]) and all(0 < share <= 1 for share in line["probabilities"]) for line, row in zip(lines, rows))
    prompt = Subject(folder / "prompt", folder / "model", spec(arch, "attach prompt(n = 3) to model\ntrain head", "prompt", task=WORDS, run=", max_length = 60"))
    short = labelled((7, 1, 20))
    lines = [json.loads(line) for line in run(prompt.trainer, "predict", "--data", write_rows(folder / "short.jsonl", short)).splitlines()]
    inspected = prompt.inspect(short)
    assert inspected["logits"].reshape(-1, LABELS).shape[0] == 28 + 3 * len(short)
    own, begin = [], 0
    for row in short:
        own.append(inspected["logits"].reshape(-1, LABELS)[begin + 3:begin + 3 + len(row["input_ids"])].argmax(-1).tolist())
        begin += 3 + len(row["input_ids"])
    assert [line["labels"] for line in lines] == [[f"LABEL_{label}" for label in labels] for labels in own]
    return f"{worst:.1e}"


# ---- words

def word_piece(folder):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##want", "##ed", "##able", "aff", "run", "##ning", "word", "a", "b", ",", ".", "!", "it", "'", "s"]
    tokenizer = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]")


def byte_level(folder):
    """As RoBERTa's: a space belongs to the word behind it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    used = [letter for letter in letters if letter in "abcdefghijklmnopqrstuvwxyz,.!'Ġ"]
    vocabulary = {word: place for place, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *used, "Ġw", "wo", "Ġwo", "un", "Ġun", "Ġa"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "w"), ("w", "o"), ("Ġw", "o"), ("u", "n"), ("Ġ", "un"), ("Ġ", "a")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    spaced = json.loads((folder / "tokenizer.json").read_text())
    spaced["pre_tokenizer"]["add_prefix_space"] = True
    return transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(spaced)), pad_token="<pad>", unk_token="<unk>")


TEXTS = [["unwanted", "run", "a"], ["running", "it's", ",", "word", "!"], ["word"], ["a", "b", "unable", "affable", "unwanted", "running", "word", "a"]]
TAGS = [["B-X", "O", "O"], ["O", "I-Y", "O", "O", "B-X"], ["O"], ["O", "O", "B-X", "I-X", "O", "I-Y", "O", "O"]]


def aligned(tokenizer, words, tags, names, most):
    """Ids, and the label of each word at its first token, as transformers' own example does it."""
    encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=most)
    labels, before = [], None
    for word in encoded.word_ids():
        labels.append(-100 if word is None or word == before else names.index(tags[word]))
        before = word
    return {"input_ids": encoded["input_ids"], "labels": labels}


def test_words_are_aligned(folder):
    for arch, write in (("bert", word_piece), ("roberta", byte_level)):
        make(folder / arch, arch, "AutoModelForTokenClassification")
        tokenizer = write(folder / arch)
        most, names = 16, sorted({tag for tags in TAGS for tag in tags})
        subject = Subject(folder / f"{arch}_subject", folder / arch, spec(arch, "train head", task=WORDS, run=f", max_length = {most}"))
        words = [{"tokens": text, "tags": tags} for text, tags in zip(TEXTS, TAGS)]
        ids = [aligned(tokenizer, text, tags, names, most) for text, tags in zip(TEXTS, TAGS)]
        mine, other = subject.inspect(words), subject.inspect(ids)
        assert mine["loss"] == other["loss"] and torch.equal(mine["logits"], other["logits"]), (arch, mine["loss"], other["loss"])
        table = folder / f"{arch}.csv"
        table.write_text("tokens,tags\n" + "".join('"' + json.dumps(text).replace('"', '""') + '",' + " ".join(tags) + "\n" for text, tags in zip(TEXTS, TAGS)))
        run(subject.trainer, "inspect", "--data", table, "--out", folder / "table.safetensors")
        run(subject.trainer, "train", "--data", write_rows(folder / "words.jsonl", words), "--out", folder / f"{arch}_run")
        predicted = run(subject.trainer, "predict", folder / f"{arch}_run", "--data", write_rows(folder / "new.jsonl", [{"tokens": text} for text in TEXTS]))
        for text, line in zip(TEXTS, map(json.loads, predicted.splitlines())):
            seen = {word for word in tokenizer(text, is_split_into_words=True, truncation=True, max_length=most).word_ids() if word is not None}
            assert [label is not None for label in line["labels"]] == [word in seen for word in range(len(text))], (arch, text, line)
            assert set(line["labels"]) - {None} <= {*names, "LABEL_4"}
        assert any(None in json.loads(line)["labels"] for line in predicted.splitlines()) == any(len(tokenizer(text, is_split_into_words=True)["input_ids"]) > most for text in TEXTS)
        report = json.loads(run(subject.trainer, "eval", folder / f"{arch}_run", "--data", folder / "words.jsonl", "--json"))
        assert 0 <= report["token_accuracy"] <= 1 and 0 <= report["token_f1"] <= 1, report
    return "word pieces, bytes"


def test_refused_words(folder):
    make(folder / "bert", "bert", "AutoModelForTokenClassification")
    word_piece(folder / "bert")
    subject = Subject(folder / "subject", folder / "bert", spec("bert", "train head", task=WORDS))
    good = {"tokens": ["a", "b"], "tags": ["x", "y"]}
    for row, code, words in [({"tokens": ["a", "b"], "tags": ["x"]}, "R0134", "1 entries for 2 words"), ({"tokens": [], "tags": []}, "R0134", "empty"), ({"tokens": ["a", ""], "tags": ["x", "y"]}, "R0134", "no word"),
                             ({"tokens": ["a", 3], "tags": ["x", "y"]}, "R0134", "no word"), ({"tokens": ["a", "b"]}, "R0133", "tags"), ({"tags": ["x"]}, "R0133", "tokens"), ({"tokens": ["a"], "tags": [1.5]}, "R0134", "1.5"),
                             ({"tokens": ["a"], "tags": [-1]}, "R0134", "has a label"), ({"tokens": {"a": 1}, "tags": ["x"]}, "R0134", "not a list"), ({"tokens": ["a"], "tags": [None]}, "R0134", "null"),
                             ({"input_ids": [4, 5], "labels": [1, 1]}, "R0133", "the rows before have text")]:
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [good, row]))
        assert code in said and words in said and "bad.jsonl:2" in said, f"{row}: {said}"
    ids = {"input_ids": [4, 5], "labels": [1, -100]}
    for row, code, words in [({"input_ids": [4, 5], "labels": [1]}, "R0134", "1 entries for 2 tokens"), ({"input_ids": [4, 5]}, "R0133", "labels"), ({"input_ids": [4], "labels": [-100]}, "R0134", "has a label"),
                             ({"input_ids": [4, 101], "labels": [1, 1]}, "R0139", "101")]:
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [ids, row]))
        assert code in said and words in said, f"{row}: {said}"
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "many.jsonl", [{"tokens": ["a"] * 7, "tags": list("tuvwxyz")}]))
    assert "R0138" in said and "7 different labels" in said, said
    run(subject.trainer, "train", "--data", write_rows(folder / "good.jsonl", [good, {"tokens": ["b"], "tags": ["y"]}]), "--out", folder / "run")
    said = refused(subject.trainer, "eval", folder / "run", "--data", write_rows(folder / "bad.jsonl", [good, {"tokens": ["a", "a"], "tags": ["x", "z"]}]))
    assert "R0137" in said and "bad.jsonl:2" in said and "`z`" in said, said
    (folder / "spec.peft").write_text('task odd on model {\n  row ids: tokens("text")\n  row t: classes("tags", 3, "labels")\n  logits = hidden\n  loss = sum(hidden)\n}\nmodel base = bert\ntask odd\ntrain embeddings\noptimize adamw(lr = 1e-3)\n')
    said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "bert", "-o", folder / "trainer")
    assert "E0350" in said and "`words`" in said, said


# ---- choices

def choices_of(rows, seed=5):
    """Rows of several texts, of all lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [{"input_ids": [each["input_ids"] for each in rows[place:place + CHOICES]], "label": int(torch.randint(0, CHOICES, (), generator=generator))} for place in range(0, len(rows), CHOICES)]


def choice_batch(rows, arch):
    batch = batch_of([{"input_ids": ids} for row in rows for ids in row["input_ids"]], arch)
    return {name: value.reshape(len(rows), CHOICES, -1) for name, value in batch.items()}


def check_choices(folder, arch):
    model = make(folder / "model", arch, "AutoModelForMultipleChoice")
    subject = Subject(folder / "subject", folder / "model", spec(arch, "train layers[*]\ntrain embeddings\ntrain head" + ("" if arch == "distilbert" else "\ntrain pooler"), task=f"multiple_choice(choices = {CHOICES})"))
    rows = choices_of(rows_of((7, 1, 66, 33, 5, 12, 2, 40, 9, 3, 3, 3)))
    out = model(**choice_batch(rows, arch), labels=torch.tensor([row["label"] for row in rows]))
    out.loss.backward()
    init = subject.save_init({ours_of(name, arch): value for name, value in model.named_parameters()})
    worst = 0.0
    for options, kept in (((), rows), (("--reference",), rows[:2])):
        got = subject.inspect(kept, init, *options)
        if kept is rows:
            expected = {"loss": out.loss.detach(), **gradients_of(model, arch)}
            assert set(got) == {*expected, "logits"}, set(got) ^ {*expected, "logits"}
            worst = compare(got, expected, least=NOISE)
        logits = got["logits"].reshape(-1, CHOICES, CHOICES)  # all examples of a row say the same
        worst = max(worst, *(compare({"logits": logits[:, example]}, {"logits": out.logits.detach()[:len(kept)]}) for example in range(CHOICES)))
    data = write_rows(folder / "rows.jsonl", rows)
    lines = [json.loads(line) for line in run(subject.trainer, "predict", "--init", init, "--data", data, "--set", "run.batch=3").splitlines()]
    assert [line["choice"] for line in lines] == out.logits.argmax(-1).tolist(), lines
    compare({"p": torch.tensor([line["probabilities"] for line in lines])}, {"p": out.logits.detach().softmax(-1)})
    report = json.loads(run(subject.trainer, "eval", "--init", init, "--data", data, "--json", "--set", "run.batch=3"))
    hits = (out.logits.argmax(-1) == torch.tensor([row["label"] for row in rows])).float().mean().item()
    assert report["rows"] == len(rows) and abs(report["accuracy"] - hits) < 1e-6 and abs(report["loss"] - out.loss.item()) <= 1e-4, (report, hits, out.loss)
    run(subject.trainer, "merge", "--init", init, "--out", folder / "merged")
    merged, loading = transformers.AutoModelForMultipleChoice.from_pretrained(folder / "merged", dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    with torch.no_grad():
        worst = max(worst, compare({"logits": merged.eval()(**choice_batch(rows, arch)).logits}, {"logits": out.logits.detach()}))
    return f"{worst:.1e}"


def test_choices(folder):
    return "  ".join(check_choices(folder / arch, arch) for arch in SIZES)


def test_choices_of_texts(folder):
    """A text and each choice are a pair; training on rows of two texts moves the loss, resumed or not."""
    make(folder / "bert", "bert", "AutoModelForMultipleChoice")
    tokenizer = word_piece(folder / "bert")
    subject = Subject(folder / "subject", folder / "bert", spec("bert", "train head", task="multiple_choice(choices = 2)"))
    texts = [{"text": "a word", "choices": ["it", "run , a b"], "label": 1}, {"text": "running", "choices": ["unwanted !", "b"], "label": 0}, {"text": "b", "choices": ["a", "word"], "label": 0}]
    ids = [{"input_ids": [tokenizer(row["text"], choice)["input_ids"] for choice in row["choices"]], "label": row["label"]} for row in texts]
    mine, other = subject.inspect(texts), subject.inspect(ids)
    assert mine["loss"] == other["loss"] and torch.equal(mine["logits"], other["logits"])
    losses = subject.losses(texts * 8, None, "--set", "run.batch=4", "--epochs", "8")
    assert losses[-1] < losses[0], losses
    for row, code, words in [({"text": "a", "choices": ["b"], "label": 0}, "R0134", "1 entries, the task has 2 choices"), ({"text": "a", "choices": ["b", "b"], "label": 2}, "R0134", "none of the choices 0 to 1"),
                             ({"text": "a", "choices": ["b", 3], "label": 0}, "R0134", "a string is needed"), ({"choices": ["b", "a"], "label": 0}, "R0133", "text"), ({"text": "a", "label": 0}, "R0133", "choices"),
                             ({"text": "a", "choices": ["b", "a"], "label": "b"}, "R0134", "place of the right one"), ({"text": "a", "choices": ["b", "a"], "label": -1}, "R0134", "0 to 1")]:
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [texts[0], row]))
        assert code in said and words in said and "bad.jsonl:2" in said, f"{row}: {said}"
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [{"input_ids": [[4], []], "label": 0}]))
    assert "R0134" in said, said
    (folder / "spec.peft").write_text(spec("bert", "train head").replace("task classify", "task own on model {\n  row ids: tokens(\"text\")\n  logits = siblings(hidden[0])\n  loss = sum(logits)\n}\ntask own //"))
    said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "bert", "-o", folder / "trainer")
    assert "E0350" in said and "no row of this task has several" in said, said
    return f"losses {losses[0]:.2f} to {losses[-1]:.2f}"


if __name__ == "__main__":
    main([test_words_bert, test_words_roberta, test_words_distilbert, test_words_decoder, test_lora_of_words, test_words_are_aligned, test_refused_words, test_choices, test_choices_of_texts])
