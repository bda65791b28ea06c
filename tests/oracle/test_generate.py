"""Texts that are written on: greedy tokens equal transformers.generate's, alone and in a batch of mixed lengths, merged and not, beside a cache and without; prefixes and prompts;
what is drawn has the distribution of the model; stop strings, ends, chats; what has no cache says so."""
import collections
import json

import test_decoders
import torch
import transformers
from subject import BIN, Subject, main, refused, run, write_rows
from test_llama import ROPES, VOCABULARY, lora_subject, make, rows_of, spec

MIXED, NEW = (7, 1, 23, 2, 12), 20
LORA = "attach lora(r = 4, alpha = 6) to layers[*].** where kind == linear"


def greedy(model, rows, new=NEW, **options):
    """One prompt at a time."""
    model.eval()
    found = []
    for row in rows:
        ids = torch.tensor([row["input_ids"]])
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, eos_token_id=None, pad_token_id=0, **options)
        found.append(out[0, ids.shape[1]:].tolist())
    return found


def written(subject, rows, init=None, *options, new=NEW):
    """The answers' ids, and the report."""
    data = write_rows(subject.folder / "prompts.jsonl", rows)
    report = json.loads(run(subject.trainer, "generate", "--data", data, "--json", "--max-new", new, "--ignore-end", *(["--init", init] if init else []), *options))
    return [row["ids"] for row in report["rows"]], report


def beside_and_without(subject, rows, init=None, *options):
    """The same tokens with a cache as without, and a batch at a time as one by one."""
    ids, report = written(subject, rows, init, *options)
    assert report["uncached"] == "" and report["cache_bytes"] > 0, report
    whole, other = written(subject, rows, init, "--no-cache", *options)
    assert ids == whole and other["uncached"] == "--no-cache", f"{ids} beside a cache, {whole} without"
    assert ids == written(subject, rows, init, "--set", "run.batch=1", *options)[0]
    assert len({tuple(row) for row in ids}) == len(rows) and any(len(set(row)) > 3 for row in ids), f"texts say little: {ids}"
    return ids


def test_ropes(folder):
    rows = rows_of(MIXED)
    for name, rope in ROPES.items():
        model = make(folder / name, rope_parameters=rope)
        subject = Subject(folder / f"{name} subject", folder / name, spec("train norm"))
        assert beside_and_without(subject, rows) == greedy(model, rows), name


def test_shapes(folder):
    rows = rows_of(MIXED)
    for name, arch, options in (("heads", "llama", dict(num_key_value_heads=4, attention_bias=True)), ("one", "llama", dict(num_key_value_heads=1, mlp_bias=True)),
                                ("tied", "qwen2", dict(tie_word_embeddings=True)), ("window", "qwen2", dict(use_sliding_window=True, sliding_window=5, max_window_layers=1))):
        model = make(folder / name, arch, **options)
        subject = Subject(folder / f"{name} subject", folder / name, spec("train norm", arch=arch))
        assert beside_and_without(subject, rows) == greedy(model, rows), name


def test_stages(folder):
    """Where a text grows longer than those that the network was made with, its earlier tokens are turned otherwise: it is begun anew there, and the others of the batch go on.
    transformers' own cache (5.17) keeps the turns of the short text in its first token beyond, so its texts are those without one."""
    model = test_decoders.make(folder / "model", "phi3", **test_decoders.STRETCHED)
    subject, rows = Subject(folder / "subject", folder / "model", spec("train norm", arch="phi3")), rows_of(MIXED)
    assert beside_and_without(subject, rows) == greedy(model, rows, use_cache=False)
    programs = run(BIN / "peftc", subject.folder / "spec.peft", "--model", folder / "model", "--emit=nn")
    assert "stage.0" in programs.split("func.func @decode(")[1].split("func.func")[0]


