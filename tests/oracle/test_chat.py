"""Conversations: tokens equal transformers.apply_chat_template's; what is learned equals its assistant mask where a template has marks, a mask made by hand where it has none;
loss and logits are those of the same ids with labels. Rows of which there is no telling what the assistant said are refused, with file and row."""
import csv
import json

import torch
import transformers
from subject import Subject, main, refused, run, write_rows
from decoders import random_checkpoint, spec

SIZES = dict(vocab_size=420, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=10, max_position_embeddings=512, pad_token_id=0)
SPECIALS = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]

CHATML = """{%- if tools is not none and tools %}{{ '<|im_start|>system\\nTools: ' + tools | tojson + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}{% BEGIN %}{{ message.content or '' }}{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}{{ '<|im_end|>' }}{% END %}{{ '\\n' }}
{%- else %}{{ message.content + '<|im_end|>\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
MARKED = CHATML.replace("BEGIN", "generation").replace("END", "endgeneration")
PLAIN = CHATML.replace("{% BEGIN %}", "").replace("{% END %}", "")
# No generation prompt; a begin token; turns end with the end token
INSTRUCT = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
            "{{ ' ' + message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
# What a turn was thinking goes when another one follows
THINKING = """{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' and loop.last %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{{ message.content + '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "how it is", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}}]
say = lambda role, content, **more: {"role": role, "content": content, **more}  # noqa: E731
CHATS = [
    [say("user", "What is the time?"), say("assistant", "It is late.")],
    [say("system", "Be brief."), say("user", "Who are you?"), say("assistant", "A model."), say("user", "And now?\n"), say("assistant", "\nStill the same 🙂 model, naïve."), say("user", "Bye")],
    [say("user", "one"), say("assistant", "two"), say("user", "three"), say("assistant", "four"), say("user", "five"), say("assistant", "six  ")],
]
CALLS = [say("user", "How is the weather in Rome?"), say("assistant", None, tool_calls=[{"type": "function", "function": {"name": "weather", "arguments": {"town": "Rome", "day": "now"}}}]),
         say("tool", "sunny"), say("assistant", "It is sunny.")]


def checkpoint(folder, template):
    """A random model, and a tokenizer of bytes that are joined as some text has them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [message["content"] or "" for chat in CHATS for message in chat] * 3 + ["system\n", "user\n\n", "assistant\n", "[INST] ", " [/INST]", "<think>\n\n</think>"] * 3
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    model = random_checkpoint(folder, transformers.LlamaConfig(**SIZES))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    return model, fast


def subject_of(folder, template, task="causal_lm", length=512):
    _, tokenizer = checkpoint(folder / "model", template)
    return Subject(folder / "subject", folder / "model", spec("train norm", task=task).replace("max_length = 64", f"max_length = {length}")), tokenizer


def same(subject, chats, rows):
    """The conversations say what the rows of ids and labels do: together, and each alone."""
    for mine, other in [(chats, rows), *(([chat], [row]) for chat, row in zip(chats, rows))]:
        ours, theirs = subject.inspect(mine), subject.inspect(other)
        assert ours["loss"] == theirs["loss"] and torch.equal(ours["logits"], theirs["logits"]), f"{ours['loss']} {theirs['loss']} {mine}"
    assert len({subject.inspect([row])["loss"].item() for row in rows}) == len(rows)


def labelled(ids, mask):
    return {"input_ids": ids, "labels": [token if learned else -100 for token, learned in zip(ids, mask)]}


def test_marks(folder):
    """By transformers' own mask."""
    subject, tokenizer = subject_of(folder, MARKED)
    chats = [{"messages": chat} for chat in CHATS] + [{"messages": CALLS, "tools": TOOLS}, {"messages": CHATS[0], "tools": None}]
    rows, learned = [], 0
    for chat in chats:
        out = tokenizer.apply_chat_template(chat["messages"], tools=chat.get("tools"), return_assistant_tokens_mask=True, return_dict=True)
        rows.append(labelled(out["input_ids"], out["assistant_masks"]))
        learned += sum(out["assistant_masks"])
    same(subject, chats[:-1], rows[:-1])
    same(subject, chats[-1:], rows[-1:])
    data = write_rows(folder / "rows.jsonl", chats)
    other = subject_of(folder / "renamed", MARKED, 'causal_lm(messages = "talk", tools = "may")')[0]
    same(other, [{"talk": CALLS, "may": TOOLS}], rows[-2:-1])
    report = json.loads(run(subject.trainer, "eval", "--data", data, "--json"))
    assert report["rows"] == len(chats) and report["tokens"] == sum(len(row["input_ids"]) for row in rows)
    return f"{learned} of {report['tokens']} tokens are learned"