def test_lora(folder):
    subject, model, _, init = lora_subject(folder)
    rows = rows_of(MIXED)
    expected = greedy(model, rows)
    assert beside_and_without(subject, rows, init, "--unmerged") == expected
    merged, report = written(subject, rows, init)
    assert report["merged"] and merged == expected


def test_prefix_and_prompt(folder):
    """Rows that a method joins to the keys, or puts in front of the text, are kept like the text's own."""
    make(folder / "model")
    rows = rows_of(MIXED)
    for name, attach in {"prefix": "attach prefix(n = 3) to layers[*].attention where kind == attention", "prompt": "attach prompt(n = 4) to model"}.items():
        subject = Subject(folder / name, folder / "model", spec(attach, name))
        beside_and_without(subject, rows)


def test_prompt_equals_embeddings(folder):
    model = make(folder / "model")
    P = torch.randn(2, 24, generator=torch.Generator().manual_seed(1)) * 0.3
    subject = Subject(folder / "subject", folder / "model", spec("attach prompt(n = 2) to model", "prompt"))
    rows, expected = rows_of((6, 3, 11)), []
    for row in rows:
        embeds = torch.cat([P, model.model.embed_tokens(torch.tensor(row["input_ids"]))])[None].detach()
        expected.append(model.generate(inputs_embeds=embeds, attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long), max_new_tokens=NEW, do_sample=False, eos_token_id=None, pad_token_id=0)[0].tolist())
    assert beside_and_without(subject, rows, subject.save_init({"prompt.P": P})) == expected


def test_keys_behind(folder):
    """What is joined behind the keys cannot be kept with them: it is joined again each time, and the tokens are those of keys joined in front."""
    make(folder / "model")
    P = torch.randn(2, 40, generator=torch.Generator().manual_seed(1)) * 0.5
    rows, found = rows_of(MIXED), []
    for name, joined in {"front": "concat({0}, {1}, axis = keys)", "behind": "concat({1}, {0}, axis = keys)"}.items():
        method = ("method join on attention {\n  param P: [2, 2 * kv_heads * head_dim] = normal(0, 1)\n  let kv = rearrange(P, \"n (two h e) -> two n h e\", two = 2, h = kv_heads)\n"
                  f"  k <- {joined.format('kv[0]', 'k')}\n  v <- {joined.format('kv[1]', 'v')}\n}}\n")
        subject = Subject(folder / name, folder / "model", method + spec("attach join to layers[*].attention where kind == attention"))
        init = subject.save_init({f"layers.{layer}.attention.join.P": P for layer in range(2)})
        found.append(written(subject, rows, init))
        assert found[-1][1]["uncached"] == "" and found[-1][0] == written(subject, rows, init, "--no-cache")[0]
    assert found[0][0] == found[1][0]


def test_later_tokens(folder):
    """A method by which a token sees later ones has no cache that holds; it is found out, said, and the text is that without."""
    make(folder / "model")
    method = "method look on layer {\n  param w: [d] = normal(0, 1)\n  y <- y + w * mean(x, axis = 0, keep = true)\n}\n"
    subject = Subject(folder / "subject", folder / "model", method + spec("attach look to layers[0]"))
    rows = rows_of(MIXED)
    ids, report = written(subject, rows)
    assert "earlier ones" in report["uncached"], report
    assert ids == written(subject, rows, None, "--no-cache")[0]


def test_one_row_of_the_head(folder):
    """Of a prompt only the last token goes through the head, beside a cache and without one."""
    make(folder / "model")
    roll = "method turn on layer {\n  y <- y + roll(x, 1, axis = 0)\n}\n"
    for name, text in {"cached": spec("train norm"), "uncached": roll + spec("attach turn to layers[0]\ntrain norm")}.items():
        subject = Subject(folder / name, folder / "model", text)
        whole = run(BIN / "peftc", subject.folder / "spec.peft", "--model", folder / "model", "--emit=nn")
        program = whole.split(f"func.func @{'prefill' if name == 'cached' else 'next'}(")[1].split("func.func")[0]
        assert f"[1, {VOCABULARY}], f32" in program and f"[seq, {VOCABULARY}], f32" not in program, program