def by_hand(tokenizer, pieces):
    """Ids and labels of pieces of text, of which the second ones of pairs are the assistant's; no token goes over a border here."""
    text, spans = "", []
    for piece in pieces:
        said = isinstance(piece, tuple)
        spans += [(len(text), len(text) + len(piece[0]))] if said else []
        text += piece[0] if said else piece
    out = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return text, labelled(out["input_ids"], [any(begin < last and first < end for first, last in spans) for begin, end in out["offset_mapping"]])


def test_without_marks(folder):
    subject, tokenizer = subject_of(folder, PLAIN)
    start, end = "<|im_start|>", "<|im_end|>"
    pieces = [
        [f"{start}user\nWhat is the time?{end}\n{start}assistant\n", (f"It is late.{end}",), "\n"],
        [f"{start}system\nBe brief.{end}\n{start}user\nWho are you?{end}\n{start}assistant\n", (f"A model.{end}",), f"\n{start}user\nAnd now?\n{end}\n{start}assistant\n",
         (f"\nStill the same 🙂 model, naïve.{end}",), f"\n{start}user\nBye{end}\n"],
        [f"{start}user\none{end}\n{start}assistant\n", (f"two{end}",), f"\n{start}user\nthree{end}\n{start}assistant\n", (f"four{end}",), f"\n{start}user\nfive{end}\n{start}assistant\n", (f"six  {end}",), "\n"],
        [f"{start}system\nTools: {json.dumps(TOOLS)}{end}\n{start}user\nHow is the weather in Rome?{end}\n{start}assistant\n", (f"{json.dumps(CALLS[1]['tool_calls'])}{end}",),
         f"\n{start}tool\nsunny{end}\n{start}assistant\n", (f"It is sunny.{end}",), "\n"],
    ]
    chats, rows = [{"messages": chat} for chat in CHATS] + [{"messages": CALLS, "tools": TOOLS}], []
    for chat, parts in zip(chats, pieces):
        text, row = by_hand(tokenizer, parts)
        assert row["input_ids"] == tokenizer.apply_chat_template(chat["messages"], tools=chat.get("tools"), return_dict=False), text
        rows.append(row)
    same(subject, chats, rows)
    table = folder / "chats.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([["messages", "tools"], *([json.dumps(chat["messages"]), json.dumps(chat["tools"]) if "tools" in chat else ["null", ""][place % 2]] for place, chat in enumerate(chats))])
    read = [json.loads(run(subject.trainer, "eval", "--data", data, "--json")) for data in (table, write_rows(folder / "ids.jsonl", rows))]
    assert read[0]["loss"] == read[1]["loss"], read


def test_no_generation_prompt(folder):
    subject, tokenizer = subject_of(folder, INSTRUCT)
    _, row = by_hand(tokenizer, ["<s>[INST] one [/INST]", (" two</s>",), "[INST] three [/INST]", (" four</s>",), "[INST] five [/INST]", (" six  </s>",)])
    assert row["input_ids"] == tokenizer.apply_chat_template(CHATS[2], return_dict=False)
    same(subject, [{"messages": CHATS[2]}], [row])
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "system.jsonl", [{"messages": CHATS[2]}, {"messages": CHATS[1]}]))
    assert "error[R0145]" in said and "system.jsonl:2: the chat template says: Only user and assistant roles are supported!" in said, said


def test_not_a_beginning(folder):
    """One turn can be told, of several the first is written in another way."""
    subject, tokenizer = subject_of(folder, THINKING)
    _, row = by_hand(tokenizer, ["<|im_start|>user\nWhat is the time?<|im_end|>\n<|im_start|>assistant\n", ("<think>\n\n</think>\n\nIt is late.<|im_end|>",), "\n"])
    same(subject, [{"messages": CHATS[0]}], [row])
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "turns.jsonl", [{"messages": CHATS[0]}, {"messages": CHATS[2]}]))
    assert "error[R0145]" in said and "turns.jsonl:2: the chat template writes its first 2 messages in another way when more follow" in said, said
    other = subject_of(folder / "other", PLAIN.replace("'<|im_start|>assistant\\n'", "'<|im_start|>model\\n'"))[0]
    said = refused(other.trainer, "eval", "--data", write_rows(folder / "one.jsonl", [{"messages": CHATS[0]}]))
    assert "error[R0145]" in said and "one.jsonl:1: the assistant's message 2 does not begin where the chat template has the assistant answer" in said, said
    half = subject_of(folder / "half", MARKED.replace("{% generation %}", "{% if loop.last %}{% generation %}x{% endgeneration %}{% endif %}").replace("{{ '<|im_end|>' }}{% endgeneration %}", "{{ '<|im_end|>' }}"))[0]
    said = refused(half.trainer, "eval", "--data", write_rows(folder / "half.jsonl", [{"messages": CHATS[2]}]))
    assert "error[R0145]" in said and "half.jsonl:1: it has 3 turns of the assistant, and the chat template marks 1" in said, said


def test_training_and_answers(folder):
    """What is trained on conversations answers them: the greedy answer to what was learned by heart is that."""
    subject, tokenizer = subject_of(folder, PLAIN)
    trainer = Subject(folder / "all", folder / "model", spec("train layers[*]\ntrain tokens\ntrain lm_head").replace("max_length = 64", "max_length = 512").replace("epochs = 1", "epochs = 60"))
    (folder / "model/generation_config.json").write_text(json.dumps({"eos_token_id": SPECIALS.index("<|im_end|>")}))
    data = write_rows(folder / "train.jsonl", [{"messages": CHATS[0]}, {"messages": CHATS[2]}])
    run(trainer.trainer, "train", "--data", data, "--out", folder / "run")
    rows = json.loads(run(trainer.trainer, "generate", folder / "run", "--data", data, "--max-new", 30, "--json"))["rows"]
    assert [row["text"] for row in rows] == ["It is late.", "six  "] and all(row["finish"] == "end" for row in rows), rows
    prompt = tokenizer.apply_chat_template(CHATS[0][:1], add_generation_prompt=True, return_dict=False)
    assert rows[0]["prompt"] == CHATS[0][:1] and len(prompt) > 5


def test_truncation(folder):
    """What is cut is counted; a row of which nothing is left to learn is an error that says so."""
    subject, tokenizer = subject_of(folder, MARKED)
    out = tokenizer.apply_chat_template(CHATS[2], return_assistant_tokens_mask=True, return_dict=True)
    first = out["assistant_masks"].index(1)
    row = labelled(out["input_ids"], out["assistant_masks"])
    length = first + 2
    data, ids = (write_rows(folder / name, [value]) for name, value in (("chat.jsonl", {"messages": CHATS[2]}), ("ids.jsonl", {key: value[:length] for key, value in row.items()})))
    cut = json.loads(run(subject.trainer, "eval", "--data", data, "--json", "--set", f"run.max_length={length}"))
    assert cut["truncated"] == 1 and cut["tokens"] == length and cut["loss"] == json.loads(run(subject.trainer, "eval", "--data", ids, "--json"))["loss"]
    said = refused(subject.trainer, "eval", "--data", data, "--set", f"run.max_length={first}")
    assert "error[R0134]" in said and f"chat.jsonl:1: none of the row's first {first} tokens is to be predicted, and max_length = {first} cuts what is behind them" in said, said


def test_refused(folder):
    subject, _ = subject_of(folder, PLAIN)
    good = {"messages": CHATS[0]}
    for code, texts, messages in (
            ("R0134", "`messages` is no list of {role, content}", "hello"), ("R0134", "`messages` is no list", []), ("R0134", "message 1 of `messages` has no role", [{"content": "a"}]),
            ("R0134", "message 1 of `messages` has no content", [{"role": "user"}]), ("R0145", "message 2 of `messages` has the role `asistant`", [say("user", "a"), say("asistant", "b")]),
            ("R0145", "message 2 of `messages`, the assistant's, is empty", [say("user", "a"), say("assistant", " \n")]), ("R0145", "none of the 1 messages of `messages` is the assistant's", [say("user", "a")]),
            ("R0145", "U+FDD0", [say("user", "\ufdd0"), say("assistant", "b")])):
        said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [good, {"messages": messages}]))
        assert f"error[{code}]" in said and "bad.jsonl:2: " in said and texts in said, said
    said = refused(subject.trainer, "eval", "--data", write_rows(folder / "bad.jsonl", [{**good, "tools": "none"}]))
    assert "error[R0134]" in said and "bad.jsonl:1: `tools` is no list of descriptions" in said, said
    said = refused(subject.trainer, "generate", "--data", write_rows(folder / "mine.jsonl", [good, {"messages": [say("assistant", "a")]}]))
    assert "error[R0145]" in said and "mine.jsonl:2: all messages of `messages` are the assistant's" in said, said
    (folder / "model/chat_template.jinja").unlink()
    data = write_rows(folder / "good.jsonl", [good])
    said = refused(subject.trainer, "eval", "--data", data)
    assert "error[R0112]" in said and "good.jsonl:1: the checkpoint has no chat template" in said, said
    (folder / "model/chat_template.jinja").write_text("{% for %}")
    said = refused(subject.trainer, "eval", "--data", data)
    assert "error[R0112]" in said and "the chat template cannot be read" in said, said
    (folder / "model/chat_template.jinja").write_text(INSTRUCT)  # another template, other tokens
    assert json.loads(run(subject.trainer, "eval", "--data", data, "--json"))["rows"] == 1


if __name__ == "__main__":
    main([test_marks, test_without_marks, test_no_generation_prompt, test_not_a_beginning, test_training_and_answers, test_truncation, test_refused])