def test_bf16(folder):
    subject, model, _, init = lora_subject(folder)
    half = Subject(folder / "half", folder / "model", (folder / "subject/spec.peft").read_text().replace("clip = 0", "clip = 0, precision = bf16"))
    rows = rows_of(MIXED)
    ids, report = written(half, rows, init, "--unmerged")
    expected = greedy(model, rows)
    first = sum(a[0] == b[0] for a, b in zip(ids, expected))
    assert report["uncached"] == "" and first >= len(rows) - 1, f"{ids} {expected}"
    assert 2 * report["cache_bytes"] == written(subject, rows, init, "--unmerged")[1]["cache_bytes"], report
    whole, other = written(half, rows, init, "--unmerged", "--no-cache")
    same = sum(next((place for place, (a, b) in enumerate(zip(mine, theirs)) if a != b), NEW) for mine, theirs in zip(ids, whole))
    assert other["uncached"] == "--no-cache" and same >= NEW * len(rows) // 2, f"{ids} beside a cache, {whole} without"
    return f"{first} of {len(rows)} first tokens as in fp32, {same} of {NEW * len(rows)} as without a cache up to the first other one"


def test_sampling(folder):
    """Frequencies of the first token are its probabilities; seeds, batches, top-k and top-p."""
    model = make(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    row, count = rows_of((9,))[0], 3000
    with torch.no_grad():
        logits = model(torch.tensor([row["input_ids"]])).logits[0, -1].double()

    def drawn(*options):
        return [ids[0] for ids in written(subject, [row] * count, None, *options, new=1)[0]]

    def differs(tokens, probabilities):
        """Pearson's statistic over its degrees of freedom, of tokens that are expected five times."""
        counts, often = collections.Counter(tokens), [token for token in range(VOCABULARY) if probabilities[token] * count >= 5]
        assert all(probabilities[token] > 0 for token in counts), "a token that has no probability"
        return sum((counts[token] - count * probabilities[token].item()) ** 2 / (count * probabilities[token].item()) for token in often) / max(len(often) - 1, 1)

    temperature = torch.softmax(logits / 1.5, 0)
    order = temperature.argsort(descending=True)
    nucleus = torch.zeros_like(temperature)
    kept = order[:int((temperature[order].cumsum(0) < 0.7).sum()) + 1]
    nucleus[kept] = temperature[kept]
    top = torch.zeros_like(temperature)
    top[order[:4]] = temperature[order[:4]]
    one = drawn("--temperature", "1.5", "--seed", "3")
    found = [differs(one, temperature), differs(drawn("--temperature", "1.5", "--top-p", "0.7"), nucleus / nucleus.sum()), differs(drawn("--temperature", "1.5", "--top-k", "4"), top / top.sum())]
    assert max(found) < 1.8, found
    assert differs(one, torch.softmax(logits, 0) + 1e-9) > 3, "another temperature would pass, too"
    assert one == drawn("--temperature", "1.5", "--seed", "3", "--set", "run.batch=7") and one != drawn("--temperature", "1.5", "--seed", "4")
    assert written(subject, [row], None, "--temperature", "2", "--top-k", "1")[0] == written(subject, [row])[0]
    return "  ".join(f"{value:.2f}" for value in found)


CHAT = "{% for message in messages %}{% if message['role'] == 'user' %}w1 {{ message['content'] }} w2{% elif message['role'] == 'system' %}w0 {{ message['content'] }}{% else %}w4 {{ message['content'] }}{{ eos_token }}{% endif %} {% endfor %}" \
       "{% if add_generation_prompt %}w3{% endif %}"


def with_tokenizer(folder, **options):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    words = ["[UNK]", "<s>", "</s>"] + [f"w{place}" for place in range(VOCABULARY - 3)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    model = make(folder, **options)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    return model, fast


def test_texts(folder):
    """Standard output, stops, ends and chats."""
    model, tokenizer = with_tokenizer(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))
    words = greedy(model, [{"input_ids": tokenizer("w5 w9").input_ids}])[0]
    text = tokenizer.decode(words, skip_special_tokens=True)
    say = lambda *options: run(subject.trainer, "generate", *options)  # noqa: E731
    assert say("--prompt", "w5 w9", "--max-new", NEW, "--ignore-end") == text + "\n"
    stop = tokenizer.decode(words[4:6])
    assert len(stop.split()) == 2 and text.find(stop) > 0
    assert say("--prompt", "w5 w9", "--max-new", NEW, "--ignore-end", "--stop", stop, "--stop", "nothing") == text[:text.find(stop)] + "\n"
    lines = [json.loads(line) for line in say("--prompt", "w5 w9", "--prompt", "w7", "--max-new", NEW, "--ignore-end").splitlines()]
    assert [line["prompt"] for line in lines] == ["w5 w9", "w7"] and lines[0]["text"] == text and lines[0]["finish"] == "length"
    config = folder / "model/generation_config.json"
    config.write_text(json.dumps({"eos_token_id": [words[3]]}))
    line = json.loads(say("--prompt", "w5 w9", "--max-new", NEW, "--json"))["rows"][0]
    first = words.index(words[3])
    assert line["ids"] == words[:first] and line["finish"] == "end", line
    config.unlink()
    chat = [{"role": "system", "content": "w30"}, {"role": "user", "content": "w11 w12"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    expected = greedy(model, [{"input_ids": ids}])[0]
    for given in (["--prompt", "w11 w12", "--chat", "--system", "w30"], ["--data", write_rows(folder / "chats.jsonl", [{"messages": chat}])]):
        line = json.loads(say(*given, "--max-new", NEW, "--ignore-end", "--json"))["rows"][0]
        assert line["ids"] == expected, f"{line} {expected}"
    out = folder / "out.jsonl"
    say("--data", write_rows(folder / "rows.jsonl", [{"text": "w5 w9"}, {"prompt": "w5 w9", "response": "w1"}]), "--out", out, "--max-new", "3", "--ignore-end")
    assert [json.loads(line)["ids"] for line in out.read_text().splitlines()] == [words[:3]] * 2


def test_refused(folder):
    make(folder / "model")
    subject = Subject(folder / "subject", folder / "model", spec("train norm"))

    def says(code, rows, *options):
        found = refused(subject.trainer, "generate", "--data", write_rows(folder / "bad.jsonl", rows), *options)
        assert f"error[{code}]" in found, found
        return found

    assert "64 tokens" in says("R0151", [{"input_ids": [1] * 64}]) and "64 positions" in says("R0151", [{"input_ids": [1] * 64}])
    says("R0139", [{"input_ids": [VOCABULARY]}])
    says("R0134", [{"input_ids": "one"}])
    says("R0134", [{"messages": [{"content": "w1"}]}])
    says("R0133", [{"words": "w1"}])
    says("R0112", [{"text": "w1"}])
    says("R0112", [{"input_ids": [1]}], "--stop", "w1")
    assert [len(ids) for ids in written(subject, [{"input_ids": [1] * 60}], new=50)[0]] == [4]  # up to the last position
    classifier = Subject(folder / "classifier", folder / "model", spec("train norm", task="classify(labels = 3)"))
    assert "error[R0203]" in refused(classifier.trainer, "generate", "--data", folder / "bad.jsonl")


if __name__ == "__main__":
    main([test_ropes, test_shapes, test_stages, test_lora, test_prefix_and_prompt, test_prompt_equals_embeddings, test_keys_behind, test_later_tokens, test_one_row_of_the_head, test_bf16, test_sampling, test_texts, test_refused])
